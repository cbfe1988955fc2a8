import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, bytesKey, type ShardId, toHex } from '@shardlab/crosslink';
import fc from 'fast-check';
import { applyWorldChanges } from '../../../src/execution/evm/apply-changes.ts';
import { CodeCache } from '../../../src/execution/evm/code.ts';
import { Homes } from '../../../src/execution/contracts/homes.ts';
import { ShardSource } from '../../../src/execution/evm/shard-source.ts';
import { WorldState } from '../../../src/execution/evm/world-state.ts';
import { ShardState } from '../../../src/state/shard-state.ts';
import { copyModel, isNobody, type ModelAccount, modelAccount, modelEntries, noCodeHash, word } from '../../support/contract-model.ts';
import { testCrypto } from '../../support/crypto.ts';
import { testAddress } from '../../support/transactions.ts';

const crypto = testCrypto();
const addresses = Array.from({ length: 4 }, (_, index) => testAddress(crypto, index));
const SHARD = 2 as ShardId;
const ELSEWHERE = 5 as ShardId;
const SLOTS = [0n, 5n, 63n, 64n, 2n ** 200n];
const CODES = [Uint8Array.of(0x60, 1, 0), new Uint8Array(5_000).fill(0x5b), Uint8Array.of(0xfe)];

/** Even addresses live here. */
const assignment = { shardOf: (address: Address): ShardId => (address[19]! % 2 === 0 ? SHARD : ELSEWHERE) };

function limbs(value: bigint): Uint32Array {
  return Uint32Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(32 * index)) & 0xffff_ffffn));
}

type Step =
  | { readonly kind: 'pay'; readonly at: number; readonly wei: bigint }
  | { readonly kind: 'create'; readonly at: number; readonly code: number }
  | { readonly kind: 'store'; readonly at: number; readonly slot: bigint; readonly value: bigint }
  | { readonly kind: 'create-and-destroy'; readonly at: number }
  | { readonly kind: 'next' };

const at = fc.nat(addresses.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('pay' as const), at, wei: fc.bigInt({ min: 0n, max: 100n }) }),
  fc.record({ kind: fc.constant('create' as const), at, code: fc.nat(CODES.length - 1) }),
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('store' as const), at, slot: fc.constantFrom(...SLOTS), value: fc.bigInt({ min: 0n, max: 3n }) }) },
  fc.record({ kind: fc.constant('create-and-destroy' as const), at }),
  fc.constant({ kind: 'next' as const }),
);

/** One step as a transaction of its own, in the world and in the model. */
function perform(world: WorldState, model: Map<string, ModelAccount>, made: Exclude<Step, { kind: 'next' }>): void {
  const account = world.accountOf(addresses[made.at]!);
  const mirror = modelAccount(model, bytesKey(addresses[made.at]!));
  world.beginTransaction();
  switch (made.kind) {
    case 'pay':
      world.addBalance(account, made.wei);
      mirror.balance += made.wei;
      break;
    case 'create':
      if (world.hasCodeOrNonceOrStorage(account)) break;
      world.markCreated(account);
      world.setNonce(account, 1n);
      world.setCode(account, CODES[made.code]!);
      Object.assign(mirror, { nonce: 1, code: CODES[made.code]! });
      break;
    case 'store':
      // Only contracts store.
      if (world.nonce(account) === 0n) break;
      world.storeSlot(world.slotAt(account, limbs(made.slot), 0), limbs(made.value), 0);
      if (made.value === 0n) mirror.storage.delete(made.slot);
      else mirror.storage.set(made.slot, made.value);
      break;
    case 'create-and-destroy':
      if (world.hasCodeOrNonceOrStorage(account)) break;
      world.markCreated(account);
      world.setNonce(account, 1n);
      world.setCode(account, CODES[0]!);
      world.storeSlot(world.slotAt(account, limbs(5n), 0), limbs(1n), 0);
      world.selfDestruct(account);
      mirror.balance = 0n;
      break;
  }
  world.endTransaction();
  for (const [key, each] of model) if (isNobody(each)) model.delete(key);
}

function sumOf(model: ReadonlyMap<string, ModelAccount>): bigint {
  return [...model.values()].reduce((sum, { balance }) => sum + balance, 0n);
}

test('what worlds change, applied several times a block, is what a model has; a block is undone with all of it', () => {
  fc.assert(
    fc.property(fc.array(fc.array(step, { maxLength: 14 }), { maxLength: 4 }), (blocks) => {
      const state = new ShardState(crypto);
      const source = new ShardSource({ shard: SHARD }, { state, homes: new Homes(SHARD, { state, assignment }) });
      const world = new WorldState(source, crypto, new CodeCache(1 << 20));
      let model = new Map<string, ModelAccount>();
      for (const block of blocks) {
        const [before, root] = [copyModel(model), toHex(state.trie.root())];
        let balances = 0n;
        for (const made of block) {
          if (made.kind !== 'next') {
            perform(world, model, made);
            continue;
          }
          balances += applyWorldChanges(state, world.changes());
          world.reset(source);
        }
        balances += applyWorldChanges(state, world.changes());
        world.reset(source);
        assert.equal(balances, sumOf(model) - sumOf(before), 'the sum by which balances changed');
        const delta = state.commit();
        const loaded = new ShardState(crypto);
        const entries = modelEntries(crypto, model).map((line) => line.split('=').map((hex) => Uint8Array.from(Buffer.from(hex.slice(2), 'hex'))));
        assert.equal(toHex(loaded.load(entries.map(([key, value]) => ({ key: key!, value: value! })))), toHex(delta.root));
        if (block.length % 3 !== 2) continue;
        state.revert(delta);
        model = before;
        assert.equal(toHex(state.trie.root()), root);
      }
    }),
    { numRuns: 150, seed: 1153 },
  );
});

