import { type EvmCrypto, type ExecutionRules, packSpeculated, SpeculativeExecutor } from '@shardlab/shard';

import type { SpeculatingModules } from './block-execution.ts';
import { FoundTransactions } from './found-transactions.ts';

/** Groups, as of two threads. */
const GROUPS = 2;

/**
 * Speculation without threads, for simulated nodes: transactions are dealt to groups in turn, whether they depend on each other or not, and each group is executed over the
 * block's start. Much of it is wrong, on purpose: what a block makes of it must not depend on that.
 */
export function inlineSpeculation(rules: ExecutionRules, modules: { readonly crypto: EvmCrypto }): SpeculatingModules['speculate'] {
  let executor: SpeculativeExecutor | undefined;
  return ({ block, transactions, source }, done) => {
    executor ??= new SpeculativeExecutor({ ...rules, seed: 0 }, { crypto: modules.crypto, source });
    const found = new FoundTransactions();
    for (let group = 0; group < GROUPS; group++) {
      const indices = Uint32Array.from(transactions.flatMap((_, index) => (index % GROUPS === group ? [index] : [])));
      found.take(indices, packSpeculated(executor.execute(source, block, Array.from(indices, (index) => transactions[index]!))));
    }
    done({ ok: true, value: found });
  };
}
