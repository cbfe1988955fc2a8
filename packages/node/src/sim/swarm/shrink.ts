import type { FaultEvent, Plan } from './plan.ts';

/** Runs that shrinking may take. */
const RUNS_MAX = 200;

/** What shrinking came to. */
export interface Shrunk {
  readonly plan: Plan;
  readonly runs: number;
  /** Whether taking out any single event makes the failure go away; false = the runs were used up. */
  readonly minimal: boolean;
}

/**
 * Reduces the fault schedule of a failing plan: takes out ever smaller parts of it as long as what is left still fails (delta debugging: Zeller and Hildebrandt,
 * "Simplifying and isolating failure-inducing input", 2002). `fails` plays a plan.
 */
export async function shrink(plan: Plan, fails: (plan: Plan) => Promise<boolean>, onProgress: (events: number, runs: number) => void = () => undefined): Promise<Shrunk> {
  let events = [...plan.events];
  let parts = 2;
  let runs = 0;
  const stillFails = async (kept: readonly FaultEvent[]): Promise<boolean> => {
    runs++;
    onProgress(kept.length, runs);
    return fails({ ...plan, events: kept });
  };
  if (events.length > 0 && (await stillFails([]))) return { plan: { ...plan, events: [] }, runs, minimal: true };
  while (events.length > 1) {
    const size = Math.ceil(events.length / parts);
    let reduced = false;
    for (let at = 0; at < events.length && !reduced; at += size) {
      if (runs >= RUNS_MAX) return { plan: { ...plan, events }, runs, minimal: false };
      const kept = [...events.slice(0, at), ...events.slice(at + size)];
      if (!(await stillFails(kept))) continue;
      events = kept;
      parts = Math.max(2, parts - 1);
      reduced = true;
    }
    if (reduced) continue;
    if (parts >= events.length) return { plan: { ...plan, events }, runs, minimal: true };
    parts = Math.min(events.length, parts * 2);
  }
  return { plan: { ...plan, events }, runs, minimal: true };
}
