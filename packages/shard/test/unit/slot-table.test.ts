import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesKey, Prng, toHex } from '@shardlab/crosslink';
import { SlotTable } from '../../src/state/storage/slot-table.ts';

/** Keys that differ in two bytes at most: 8,192 of them. */
function keyOf(prng: Prng): Uint8Array {
  const key = new Uint8Array(32);
  key[prng.below(4) * 8] = prng.below(64);
  key[31] = prng.below(32);
  return key;
}

for (const seed of [0, 1, -7]) {
  test(`slots that come and go are found as a map finds them, hash seed ${seed}`, () => {
    const prng = new Prng(42 + seed);
    const table = new SlotTable(seed);
    const model = new Map<string, { slot: number; ref: number; value: Uint8Array }>();
    let most = 0;
    for (let round = 0; round < 60_000; round++) {
      const contract = prng.below(3);
      const key = keyOf(prng);
      const name = `${contract}/${bytesKey(key)}`;
      const known = model.get(name);
      assert.equal(table.find(contract, key), known?.slot ?? -1);
      // Grows at first, then shrinks, then comes and goes.
      const removes = round < 20_000 ? 1 : round < 40_000 ? 9 : 5;
      if (known !== undefined && prng.below(10) < removes) {
        table.remove(known.slot);
        model.delete(name);
        assert.equal(table.contract(known.slot), -1);
      } else if (known === undefined && prng.below(10) >= removes) {
        const slot = table.open(contract, key);
        const at = table.valueAt(slot);
        assert.equal(toHex(table.bytes.subarray(at, at + 32)), `0x${'00'.repeat(32)}`);
        assert.deepEqual([table.contract(slot), table.ref(slot), table.markDirty(slot), table.markDirty(slot)], [contract, -1, true, false]);
        const value = prng.bytes(32);
        table.bytes.set(value, at);
        table.setRef(slot, round);
        model.set(name, { slot, ref: round, value });
      }
      assert.equal(table.count, model.size);
      most = Math.max(most, model.size);
    }
    assert.ok(most > 4_000 && model.size < 0.9 * most, 'the table has grown and shrunk');
    for (const [name, { slot, ref, value }] of model) {
      const keyAt = table.keyAt(slot);
      assert.equal(`${table.contract(slot)}/${bytesKey(table.bytes.subarray(keyAt, keyAt + 32))}`, name);
      assert.equal(table.open(table.contract(slot), table.bytes.slice(keyAt, keyAt + 32)), slot);
      const at = table.valueAt(slot);
      assert.deepEqual([table.ref(slot), toHex(table.bytes.subarray(at, at + 32))], [ref, toHex(value)]);
    }
    assert.ok(table.end < most + 1, 'places of slots that went are used again');
  });
}
