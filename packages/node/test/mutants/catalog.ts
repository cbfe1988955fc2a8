import { AGREEMENT } from './catalog/agreement.ts';
import { ATOMIC_COMMIT } from './catalog/atomic-commit.ts';
import { CONTRACTS_ACROSS, CONTRACTS_LENT } from './catalog/contracts.ts';
import { DURABILITY } from './catalog/durability.ts';
import { EXECUTION } from './catalog/execution.ts';
import { RECEIPTS } from './catalog/receipts.ts';
import { REPLAY } from './catalog/replay.ts';
import type { Ground, Mutant } from './mutant.ts';

/** All mutants. */
export const MUTANTS: readonly Mutant[] = [...RECEIPTS, ...REPLAY, ...ATOMIC_COMMIT, ...EXECUTION, ...CONTRACTS_ACROSS, ...CONTRACTS_LENT, ...AGREEMENT, ...DURABILITY];

/** The mutant of this name; `undefined` for `none` and for no name. Throws when there is none. */
export function mutantOf(name: string | undefined): Mutant | undefined {
  if (name === undefined || name === 'none') return undefined;
  const found = MUTANTS.find((mutant) => mutant.name === name);
  if (found === undefined) throw new Error(`there is no mutant ${name}`);
  return found;
}

/** The ground of this name. Throws when there is none. */
export function groundOf(name: string): Ground {
  const found = MUTANTS.find((mutant) => mutant.ground.name === name)?.ground;
  if (found === undefined) throw new Error(`there is no ground ${name}`);
  return found;
}
