import { Writer } from '@shardlab/crosslink';
import { CodeCache } from '../evm/code.ts';
import { Evm } from '../evm/evm.ts';
import { applyTransaction, type EvmFeePolicy, type EvmTransaction, type TransactionOutcome } from '../evm/transaction.ts';
import type { BlockEnvironment, EvmCrypto, EvmFork, StateSource } from '../evm/types.ts';
import { LIMBS, toBytes } from '../evm/words/basic.ts';
import { AccessWorld } from './access-world.ts';
import { writeOutcome } from './outcome-codec.ts';
import { type AccessSample, collectChanges, type RunResult, type SampledSlot } from './run-result.ts';

/** Room for the outcome of a call with one log. */
const BYTES_PER_OUTCOME = 320;

/** What decides about outcomes besides transactions and state. */
export interface ExecutionRules {
  readonly fork: EvmFork;
  readonly feePolicy: EvmFeePolicy;
}

/** Executes runs of transactions, one after the other, each over a state of its own: in a worker thread, or in the caller's. Keeps code and hashes between runs. */
export class RunExecutor {
  private readonly rules: ExecutionRules;
  private readonly world: AccessWorld;
  private readonly evm: Evm;

  /** `seed`: see {@link AccessWorld}; `compileAfter`: see {@link Evm}. */
  constructor(options: ExecutionRules & { readonly seed: number; readonly compileAfter?: number }, modules: { readonly crypto: EvmCrypto; readonly source: StateSource }) {
    const { seed, fork, feePolicy, compileAfter } = options;
    const { crypto, source } = modules;
    this.rules = { fork, feePolicy };
    this.world = new AccessWorld(source, crypto, new CodeCache(), { seed });
    this.evm = new Evm({ fork, ...(compileAfter === undefined ? {} : { compileAfter }) }, { crypto, world: this.world });
  }

  /** Applies the transactions in order, over `source` as it is. `learn`: positions of those whose accesses are wanted in full, ascending. The result can be sent. */
  execute(source: StateSource, block: BlockEnvironment, transactions: readonly EvmTransaction[], learn: readonly number[]): RunResult {
    const writer = new Writer(Math.max(8192, transactions.length * BYTES_PER_OUTCOME));
    const outcomeStarts = new Uint32Array(transactions.length);
    const rest = this.run(source, block, transactions, learn, (outcome, position) => {
      outcomeStarts[position] = writer.length;
      writeOutcome(writer, outcome);
    });
    return { outcomes: writer.finish() as Uint8Array<ArrayBuffer>, outcomeStarts, kept: undefined, ...rest };
  }

  /** The same for a result that stays here: outcomes are not encoded. `between` is called after each transaction. */
  executeHere(source: StateSource, block: BlockEnvironment, transactions: readonly EvmTransaction[], learn: readonly number[], between: () => void): RunResult {
    const kept: TransactionOutcome[] = [];
    const rest = this.run(source, block, transactions, learn, (outcome) => {
      kept.push(outcome);
      between();
    });
    return { outcomes: new Uint8Array(0), outcomeStarts: new Uint32Array(0), kept, ...rest };
  }

  private run(
    source: StateSource,
    block: BlockEnvironment,
    transactions: readonly EvmTransaction[],
    learn: readonly number[],
    take: (outcome: TransactionOutcome, position: number) => void,
  ): Omit<RunResult, 'outcomes' | 'outcomeStarts' | 'kept'> {
    const { world, evm } = this;
    world.reset(source);
    const samples: AccessSample[] = [];
    let gasUsed = 0;
    for (let position = 0; position < transactions.length; position++) {
      world.openTransaction();
      const outcome = applyTransaction(evm, world, block, transactions[position]!, this.rules.feePolicy);
      if (!('invalid' in outcome)) gasUsed += outcome.gasUsed;
      take(outcome, position);
      if (learn[samples.length] === position) samples.push({ position, slots: this.sample() });
    }
    // Changes last: to look at an account may make a note of it.
    const [accesses, touched] = [world.accesses(), world.touched()];
    return { gasUsed, accesses, touched, samples, ...collectChanges(world) };
  }

  private sample(): SampledSlot[] {
    const slots: SampledSlot[] = [];
    this.world.slotsOfLast((account, keys, keyAt, bits) => {
      const key = new Uint8Array(32);
      toBytes(keys, keyAt, key, 0);
      slots.push({ address: this.world.address(account), key, bits });
    });
    return slots.slice(0, LIMBS * LIMBS);
  }
}
