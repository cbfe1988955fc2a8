import {
  accountOwner,
  type Address,
  AssignmentTable,
  BASIC_DATA_POSITION,
  checkHeaderCertificate,
  type Crypto,
  decodeAll,
  decodeBasicData,
  DecodeError,
  type Genesis,
  readCertificate,
  readHeader,
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
function samples(crypto: Crypto, genesis: Genesis): { readonly shard: number; readonly address: Address }[] {
  const table = new AssignmentTable(crypto, { shards: genesis.shards, overrides: [] });
  const counts = new Array<number>(genesis.shards).fill(0);
  const step = Math.max(1, Math.floor(genesis.allocation.length / (SAMPLES * genesis.shards * 4)));
  const found: { shard: number; address: Address }[] = [];
  for (let at = 0; at < genesis.allocation.length && found.length < SAMPLES * genesis.shards; at += step) {
    const { address } = genesis.allocation[at]!;
    const shard = table.shardOf(address);
    if (counts[shard]! >= SAMPLES) continue;
    counts[shard]!++;
    found.push({ shard, address });
  }
  return found;
}

/** Asks nodes for proofs of accounts as a wallet would, and verifies them. `heads` are the shards' heights: one without blocks has nothing to prove. */
export async function auditStateProofs(
  network: NetworkGenesis,
  heads: readonly number[],
  modules: { readonly source: Source; readonly beacon: BeaconWalk; readonly crypto: Crypto; readonly findings: Findings },
): Promise<{ checked: number; bad: number }> {
  const { source, crypto, findings } = modules;
  const count = { checked: 0, bad: 0 };
  for (const { shard, address } of samples(crypto, network.genesis)) {
    source.checkCancelled();
    if (heads[shard] === 0) continue;
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

/** Why an answer proves nothing; undefined = it proves what it says. */
async function wrongProof(
  network: NetworkGenesis,
  { beacon, crypto }: { readonly beacon: BeaconWalk; readonly crypto: Crypto },
  shard: number,
  account: Address,
  answer: Record<string, unknown>,
): Promise<string | undefined> {
  const [proof, encodedHeader, encodedCertificate] = ['proof', 'header', 'certificate'].map((name) => bytesOf(answer[name], 'shard_getProof'));
  try {
    const header = decodeAll(encodedHeader!, readHeader);
    const certificate = decodeAll(encodedCertificate!, readCertificate);
    if (header.shard !== shard) return 'it is of another shard';
    await beacon.seek(header.epoch);
    const validators = beacon.epoch(header.epoch)?.assignment.shardValidators[shard];
    if (validators === undefined) return 'its epoch is not certified';
    const uncertified = checkHeaderCertificate(crypto, network.hash, validators, header, certificate);
    if (uncertified !== undefined) return uncertified;
    const key = stateKey(crypto, accountOwner(account), BASIC_DATA_POSITION);
    const result = verifyStateProof(crypto, header.stateRoot, key, proof!);
    if (!result.ok) return result.reason;
    const { balance, nonce } = result.value === undefined ? NOTHING : decodeBasicData(result.value);
    return answer['balance'] === String(balance) && answer['nonce'] === nonce ? undefined : `it proves ${balance} wei and nonce ${nonce}, the node says otherwise`;
  } catch (error) {
    if (error instanceof DecodeError) return error.code;
    throw error;
  }
}

const NOTHING = { balance: 0n, nonce: 0 };
