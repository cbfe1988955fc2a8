import type { NodeLaunch } from '../cluster/node-process.ts';
import { chaosLineText, chaosReportLines } from './lines.ts';
import { runChaos } from './run-chaos.ts';
import type { ChaosOptions } from './schedule.ts';

/** Lines about single faults that a report shows. */
const LINES_MAX = 40;

/** What a load report says of what ran beside the load. */
export interface Beside {
  readonly ok: boolean;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly lines: readonly string[];
}

/** What {@link demoChaos} is told. */
export interface DemoChaos {
  readonly dataDir: string;
  readonly launch: NodeLaunch;
  readonly seed: number;
  readonly durationMs: number;
  /** Of the smallest committee. */
  readonly validators: number;
}

/**
 * Moderate faults of every kind for as long as the demo's load runs: within 15 s at least one kill, one pause and one partition. Committees that bear no failure
 * get delay and loss alone.
 */
function moderate({ seed, durationMs, validators }: DemoChaos): ChaosOptions {
  const latency = { kind: 'same', model: { kind: 'normal', meanMs: 5, deviationMs: 2, minMs: 0 } } as const;
  const struck = validators < 4 ? {} : { kill: 6, pause: 6, partition: 6 };
  return { seed, durationMs, latency, loss: 0.01, ...struck };
}

/** Chaos beside the demo's load. It is over, and everything healed, when it resolves. */
export async function demoChaos(wanted: DemoChaos, signal: AbortSignal): Promise<Beside> {
  const { dataDir, launch, validators } = wanted;
  const shown: string[] = [];
  const startedMs = performance.now();
  const report = await runChaos(
    { ...moderate(wanted), dataDir, launch },
    {
      signal,
      onLine: (line) => {
        const text = line.event === 'chaos.begun' || line.event === 'chaos.failed' ? chaosLineText(line) : undefined;
        if (text !== undefined && shown.length < LINES_MAX) shown.push(`  ${((performance.now() - startedMs) / 1_000).toFixed(1).padStart(5)} s  ${text}`);
      },
    },
  );
  const left = validators < 4 ? ['kill, pause and partition are left out: committees of fewer than 4 validators bear no failure (--validators 4 has them)'] : [];
  const { ok, faults, errors } = report;
  return { ok, fields: { faults, ...(errors.length === 0 ? {} : { faultErrors: errors }) }, lines: [...chaosReportLines(report), ...shown, ...left] };
}
