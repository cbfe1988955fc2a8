import { deepEqual, equal, ok, throws } from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Address, AssignmentTable, bytesKey, fromHex, type Hash32, type Height, keyBytes, Prng, type ShardId, toHex, TwoPhaseCommit, ZERO_HASH } from '@shardlab/crosslink';
import { BlockExecutor, type BlockProposal, type ExecutedBlock, type PoolTransaction, SharedSource, SharedState, sharedStateBytes, ShardState, type StateDelta, StateMirror, type StateSource } from '@shardlab/shard';
import { inlineExecutor } from '../../src/execution/block-execution.ts';
import { type NodeThreads, nodeThreads } from '../../src/process/node-threads.ts';
import { shardGenesis } from '../../src/runtime/assemble.ts';
import type { ExecuteBlock } from '../../src/runtime/node-runtime.ts';
import { addressOf, CHAIN_ID, CRYPTO, recovered, testGenesis, transfer } from './chain-store-support.ts';
import { firstContractOf, signed, SUPPLY, tokenCall, tokenInitcode } from './rpc-contracts-support.ts';

const SHARD = 0 as ShardId;
const ACCOUNTS = 120;
const CALLS = 150;
const GENESIS = testGenesis(1, ACCOUNTS);
const TABLE = new AssignmentTable(CRYPTO, { shards: 1, overrides: [] });
const POLICY = { chainId: CHAIN_ID, allowUnprotected: false, fork: 'cancun' } as const;
const EMPTY_HASH = CRYPTO.keccak256(new Uint8Array(0));
/** Stores the hash of the block before in slot 0: it must be the right one beforehand, too. */
const HASH_KEEPER = fromHex('0x60014303405060014303405f5500');
const TOKEN = firstContractOf(0);
const KEEPER = firstContractOf(1);

interface Shard {
  readonly executor: BlockExecutor;
  readonly state: ShardState;
}

function makeShard(): Shard {
  const { block, entries } = shardGenesis(CRYPTO, GENESIS, SHARD);
  const state = new ShardState(CRYPTO);
  state.load(entries);
  const protocol = new TwoPhaseCommit({ ...GENESIS.parameters, shards: 1 });
  const options = { chainId: CHAIN_ID, shard: SHARD, gasLimit: GENESIS.parameters.blockGasLimit, fork: 'cancun', feePolicy: 'burn' } as const;
  return { state, executor: new BlockExecutor(options, { crypto: CRYPTO, state, protocol }, block) };
}

/** Initcode for `runtime`, of at most 255 bytes: PUSH1 size, PUSH1 10, PUSH0, CODECOPY, PUSH1 size, PUSH0, RETURN. */
function initcodeOf(runtime: Uint8Array): Uint8Array {
  return Uint8Array.from([0x60, runtime.length, 0x60, 10, 0x5f, 0x39, 0x60, runtime.length, 0x5f, 0xf3, ...runtime]);
}

function proposalOn(height: number, transactions: readonly PoolTransaction[], mode: BlockProposal['mode'] = 'build'): BlockProposal {
  const timestampMs = GENESIS.timestampMs + 1_000 * height;
  return { height: height as Height, timestampMs, epoch: 0, epochCertificateHash: ZERO_HASH, proposer: 0, inbox: [], transactions, mode };
}

/** Makes blocks of transactions whose nonces fit. */
class Maker {
  readonly nonces = new Map<number, number>();
  private readonly prng: Prng;

  constructor(seed: number) {
    this.prng = new Prng(seed);
  }

  private nonce(from: number): number {
    const nonce = this.nonces.get(from) ?? 0;
    this.nonces.set(from, nonce + 1);
    return nonce;
  }

  call(from: number, to: Address | undefined, data: Uint8Array): Uint8Array {
    return fromHex(signed(from, this.nonce(from), to, data, to === undefined ? 2_000_000 : 100_000));
  }

  /** Two contracts; the next block gives some token to everybody. */
  deployments(): Uint8Array[] {
    return [this.call(0, undefined, tokenInitcode()), this.call(1, undefined, initcodeOf(HASH_KEEPER))];
  }

  gifts(): Uint8Array[] {
    return Array.from({ length: ACCOUNTS - 1 }, (_, index) => this.call(0, TOKEN, tokenCall('transfer(address,uint256)', addressOf(index + 1), SUPPLY / 1_000n)));
  }

