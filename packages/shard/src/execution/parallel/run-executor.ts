import { type Hash32, Writer } from '@shardlab/crosslink';
import { CodeCache } from '../evm/code.ts';
import { applyTransaction, type EvmFeePolicy, type EvmTransaction, type TransactionOutcome } from '../evm/transaction.ts';
import type { BlockEnvironment, EvmCrypto, EvmFork, StateSource } from '../evm/types.ts';
import { LIMBS, toBytes } from '../evm/words/basic.ts';
import { WorldState } from '../evm/world-state.ts';
import { AccessWorld } from './access-world.ts';
import { ExecutionMachine } from './machine.ts';
import { writeOutcome } from './outcome-codec.ts';
import { RunAccesses } from './run-accesses.ts';
import { collectChanges, type RunChanges } from './run-changes.ts';
import type { AccessSample, KeptResult, RunResult, SampledSlot } from './run-result.ts';

/** Room for the outcome of a call with one log. */
const BYTES_PER_OUTCOME = 320;
const SAMPLED_MAX = 64;

/** What decides about outcomes besides transactions and state. */
export interface ExecutionRules {
  readonly fork: EvmFork;
  readonly feePolicy: EvmFeePolicy;
}

/** How a run is executed. */
export interface RunMode {
  /** Whether it is wanted what each transaction touched, rather than all together: dearer by a quarter. */
  readonly exact: boolean;
  /** Positions of transactions whose slots are wanted in full, ascending; only where `exact`. */
  readonly learn: readonly number[];
}

type Executed = Pick<RunResult, 'gasUsed' | 'accesses' | 'touched' | 'samples'>;

/** Executes runs of transactions, one after the other, each over a state of its own: in a worker thread, or in the caller's. Keeps code and hashes between runs. */
export class RunExecutor {
  private readonly options: ExecutionRules & { readonly seed: number; readonly compileAfter?: number };
  private readonly crypto: EvmCrypto;
  private readonly emptyHash: Hash32;
  private readonly codeCache = new CodeCache();
  private readonly accesses: RunAccesses;
  /** Executes runs that are not exact; others may take turns with it. */
  readonly machine: ExecutionMachine;
  /** Made for the first run that is exact. */
  private exactMachine: ExecutionMachine<AccessWorld> | undefined;

  /** `seed`: see {@link AccessWorld}; `compileAfter`: see `Evm`. */
  constructor(options: ExecutionRules & { readonly seed: number; readonly compileAfter?: number }, modules: { readonly crypto: EvmCrypto; readonly source: StateSource }) {
    this.options = options;
    this.crypto = modules.crypto;
    this.emptyHash = modules.crypto.keccak256(new Uint8Array(0));
    this.accesses = new RunAccesses(options);
    this.machine = new ExecutionMachine(options, { crypto: modules.crypto, world: new WorldState(modules.source, modules.crypto, this.codeCache, { hashSeed: options.seed }) });
  }

  /** Applies the transactions in order, over `source` as it is. The result can be sent. */
  execute(source: StateSource, block: BlockEnvironment, transactions: readonly EvmTransaction[], mode: RunMode): RunResult {
    const writer = new Writer(Math.max(8192, transactions.length * BYTES_PER_OUTCOME));
    const outcomeStarts = new Uint32Array(transactions.length);
    const machine = this.machineFor(source, mode);
    const executed = this.run(machine, block, transactions, mode, (outcome, position) => {
      outcomeStarts[position] = writer.length;
      writeOutcome(writer, outcome);
    });
    return { ...executed, outcomes: writer.finish() as Uint8Array<ArrayBuffer>, outcomeStarts, changes: collectChanges(machine.world, this.emptyHash) };
  }

  /** The same for a result that stays here: outcomes are not encoded, and changes are collected when they are asked for, or before the next run. `between` is called after each transaction. */
  executeHere(source: StateSource, block: BlockEnvironment, transactions: readonly EvmTransaction[], mode: RunMode, between: () => void): KeptResult {
    const kept: TransactionOutcome[] = [];
    const machine = this.machineFor(source, mode);
    const executed = this.run(machine, block, transactions, mode, (outcome) => {
      kept.push(outcome);
      between();
    });
    let changes: RunChanges | undefined;
    const changesLater = (): RunChanges => (changes ??= collectChanges(machine.world, this.emptyHash));
    machine.keep(changesLater);
    return { ...executed, outcomes: new Uint8Array(0), outcomeStarts: new Uint32Array(0), changes: undefined, kept, changesLater };
  }

  private machineFor(source: StateSource, { exact }: RunMode): ExecutionMachine {
    if (exact) this.exactMachine ??= new ExecutionMachine(this.options, { crypto: this.crypto, world: new AccessWorld(source, this.crypto, this.codeCache, this.options) });
    const machine = exact ? this.exactMachine! : this.machine;
    machine.reset(source);
    return machine;
  }

  private run({ world, evm }: ExecutionMachine, block: BlockEnvironment, transactions: readonly EvmTransaction[], mode: RunMode, take: (outcome: TransactionOutcome, position: number) => void): Executed {
    const exact = mode.exact ? this.exactMachine!.world : undefined;
    const samples: AccessSample[] = [];
    let gasUsed = 0;
    for (let position = 0; position < transactions.length; position++) {
      exact?.openTransaction();
      const outcome = applyTransaction(evm, world, block, transactions[position]!, this.options.feePolicy);
      if (!('invalid' in outcome)) gasUsed += outcome.gasUsed;
      take(outcome, position);
      if (exact !== undefined && mode.learn[samples.length] === position) samples.push({ position, slots: sampled(exact) });
    }
    if (exact === undefined) return { gasUsed, samples, accesses: this.accesses.collect(world), touched: undefined };
    return { gasUsed, samples, accesses: exact.accesses(), touched: exact.touched() };
  }
}

function sampled(world: AccessWorld): SampledSlot[] {
  const slots: SampledSlot[] = [];
  world.slotsOfLast((account, keys, keyAt, bits) => {
    const key = new Uint8Array(4 * LIMBS);
    toBytes(keys, keyAt, key, 0);
    slots.push({ address: world.address(account), key, bits });
  });
  return slots.slice(0, SAMPLED_MAX);
}
