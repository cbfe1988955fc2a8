import { deepEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { bytesKey } from '@shardlab/crosslink';
import fc from 'fast-check';
import { ACCESS_WORDS } from '../../src/execution/parallel/access.ts';
import { RunExecutor } from '../../src/execution/parallel/run-executor.ts';
import type { RunResult } from '../../src/execution/parallel/run-result.ts';
import { accountWith, addressOf, BLOCK } from './evm/transaction-lab.ts';
import { CRYPTO, randomBlock, SEED, sourceOf, startAccounts } from './parallel-support.ts';

/** Bits by place. */
function bitsOf({ accesses }: RunResult): Map<string, number> {
  const bits = new Map<string, number>();
  for (let at = 0; at < accesses.length; at += ACCESS_WORDS) if (accesses[at + 2] !== 0) bits.set(`${accesses[at]} ${accesses[at + 1]}`, accesses[at + 2]!);
  return bits;
}

test('a run says that it touched all that its transactions touched one by one, and gives the same outcomes and changes', () => {
  const seen = new Map<number, number>();
  fc.assert(
    fc.property(fc.record({ seed: fc.nat(), places: fc.constantFrom(3, 8, 24), count: fc.integer({ min: 1, max: 40 }), fork: fc.constantFrom('cancun' as const, 'prague' as const) }), ({ seed, places, count, fork }) => {
      const accounts = startAccounts();
      // Empty ones of a state before EIP-161, which go when they are touched.
      for (let i = 0; i < 4; i++) accounts.set(bytesKey(addressOf(0x99, i)), accountWith({ balance: 0n }));
      const source = sourceOf(accounts);
      const executor = new RunExecutor({ fork, feePolicy: 'ethereum', seed: SEED, compileAfter: 0 }, { crypto: CRYPTO, source });
      const transactions = randomBlock(accounts, seed, count, places);
      const together = executor.execute(source, BLOCK, transactions, { exact: false, learn: [] });
      const single = executor.execute(source, BLOCK, transactions, { exact: true, learn: [] });
      deepEqual([together.outcomes, together.gasUsed, together.changes], [single.outcomes, single.gasUsed, single.changes]);
      const bits = bitsOf(together);
      for (const [place, wanted] of bitsOf(single)) {
        deepEqual(((bits.get(place) ?? 0) & wanted).toString(2), wanted.toString(2), `place ${place}`);
        for (let bit = 1; bit <= 128; bit *= 2) if ((wanted & bit) !== 0) seen.set(bit, (seen.get(bit) ?? 0) + 1);
      }
    }),
    { numRuns: 150 },
  );
  for (let bit = 1; bit <= 128; bit *= 2) ok((seen.get(bit) ?? 0) > 50, `bit ${bit} was seen ${seen.get(bit)} times`);
});
