import { deepEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, address as brandAddress, AssignmentTable, bytesKey, type Hash32, type Height, type LockMode, Prng, type ShardId, toHex, TwoPhaseCommit, ZERO_HASH } from '@shardlab/crosslink';
import { createExecutionCrypto } from '../../packages/node/src/crypto/create-evm-crypto.ts';
import type { FoundAhead } from '../../packages/shard/src/execution/ahead.ts';
import { BlockExecutor, type ExecutionCrypto, genesisBlock } from '../../packages/shard/src/execution/block-executor.ts';
import type { EvmFeePolicy } from '../../packages/shard/src/execution/evm/transaction.ts';
import type { SourceAccount, StateSource } from '../../packages/shard/src/execution/evm/types.ts';
import { packSpeculated, unpackSpeculated } from '../../packages/shard/src/execution/parallel/speculation-codec.ts';
import type { SpeculatedTransaction } from '../../packages/shard/src/execution/parallel/speculation.ts';
import { SpeculativeExecutor } from '../../packages/shard/src/execution/parallel/speculative-executor.ts';
import type { BlockProposal, ExecutedBlock } from '../../packages/shard/src/execution/types.ts';
import { ShardState } from '../../packages/shard/src/state/shard-state.ts';
import { CHAIN_ID, poolCall } from '../../packages/shard/test/support/transactions.ts';
import { generateCase } from './case-generator.ts';
import { assemble, type FuzzCase } from './case.ts';

const CASES = 100;
const BLOCKS = 3;
const CALLS = 24;
const CALLERS = 8;
const ETHER = 10n ** 18n;
const GAS_LIMIT = 12_000_000;
const START_MS = 1_000_000;
const HOME = 0 as ShardId;
const PARAMETERS = { deadlineMs: 10_000, openPreparesMax: 8, attemptsMax: 2, lockWaitersMax: 8, shards: 2 };

/** A stranger to all transactions holds locks at random: in each block the same in every executor. */
class RandomLocks extends TwoPhaseCommit {
  /** What was asked of them: all that transactions read and changed. */
  readonly asked: string[] = [];
  private readonly hash: (text: string) => Uint8Array;

  constructor(hash: (text: string) => Uint8Array) {
    super(PARAMETERS);
    this.hash = hash;
  }

  override counts(): ReturnType<TwoPhaseCommit['counts']> {
    return { ...super.counts(), locksHeld: 1 };
  }

  override exclusiveHeld(): boolean {
    return true;
  }

  override forbids(key: string, mode: LockMode): boolean {
    this.asked.push(`${key} ${mode}`);
    return this.hash(`${key} ${mode}`)[0]! < 12;
  }
}

/** A source that says now and then what is not so, twice the same or not, as the memory that threads share might. */
class WrongSource implements StateSource {
  private readonly below: StateSource;
  private readonly prng: Prng;
  private readonly somebody: SourceAccount;

  constructor(below: StateSource, prng: Prng, somebody: SourceAccount) {
    this.below = below;
    this.prng = prng;
    this.somebody = somebody;
  }

  account(address: Address): SourceAccount | undefined {
    const account = this.below.account(address);
    const kind = this.prng.below(30);
    if (account === undefined) return kind < 3 ? this.somebody : undefined;
    if (kind === 0) return { ...account, balance: account.balance + 1n };
    if (kind === 1) return { ...account, nonce: account.nonce + 1n };
    return kind === 2 ? undefined : account;
  }

  code(codeHash: Hash32): Uint8Array {
    return this.below.code(codeHash);
  }

  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    this.below.storage(address, key, out);
    if (this.prng.below(30) === 0) out[31]! ^= 1;
  }

  hasStorage(address: Address): boolean {
    return this.below.hasStorage(address);
  }

  homeOf(address: Address): number {
    return this.prng.below(30) === 0 ? 1 : this.below.homeOf(address);
  }
}

interface Shard {
  readonly executor: BlockExecutor;
  readonly locks: RandomLocks;
  readonly state: ShardState;
}

/** A shard of two whose state has the accounts of a case, and some who call them. */
function makeShard(crypto: ExecutionCrypto, what: FuzzCase, callers: readonly Address[], feePolicy: EvmFeePolicy): Shard {
  const state = new ShardState(crypto);
  let balances = 0n;
  const add = (address: Uint8Array, balance: bigint, nonce: number): ReturnType<ShardState['open']> => {
    const account = state.open(bytesKey(address));
    state.touch(account);
    account.balance = balance;
    account.nonce = nonce;
    balances += balance;
    return account;
  };
  for (const { address, balance, nonce, program, storage } of what.accounts) {
    const account = add(address, balance, Number(nonce));
    if (program !== undefined) state.setCode(account, assemble(program));
    for (const [key, value] of storage) state.setStorage(account, word(key), word(value));
  }
  for (const caller of callers) add(caller, ETHER, 0);
  const { root } = state.commit();
  const block = genesisBlock(crypto, { chainId: CHAIN_ID, shard: HOME, shards: PARAMETERS.shards, gasLimit: GAS_LIMIT, timestampMs: START_MS, baseFeePerGas: 7n }, root, balances);
  const locks = new RandomLocks((text) => crypto.sha256(Uint8Array.from(text, (char) => char.charCodeAt(0))));
  const executor = new BlockExecutor({ chainId: CHAIN_ID, shard: HOME, gasLimit: GAS_LIMIT, fork: what.fork, feePolicy }, { crypto, state, protocol: locks }, block);
  return { executor, state, locks };
}

function word(value: bigint): Uint8Array {
  const out = new Uint8Array(32);
  for (let i = 31, rest = value; i >= 0; i--, rest >>= 8n) out[i] = Number(rest & 0xffn);
  return out;
}

