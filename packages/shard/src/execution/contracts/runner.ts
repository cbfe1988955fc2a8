import { type Address, bytesKey, type EventLog, type Hash32, invariant, type ShardId, type TxHash, type Wei } from '@shardlab/crosslink';
import type { ExecutionState } from '../../state/execution-state.ts';
import { toEvmTransaction } from '../../transaction/evm-transaction.ts';
import type { PoolTransaction, RecoveryPrimitives } from '../../transaction/types.ts';
import { applyWorld, applyWorldChanges } from '../evm/apply-changes.ts';
import { applyAuthorizations } from '../evm/authorizations.ts';
import { CodeCache } from '../evm/code.ts';
import { Evm } from '../evm/evm.ts';
import { FORK_RULES } from '../evm/fork-rules.ts';
import { ShardSource } from '../evm/shard-source.ts';
import { beginBlock, HISTORY_ADDRESS, HISTORY_CODE } from '../evm/system-calls.ts';
import { type AppliedTransaction, applyTransaction, type EvmFeePolicy, type TransactionOutcome } from '../evm/transaction.ts';
import type { AccountId, BlockEnvironment, EvmCrypto, EvmFork, Halt } from '../evm/types.ts';
import { type WorldChanges, type WorldCredit, WorldState } from '../evm/world-state.ts';
import { type SpeculatedTransaction, validates } from '../parallel/speculation.ts';
import { hasCode, type Homes } from './homes.ts';
import { type LockRequest, lockSetOf } from './lock-set.ts';
import type { RunObserver } from './run-observer.ts';

/** At most a fifth of the gas is given back (EIP-3529). */
const REFUND_QUOTIENT = 5;
const NO_BLOBS: readonly Uint8Array[] = [];
const NOTHING = new Uint8Array(0);
const HISTORY_KEY = bytesKey(HISTORY_ADDRESS);

/** What a runner is for. */
export interface ContractRunnerOptions {
  readonly shard: ShardId;
  readonly fork: EvmFork;
  readonly feePolicy: EvmFeePolicy;
  /** Keys hash tables: a random 32-bit number in a node; nothing that can be seen depends on it. */
  readonly hashSeed?: number;
}

/** What a runner works on. */
export interface ContractRunnerModules {
  readonly crypto: EvmCrypto & RecoveryPrimitives;
  readonly state: ExecutionState;
  /** Follows what runs; absent but for traces. */
  readonly observer?: RunObserver;
}

/** Transactions that ran code in blocks since the start, by where: what threads had found out was taken, or it ran here. For gauges: nothing depends on it. */
export interface SpeculationCounts {
  taken: number;
  /** Known, but what it had read was no longer so. */
  stale: number;
  /** Not known beforehand. */
  unknown: number;
}

/** One call of an operation. */
export interface OperationCall {
  readonly to: Address;
  readonly value: Wei;
  readonly gasLimit: number;
  readonly data: Uint8Array;
}

/** What a participant runs for a transaction of another shard (or of its own): calls one after the other, or a creation. */
export type OperationRun =
  | { readonly kind: 'calls'; readonly from: Address; readonly calls: readonly OperationCall[] }
  | { readonly kind: 'create'; readonly from: Address; readonly value: Wei; readonly gasLimit: number; readonly initcode: Uint8Array; readonly nonce: number };

/** What an operation came to. */
export interface OperationResult {
  /** undefined: it succeeded. */
  readonly halt: Halt | undefined;
  readonly gasUsed: number;
  /** Return or revert data of the last call; for a creation, the code. */
  readonly output: Uint8Array;
  readonly logs: readonly EventLog[];
  readonly credits: readonly WorldCredit[];
}

/**
 * Runs contracts for blocks of one shard: the EVM over the shard's state. Each run works on a fresh overlay, which stays until the next run: the caller looks at what it
 * read and changed, and applies it or lets it be.
 */
export class ContractRunner {
  private readonly options: ContractRunnerOptions;
  private readonly modules: ContractRunnerModules;
  readonly counts: SpeculationCounts = { taken: 0, stale: 0, unknown: 0 };
  private readonly emptyHash: Hash32;
  /** Made for the first contract: a shard without any pays nothing. */
  private machine: { readonly evm: Evm; readonly world: WorldState } | undefined;
  private source: ShardSource | undefined;
  private block: BlockEnvironment | undefined;
  /** The last run, if nothing ran here: what threads had found out still holds. */
  private taken: SpeculatedTransaction | undefined;

  constructor(options: ContractRunnerOptions, modules: ContractRunnerModules) {
    this.options = options;
    this.modules = modules;
    this.emptyHash = modules.crypto.keccak256(NOTHING);
  }

