import { GAS_TRANSACTION } from '../../../transaction/intrinsic-gas.ts';
import type { NotSimulated, Simulated } from './simulator.ts';

/** What a call with value gives its callee beside the gas that is asked for (Yellow Paper, G_callstipend). */
const STIPEND = 2_300;
/** The search ends when the answer is known to 1.5 %, as go-ethereum's. */
const ERROR_RATIO = 0.015;
/** All runs together may use so many times the limit's gas; the search ends with what it knows then. */
const EFFORT = 4;

/** A gas limit that suffices; or what the run with the highest limit came to. */
export type GasEstimate = { readonly gas: number } | { readonly failed: Simulated | NotSimulated };

function suffices(outcome: Simulated | NotSimulated): outcome is Simulated {
  return !('invalid' in outcome) && outcome.halt === undefined;
}

/**
 * Looks for the least gas limit with which a call succeeds: go-ethereum's `gasestimator`, equivalent, and bounded in effort. The first run with `gasMax` says whether it
 * can; the gas that this one took is the lower bound, and with the 64th that each call keeps (EIP-150) mostly the answer; then by halves. `run` tries a limit;
 * `isPlain`: nothing runs, if the recipient has no code.
 */
export function estimateGas(options: { readonly gasMax: number; readonly isPlain: boolean }, run: (gas: number) => Simulated | NotSimulated): GasEstimate {
  const { gasMax, isPlain } = options;
  if (isPlain && gasMax >= GAS_TRANSACTION && suffices(run(GAS_TRANSACTION))) return { gas: GAS_TRANSACTION };
  const most = run(gasMax);
  if (!suffices(most)) return { failed: most };
  // As much as was spent in the end can suffice; less cannot, unless the call looks at its gas.
  let low = most.gasUsed - 1;
  let high = gasMax;
  let effort = EFFORT * gasMax - most.gasSpent;
  const attempt = (gas: number): void => {
    const outcome = run(gas);
    effort -= 'invalid' in outcome ? 0 : outcome.gasSpent;
    if (suffices(outcome)) high = gas;
    else low = gas;
  };
  // Mostly enough where nothing is called in between, and then exact.
  if (most.gasSpent < high) attempt(most.gasSpent);
  const likely = Math.floor(((most.gasSpent + STIPEND) * 64) / 63);
  if (low + 1 < high && likely < high) attempt(likely);
  while (low + 1 < high && effort > 0 && high - low > ERROR_RATIO * high) {
    // Most calls need little above what they used: no further than twice that at once.
    attempt(Math.min(Math.floor((high + low) / 2), 2 * low));
  }
  return { gas: high };
}
