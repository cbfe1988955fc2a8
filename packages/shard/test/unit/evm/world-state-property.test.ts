import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, address, bytesKey, toHex } from '@shardlab/crosslink';
import fc from 'fast-check';
import { CodeCache } from '../../../src/execution/evm/code.ts';
import { fromBigint, toBigint } from '../../../src/execution/evm/words/basic.ts';
import { WorldState } from '../../../src/execution/evm/world-state.ts';
import { hashOf, keccak, MapSource, type ModelAccount } from './map-source.ts';
import { Model, slotName } from './world-state-model.ts';

const EMPTY_HASH = keccak.keccak256(new Uint8Array(0));
const ADDRESSES = Array.from({ length: 6 }, (_, i) => address(Uint8Array.from({ length: 20 }, (__, at) => (at === 19 - 3 * i ? i + 1 : 0))));
/** Keys that differ in single limbs, so that hashing and comparing see all of them. */
const KEYS: readonly bigint[] = [0n, 1n, 1n << 32n, 1n << 255n, (1n << 256n) - 1n, 0xdead_beefn << 96n];
const VALUES: readonly bigint[] = [0n, 1n, 2n, (1n << 256n) - 1n];
const CODES: readonly Uint8Array[] = [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(0x60, 0x00), Uint8Array.of(0xef, 0x01, 0x00, ...ADDRESSES[0]!)];

/** The accounts before everything: one of each kind, an empty one from before EIP-161 with storage among them. */
function accountsBefore(): Map<string, ModelAccount> {
  const of = (index: number, nonce: bigint, balance: bigint, code: Uint8Array, storage: readonly [bigint, bigint][]): [string, ModelAccount] => [
    bytesKey(ADDRESSES[index]!),
    { nonce, balance, code: bytesKey(code), storage: new Map(storage) },
  ];
  return new Map([
    of(0, 1n, 1_000n, CODES[2]!, [[0n, 5n], [KEYS[3]!, 7n]]),
    of(1, 0n, 50n, CODES[0]!, []),
    of(2, 0n, 0n, CODES[0]!, [[1n, 9n]]),
    of(3, 1n, 0n, CODES[3]!, [[KEYS[5]!, 1n]]),
  ]);
}

/** Both worlds, moved by the same steps; each step compares what it can see. */
class Both {
  readonly source: MapSource;
  readonly world: WorldState;
  readonly model: Model;
  private readonly words = new Uint32Array(24);
  private readonly snapshots: number[] = [];

  constructor(before: Map<string, ModelAccount>, world?: WorldState) {
    this.source = new MapSource(before);
    this.world = world ?? new WorldState(this.source, keccak, new CodeCache(), { hashSeed: 7 });
    if (world !== undefined) world.reset(this.source);
    this.model = new Model(before);
  }

  private word(at: number, value: bigint): Uint32Array {
    fromBigint(this.words, at, value);
    return this.words;
  }

  step([kind, a, b, c]: readonly [number, number, number, number]): void {
    const { world, model } = this;
    const at = ADDRESSES[a % ADDRESSES.length]!;
    const key = bytesKey(at);
    const id = world.accountOf(at);
    const slotKey = KEYS[b % KEYS.length]!;
    const value = VALUES[c % VALUES.length]!;
    switch (kind) {
      case 0:
        return this.store(at, slotKey, value);
      case 1:
        world.loadSlot(world.slotAt(id, this.word(0, slotKey), 0), this.words, 8);
        return assert.equal(toBigint(this.words, 8), model.load(key, slotKey));
      case 2:
        assert.equal(world.warmSlot(world.slotAt(id, this.word(0, slotKey), 0)), !model.state.warm.has(slotName(at, slotKey)));
        model.state.warm.add(slotName(at, slotKey));
        return;
      case 3:
        assert.equal(world.warmAccount(id), !model.state.warm.has(key));
        model.state.warm.add(key);
        return;
      case 4:
        world.addBalance(id, value & 0xffn);
        model.write(key).balance += value & 0xffn;
        return;
      case 5: {
        const wei = world.balance(id) / 2n + (BigInt(c) % 2n) * (world.balance(id) - world.balance(id) / 2n);
        world.subBalance(id, wei);
        model.write(key).balance -= wei;
        return;
      }
      case 6:
        world.setNonce(id, world.nonce(id) + 1n);
        model.write(key).nonce += 1n;
        return;
      case 7:
        world.setCode(id, CODES[b % CODES.length]!);
        model.write(key).code = bytesKey(CODES[b % CODES.length]!);
        return;
      case 8:
        return this.create(at);
      case 9:
        if (!model.state.created.has(key)) return;
        world.selfDestruct(id);
        model.state.destroyed.add(key);
        return;
      case 10:
        world.touch(id);
        model.state.touched.add(key);
        return;
      case 11:
        world.storeTransient(id, this.word(0, slotKey), 0, this.word(8, value), 8);
        model.state.transient.set(slotName(at, slotKey), value);
        return;
      case 12:
        world.loadTransient(id, this.word(0, slotKey), 0, this.words, 0);
        return assert.equal(toBigint(this.words, 0), model.state.transient.get(slotName(at, slotKey)) ?? 0n);
      case 13:
        world.addRefund(c - 100);
        world.log({ address: at, topics: [], data: Uint8Array.of(c) });
        world.credit(id, BigInt(c));
        model.state.refund += c - 100;
        model.state.logs.push(`${key}${c}`);
        model.state.credits.push(`${key}${c}`);
        return;
      case 14:
        model.snapshot(this.snapshots.length);
        this.snapshots.push(world.snapshot());
        return;
      case 15:
        return this.revert(c);
      default:
        world.endTransaction();
        model.end();
        this.check();
        world.beginTransaction();
        model.begin();
        this.snapshots.length = 0;
    }
  }