  /** Who follows what runs. */
  get observer(): RunObserver | undefined {
    return this.modules.observer;
  }

  /** Begins a block: what follows runs in its environment. Makes the system calls of the fork, and applies what they change. */
  begin(block: BlockEnvironment, homes: Homes, parentHash: Hash32): void {
    const { fork, shard } = this.options;
    const { state } = this.modules;
    this.block = block;
    this.source = new ShardSource({ shard }, { state, homes });
    if (fork === 'cancun') return;
    if (state.code(HISTORY_KEY).length === 0) installHistory(state);
    const { evm, world } = this.fresh();
    beginBlock(evm, world, block, parentHash);
    this.apply();
  }

  /** The machine with an empty overlay. */
  private fresh(): { readonly evm: Evm; readonly world: WorldState } {
    const { source } = this;
    this.taken = undefined;
    invariant(source !== undefined, 'a run before the first block');
    if (this.machine !== undefined) {
      this.machine.world.reset(source);
      return this.machine;
    }
    const { fork, hashSeed } = this.options;
    const { crypto } = this.modules;
    const world = new WorldState(source, crypto, new CodeCache(), hashSeed === undefined ? {} : { hashSeed });
    const evm = new Evm({ fork }, { crypto, world });
    return (this.machine = { evm, world });
  }

  private get world(): WorldState {
    invariant(this.machine !== undefined, 'nothing has run');
    return this.machine.world;
  }

  /**
   * Runs the authorizations of a transaction (EIP-7702) whose call goes to another shard on a fresh overlay: those of accounts that live here count, whatever becomes of the
   * call.
   */
  authorize(tx: PoolTransaction): void {
    const { world } = this.fresh();
    world.beginTransaction();
    applyAuthorizations(world, this.environment().chainId, toEvmTransaction(tx, this.modules.crypto).authorizations);
    world.endTransaction();
  }

  /** Runs a transaction on a fresh overlay, unless what is `known` of it from before the block, in this very environment, still holds. */
  transaction(tx: PoolTransaction, known?: SpeculatedTransaction): TransactionOutcome {
    if (known === undefined) this.counts.unknown++;
    else if (this.holds(known)) {
      this.taken = known;
      this.counts.taken++;
      return known.outcome;
    } else this.counts.stale++;
    const { evm, world } = this.fresh();
    const { observer } = this;
    this.source?.expect(tx.sender, tx.senderKey, tx.to, tx.toKey);
    if (observer !== undefined) evm.tracer = observer.begins(tx.hash);
    const outcome = applyTransaction(evm, world, this.environment(), toEvmTransaction(tx, this.modules.crypto), this.options.feePolicy);
    if (!('invalid' in outcome)) observer?.ended(tx.hash, outcome);
    return outcome;
  }

  private holds({ reads }: SpeculatedTransaction): boolean {
    const { source } = this;
    invariant(source !== undefined, 'a run before the first block');
    return validates(reads, source, this.emptyHash);
  }

  /**
   * Runs an atomic batch whose calls all live here, on a fresh overlay: all happen, or none and the whole is paid for what ran. The caller has seen that nonce, gas and
   * funds suffice.
   */
  batch(tx: PoolTransaction, calls: readonly OperationCall[], gasPrice: Wei): AppliedTransaction {
    const { world, evm } = this.fresh();
    const from = this.open(evm, world, tx.sender, gasPrice);
    world.subBalance(from, BigInt(tx.gasLimit) * gasPrice + tx.value);
    world.setNonce(from, BigInt(tx.nonce + 1));
    const snapshot = world.snapshot();
    const { observer } = this;
    if (observer !== undefined) evm.tracer = observer.begins(tx.hash);
    const ran = runCalls(evm, world, calls, from);
    const { output } = ran;
    if (ran.halt !== undefined) {
      world.revertTo(snapshot);
      world.addBalance(from, tx.value);
    }
    const spent = tx.intrinsicGas + ran.gasUsed;
    const gasUsed = spent - Math.min(world.refund, Math.floor(spent / REFUND_QUOTIENT));
    world.addBalance(from, BigInt(tx.gasLimit - gasUsed) * gasPrice);
    const [logs, credits] = [world.logs(), world.credits()];
    world.endTransaction();
    observer?.ended(tx.hash, { halt: ran.halt, gasUsed, output });
    return { status: ran.halt === undefined ? 1 : 0, gasUsed, gasPrice, logs, credits, output, halt: ran.halt, created: undefined };
  }

