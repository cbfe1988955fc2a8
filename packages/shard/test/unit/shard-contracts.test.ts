import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  accountOwner,
  bytesKey,
  codeChunkPosition,
  computeStateRoot,
  DecodeError,
  decodeFlatKey,
  decodeFlatValue,
  deriveStem,
  encodeBasicData,
  encodeFlatKey,
  encodeFlatValue,
  fromHex,
  Prng,
  type StateLeaf,
  stateKey,
  storagePosition,
  toHex,
  verifyStateProof,
} from '@shardlab/crosslink';
import fc from 'fast-check';
import type { FlatChange, FlatEntry } from '../../src/state/flat-account.ts';
import { type Account, ShardState } from '../../src/state/shard-state.ts';
import type { StateFollower } from '../../src/state/state-follower.ts';
import { copyModel, isNobody, type ModelAccount, modelAccount, modelEntries, noCodeHash, word } from '../support/contract-model.ts';
import { testCrypto } from '../support/crypto.ts';
import { testAddress } from '../support/transactions.ts';

const crypto = testCrypto();
const addresses = Array.from({ length: 5 }, (_, index) => testAddress(crypto, index));
const keys = addresses.map((address) => bytesKey(address));

/** Slots whose stems meet: beside the account, in the first stems of main storage, at its end, and anywhere. */
const SLOTS = [0n, 1n, 63n, 64n, 65n, 255n, 256n, 257n, 511n, 2n ** 248n, 2n ** 255n + 3n, 2n ** 256n - 256n, 2n ** 256n - 1n];
/** Codes that end inside, at and behind the account's own stem; one of zeros, whose chunks are absent; one of PUSH32 alone; a delegation. */
const CODES = [
  new Uint8Array(0),
  Uint8Array.of(0),
  new Uint8Array(31).fill(0x5b),
  new Prng(1).bytes(31 * 128),
  new Prng(2).bytes(31 * 128 + 1),
  new Prng(3).bytes(31 * 384 + 17),
  new Uint8Array(9_000),
  new Uint8Array(700).fill(0x7f),
  fromHex(`0xef0100${'ab'.repeat(20)}`),
];

type Operation =
  | { readonly kind: 'account'; readonly at: number; readonly balance: bigint; readonly nonce: number }
  | { readonly kind: 'code'; readonly at: number; readonly code: number }
  | { readonly kind: 'slot'; readonly at: number; readonly slot: bigint; readonly value: bigint }
  | { readonly kind: 'clear'; readonly at: number }
  | { readonly kind: 'delete'; readonly at: number };

const at = fc.nat(addresses.length - 1);
const slotKey = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...SLOTS) }, { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }) });
const slotValue = fc.oneof(fc.constant(0n), fc.constant(1n), fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }));
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('account' as const), at, balance: fc.constantFrom(0n, 1n, 2n ** 100n), nonce: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('code' as const), at, code: fc.nat(CODES.length - 1) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('slot' as const), at, slot: slotKey, value: slotValue }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), at }) },
);
const blocks = fc.array(fc.record({ operations: fc.array(operation, { maxLength: 10 }), revert: fc.boolean() }), { maxLength: 8 });

function perform(state: ShardState, model: Map<string, ModelAccount>, step: Operation): void {
  const key = keys[step.at]!;
  const account = state.open(key);
  const mirror = modelAccount(model, key);
  state.touch(account);
  switch (step.kind) {
    case 'account':
      Object.assign(account, { balance: step.balance, nonce: step.nonce });
      Object.assign(mirror, { balance: step.balance, nonce: step.nonce });
      break;
    case 'code':
      state.setCode(account, CODES[step.code]!);
      mirror.code = CODES[step.code]!;
      break;
    case 'slot':
      state.setStorage(account, word(step.slot), word(step.value));
      if (step.value === 0n) mirror.storage.delete(step.slot);
      else mirror.storage.set(step.slot, step.value);
      break;
    case 'clear':
      state.clearStorage(account);
      mirror.storage.clear();
      break;
    case 'delete':
      Object.assign(account, { balance: 0n, nonce: 0 });
      state.setCode(account, CODES[0]!);
      state.clearStorage(account);
      model.set(key, { balance: 0n, nonce: 0, code: CODES[0]!, storage: new Map() });
      break;
  }
}