/** Everything that a block comes to, as text. */
function textOf({ header, hash, receipts, events, outgoing, delta, leftovers, transactions }: ExecutedBlock): string {
  const all = { hash, header, receipts, events, outgoing, delta, why: leftovers.map(({ transaction, why }) => [transaction.hash, why]), in: transactions.map((tx) => tx.hash) };
  return JSON.stringify(all, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value instanceof Uint8Array ? toHex(value) : value));
}

/** Executes blocks of one case with and without speculations; returns how many calls were taken, and all. */
class Contest {
  taken = 0;
  calls = 0;
  private readonly crypto: ExecutionCrypto;
  private readonly table: AssignmentTable;
  private readonly speculators = new Map<string, SpeculativeExecutor>();

  constructor(crypto: ExecutionCrypto) {
    this.crypto = crypto;
    this.table = new AssignmentTable(crypto, { shards: PARAMETERS.shards, overrides: [] });
  }

  run(seed: number): void {
    const prng = new Prng(seed);
    const what = generateCase(seed);
    const feePolicy = prng.below(2) === 0 ? 'burn' : 'ethereum';
    const callers = Array.from({ length: CALLERS }, () => brandAddress(prng.bytes(20)));
    const [plain, ahead] = [makeShard(this.crypto, what, callers, feePolicy), makeShard(this.crypto, what, callers, feePolicy)];
    let { hash } = plain.executor.head;
    for (let height = 1; height <= BLOCKS; height++) {
      const proposal = this.proposal(height, what, callers, plain.state, prng);
      const expected = plain.executor.executeOn(hash, proposal, this.table);
      const actual = ahead.executor.executeOn(hash, proposal, this.table, this.speculate(ahead.executor, hash, proposal, what, feePolicy, prng));
      deepEqual(textOf(actual), textOf(expected), `seed ${seed}, block ${height}`);
      deepEqual(ahead.locks.asked.splice(0), plain.locks.asked.splice(0), `locks of seed ${seed}, block ${height}`);
      ({ hash } = expected);
    }
    const { taken, stale, unknown } = ahead.executor.speculations;
    this.taken += taken;
    this.calls += taken + stale + unknown;
  }

  /** Calls of the case's programs, each several times, and transfers to them and to those whom they pay. */
  private proposal(height: number, { accounts, transactions, block }: FuzzCase, callers: readonly Address[], state: ShardState, prng: Prng): BlockProposal {
    const contracts = accounts.filter(({ program }) => program !== undefined);
    const nonces = callers.map((caller) => state.account(bytesKey(caller))?.nonce ?? 0);
    const made = Array.from({ length: CALLS }, () => {
      const at = prng.below(CALLERS);
      const template = transactions[prng.below(transactions.length)]!;
      const to = prng.below(6) === 0 ? [brandAddress(block.coinbase), brandAddress(new Uint8Array(20)), callers[0]!][prng.below(3)]! : brandAddress(contracts[prng.below(contracts.length)]!.address);
      const data = prng.below(3) === 0 ? word(BigInt(prng.below(300))) : template.data;
      const value = prng.below(3) === 0 ? BigInt(prng.below(50)) : 0n;
      return poolCall(this.crypto, { from: callers[at]!, to, nonce: nonces[at]!++, data, value, gasLimit: prng.below(10) === 0 ? 2_000_000 : 200_000 + prng.below(400_000) });
    });
    return { height: height as Height, timestampMs: START_MS + 1_000 * height, epoch: 0, epochCertificateHash: ZERO_HASH, proposer: 0, inbox: [], transactions: made, mode: 'build' };
  }

  /** Groups at random, over a state that is right or not. */
  private speculate(executor: BlockExecutor, hash: Hash32, proposal: BlockProposal, { fork }: FuzzCase, feePolicy: EvmFeePolicy, prng: Prng): FoundAhead | undefined {
    const ahead = executor.ahead(hash, proposal, this.table);
    if (ahead === undefined) return undefined;
    const somebody = { nonce: 0n, balance: 5n, codeHash: this.crypto.keccak256(new Uint8Array(0)) };
    const source = prng.below(2) === 0 ? ahead.source : new WrongSource(ahead.source, prng, somebody);
    const known = new Map<number, SpeculatedTransaction>();
    const groups = 1 + prng.below(3);
    const groupOf = ahead.transactions.map(() => prng.below(groups));
    for (let group = 0; group < groups; group++) {
      const indices = groupOf.flatMap((each, index) => (each === group ? [index] : []));
      const speculator = this.speculator(fork, feePolicy, source);
      const found = unpackSpeculated(packSpeculated(speculator.execute(source, ahead.block, indices.map((index) => ahead.transactions[index]!))));
      found.forEach((one, position) => one !== undefined && known.set(indices[position]!, one));
    }
    return ahead.found({ at: (index) => known.get(index) });
  }

  private speculator(fork: FuzzCase['fork'], feePolicy: EvmFeePolicy, source: StateSource): SpeculativeExecutor {
    const name = `${fork} ${feePolicy}`;
    const known = this.speculators.get(name) ?? new SpeculativeExecutor({ fork, feePolicy, seed: 1, compileAfter: 1 }, { crypto: this.crypto, source });
    this.speculators.set(name, known);
    return known;
  }
}

test(`blocks of ${CASES} random programs, called again and again among locks, come to the same whatever was found out beforehand`, async () => {
  const contest = new Contest(await createExecutionCrypto());
  for (let seed = 1; seed <= CASES; seed++) contest.run(seed);
  ok(contest.taken > contest.calls / 10 && contest.taken < contest.calls, `${contest.taken} of ${contest.calls} were taken`);
});