  /** Token transfers, most of them between neighbours, some of which fail; plain transfers between the same accounts; calls that depend on the chain. */
  mixture(): Uint8Array[] {
    const { prng } = this;
    return Array.from({ length: CALLS + 30 }, (_, index) => {
      const from = prng.below(ACCOUNTS);
      const to = index % 40 === 3 ? prng.below(ACCOUNTS) : from ^ 1;
      if (index % 30 === 5) return transfer(from, addressOf(to), this.nonce(from));
      if (index % 50 === 7) return this.call(from, KEEPER, new Uint8Array(0));
      return this.call(from, TOKEN, tokenCall('transfer(address,uint256)', addressOf(to), index % 9 === 0 ? SUPPLY : BigInt(1 + index)));
    });
  }
}

function executeWith(execute: ExecuteBlock, parentHash: Hash32, proposal: BlockProposal): Promise<ExecutedBlock> {
  return new Promise((resolve, reject) => {
    execute(parentHash, proposal, TABLE, (outcome) => ('block' in outcome ? resolve(outcome.block) : reject(new Error(outcome.invalid))));
  });
}

function deltaText({ root, changes, undo }: StateDelta): string[] {
  const text = ({ key, value }: StateDelta['changes'][number]): string => `${toHex(key)} ${value === undefined ? 'gone' : toHex(value)}`;
  return [toHex(root), ...changes.map(text).toSorted(), 'before', ...undo.map(text).toSorted()];
}

/** The same in every byte that leaves the executor. */
function assertSame(actual: ExecutedBlock, wanted: ExecutedBlock): void {
  equal(toHex(actual.hash), toHex(wanted.hash));
  deepEqual(actual.receipts, wanted.receipts);
  deepEqual(actual.events, wanted.events);
  deepEqual(deltaText(actual.delta), deltaText(wanted.delta));
}

async function startThreads(context: TestContext, shard: Shard, workers: number): Promise<NodeThreads> {
  const fail = (error: Error): void => {
    throw error;
  };
  const threads = nodeThreads({ workers, policy: POLICY, feePolicy: 'burn' }, { crypto: CRYPTO, shard, onWorkerLost: () => undefined, failed: fail });
  context.after(() => threads.stop());
  await threads.start();
  return threads;
}

test('blocks come to the same with threads and without them, also where blocks are taken back', async (context) => {
  const [plain, threaded] = [makeShard(), makeShard()];
  const serial = inlineExecutor(plain.executor, (task) => void setImmediate(task), (error) => {
    throw error;
  });
  const { execute } = await startThreads(context, threaded, 2);
  const maker = new Maker(7);
  const both = async (raws: readonly Uint8Array[], height: number, parentHash: Hash32, mode: BlockProposal['mode'] = 'build'): Promise<ExecutedBlock> => {
    const transactions = await recovered(raws);
    const proposal = proposalOn(height, transactions, mode);
    const wanted = await executeWith(serial, parentHash, proposal);
    const actual = await executeWith(execute, parentHash, proposal);
    assertSame(actual, wanted);
    return wanted;
  };
  let { hash } = plain.executor.head;
  for (const [index, raws] of [maker.deployments(), maker.gifts()].entries()) ({ hash } = await both(raws, index + 1, hash));
  const before = new Map(maker.nonces);
  const parentHash = hash;
  for (let height = 3; height < 6; height++) ({ hash } = await both(maker.mixture(), height, hash));
  // Another view has chosen otherwise: three blocks are taken back, and threads have to see that.
  maker.nonces.clear();
  for (const [from, nonce] of before) maker.nonces.set(from, nonce);
  hash = parentHash;
  for (let height = 3; height < 7; height++) ({ hash } = await both(maker.mixture(), height, hash));
  const { taken, stale, unknown } = threaded.executor.speculations;
  ok(taken > 200, `${taken} of ${taken + stale + unknown} calls were taken`);
  ok(stale > 0, 'transfers between the calls change what some have read');
  equal(plain.executor.speculations.taken, 0);
});

test('orders that come while threads read are carried out one after the other, and a bad block is told', async (context) => {
  const shard = makeShard();
  const { execute } = await startThreads(context, shard, 1);
  const maker = new Maker(1);
  const { hash: genesis } = shard.executor.head;
  const first = await executeWith(execute, genesis, proposalOn(1, await recovered(maker.deployments())));
  const gifts = await recovered(maker.gifts());
  const ended: string[] = [];
  const order = async (name: string, proposal: BlockProposal, parentHash: Hash32): Promise<string> => {
    const said = await executeWith(execute, parentHash, proposal).then(({ hash }) => toHex(hash), (error: Error) => error.message);
    ended.push(name);
    return said;
  };
  const [one, other, again] = await Promise.all([
    order('one', proposalOn(2, gifts), first.hash),
    order('other', proposalOn(2, gifts.slice(1), 'verify'), first.hash),
    order('again', proposalOn(2, gifts), first.hash),
  ]);
  deepEqual(ended, ['one', 'other', 'again']);
  equal(other, 'a transaction does not fit: later');
  equal(again, one);
});

