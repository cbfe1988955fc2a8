import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  accountOwner,
  type Address,
  ascii,
  bytesKey,
  computeStateRoot,
  decodeBasicData,
  DecodeError,
  decodeFlatKey,
  decodeFlatValue,
  deriveStem,
  encodeBasicData,
  encodeFlatKey,
  encodeFlatValue,
  encodeRecord,
  equalBytes,
  owner,
  RECORD_BYTES_MAX,
  recordChunkPosition,
  type RecordNamespace,
  type StateLeaf,
  toHex,
  verifyStateProof,
} from '@shardlab/crosslink';
import fc from 'fast-check';
import { accountFlatKey, accountFlatValue, type FlatChange } from '../../src/state/flat-account.ts';
import { genesisBalance, genesisEntries } from '../../src/state/genesis-state.ts';
import { namespaceOf } from '../../src/state/namespaces.ts';
import { ShardState, type StateDelta } from '../../src/state/shard-state.ts';
import { testCrypto } from '../support/crypto.ts';
import { BALANCE, testGenesis } from '../support/genesis.ts';
import { testAddress } from '../support/transactions.ts';

const crypto = testCrypto();
const addresses = Array.from({ length: 12 }, (_, index) => testAddress(crypto, index));
const ids = Array.from({ length: 4 }, (_, index) => testAddress(crypto, 100 + index));
const NAMESPACES: readonly RecordNamespace[] = ['coordinator', 'participant', 'parked'];

/** Flat values by flat key, in hex: the database. */
type Flat = Map<string, Required<FlatChange> & { value: Uint8Array }>;

function apply(flat: Flat, changes: readonly FlatChange[]): void {
  for (const { key, value } of changes) {
    if (value === undefined) flat.delete(toHex(key));
    else flat.set(toHex(key), { key, value });
  }
}

function rootOf(flat: Flat): string {
  const leaves: StateLeaf[] = [];
  for (const { key, value } of flat.values()) {
    const { owner: of, treeIndex } = decodeFlatKey(key);
    const stem = deriveStem(crypto, of, treeIndex);
    for (const leaf of decodeFlatValue(value)) leaves.push({ key: Uint8Array.from([...stem, leaf.suffix]), value: leaf.value });
  }
  return toHex(computeStateRoot(crypto, leaves));
}

function dump(flat: Flat): string[] {
  return [...flat].map(([key, { value }]) => `${key}=${toHex(value)}`).sort();
}

function recordsOf(state: ShardState): string[] {
  return [...state.protocolRecords()].map(({ namespace, id, value }) => `${namespace}/${toHex(id)}=${toHex(value)}`).sort();
}

type Operation = { kind: 'account'; at: number; balance: bigint; nonce: number } | { kind: 'record'; namespace: number; at: number; bytes: number | undefined; fill: number };

const balances = fc.oneof(fc.constantFrom(0n, 1n, 2n ** 64n - 1n, 2n ** 64n, 2n ** 128n - 1n), fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }));
const operations: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constant('account' as const), at: fc.nat(11), balance: balances, nonce: fc.oneof(fc.constant(0), fc.maxSafeNat()) }),
  fc.record({
    kind: fc.constant('record' as const),
    namespace: fc.nat(2),
    at: fc.nat(3),
    // Over 256 * 31 - 2 = 7,934 bytes a record needs a second stem.
    bytes: fc.oneof(fc.constant(undefined), fc.constantFrom(0, 28, 29, 30, 7_934, 7_935, RECORD_BYTES_MAX), fc.nat(300)),
    fill: fc.nat(255),
  }),
);
const blocks = fc.array(fc.record({ operations: fc.array(operations, { maxLength: 8 }), revert: fc.boolean() }), { maxLength: 10 });

function perform(state: ShardState, operation: Operation): void {
  if (operation.kind === 'record') {
    const { namespace, at, bytes, fill } = operation;
    state.putRecord(NAMESPACES[namespace]!, ids[at]!, bytes === undefined ? undefined : new Uint8Array(bytes).fill(fill));
    return;
  }
  const account = state.open(bytesKey(addresses[operation.at]!));
  state.touch(account);
  account.balance = operation.balance;
  account.nonce = operation.nonce;
}

