/**
 * `npm run fuzz:evm -- [--programs N] [--seed S] [--workers N] [--json]`: runs random programs on Shardlab's EVM and on `@ethereumjs/evm`, and compares result, gas,
 * logs, refunds and state. Program i has seed S + i, and is the same on every machine: `--programs 1 --seed 17` runs program 17 again. What differs is made
 * smaller and printed; where the oracle is known to be wrong (test/fuzz/known-differences.ts), it is counted apart, with the reason.
 * Last line: `N programs, N differ`. Exit code: 0 none differ, 1 some do or a thread died, 2 for a wrong command line.
 */
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { LiveLine } from '../packages/cli/src/output/live-line.ts';
import { streamOutput } from '../packages/cli/src/output/output.ts';
import { createEvmCrypto } from '../packages/node/src/crypto/create-evm-crypto.ts';
import { Campaign } from '../test/fuzz/campaign.ts';
import { generateCase } from '../test/fuzz/case-generator.ts';

const PROGRAMS = 10_000;
/** Differences after which a run ends: there is one cause, or too many to read. */
const DIFFERENCES_MAX = 20;
const REPORT_EVERY = 50;

/** What a thread runs: every `stride`-th seed from `first` on, below `end`. */
interface Share {
  readonly first: number;
  readonly end: number;
  readonly stride: number;
}

/** A program that did not end alike. */
interface Finding {
  readonly seed: number;
  readonly kind: 'excluded' | 'differs';
  readonly text: string;
}

/** What a thread tells: programs done since it last told, and what came of them. */
interface Report {
  readonly done: number;
  readonly findings: readonly Finding[];
}

function refuse(message: string): never {
  process.stderr.write(`fuzz:evm: ${message}\n`);
  process.exit(2);
}

function whole(text: string | undefined, name: string, fallback: number, least: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) refuse(`--${name} takes a whole number of at least ${least}, not ${text}`);
  return value;
}

function commandLine(): { programs: number; seed: number; workers: number; json: boolean } {
  try {
    const { values } = parseArgs({ options: { programs: { type: 'string' }, seed: { type: 'string' }, workers: { type: 'string' }, json: { type: 'boolean' } } });
    return {
      programs: whole(values.programs, 'programs', PROGRAMS, 1),
      seed: whole(values.seed, 'seed', 1, 0),
      workers: whole(values.workers, 'workers', 1, 1),
      json: values.json ?? false,
    };
  } catch (error) {
    return refuse((error as Error).message.split('\n')[0]!);
  }
}

/** Runs a share and tells `report` as it goes. */
async function runShare({ first, end, stride }: Share, report: (what: Report) => void): Promise<void> {
  const campaign = new Campaign(await createEvmCrypto());
  let done = 0;
  for (let seed = first; seed < end; seed += stride) {
    const judgement = await campaign.judge(generateCase(seed));
    done++;
    if (judgement.kind === 'equal' && done < REPORT_EVERY) continue;
    report({ done, findings: judgement.kind === 'equal' ? [] : [{ seed, ...judgement }] });
    done = 0;
  }
  report({ done, findings: [] });
}

/** One thread for each share. Rejects if one dies: its programs were not run. */
function runThreads(shares: readonly Share[], report: (what: Report) => void, workers: Worker[]): Promise<unknown> {
  const runs = shares.map((share) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: share });
    workers.push(worker);
    worker.on('message', report);
    return new Promise<void>((resolve, reject) => {
      worker.on('error', reject);
      worker.once('exit', () => resolve());
    });
  });
  return Promise.all(runs);
}

async function main(): Promise<number> {
  const { programs, seed, workers, json } = commandLine();
  const started = performance.now();
  const found: Finding[] = [];
  const excluded: Finding[] = [];
  const threads: Worker[] = [];
  const progress = new LiveLine(json ? undefined : streamOutput(process.stderr, process.env));
  let done = 0;
  const report = (what: Report): void => {
    done += what.done;
    for (const finding of what.findings) {
      (finding.kind === 'differs' ? found : excluded).push(finding);
      if (json) continue;
      progress.clear();
      process.stdout.write(`${finding.kind === 'differs' ? finding.text : `seed ${finding.seed} excluded: ${finding.text}`}\n`);
    }
    if (found.length >= DIFFERENCES_MAX) for (const thread of threads) void thread.terminate();
    progress.update(`${done} of ${programs} programs, ${found.length} differ, ${Math.round((done / (performance.now() - started)) * 1_000)}/s`);
  };
  const shares = Array.from({ length: Math.min(workers, programs) }, (_, index, stride = Math.min(workers, programs)) => ({ first: seed + index, end: seed + programs, stride }));
  try {
    await runThreads(shares, report, threads);
  } catch (error) {
    progress.clear();
    process.stderr.write(`fuzz:evm: a thread died after ${done} programs: ${(error as Error).message}\n`);
    for (const thread of threads) void thread.terminate();
    return 1;
  }
  progress.clear();
  const seconds = (performance.now() - started) / 1_000;
  if (json) process.stdout.write(`${JSON.stringify({ programs: done, differ: found.length, excluded: excluded.length, seed, seconds: Number(seconds.toFixed(1)), findings: [...found, ...excluded] })}\n`);
  if (done < programs) process.stdout.write(`ended after ${found.length} differences\n`);
  if (excluded.length > 0) process.stdout.write(`${excluded.length} excluded: known faults of the oracle\n`);
  process.stdout.write(`${done} programs, ${found.length} differ\n`);
  return found.length === 0 ? 0 : 1;
}

if (isMainThread) process.exitCode = await main();
else await runShare(workerData as Share, (what) => parentPort!.postMessage(what));