/** Storage belongs to somebody: gives a nonce to those who would otherwise be nobody with storage, and forgets those who are nobody. */
function settle(state: ShardState, model: Map<string, ModelAccount>): void {
  for (const [key, mirror] of model) {
    if (!isNobody(mirror)) continue;
    if (mirror.storage.size === 0) {
      model.delete(key);
      continue;
    }
    const account = state.open(key);
    state.touch(account);
    account.nonce = mirror.nonce = 1;
  }
}

function checkReads(state: ShardState, model: ReadonlyMap<string, ModelAccount>): void {
  const out = new Uint8Array(32).fill(9);
  for (const key of keys) {
    const { balance, nonce, code, storage } = model.get(key) ?? { balance: 0n, nonce: 0, code: CODES[0]!, storage: new Map<bigint, bigint>() };
    assert.deepEqual([state.account(key)?.balance ?? 0n, state.account(key)?.nonce ?? 0], [balance, nonce]);
    assert.equal(toHex(state.code(key)), toHex(code));
    assert.equal(toHex(state.codeHash(key)), toHex(crypto.keccak256(code)));
    if (code.length > 0) assert.equal(state.codeByHash(state.codeHash(key)), state.code(key));
    assert.equal(state.hasStorage(key), storage.size > 0);
    for (const slot of [...SLOTS, ...storage.keys()]) {
      state.storage(key, word(slot), out);
      assert.equal(toHex(out), toHex(word(storage.get(slot) ?? 0n)));
    }
  }
}

/** A copy of a state, kept by what its follower is told. */
class Copy implements StateFollower {
  readonly accounts = new Map<string, string>();
  readonly slots = new Map<string, string>();

  account({ key, balance, nonce, contract }: Readonly<Account>): void {
    const code = contract?.code.bytes ?? CODES[0]!;
    if (balance === 0n && nonce === 0 && code.length === 0) this.accounts.delete(key);
    else this.accounts.set(key, `${balance} ${nonce} ${toHex(code)}`);
  }

  slot({ key }: Readonly<Account>, slot: Uint8Array, value: Uint8Array): void {
    if (value.some((byte) => byte !== 0)) this.slots.set(`${key} ${toHex(slot)}`, toHex(value));
    else this.slots.delete(`${key} ${toHex(slot)}`);
  }

  check(model: ReadonlyMap<string, ModelAccount>): void {
    const accounts = [...model].filter(([, account]) => !isNobody(account));
    assert.deepEqual(this.accounts, new Map(accounts.map(([key, { balance, nonce, code }]) => [key, `${balance} ${nonce} ${toHex(code)}`])));
    const slots = accounts.flatMap(([key, { storage }]) => [...storage].map(([slot, value]): [string, string] => [`${key} ${toHex(word(slot))}`, toHex(word(value))]));
    assert.deepEqual(this.slots, new Map(slots));
  }
}

function dump(flat: ReadonlyMap<string, FlatEntry>): string[] {
  return [...flat].map(([key, { value }]) => `${key}=${toHex(value)}`).sort();
}

function apply(flat: Map<string, FlatEntry>, changes: readonly FlatChange[]): void {
  for (const { key, value } of changes) {
    if (value === undefined) flat.delete(toHex(key));
    else flat.set(toHex(key), { key, value });
  }
}

function rootOf(entries: Iterable<FlatEntry>): string {
  const leaves: StateLeaf[] = [];
  for (const { key, value } of entries) {
    const { owner, treeIndex } = decodeFlatKey(key);
    const stem = deriveStem(crypto, owner, treeIndex);
    for (const leaf of decodeFlatValue(value)) leaves.push({ key: Uint8Array.from([...stem, leaf.suffix]), value: leaf.value });
  }
  return toHex(computeStateRoot(crypto, leaves));
}