  /** Begins what runs without being an Ethereum transaction: the sender, warm as its recipients will be. */
  private open(evm: Evm, world: WorldState, sender: Address, gasPrice: Wei): AccountId {
    const block = this.environment();
    world.beginTransaction();
    world.keepWarm(FORK_RULES[evm.fork].precompileLast);
    const from = world.accountOf(sender);
    world.warmAccount(from);
    world.warmAccount(world.accountOf(block.coinbase));
    evm.begin(block, { origin: sender, gasPrice, blobHashes: NO_BLOBS });
    return from;
  }

  /**
   * Runs a participant's operation on a fresh overlay. The sender, who may live elsewhere, is given the value beforehand: it comes out of escrow with the Decision (R15).
   * Intrinsic gas is the coordinator's affair.
   */
  operation(run: OperationRun, gasPrice: Wei, txHash: TxHash): OperationResult {
    const { world, evm } = this.fresh();
    const from = this.open(evm, world, run.from, gasPrice);
    const { observer } = this;
    if (observer !== undefined) evm.tracer = observer.begins(txHash);
    const { halt, gasUsed: spent, output } = run.kind === 'calls' ? runCalls(evm, world, run.calls, from) : runCreation(evm, world, run, from);
    const gasUsed = halt === undefined ? spent - Math.min(world.refund, Math.floor(spent / REFUND_QUOTIENT)) : spent;
    const [logs, credits] = [world.logs(), world.credits()];
    world.endTransaction();
    observer?.ended(txHash, { halt, gasUsed, output });
    return { halt, gasUsed, output, logs, credits };
  }

  /**
   * What the last run, of `sender`, read and changed, as locks; see {@link lockSetOf}. A sender with code (EIP-7702) may spend what it has, and must hold its balance for that
   * like any contract; any other only pays.
   */
  locks(sender: Address): LockRequest[] {
    const account = this.modules.state.account(bytesKey(sender));
    const payer = account !== undefined && hasCode(account) ? undefined : sender;
    return this.taken === undefined ? lockSetOf(this.world.reads(), this.world.changes(), payer) : lockSetOf(this.taken.reads, this.taken.changes, payer);
  }

  /** Contracts that the last run made. */
  created(): Address[] {
    // What makes contracts is not known beforehand: see SpeculativeExecutor.
    return this.taken === undefined ? this.world.created() : [];
  }

  /** What the last run changed. */
  changes(): WorldChanges {
    return this.taken?.changes ?? this.world.changes();
  }

  /** Applies what the last run changed. Returns by how many wei the sum of all balances changed. */
  apply(): bigint {
    const { source } = this;
    invariant(source !== undefined, 'nothing has run');
    if (this.taken !== undefined) return applyWorldChanges(this.modules.state, this.taken.changes);
    return applyWorld(this.modules.state, this.world, (address) => source.open(address));
  }

  private environment(): BlockEnvironment {
    invariant(this.block !== undefined, 'a run before the first block');
    return this.block;
  }
}

/** Puts the contract that keeps the hashes of blocks (EIP-2935) in its place, with the first block: every shard has its own, as it has its own precompiles. */
function installHistory(state: ExecutionState): void {
  const account = state.open(HISTORY_KEY);
  state.touch(account);
  account.nonce = 1;
  state.setCode(account, HISTORY_CODE);
}

type Ran = Pick<OperationResult, 'halt' | 'gasUsed' | 'output'>;

/** Runs calls in order, each given its value beforehand, until one fails. */
function runCalls(evm: Evm, world: WorldState, calls: readonly OperationCall[], from: AccountId): Ran {
  let gasUsed = 0;
  let last: Uint8Array = NOTHING;
  for (const { to, value, gasLimit, data } of calls) {
    const account = world.accountOf(to);
    world.warmAccount(account);
    if (value !== 0n) world.addBalance(from, value);
    const { halt, gasLeft, output } = evm.call({ caller: from, to: account, value, data, gas: gasLimit });
    gasUsed += gasLimit - gasLeft;
    if (halt !== undefined) return { halt, gasUsed, output };
    last = output;
  }
  return { halt: undefined, gasUsed, output: last };
}

function runCreation(evm: Evm, world: WorldState, run: OperationRun & { readonly kind: 'create' }, from: AccountId): Ran {
  const { value, gasLimit, initcode, nonce } = run;
  if (value !== 0n) world.addBalance(from, value);
  const { halt, gasLeft, output } = evm.create({ caller: from, value, initcode, gas: gasLimit, nonce: BigInt(nonce) });
  return { halt, gasUsed: gasLimit - gasLeft, output };
}
