import { CodeCache } from '../evm/code.ts';
import { applyTransaction, type EvmTransaction, type TransactionOutcome } from '../evm/transaction.ts';
import type { BlockEnvironment, EvmCrypto, StateSource } from '../evm/types.ts';
import { type WorldChanges, WorldState } from '../evm/world-state.ts';
import type { BlockResult } from './block-result.ts';
import { ExecutionMachine } from './machine.ts';
import type { ExecutionRules } from './run-executor.ts';

/** Executes blocks one transaction after the other, on the calling thread: what every other way to execute is measured by. Keeps code and hashes between blocks. */
export class SerialExecutor {
  private readonly rules: ExecutionRules;
  private readonly machine: ExecutionMachine;

  /** `hashSeed`: see {@link WorldState}; `compileAfter`: see `Evm`. `machine`: one that others use, too, under the same rules; instead of an own one. */
  constructor(
    options: ExecutionRules & { readonly hashSeed: number; readonly compileAfter?: number },
    modules: { readonly crypto: EvmCrypto; readonly source: StateSource; readonly machine?: ExecutionMachine },
  ) {
    const { fork, feePolicy, hashSeed } = options;
    const { crypto, source, machine } = modules;
    this.rules = { fork, feePolicy };
    this.machine = machine ?? new ExecutionMachine(options, { crypto, world: new WorldState(source, crypto, new CodeCache(), { hashSeed }) });
  }

  /** Applies the transactions in order, over `source` as it is. An invalid one changes nothing. Changes are collected when they are asked for, or before the next block. */
  execute(source: StateSource, block: BlockEnvironment, transactions: readonly EvmTransaction[]): BlockResult {
    const { machine } = this;
    machine.reset(source);
    const { world, evm } = machine;
    const outcomes: TransactionOutcome[] = [];
    let gasUsed = 0;
    for (const transaction of transactions) {
      const outcome = applyTransaction(evm, world, block, transaction, this.rules.feePolicy);
      if (!('invalid' in outcome)) gasUsed += outcome.gasUsed;
      outcomes.push(outcome);
    }
    const result = new SerialResult(outcomes, gasUsed, world);
    machine.keep(() => result.changes());
    return result;
  }
}

class SerialResult implements BlockResult {
  readonly gasUsed: number;
  private readonly outcomes: readonly TransactionOutcome[];
  private readonly world: Pick<WorldState, 'changes'>;
  private collected: WorldChanges | undefined;

  constructor(outcomes: readonly TransactionOutcome[], gasUsed: number, world: Pick<WorldState, 'changes'>) {
    this.outcomes = outcomes;
    this.gasUsed = gasUsed;
    this.world = world;
  }

  get count(): number {
    return this.outcomes.length;
  }

  outcome(index: number): TransactionOutcome {
    return this.outcomes[index]!;
  }

  changes(): WorldChanges {
    return (this.collected ??= this.world.changes());
  }
}