function sizeOf(state: ShardState): unknown {
  const { memoryBytes: _memory, ...size } = state.trie.size();
  const codes = CODES.filter((code) => state.codeByHash(crypto.keccak256(code)) !== undefined).length;
  return { ...size, slots: state.slotCount, accounts: state.accountCount, codes };
}

test('any blocks with code and storage, undone or not: entries, root, reads and what a follower is told are those of a model, and a reloaded state is the same', () => {
  fc.assert(
    fc.property(blocks, fc.integer(), (made, hashSeed) => {
      const state = new ShardState(crypto, 4, hashSeed);
      const copy = new Copy();
      state.follow(copy);
      let model = new Map<string, ModelAccount>();
      const flat = new Map<string, FlatEntry>();
      for (const { operations, revert } of made) {
        const before = { model: copyModel(model), root: toHex(state.trie.root()), size: sizeOf(state) };
        for (const step of operations) perform(state, model, step);
        settle(state, model);
        checkReads(state, model);
        const delta = state.commit();
        checkReads(state, model);
        delta.undo.forEach(({ key, value }, index) => {
          assert.equal(toHex(key), toHex(delta.changes[index]!.key));
          assert.deepEqual(value === undefined ? undefined : toHex(value), flat.has(toHex(key)) ? toHex(flat.get(toHex(key))!.value) : undefined);
        });
        assert.equal(new Set(delta.changes.map(({ key }) => toHex(key))).size, delta.changes.length, 'one change of a stem');
        if (revert) {
          state.revert(delta);
          model = before.model;
          assert.equal(toHex(state.trie.root()), before.root);
          assert.deepEqual(sizeOf(state), before.size, 'nothing stays behind');
        } else {
          apply(flat, delta.changes);
          assert.equal(toHex(delta.root), rootOf(flat.values()));
        }
        checkReads(state, model);
        copy.check(model);
        assert.deepEqual(dump(flat), modelEntries(crypto, model));
      }
      const again = new ShardState(crypto, 4, ~hashSeed);
      assert.equal(toHex(again.load([...flat.values()].reverse())), rootOf(flat.values()));
      assert.deepEqual(sizeOf(again), sizeOf(state));
      checkReads(again, model);
    }),
    { numRuns: 120, seed: 7864 },
  );
});

test('an undone block can be made again, over a state that was loaded', () => {
  const key = keys[0]!;
  const entries = new Map<string, FlatEntry>();
  const first = new ShardState(crypto);
  const account = first.open(key);
  first.setCode(account, CODES[5]!);
  for (const slot of SLOTS) first.setStorage(account, word(slot), word(slot + 1n > 2n ** 255n ? 5n : slot + 1n));
  account.nonce = 1;
  apply(entries, first.commit().changes);
  const state = new ShardState(crypto);
  const root = toHex(state.load(entries.values()));
  const change = (): string => {
    const again = state.open(key);
    state.setCode(again, CODES[8]!);
    for (const slot of SLOTS) state.setStorage(again, word(slot), word(0n));
    again.balance += 7n;
    const delta = state.commit();
    const changed = toHex(delta.root);
    state.revert(delta);
    assert.equal(toHex(state.trie.root()), root);
    return changed;
  };
  assert.equal(change(), change());
});

test('only stems that changed are handed over, and one leaf of a full stem is one change', () => {
  const state = new ShardState(crypto);
  const account = state.open(keys[0]!);
  state.touch(account);
  account.nonce = 1;
  for (let slot = 256n; slot < 768n; slot++) state.setStorage(account, word(slot), word(slot));
  assert.equal(state.commit().changes.length, 3);
  state.setStorage(account, word(300n), word(1n));
  state.setStorage(account, word(301n), word(301n));
  const { changes, undo } = state.commit();
  assert.deepEqual(changes.map(({ key }) => decodeFlatKey(key).treeIndex), [storagePosition(300n).treeIndex]);
  assert.deepEqual([changes[0]!.value!.length, undo[0]!.value!.length], [2 + 33 * 256, 2 + 33 * 256]);
  state.setStorage(account, word(300n), word(2n));
  state.setStorage(account, word(300n), word(1n));
  assert.deepEqual(state.commit().changes, []);
});