test('any blocks, undone or not: the root is that of the flat values, and a reloaded state is the same', () => {
  fc.assert(
    fc.property(blocks, (made) => {
      const state = new ShardState(crypto, 4);
      const flat: Flat = new Map();
      for (const { operations: list, revert } of made) {
        const before = { dump: dump(flat), records: recordsOf(state), root: toHex(state.trie.root()), size: state.trie.size(), accounts: state.accountCount };
        for (const operation of list) perform(state, operation);
        const delta = state.commit();
        checkUndo(delta, flat);
        if (revert) {
          state.revert(delta);
          assert.deepEqual([toHex(state.trie.root()), recordsOf(state), state.accountCount], [before.root, before.records, before.accounts]);
          const { memoryBytes: _now, ...size } = state.trie.size();
          const { memoryBytes: _then, ...old } = before.size;
          assert.deepEqual(size, old, 'no stem or node stays behind');
          continue;
        }
        apply(flat, delta.changes);
        assert.equal(toHex(delta.root), rootOf(flat));
      }
      const again = new ShardState(crypto);
      assert.equal(toHex(again.load(flat.values())), rootOf(flat));
      assert.deepEqual(recordsOf(again), recordsOf(state));
      assert.equal(again.accountCount, state.accountCount);
      for (const address of addresses) {
        const { balance, nonce } = again.account(bytesKey(address)) ?? { balance: undefined, nonce: undefined };
        assert.deepEqual([balance, nonce], [state.account(bytesKey(address))?.balance, state.account(bytesKey(address))?.nonce]);
      }
    }),
    { numRuns: 60, seed: 77 },
  );
});

/** The undo values are exactly what the database holds under the changed keys. */
function checkUndo(delta: StateDelta, flat: Flat): void {
  assert.equal(delta.undo.length, delta.changes.length);
  delta.undo.forEach(({ key, value }, index) => {
    assert.ok(equalBytes(key, delta.changes[index]!.key));
    const stored = flat.get(toHex(key))?.value;
    assert.equal(value === undefined ? undefined : toHex(value), stored === undefined ? undefined : toHex(stored));
  });
}

test('flat keys and values of accounts equal those of the general codec', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), balances, fc.maxSafeNat(), (bytes, balance, nonce) => {
      const address = bytes as Address;
      const key = encodeFlatKey({ owner: accountOwner(address), treeIndex: 0n });
      assert.deepEqual(accountFlatKey(bytesKey(address)), key);
      fc.pre(balance > 0n || nonce > 0);
      const value = encodeFlatValue([{ suffix: 0, value: encodeBasicData({ status: 0, codeSize: 0, nonce, balance }) }]);
      assert.deepEqual(accountFlatValue(balance, nonce), value);
      // What a block's delta writes, too.
      const state = new ShardState(crypto);
      const account = state.open(bytesKey(address));
      state.touch(account);
      account.balance = balance;
      account.nonce = nonce;
      const [change] = state.commit().changes;
      assert.deepEqual([Uint8Array.from(change!.key), Uint8Array.from(change!.value!)], [key, value]);
    }),
  );
});

test('a balance of 2^128 and a negative one are bugs that no commit hides', () => {
  for (const balance of [2n ** 128n, -1n]) {
    const state = new ShardState(crypto);
    const account = state.open(bytesKey(addresses[0]!));
    state.touch(account);
    account.balance = balance;
    assert.throws(() => state.commit(), { code: 'invariant' });
  }
});

test('a touched account that did not change is no change', () => {
  const state = new ShardState(crypto);
  state.load([{ key: accountFlatKey(bytesKey(addresses[0]!)), value: accountFlatValue(5n, 1) }]);
  state.touch(state.open(bytesKey(addresses[0]!)));
  state.touch(state.open(bytesKey(addresses[1]!)));
  const { changes, undo } = state.commit();
  assert.deepEqual([changes, undo], [[], []]);
  assert.equal(state.accountCount, 1);
});

