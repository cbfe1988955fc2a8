import {
  accountOwner,
  AssignmentTable,
  BASIC_DATA_POSITION,
  computeStateRoot,
  type Crypto,
  emptyPairTable,
  encodeBasicData,
  equalBytes,
  type Genesis,
  genesisHash,
  type Hash32,
  headerHash,
  type Height,
  LOGS_BLOOM_BYTES,
  outRoot,
  type PairTable,
  pairRoot,
  parseGenesis,
  receiptRoot,
  type ShardHeader,
  type ShardId,
  STEM_BYTES,
  deriveStems,
  txRoot,
  ZERO_HASH,
} from '@shardlab/crosslink';
import type { Findings } from './findings.ts';
import { badAnswer, fieldsOf, integerOf, textOf } from './rpc.ts';
import type { Source } from './source.ts';

const ALLOCATION_PAGE = 10_000;

/** Where a shard's chain begins: the block of height 0, which nobody signs and everybody computes from the genesis. */
export interface ChainStart {
  readonly header: ShardHeader;
  readonly hash: Hash32;
  readonly pairs: PairTable;
}

/** The genesis as the network gives it, and what follows from it. */
export interface NetworkGenesis {
  readonly genesis: Genesis;
  readonly hash: Hash32;
  /** Wei of all accounts. */
  readonly supply: bigint;
  /** By shard. */
  readonly starts: readonly ChainStart[];
}

/** Downloads the genesis and computes all that follows from it. A hash that is not the one that the nodes name is a finding. */
export async function fetchGenesis(source: Source, crypto: Crypto, findings: Findings): Promise<NetworkGenesis> {
  const status = fieldsOf(await source.network('shard_status', []), 'shard_status');
  learnNodes(source, status);
  const { allocationCount, ...fields } = fieldsOf(await source.network('shard_getGenesis', []), 'shard_getGenesis');
  const count = integerOf({ allocationCount }, 'allocationCount', 'shard_getGenesis');
  const allocation: unknown[] = [];
  while (allocation.length < count) {
    const page = await source.network('shard_getAllocation', [allocation.length, ALLOCATION_PAGE]);
    if (!Array.isArray(page) || page.length === 0 || allocation.length + page.length > count) throw badAnswer('shard_getAllocation', 'is no page of the allocation');
    allocation.push(...(page as unknown[]));
  }
  const genesis = parseGenesis(JSON.stringify({ ...fields, allocation }));
  const hash = genesisHash(crypto, genesis);
  const claimed = textOf(status, 'genesisHash', 'shard_status');
  if (claimed.toLowerCase() !== `0x${Buffer.from(hash).toString('hex')}`) {
    findings.add('genesis-hash', `the nodes name the network ${claimed}, its genesis hashes to something else`, { hash });
  }
  const supply = genesis.allocation.reduce((sum, entry) => sum + entry.balance, 0n);
  return { genesis, hash, supply, starts: chainStarts(crypto, genesis) };
}

/** Notes the nodes' own URLs, for when a shard cannot be reached through the node at hand. */
function learnNodes(source: Source, status: Record<string, unknown>): void {
  const nodes: unknown = status['nodes'];
  if (!Array.isArray(nodes)) return;
  for (const node of nodes as unknown[]) {
    const { id, shard, rpcUrl: url } = fieldsOf(node, 'shard_status');
    if (typeof id !== 'string' || typeof url !== 'string' || !URL.canParse(url)) continue;
    if (shard === null || typeof shard === 'number') source.addNode({ id, shard: shard ?? undefined, url });
  }
}

function chainStarts(crypto: Crypto, genesis: Genesis): ChainStart[] {
  const table = new AssignmentTable(crypto, { shards: genesis.shards, overrides: [] });
  const homes: Genesis['allocation'][number][][] = Array.from({ length: genesis.shards }, () => []);
  for (const entry of genesis.allocation) if (entry.balance > 0n) homes[table.shardOf(entry.address)]!.push(entry);
  return homes.map((entries, shard) => chainStart(crypto, genesis, shard as ShardId, entries));
}

function genesisRoot(crypto: Crypto, entries: Genesis['allocation']): Hash32 {
  const owners = new Uint8Array(32 * entries.length);
  entries.forEach((entry, index) => owners.set(accountOwner(entry.address), 32 * index));
  const stems = deriveStems(crypto, owners);
  const leaves = entries.map((entry, index) => {
    const key = new Uint8Array(32);
    key.set(stems.subarray(STEM_BYTES * index, STEM_BYTES * (index + 1)));
    key[STEM_BYTES] = BASIC_DATA_POSITION.suffix;
    return { key, value: encodeBasicData({ status: 0, codeSize: 0, nonce: 0, balance: entry.balance }) };
  });
  return computeStateRoot(crypto, leaves);
}

function chainStart(crypto: Crypto, genesis: Genesis, shard: ShardId, entries: Genesis['allocation']): ChainStart {
  const pairs = emptyPairTable(shard, genesis.shards);
  const { blockGasLimit, baseFeePerGas } = genesis.parameters;
  const balances = entries.reduce((sum, entry) => sum + entry.balance, 0n);
  const header: ShardHeader = {
    chainId: genesis.chainId,
    shard,
    height: 0 as Height,
    parentHash: ZERO_HASH,
    epoch: 0,
    proposer: 0,
    timestampMs: genesis.timestampMs,
    gasLimit: blockGasLimit,
    // At the target, so that the first block's base fee is that of the genesis.
    gasUsed: Math.floor(blockGasLimit / 2),
    baseFeePerGas,
    prevRandao: ZERO_HASH,
    stateRoot: genesisRoot(crypto, entries),
    txRoot: txRoot(crypto, [], []),
    receiptRoot: receiptRoot(crypto, []),
    logsBloom: new Uint8Array(LOGS_BLOOM_BYTES),
    outRoot: outRoot(crypto, []),
    epochCertificateHash: ZERO_HASH,
    pairRoot: pairRoot(crypto, pairs),
    totals: { balances, escrow: 0n, burned: 0n, transactions: 0, logs: 0 },
  };
  return { header, hash: headerHash(crypto, header), pairs };
}

/** Whether two hashes are the same; `undefined` is no hash. */
export function sameHash(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && equalBytes(a, b);
}
