import { type Address, bytesKey, type Hasher, Prng } from '@shardlab/crosslink';
import { ShardSource } from '../../src/execution/evm/shard-source.ts';
import { ShardState } from '../../src/state/shard-state.ts';
import { SlotTable } from '../../src/state/storage/slot-table.ts';

/**
 * What {@link benchStorage} measures; one JSON line of `npm run bench`. One contract with scattered slots, as mappings have them. Seconds are of processor time, which other
 * processes on the machine do not disturb.
 */
export interface StorageBench {
  readonly bench: 'storage';
  /** Slots read in one second through the EVM's source, all present, in random order: median of the rounds. */
  readonly readsPerSecond: number;
  /** The same of a `Map` from the contract's and the slot's bytes as a string to the value. */
  readonly mapReadsPerSecond: number;
  /** `readsPerSecond` by `mapReadsPerSecond`. */
  readonly ratio: number;
  /** Slots changed, a tenth of them new, committed and made ready to store in one second. */
  readonly changesPerSecond: number;
  /** Share of that time that the trie takes to set and hash as many leaves with references held. */
  readonly trieShare: number;
  /** Bytes of the table, and of all of the state with the trie, by slot. */
  readonly bytesPerSlot: number;
  readonly bytesPerSlotWithTrie: number;
  readonly loadSeconds: number;
  readonly slots: number;
  readonly changes: number;
}

const SLOTS = 100_000;
const CHANGES = 10_000;
const NEW = 1_000;
const WARM = 5;
const ROUNDS = 20;
const SEED = 7864;

/** Reads, changes and loads the storage of a contract with 100 k slots. */
export function benchStorage(hasher: Hasher): StorageBench {
  const prng = new Prng(SEED);
  const address = prng.bytes(20) as Address;
  const keys = Array.from({ length: SLOTS }, () => prng.bytes(32));
  const filled = new ShardState(hasher);
  const contract = filled.open(bytesKey(address));
  for (const key of keys) filled.setStorage(contract, key, prng.bytes(32));
  contract.nonce = 1;
  const entries = filled.commit().changes.map(({ key, value }) => ({ key, value: value! }));
  const start = cpuMs();
  const state = new ShardState(hasher);
  state.load(entries);
  const loadSeconds = (cpuMs() - start) / 1000;
  const source = new ShardSource({ shard: 0 as never }, { state, homes: { homeOf: () => 0 as never } });
  const out = new Uint8Array(32);
  const map = new Map(keys.map((key) => [bytesKey(address) + bytesKey(key), prng.bytes(32)]));
  const prefix = bytesKey(address);
  const reads = perSecond(SLOTS, keys, (key) => source.storage(address, key, out));
  const mapReads = perSecond(SLOTS, keys, (key) => out.set(map.get(prefix + bytesKey(key))!));
  const { changesPerSecond, trieShare } = benchChanges(prng, state, bytesKey(address), keys);
  const bytesPerSlot = tableBytes(keys) / SLOTS;
  return {
    bench: 'storage',
    readsPerSecond: Math.round(reads),
    mapReadsPerSecond: Math.round(mapReads),
    ratio: Number((reads / mapReads).toFixed(2)),
    changesPerSecond: Math.round(changesPerSecond),
    trieShare: Number(trieShare.toFixed(2)),
    bytesPerSlot: Math.round(bytesPerSlot),
    bytesPerSlotWithTrie: Math.round(bytesPerSlot + state.trie.size().memoryBytes / state.slotCount),
    loadSeconds: Number(loadSeconds.toFixed(2)),
    slots: SLOTS,
    changes: CHANGES,
  };
}

function perSecond(count: number, keys: readonly Uint8Array[], read: (key: Uint8Array) => void): number {
  const order = new Prng(SEED + 1);
  const picks = Array.from({ length: count }, () => keys[order.below(keys.length)]!);
  const times = Array.from({ length: WARM + ROUNDS }, () => {
    const start = cpuMs();
    for (const pick of picks) read(pick);
    return cpuMs() - start;
  });
  return (count / median(times.slice(WARM))) * 1000;
}

function benchChanges(prng: Prng, state: ShardState, accountKey: string, keys: readonly Uint8Array[]): { changesPerSecond: number; trieShare: number } {
  const account = state.open(accountKey);
  const times: number[] = [];
  const trieTimes: number[] = [];
  for (let round = 0; round < WARM + ROUNDS; round++) {
    const changes = Array.from({ length: CHANGES }, (_, index) => ({ key: index < NEW ? prng.bytes(32) : keys[prng.below(keys.length)]!, value: prng.bytes(32) }));
    const start = cpuMs();
    for (const { key, value } of changes) state.setStorage(account, key, value);
    const delta = state.commit();
    times.push(cpuMs() - start);
    if (delta.changes.length < 0.9 * CHANGES) throw new Error(`${delta.changes.length} of ${CHANGES} changes were made`);
    trieTimes.push(trieAlone(state, delta.changes.length, prng));
    state.revert(delta);
  }
  const median1 = median(times.slice(WARM));
  return { changesPerSecond: (CHANGES / median1) * 1000, trieShare: median(trieTimes.slice(WARM)) / median1 };
}

/** Sets as many leaves of the trie, picked at random, and commits; then sets them back. */
function trieAlone({ trie }: ShardState, count: number, prng: Prng): number {
  const value = prng.bytes(32);
  const picked = new Map<number, { readonly suffix: number; readonly old: Uint8Array }>();
  while (picked.size < count) {
    const ref = prng.below(SLOTS);
    const leaf = trie.leaves(ref)[0];
    if (leaf !== undefined) picked.set(ref, { suffix: leaf.suffix, old: leaf.value });
  }
  const start = cpuMs();
  for (const [ref, { suffix }] of picked) trie.set(ref, suffix, value);
  trie.commit();
  const timeMs = cpuMs() - start;
  for (const [ref, { suffix, old }] of picked) trie.set(ref, suffix, old);
  trie.commit();
  return timeMs;
}

function tableBytes(keys: readonly Uint8Array[]): number {
  const table = new SlotTable(SEED);
  for (const key of keys) table.open(0, key);
  return table.memoryBytes;
}

/** Processor time of this process, in milliseconds. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}