test('what was found out is about one proposal on one parent', async () => {
  const { executor } = makeShard();
  const maker = new Maker(1);
  const { hash } = executor.head;
  equal(executor.ahead(hash, proposalOn(1, await recovered([transfer(3, addressOf(4), 0)])), TABLE), undefined, 'a plain transfer runs no code');
  const deployments = proposalOn(1, await recovered(maker.deployments()));
  equal(executor.ahead(hash, deployments, TABLE), undefined, 'a creation is left to the block');
  const first = executor.executeOn(hash, deployments, TABLE);
  const proposal = proposalOn(2, await recovered(maker.gifts()));
  const ahead = executor.ahead(first.hash, proposal, TABLE)!;
  equal(ahead.transactions.length, ACCOUNTS - 1);
  equal(ahead.block.number, 2n);
  deepEqual(ahead.block.blockHash(1n), first.hash);
  const found = ahead.found({ at: () => undefined });
  throws(() => executor.executeOn(first.hash, { ...proposal }, TABLE, found), { code: 'invariant' });
  throws(() => found.of(proposal, hash), { code: 'invariant' });
});

/** A source that no test may come to. */
const NOWHERE = new Proxy({} as StateSource, {
  get: (_, name) => () => {
    throw new Error(`${String(name)} is not in what is shared`);
  },
});

test('what threads share of the state follows it through blocks and back', async () => {
  const { state, executor } = makeShard();
  const size = { accountsLog2: 10, slotsLog2: 12 };
  const shared = new SharedState({ ...size, seed: 5 }, new SharedArrayBuffer(sharedStateBytes(size)));
  const mirror = new StateMirror({ emptyHash: EMPTY_HASH }, { state, shared });
  const maker = new Maker(3);
  mirror.fill();
  // All that there ever was: what is gone has to be gone from what is shared, too.
  const accounts = new Map<string, Address>();
  const slots = new Map<string, readonly [string, Uint8Array]>();
  const check = (): void => {
    ok(shared.complete);
    const source = new SharedSource({ emptyHash: EMPTY_HASH }, { shared, fallback: NOWHERE });
    let told = 0;
    state.tellAll({
      account: ({ key }) => void accounts.set(key, keyBytes(key) as Address),
      slot: ({ key }, slot) => {
        slots.set(`${key} ${toHex(slot)}`, [key, slot.slice()]);
        told++;
      },
    });
    equal(told, state.slotCount);
    for (const [key, address] of accounts) {
      const { balance = 0n, nonce = 0 } = state.account(key) ?? {};
      const account = source.account(address);
      deepEqual([account?.balance ?? 0n, account?.nonce ?? 0n, toHex(account?.codeHash ?? EMPTY_HASH)], [balance, BigInt(nonce), toHex(state.codeHash(key))]);
    }
    const [actual, wanted] = [new Uint8Array(32), new Uint8Array(32)];
    for (const [key, slot] of slots.values()) {
      source.storage(accounts.get(key)!, slot, actual);
      state.storage(key, slot, wanted);
      deepEqual(actual, wanted);
    }
  };
  check();
  const { hash: genesis } = executor.head;
  const first = executor.executeOn(genesis, proposalOn(1, await recovered(maker.deployments())), TABLE);
  check();
  const second = executor.executeOn(first.hash, proposalOn(2, await recovered(maker.gifts())), TABLE);
  check();
  const rich = SUPPLY / 1_000n;
  // An account gives all that it has: its slot goes.
  executor.executeOn(second.hash, proposalOn(3, await recovered([maker.call(5, TOKEN, tokenCall('transfer(address,uint256)', addressOf(6), rich))])), TABLE);
  check();
  equal(state.account(bytesKey(TOKEN))!.contract!.slots, state.slotCount);
  const count = state.slotCount;
  executor.executeOn(first.hash, proposalOn(2, []), TABLE);
  check();
  ok(state.slotCount < count);
  executor.executeOn(genesis, proposalOn(1, []), TABLE);
  check();
  equal(state.slotCount, 0);
});

test('a state that does not fit is shared as far as it goes', () => {
  const { state } = makeShard();
  const size = { accountsLog2: 6, slotsLog2: 6 };
  const shared = new SharedState({ ...size, seed: 5 }, new SharedArrayBuffer(sharedStateBytes(size)));
  const mirror = new StateMirror({ emptyHash: EMPTY_HASH }, { state, shared });
  mirror.fill();
  equal(shared.complete, false);
});
