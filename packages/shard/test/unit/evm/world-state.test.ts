import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { type Address, address, bytesKey, type Hash32, Prng } from '@shardlab/crosslink';
import { CodeCache } from '../../../src/execution/evm/code.ts';
import type { StateSource } from '../../../src/execution/evm/types.ts';
import { hashAddress, hashSlot } from '../../../src/execution/evm/world/buckets.ts';
import { AddressTable } from '../../../src/execution/evm/world/address-table.ts';
import { SlotTable } from '../../../src/execution/evm/world/slot-table.ts';
import { fromBigint, toBigint } from '../../../src/execution/evm/words/basic.ts';
import { WorldState } from '../../../src/execution/evm/world-state.ts';

const crypto = { keccak256: (data: Uint8Array): Hash32 => keccak_256(data) as Hash32 };
const EMPTY_HASH = crypto.keccak256(new Uint8Array(0));
const HERE = -1;

function addressOf(last: number): Address {
  return address(Uint8Array.from({ length: 20 }, (_, at) => (at === 19 ? last : 0)));
}

/** A state with 100 wei on every account but those of 0x80 and above, which live on shard 3; asks are counted. */
class CountingSource implements StateSource {
  readonly asked = { account: 0, storage: 0, home: 0 };

  account(at: Address) {
    this.asked.account++;
    return at[19]! < 0x80 ? { nonce: 0n, balance: 100n, codeHash: EMPTY_HASH } : undefined;
  }
  code(): Uint8Array {
    return new Uint8Array(0);
  }
  storage(_at: Address, key: Uint8Array, out: Uint8Array): void {
    this.asked.storage++;
    out.set(key);
  }
  hasStorage(): boolean {
    return false;
  }
  homeOf(at: Address): number {
    this.asked.home++;
    return at[19]! < 0x80 ? HERE : 3;
  }
}

function worldOver(source: StateSource): WorldState {
  return new WorldState(source, crypto, new CodeCache());
}

suite('a world state and its source', () => {
  test('asks for each account, slot and home once, and for nothing when numbering', () => {
    const source = new CountingSource();
    const world = worldOver(source);
    const account = world.accountOf(addressOf(1));
    const words = new Uint32Array(16);
    fromBigint(words, 0, 5n);
    const slot = world.slotAt(account, words, 0);
    assert.deepEqual(source.asked, { account: 0, storage: 0, home: 0 });
    for (let i = 0; i < 3; i++) {
      world.beginTransaction();
      assert.equal(world.balance(account), 100n);
      world.loadSlot(slot, words, 8);
      assert.equal(toBigint(words, 8), 5n);
      assert.equal(world.homeOf(account), HERE);
      world.endTransaction();
    }
    assert.deepEqual(source.asked, { account: 1, storage: 1, home: 1 });
  });

  test('what only receives is not read; what is looked at is', () => {
    const world = worldOver(new CountingSource());
    world.addBalance(world.accountOf(addressOf(1)), 5n);
    assert.equal(world.balance(world.accountOf(addressOf(2))), 100n);
    world.endTransaction();
    const { accounts, slots } = world.reads();
    assert.deepEqual(slots, []);
    assert.deepEqual(accounts, [{ address: addressOf(2), nonce: undefined, balance: 100n, codeHash: undefined, observed: false }]);
    const [change] = world.changes().accounts;
    assert.deepEqual([change?.address, change?.balanceBefore, change?.balance], [addressOf(1), 100n, 105n]);
  });

  test('reads say what the source said, not what was written since', () => {
    const world = worldOver(new CountingSource());
    const account = world.accountOf(addressOf(1));
    const words = new Uint32Array(16);
    fromBigint(words, 0, 5n);
    fromBigint(words, 8, 6n);
    const slot = world.slotAt(account, words, 0);
    world.storeStatus(slot, words, 8);
    world.storeSlot(slot, words, 8);
    const [read] = world.reads().slots;
    const [changed] = world.changes().slots;
    assert.deepEqual([read?.value[31], changed?.value[31]], [5, 6]);
  });

  test('a contract lives where its creator ran (R11), unless the creation is undone', () => {
    const world = worldOver(new CountingSource());
    const account = world.accountOf(addressOf(0x90));
    assert.equal(world.homeOf(account), 3);
    const snapshot = world.snapshot();
    world.markCreated(account);
    assert.equal(world.homeOf(account), HERE);
    world.revertTo(snapshot);
    assert.equal(world.homeOf(account), 3);
    world.markCreated(account);
    world.setNonce(account, 1n);
    world.endTransaction();
    world.beginTransaction();
    assert.equal(world.homeOf(account), HERE);
  });

  test('addresses that are kept warm are never cold, others are once in each transaction', () => {
    const world = worldOver(new CountingSource());
    const early = world.accountOf(addressOf(9));
    world.keepWarm(10);
    for (let i = 0; i < 2; i++) {
      world.beginTransaction();
      assert.equal(world.warmAccount(early), false);
      assert.equal(world.warmAccount(world.accountOf(addressOf(10))), false);
      assert.equal(world.warmAccount(world.accountOf(addressOf(11))), true);
      assert.equal(world.warmAccount(world.accountOf(addressOf(11))), false);
      assert.equal(world.warmAccount(world.accountOf(addressOf(0))), true);
    }
    world.reset(new CountingSource());
    assert.equal(world.warmAccount(world.accountOf(addressOf(10))), false);
    assert.equal(world.warmAccount(world.accountOf(addressOf(11))), true);
  });
});