  private store(at: Address, slotKey: bigint, value: bigint): void {
    const { world, model } = this;
    const slot = world.slotAt(world.accountOf(at), this.word(0, slotKey), 0);
    const [original, current] = [model.originalOf(bytesKey(at), slotKey), model.load(bytesKey(at), slotKey)];
    const bits = [value === current, original === current, original === 0n, current === 0n, value === 0n, original === value];
    const wanted = bits.reduce((sum, bit, i) => sum + (bit ? 1 << i : 0), 0);
    assert.equal(world.storeStatus(slot, this.word(8, value), 8), wanted);
    world.storeSlot(slot, this.words, 8);
    model.store(bytesKey(at), slotKey, value);
  }

  /** As CREATE does: only where nothing is. */
  private create(at: Address): void {
    const { world, model } = this;
    const [key, id] = [bytesKey(at), world.accountOf(at)];
    const account = model.account(key);
    const taken = account.nonce !== 0n || account.code !== '' || account.storage.size !== 0;
    assert.equal(world.hasCodeOrNonceOrStorage(id), taken);
    if (taken) return;
    world.markCreated(id);
    world.setNonce(id, 1n);
    model.state.created.add(key);
    model.write(key).nonce = 1n;
  }

  private revert(choice: number): void {
    if (this.snapshots.length === 0) return;
    const to = choice % this.snapshots.length;
    this.world.revertTo(this.snapshots[to]!);
    this.model.revertTo(to);
    this.snapshots.length = to;
  }

  /** Compares everything that can be read. */
  check(): void {
    const { world, model } = this;
    assert.equal(world.refund, model.state.refund);
    assert.deepEqual(world.logs().map((log) => `${bytesKey(log.address)}${log.data[0]}`), model.state.logs);
    assert.deepEqual(world.credits().map((credit) => `${bytesKey(credit.address)}${credit.wei}`), model.state.credits);
    for (const at of ADDRESSES) {
      const [key, id] = [bytesKey(at), world.accountOf(at)];
      const account = model.account(key);
      assert.deepEqual(
        [world.nonce(id), world.balance(id), bytesKey(world.code(id).bytes), world.isEmpty(id), world.exists(id), world.wasCreated(id)],
        [account.nonce, account.balance, account.code, model.isEmpty(key), model.exists(key), model.state.created.has(key)],
      );
      assert.deepEqual(world.codeHash(id), hashOf(account.code));
      for (const slotKey of KEYS) {
        world.loadSlot(world.slotAt(id, this.word(0, slotKey), 0), this.words, 8);
        assert.equal(toBigint(this.words, 8), model.load(key, slotKey));
      }
    }
  }

  /** The state before with the changes applied, as the accounts of a model. */
  applied(before: Map<string, ModelAccount>): Map<string, ModelAccount> {
    const out = new Map([...before].map(([key, account]) => [key, { ...account, storage: new Map(account.storage) }]));
    const { accounts, slots } = this.world.changes();
    for (const { address: at, deleted, storageEmptied, nonce, balance, balanceBefore, codeHash, code } of accounts) {
      const old = out.get(bytesKey(at));
      assert.equal(balanceBefore, old?.balance ?? 0n);
      const text = code === undefined ? (old?.code ?? '') : bytesKey(code);
      assert.deepEqual(codeHash, text === '' ? EMPTY_HASH : hashOf(text));
      if (deleted) out.delete(bytesKey(at));
      else out.set(bytesKey(at), { nonce, balance, code: text, storage: storageEmptied || old === undefined ? new Map() : old.storage });
    }
    for (const { address: at, key, value } of slots) {
      const account = out.get(bytesKey(at));
      const content = BigInt(toHex(value));
      // A slot of an account that is gone is listed as zero.
      if (account === undefined) assert.equal(content, 0n);
      else if (content === 0n) account.storage.delete(BigInt(toHex(key)));
      else account.storage.set(BigInt(toHex(key)), content);
    }
    return out;
  }
}

/** One of six, the first two mostly: steps must meet. */
const which = fc.oneof({ weight: 3, arbitrary: fc.nat({ max: 1 }) }, { weight: 1, arbitrary: fc.nat({ max: 5 }) });
const step = fc.tuple(fc.integer({ min: 0, max: 16 }), which, which, fc.nat({ max: 200 }));

test('a world state does what maps that are copied whole do', () => {
  const world = new Both(accountsBefore()).world;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), fc.boolean(), (steps, reused) => {
      const before = accountsBefore();
      const both = new Both(before, reused ? world : undefined);
      for (const each of steps) {
        const at = ADDRESSES[each[1] % ADDRESSES.length]!;
        // Only code writes storage: a contract's or a delegated account's, which have a nonce.
        if (each[0] !== 0 || both.model.account(bytesKey(at)).nonce !== 0n) both.step(each);
      }
      both.check();
      both.world.endTransaction();
      both.model.end();
      assert.deepEqual(both.applied(before), both.model.state.accounts);
    }),
    { numRuns: 1_500 },
  );
});
