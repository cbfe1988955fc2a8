import { Prng } from '@shardlab/crosslink';
import type { Scenario } from './scenario.ts';

/** Sends `count` transfers between random accounts, evenly from `fromMs` to `toMs`. */
export function spreadLoad(scenario: Scenario, options: { readonly seed: number; readonly count: number; readonly fromMs: number; readonly toMs: number }): void {
  const { seed, count, fromMs, toMs } = options;
  const prng = new Prng(seed);
  const accounts = scenario.network.accounts.length;
  for (let i = 0; i < count; i++) {
    const from = prng.below(accounts);
    const to = (from + 1 + prng.below(accounts - 1)) % accounts;
    const value = BigInt(1 + prng.below(1_000));
    scenario.at(fromMs + Math.floor((i * (toMs - fromMs)) / count), () => scenario.send(from, to, value));
  }
}