suite('the hash tables of a world state', () => {
  // 300,000 keys have about ten pairs of one 32-bit hash: only the keys themselves tell those apart.
  const KEYS = 300_000;

  test('number slots by account and all limbs of the key, and forget them', () => {
    const prng = new Prng(1);
    const keys = Uint32Array.from({ length: KEYS * 8 }, () => prng.u32());
    const table = new SlotTable(99);
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < KEYS; i++) assert.equal(table.intern(i % 3, keys, 8 * i), i);
      for (let i = 0; i < KEYS; i++) if (table.find(i % 3, keys, 8 * i) !== i) assert.fail(`slot ${i} is another one`);
      assert.equal(table.find(5, keys, 0), -1);
      table.clear();
      assert.deepEqual([table.count, table.find(0, keys, 0)], [0, -1]);
    }
  });

  test('number addresses, of which the upper limbs of a word are no part', () => {
    const prng = new Prng(2);
    const words = Uint32Array.from({ length: KEYS * 8 }, () => prng.u32());
    const table = new AddressTable(99);
    for (let i = 0; i < KEYS; i++) assert.equal(table.intern(words, 8 * i), i);
    words[5] = words[5]! + 1;
    assert.equal(table.intern(words, 0), 0);
    const out = new Uint32Array(8);
    table.copyTo(7, out, 0);
    assert.deepEqual([...out.subarray(0, 5)], [...words.subarray(56, 61)]);
    assert.deepEqual([...out.subarray(5)], [0, 0, 0]);
    assert.equal(table.internBytes(table.address(7)), 7);
    assert.notEqual(bytesKey(table.address(7)), bytesKey(table.address(8)));
  });

  test('clearing a table that is nearly empty leaves no bucket behind', () => {
    const table = new SlotTable(3);
    const key = new Uint32Array(8);
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < 20; i++) {
        key[0] = 31 * round + i;
        assert.equal(table.intern(round, key, 0), i);
      }
      table.clear();
    }
  });

  test('every limb and the account change the hash, and so does the seed', () => {
    const key = new Uint32Array(8);
    const hashes = new Set([hashSlot(1, 1, key, 0), hashSlot(2, 1, key, 0), hashSlot(1, 2, key, 0)]);
    for (let i = 0; i < 8; i++) {
      key.fill(0);
      key[i] = 0x8000_0000;
      hashes.add(hashSlot(1, 1, key, 0));
    }
    assert.equal(hashes.size, 11);
    const addresses = new Set<number>();
    for (let i = 0; i < 5; i++) {
      key.fill(0);
      key[i] = 0x8000_0000;
      addresses.add(hashAddress(1, key, 0));
    }
    assert.equal(addresses.size, 5);
  });
});
