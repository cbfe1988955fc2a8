import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '@shardlab/crosslink';
import type { EvmTransaction } from '@shardlab/shard';
import { TransactionArena } from '../../src/execution/transaction-arena.ts';
import { addressOf } from './parallel-support.ts';

/** One that may be kept. */
function anyTransaction(prng: Prng): EvmTransaction {
  const type = ([0, 1, 2] as const)[prng.below(3)]!;
  return {
    type,
    sender: addressOf(1, prng.below(200)),
    chainId: prng.below(3) === 0 && type === 0 ? undefined : BigInt(prng.below(5)),
    nonce: BigInt(prng.below(1_000)),
    gasLimit: BigInt(prng.below(3) === 0 ? Number.MAX_SAFE_INTEGER : 50_000),
    maxFeePerGas: BigInt(prng.below(100)),
    maxPriorityFeePerGas: BigInt(prng.below(10)),
    to: prng.below(4) === 0 ? undefined : addressOf(2, prng.below(3)),
    value: BigInt(prng.below(3)),
    data: prng.bytes(prng.below(90)),
    accessList: [],
    blobHashes: [],
    maxFeePerBlobGas: 0n,
    authorizations: [],
  };
}

test('transactions and footprints come out of the arena as they were put in, in any order, and are no views of it', () => {
  const prng = new Prng(3);
  const buffer = new SharedArrayBuffer(1 << 17);
  const arena = new TransactionArena(buffer);
  const kept = Array.from({ length: 300 }, (_, index) => {
    const tx = anyTransaction(prng);
    const footprint = index % 3 === 0 ? undefined : Int32Array.from({ length: 2 + 3 * prng.below(5) }, () => prng.below(1_000) - 500);
    return { tx, footprint, place: arena.put(tx, footprint)! };
  });
  const mixed = kept.toSorted((a, b) => (a.place % 7) - (b.place % 7));
  const read = new TransactionArena(buffer).read(Float64Array.from(mixed, ({ place }) => place))!;
  deepEqual(read, mixed.map(({ tx }) => tx));
  for (const { footprint, place } of kept) {
    const at = arena.footprintAt(place);
    if (footprint === undefined) equal(at, -1);
    else deepEqual(arena.words.slice(at + 1, at + 1 + arena.words[at]!), footprint);
  }
  new Uint8Array(buffer).fill(0xff);
  deepEqual(read, mixed.map(({ tx }) => tx));
  deepEqual(arena.read(new Float64Array(0)), []);
});

test('what is not plain, or too long, is not kept', () => {
  const arena = new TransactionArena(new ArrayBuffer(1 << 14));
  const plain = anyTransaction(new Prng(4));
  const refused: Partial<EvmTransaction>[] = [
    { type: 4 }, { type: 3 }, { accessList: [{ address: addressOf(1, 1), storageKeys: [] }] }, { value: 1n << 53n }, { gasLimit: 1n << 60n }, { data: new Uint8Array(1 << 11) },
  ];
  for (const parts of refused) equal(arena.put({ ...plain, ...parts }, undefined), undefined);
  equal(arena.put(plain, undefined), 0);
});

test('the oldest make room, but not what is pinned; whoever reads too late is told', () => {
  const prng = new Prng(5);
  const buffer = new SharedArrayBuffer(1 << 14);
  const arena = new TransactionArena(buffer);
  const reader = new TransactionArena(buffer);
  const put = (): number | undefined => arena.put(anyTransaction(prng), undefined);
  const first = put()!;
  const second = put()!;
  arena.pin(second);
  let full = 0;
  for (let i = 0; i < 200; i++) if (put() === undefined) full++;
  ok(full > 50, 'there is no room while something is pinned');
  equal(arena.has(second), true);
  ok(reader.read(Float64Array.of(second)) !== undefined);
  arena.pin(Infinity);
  for (let i = 0; i < 200; i++) ok(put() !== undefined);
  deepEqual([arena.has(first), arena.has(second)], [false, false]);
  equal(reader.read(Float64Array.of(second)), undefined);
  const last = anyTransaction(prng);
  const place = arena.put(last, undefined)!;
  equal(reader.read(Float64Array.of(place, second)), undefined);
  deepEqual(reader.read(Float64Array.of(place)), [last]);
});