test('a state of many full stems and scattered slots is loaded, and goes on', () => {
  const prng = new Prng(5);
  const state = new ShardState(crypto);
  const flat = new Map<string, FlatEntry>();
  const account = state.open(keys[0]!);
  state.touch(account);
  account.nonce = 1;
  for (let slot = 0n; slot < 256n * 140n; slot += 1n) state.setStorage(account, word(slot), word(slot + 1n));
  const scattered = Array.from({ length: 2_000 }, () => prng.bytes(32));
  for (const slot of scattered) state.setStorage(account, slot, word(3n));
  apply(flat, state.commit().changes);
  assert.ok([...flat.values()].reduce((sum, { value }) => sum + value.length, 0) > 1 << 20, 'more than a page of entries');
  const again = new ShardState(crypto);
  assert.equal(toHex(again.load(flat.values())), toHex(state.trie.root()));
  assert.deepEqual(sizeOf(again), sizeOf(state));
  const roots = [state, again].map((each) => {
    for (const slot of scattered) each.setStorage(each.open(keys[0]!), slot, word(0n));
    return toHex(each.commit().root);
  });
  assert.equal(roots[0], roots[1]);
  assert.equal(again.slotCount, 256 * 140);
});

test('contracts of one code share it, and a code is forgotten with the last of them', () => {
  const state = new ShardState(crypto);
  const [a, b] = [state.open(keys[0]!), state.open(keys[1]!)];
  const hash = crypto.keccak256(CODES[3]!);
  state.setCode(a, CODES[3]!);
  state.setCode(b, CODES[3]!.slice(), hash);
  a.nonce = b.nonce = 1;
  state.commit();
  assert.equal(state.code(a.key), state.code(b.key));
  state.setCode(a, CODES[0]!);
  const delta = state.commit();
  assert.ok(state.codeByHash(hash) !== undefined);
  state.setCode(b, CODES[0]!);
  const last = state.commit();
  assert.equal(state.codeByHash(hash), undefined);
  state.revert(last);
  state.revert(delta);
  assert.equal(state.code(a.key), state.code(b.key));
  assert.equal(toHex(state.code(a.key)), toHex(CODES[3]!));
});

test('storage slots and code hashes are proven, present and absent, to the independent verifier', () => {
  const state = new ShardState(crypto);
  const account = state.open(keys[0]!);
  account.nonce = 1;
  state.setCode(account, CODES[4]!);
  for (const slot of SLOTS) state.setStorage(account, word(slot), word(2n ** 256n - 1n - slot / 2n));
  const { root } = state.commit();
  const proven = ({ key, proof }: ReturnType<ShardState['proveStorage']>): string | undefined => {
    const result = verifyStateProof(crypto, root, key, proof);
    assert.ok(result.ok);
    return result.value === undefined ? undefined : toHex(result.value);
  };
  for (const slot of SLOTS) assert.equal(proven(state.proveStorage(addresses[0]!, slot)), toHex(word(2n ** 256n - 1n - slot / 2n)));
  for (const slot of [2n, 66n, 300n, 2n ** 200n]) assert.equal(proven(state.proveStorage(addresses[0]!, slot)), undefined);
  assert.equal(proven(state.proveStorage(addresses[1]!, 0n)), undefined);
  assert.equal(proven(state.proveCodeHash(addresses[0]!)), toHex(crypto.keccak256(CODES[4]!)));
  assert.equal(proven(state.proveCodeHash(addresses[1]!)), undefined);
  const chunk = stateKey(crypto, accountOwner(addresses[0]!), codeChunkPosition(128));
  assert.equal(proven({ key: chunk, proof: state.trie.prove(chunk) })?.length, 66);
  state.setStorage(account, word(1n), word(1n));
  state.commit();
  const { key, proof } = state.proveStorage(addresses[0]!, 1n);
  assert.equal(verifyStateProof(crypto, root, key, proof).ok, false, 'a proof of one root is none of another');
});