test('worlds that ran beside each other commute where they only moved value', () => {
  const state = new ShardState(crypto);
  const account = state.open(bytesKey(addresses[0]!));
  state.touch(account);
  account.balance = 100n;
  state.commit();
  const worlds = [7n, -30n, 12n].map((wei) => {
    const world = new WorldState(new ShardSource({ shard: SHARD }, { state, homes: new Homes(SHARD, { state, assignment }) }), crypto, new CodeCache(1 << 20));
    const id = world.accountOf(addresses[0]!);
    if (wei > 0n) world.addBalance(id, wei);
    else world.subBalance(id, -wei);
    world.endTransaction();
    return world.changes();
  });
  assert.deepEqual(worlds.map((changes) => applyWorldChanges(state, changes)), [7n, -30n, 12n]);
  assert.equal(account.balance, 89n);
});

test('deletion takes code and storage; emptied storage is emptied before new slots are written', () => {
  const state = new ShardState(crypto);
  const source = new ShardSource({ shard: SHARD }, { state, homes: new Homes(SHARD, { state, assignment }) });
  const out = new Uint8Array(32);
  for (const address of addresses.slice(0, 2)) {
    const account = state.open(bytesKey(address));
    state.touch(account);
    Object.assign(account, { nonce: 1, balance: 5n });
    state.setCode(account, CODES[0]!);
    for (const slot of SLOTS) state.setStorage(account, word(slot), word(9n));
  }
  state.commit();
  const before = { nonce: 1n, nonceBefore: 1n, balance: 5n, balanceBefore: 5n, codeHash: crypto.keccak256(CODES[0]!), code: undefined };
  const gone = { ...before, address: addresses[0]!, deleted: true, storageEmptied: true, nonce: 0n, balance: 0n, codeHash: noCodeHash(crypto) };
  const emptied = { ...before, address: addresses[1]!, deleted: false, storageEmptied: true };
  const slots = [{ address: addresses[1]!, key: word(64n), value: word(3n) }];
  assert.equal(applyWorldChanges(state, { accounts: [gone, emptied], slots }), -5n);
  state.commit();
  assert.deepEqual([source.account(addresses[0]!), source.hasStorage(addresses[0]!), state.accountCount], [undefined, false, 1]);
  for (const slot of SLOTS) {
    source.storage(addresses[1]!, word(slot), out);
    assert.equal(toHex(out), toHex(word(slot === 64n ? 3n : 0n)));
  }
  assert.equal(toHex(state.code(bytesKey(addresses[1]!))), toHex(CODES[0]!));
});

test('a source says what the state has, where accounts live, and nothing of who is nobody', () => {
  const state = new ShardState(crypto);
  const source = new ShardSource({ shard: SHARD }, { state, homes: new Homes(SHARD, { state, assignment }) });
  const foreign = Uint8Array.from(addresses[0]!).fill(1, 19) as Address;
  const local = Uint8Array.from(addresses[0]!).fill(2, 19) as Address;
  const out = new Uint8Array(32).fill(1);
  assert.deepEqual([source.homeOf(foreign), source.homeOf(local)], [ELSEWHERE, -1]);
  state.open(bytesKey(foreign));
  assert.deepEqual([source.account(foreign), source.homeOf(foreign)], [undefined, ELSEWHERE], 'an empty one is nobody');
  const account = state.open(bytesKey(foreign));
  state.touch(account);
  account.balance = 3n;
  assert.deepEqual(source.account(foreign), { nonce: 0n, balance: 3n, codeHash: noCodeHash(crypto) });
  assert.equal(source.homeOf(foreign), -1, 'who is here lives here');
  state.setCode(account, CODES[1]!);
  state.setStorage(account, word(64n), word(9n));
  assert.equal(toHex(source.code(source.account(foreign)!.codeHash)), toHex(CODES[1]!));
  source.storage(foreign, word(64n), out);
  assert.equal(toHex(out), toHex(word(9n)));
  source.storage(local, word(64n), out);
  assert.equal(toHex(out), toHex(word(0n)));
  assert.deepEqual([source.hasStorage(foreign), source.hasStorage(local)], [true, false]);
  assert.throws(() => source.code(noCodeHash(crypto)), { code: 'invariant' });
});