test('a record that is put and removed in one block leaves no trace', () => {
  const state = new ShardState(crypto);
  state.putRecord('parked', ids[0]!, ascii('here'));
  state.putRecord('parked', ids[0]!, undefined);
  const { changes } = state.commit();
  assert.deepEqual(changes, []);
  assert.deepEqual(recordsOf(state), []);
});

test('damaged flat entries are refused by name', () => {
  const key = accountFlatKey(bytesKey(addresses[0]!));
  const value = accountFlatValue(5n, 1);
  const leaf = value.slice(3);
  const of = owner(namespaceOf('coordinator'), ids[0]!);
  const stemKey = (chunk: number): Uint8Array => encodeFlatKey({ owner: of, treeIndex: recordChunkPosition(chunk).treeIndex });
  const chunks = encodeRecord(new Uint8Array(100).fill(3)).map((chunk, suffix) => ({ suffix, value: chunk }));
  const wrong: [string, FlatChange[]][] = [
    ['another leaf', [{ key, value: encodeFlatValue([{ suffix: 1, value: leaf }]) }]],
    ['two leaves', [{ key, value: encodeFlatValue([{ suffix: 0, value: leaf }, { suffix: 1, value: leaf }]) }]],
    ['twice', [{ key, value }, { key, value }]],
    ['truncated', [{ key, value: value.subarray(0, 20) }]],
    ['status', [{ key, value: encodeFlatValue([{ suffix: 0, value: leaf.with(1, 9) }]) }]],
    ['namespace', [{ key: encodeFlatKey({ owner: owner(namespaceOf('parked'), ids[0]!).with(0, 0x7a) as never, treeIndex: 0n }), value: encodeFlatValue(chunks) }]],
    ['lost chunk', [{ key: stemKey(0), value: encodeFlatValue(chunks.slice(0, -1)) }]],
    ['hole', [{ key: stemKey(0), value: encodeFlatValue(chunks.filter(({ suffix }) => suffix !== 1)) }]],
    ['surplus stem', [{ key: stemKey(0), value: encodeFlatValue(chunks) }, { key: stemKey(256), value: encodeFlatValue(chunks) }]],
    ['headless', [{ key: stemKey(256), value: encodeFlatValue(chunks) }]],
  ];
  for (const [name, entries] of wrong) {
    assert.throws(() => new ShardState(crypto).load(entries as { key: Uint8Array; value: Uint8Array }[]), DecodeError, name);
  }
});

test('accounts are proven, present and absent, to the independent verifier', () => {
  const state = new ShardState(crypto);
  const root = state.load([{ key: accountFlatKey(bytesKey(addresses[0]!)), value: accountFlatValue(5n, 7) }]);
  const present = state.proveAccount(addresses[0]!);
  const found = verifyStateProof(crypto, root, present.key, present.proof);
  assert.ok(found.ok && found.value !== undefined);
  assert.deepEqual(decodeBasicData(found.value), { status: 0, codeSize: 0, balance: 5n, nonce: 7 });
  const absent = state.proveAccount(addresses[1]!);
  assert.deepEqual(verifyStateProof(crypto, root, absent.key, absent.proof), { ok: true, value: undefined });
});

test('genesis: every account on its home shard, empty ones nowhere, the sum is the supply', () => {
  const { genesis, table, addresses: funded } = testGenesis(crypto, { shards: 5, accounts: 40 });
  const withEmpty = { ...genesis, allocation: [...genesis.allocation, { address: testAddress(crypto, 999), balance: 0n }] };
  let count = 0;
  let sum = 0n;
  for (let shard = 0; shard < 5; shard++) {
    const entries = [...genesisEntries(crypto, withEmpty, shard as never)];
    for (const { key } of entries) assert.equal(table.shardOf(decodeFlatKey(key).owner.slice(12)), shard);
    const state = new ShardState(crypto);
    state.load(entries);
    count += state.accountCount;
    sum += genesisBalance(crypto, withEmpty, shard as never);
  }
  assert.equal(count, funded.length);
  assert.equal(sum, BALANCE * BigInt(funded.length));
});