test('storage of nobody, and code that does not fit, are bugs that no commit hides', () => {
  const state = new ShardState(crypto);
  state.setStorage(state.open(keys[0]!), word(300n), word(1n));
  assert.throws(() => state.commit(), { code: 'invariant' });
  assert.throws(() => new ShardState(crypto).setCode(state.open(keys[1]!), new Uint8Array(2 ** 24)), { code: 'invariant' });
  const busy = new ShardState(crypto);
  const delta = busy.commit();
  busy.setStorage(busy.open(keys[0]!), word(1n), word(1n));
  assert.throws(() => busy.revert(delta), { code: 'invariant' });
});

test('damaged contracts are refused by name', () => {
  const owner = accountOwner(addresses[0]!);
  const entry = (treeIndex: bigint, leaves: [number, Uint8Array][]): FlatEntry => ({
    key: encodeFlatKey({ owner, treeIndex }),
    value: encodeFlatValue(leaves.map(([suffix, value]) => ({ suffix, value }))),
  });
  const code = Uint8Array.of(0x60, 1, 0x60, 2, 1);
  const chunk = Uint8Array.from([0, ...code, ...new Uint8Array(26)]);
  const basic = (codeSize: number, nonce = 1): Uint8Array => encodeBasicData({ status: 0, codeSize, nonce, balance: 0n });
  const hash = crypto.keccak256(code);
  const good: [number, Uint8Array][] = [[0, basic(5)], [1, hash], [70, word(8n)], [128, chunk]];
  const slot = entry(storagePosition(300n).treeIndex, [[44, word(1n)]]);
  const state = new ShardState(crypto);
  state.load([slot, entry(0n, good)]);
  assert.deepEqual([toHex(state.code(keys[0]!)), state.slotCount], [toHex(code), 2], 'the undamaged one is taken');
  const wrong: [string, FlatEntry[]][] = [
    ['no basic data', [entry(0n, good.slice(1))]],
    ['nothing in it', [entry(0n, [[70, word(8n)]])]],
    ['a nobody with storage', [entry(0n, [[64, word(8n)]]), slot]],
    ['a code size alone', [entry(0n, [good[0]!])]],
    ['no code hash', [entry(0n, [good[0]!, good[3]!])]],
    ['another code hash', [entry(0n, [good[0]!, [1, word(7n)], good[3]!])]],
    ['the hash of no code', [entry(0n, [[0, basic(0)], [1, noCodeHash(crypto)]])]],
    ['a code hash and no size', [entry(0n, [[0, basic(0)], [1, hash], good[3]!])]],
    ['no code', [entry(0n, [good[0]!, [1, hash]])]],
    ['a size that is too small', [entry(0n, [[0, basic(4)], ...good.slice(1)])]],
    ['a size that is too large', [entry(0n, [[0, basic(6)], ...good.slice(1)])]],
    ['a chunk too many', [entry(0n, [...good, [129, word(1n)]])]],
    ['a chunk too many in another stem', [entry(0n, good), entry(1n, [[0, word(1n)]])]],
    ['a stem where nothing is', [entry(0n, good), entry(2n ** 200n, [[0, word(1n)]])]],
    ['a push count that is wrong', [entry(0n, [...good.slice(0, 3), [128, chunk.with(0, 3)]])]],
    ['padding', [entry(0n, [...good.slice(0, 3), [128, chunk.with(31, 3)]])]],
    ['a reserved leaf', [entry(0n, [good[0]!, good[1]!, [2, word(1n)], good[3]!])]],
    ['a reserved leaf and nothing else', [entry(0n, [[0, basic(0)], [63, word(1n)]])]],
    ['twice', [entry(0n, good), entry(0n, good)]],
    ['a stem twice', [entry(0n, good), slot, slot]],
    ['storage of nobody', [slot]],
    ['code of nobody', [entry(1n, [[0, word(1n)]])]],
    ['one of the first 64 slots elsewhere', [entry(0n, good), entry(storagePosition(64n).treeIndex, [[63, word(1n)]])]],
  ];
  for (const [name, entries] of wrong) assert.throws(() => new ShardState(crypto).load(entries), DecodeError, name);
});
