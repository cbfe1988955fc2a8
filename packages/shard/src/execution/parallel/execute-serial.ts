import { CodeCache } from '../evm/code.ts';
import { Evm } from '../evm/evm.ts';
import { applyTransaction, type EvmTransaction, type TransactionOutcome } from '../evm/transaction.ts';
import type { BlockEnvironment, EvmCrypto, StateSource } from '../evm/types.ts';
import { type WorldChanges, WorldState } from '../evm/world-state.ts';
import type { BlockResult } from './block-result.ts';
import type { ExecutionRules } from './run-executor.ts';

/** Executes blocks one transaction after the other, on the calling thread: what every other way to execute is measured by. Keeps code and hashes between blocks. */
export class SerialExecutor {
  private readonly rules: ExecutionRules;
  private readonly world: WorldState;
  private readonly evm: Evm;
  /** Collects the changes of the last result, while they stand in the world. */
  private settle: () => unknown = () => undefined;

  /** `hashSeed`: see {@link WorldState}; `compileAfter`: see {@link Evm}. */
  constructor(options: ExecutionRules & { readonly hashSeed: number; readonly compileAfter?: number }, modules: { readonly crypto: EvmCrypto; readonly source: StateSource }) {
    const { fork, feePolicy, hashSeed, compileAfter } = options;
    this.rules = { fork, feePolicy };
    this.world = new WorldState(modules.source, modules.crypto, new CodeCache(), { hashSeed });
    this.evm = new Evm({ fork, ...(compileAfter === undefined ? {} : { compileAfter }) }, { crypto: modules.crypto, world: this.world });
  }

  /** Applies the transactions in order, over `source` as it is. An invalid one changes nothing. Changes are collected when they are asked for, or before the next block. */
  execute(source: StateSource, block: BlockEnvironment, transactions: readonly EvmTransaction[]): BlockResult {
    const { world, evm } = this;
    this.settle();
    world.reset(source);
    const outcomes: TransactionOutcome[] = [];
    let gasUsed = 0;
    for (const transaction of transactions) {
      const outcome = applyTransaction(evm, world, block, transaction, this.rules.feePolicy);
      if (!('invalid' in outcome)) gasUsed += outcome.gasUsed;
      outcomes.push(outcome);
    }
    const result = new SerialResult(outcomes, gasUsed, world);
    this.settle = () => result.changes();
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
