import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import { loadSimulator, type Plan, type SeedResult, type SwarmOptions, type SwarmSummary, type SwarmTally } from '@shardlab/node';
import { EXIT_BAD, EXIT_GOOD, interrupted, usageError } from '../output/cli-error.ts';
import { writeJsonLine, writeLines } from '../output/output.ts';
import { tableLines } from '../output/table.ts';
import { commitOf } from '../sim/commit.ts';
import { ResumeFile } from '../sim/resume-file.ts';
import type { Cli, CommonOptions } from './cli.ts';
import { decimal, text, wholeNumber } from './values.ts';

interface SimOptions extends CommonOptions {
  readonly seed?: string;
  readonly seeds?: string;
  readonly shards: number;
  readonly validators: number;
  readonly txs: number;
  readonly crossShard: number;
  readonly faults: string;
  readonly latency: string;
  readonly workers: number;
  readonly shrink?: true;
  readonly traceOut?: string;
  readonly resume?: string;
  readonly plan?: string;
}

/** Failures whose findings stand in the JSON summary; the numbers of all do. */
const FAILURES_SHOWN_MAX = 20;

/** What the summary says beside the sums. */
interface Extras {
  readonly seeds?: string;
  /** Not all of them have been run. */
  readonly interrupted?: true;
  readonly failures?: readonly { readonly seed: number; readonly found: readonly string[]; readonly again: string }[];
  readonly shrunk?: { readonly file: string; readonly events: number; readonly minimal: boolean };
}

type Sim = Awaited<ReturnType<typeof loadSimulator>>;

/** `shardlab sim`: exit code 1 when a seed fails. */
export function simCommand(cli: Cli): Command {
  return cli
    .command('sim', 'run whole networks in virtual time, seed by seed, under faults and checkers')
    .addOption(new Option('--seed <seed>', 'one seed').argParser(text('a seed')).conflicts('seeds'))
    .addOption(new Option('--seeds <range>', 'a range of seeds, such as 1..100').argParser(text('a range of seeds, such as 1..100')))
    .addOption(new Option('--shards <number>', '1 to 256').default(3).argParser(wholeNumber(1, 256)))
    .addOption(new Option('--validators <number>', 'of each committee, the beacon\'s too: 1, 4, 7 or 10').default(4).argParser(wholeNumber(1, 1_000)))
    .addOption(new Option('--txs <number>', 'transfers that a client sends while things go wrong').default(500).argParser(wholeNumber(0, 1_000_000)))
    .addOption(new Option('--cross-shard <share>', 'of the transfers, 0 to 1').default(0.2).argParser(decimal(0, 1, true)))
    .addOption(new Option('--faults <list>', 'kinds, separated by commas; all, or none').default('all').argParser(text('all, none, or kinds of faults')))
    .addOption(new Option('--latency <model>', 'lan, wan, constant:20ms, uniform:1ms..5ms or normal:50ms±10ms').default('lan').argParser(text('a latency model')))
    .addOption(new Option('--workers <number>', 'threads').default(Math.min(64, availableParallelism())).argParser(wholeNumber(1, 64)))
    .addOption(new Option('--shrink', 'reduce the fault schedule of the first failure to a minimal one, and write it beside you'))
    .addOption(new Option('--plan <file>', 'play a fault schedule that --shrink has written').argParser(text('a file')))
    .addOption(new Option('--trace-out <file>', 'write the run of one seed as a Chrome trace, for ui.perfetto.dev').argParser(text('a file')))
    .addOption(new Option('--resume <file>', 'keep results there, and go on with what is missing').argParser(text('a file')))
    .action(cli.run<SimOptions>((options) => new SimRun(cli, options).run()));
}

/** One run of the command. */
class SimRun {
  private readonly cli: Cli;
  private readonly options: SimOptions;
  /** Of the program that runs: asked at the start, since a long run may see the checkout move on. */
  private readonly commit = commitOf(import.meta.dirname);

  constructor(cli: Cli, options: SimOptions) {
    this.cli = cli;
    this.options = options;
  }

  async run(): Promise<number> {
    const sim = await loadSimulator();
    const swarm = this.checked(sim);
    if (this.options.plan !== undefined) return this.playPlan(sim, swarm, this.options.plan);
    const range = this.options.seed ?? this.options.seeds;
    if (range === undefined) throw usageError('cli/seeds', 'name what to run: --seed 7, or --seeds 1..100');
    const { first, last } = sim.parseSeeds(range);
    if (this.options.traceOut !== undefined) {
      if (first !== last) throw usageError('cli/seeds', '--trace-out writes the run of one seed: give --seed');
      return this.traced(sim, swarm, first, this.options.traceOut);
    }
    return this.range(sim, swarm, first, last);
  }

  /** The options that make the network, judged before anything is started. */
  private checked(sim: Sim): SwarmOptions {
    const { shards, validators, txs, crossShard, faults, latency } = this.options;
    const swarm = { shards, validators, txs, crossShard, faults: sim.parseFaults(faults), latency };
    sim.checkSizes(swarm);
    sim.latencyOf(latency);
    return swarm;
  }

  private async range(sim: Sim, swarm: SwarmOptions, first: number, last: number): Promise<number> {
    const { stdout } = this.cli.context;
    const progress = this.cli.progress(this.options);
    const tally = new sim.SwarmTally();
    const file = this.options.resume === undefined ? undefined : new ResumeFile(this.cli.file(this.options.resume), swarm, this.commit);
    const before = file?.open();
    const known = new Set<number>();
    for (const result of before?.results ?? []) {
      if (known.has(result.seed) || result.seed < first || result.seed > last) continue;
      known.add(result.seed);
      tally.add({ found: [], events: 0, digest: '', ...result });
    }
    const failures: SeedResult[] = [];
    const total = last - first + 1;
    const beganMs = performance.now();
    let done = known.size;
    let stopped = false;
    await this.cli.context.interruptible(async (signal) => {
      signal.addEventListener('abort', () => (stopped = true), { once: true });
      await sim.runSwarm({
        options: swarm,
        seeds: missing(first, last, known),
        workers: Math.min(this.options.workers, total),
        signal,
        onResult: (result) => {
          done++;
          tally.add(result);
          file?.add(result);
          if (!result.ok) {
            failures.push(result);
            progress.clear();
            if (this.options.json !== true) writeLines(stdout, this.failureLines(result));
          }
          const perSecond = (done - known.size) / ((performance.now() - beganMs) / 1_000);
          progress.update(`${done} of ${total} seeds, ${failures.length} failed, ${perSecond.toFixed(1)} seeds a second, ${Math.ceil((total - done) / perSecond)} s left`);
        },
      });
    });
    progress.clear();
    const wallMs = performance.now() - beganMs;
    file?.end(Math.round(wallMs));
    const shrunk = this.options.shrink === true && !stopped && failures[0] !== undefined ? await this.shrink(sim, swarm, failures[0].seed) : undefined;
    const extras = { seeds: `${first}..${last}`, ...(stopped ? { interrupted: true as const } : {}), ...this.failureExtras(failures), ...(shrunk === undefined ? {} : { shrunk }) };
    const code = this.report(tally, wallMs + (before?.wallMs ?? 0), extras);
    if (stopped) throw interrupted(`interrupted after ${done} of ${total} seeds`);
    return code;
  }

  private failureLines({ seed, found, virtualMs }: SeedResult, what = `--seed ${seed}`): string[] {
    const { bad, dim } = this.cli.context.stdout.style;
    return [
      `${bad('FAILED')} seed ${seed} at commit ${this.commit}, ${virtualMs} virtual ms`,
      ...found.slice(0, 8).map((line) => `  ${line}`),
      `  ${dim('again:')} ${this.again(what)}`,
    ];
  }

  /** The one command that does it again. */
  private again(what: string): string {
    const { shards, validators, txs, crossShard, faults, latency } = this.options;
    return `npx shardlab sim ${what} --shards ${shards} --validators ${validators} --txs ${txs} --cross-shard ${crossShard} --faults ${faults} --latency ${latency}`;
  }

  private failureExtras(failures: readonly SeedResult[]): Extras {
    if (failures.length === 0) return {};
    return { failures: failures.slice(0, FAILURES_SHOWN_MAX).map(({ seed, found }) => ({ seed, found, again: this.again(`--seed ${seed}`) })) };
  }

  private report(tally: SwarmTally, wallMs: number, extras: Extras): number {
    const { stdout } = this.cli.context;
    const summary = tally.summary(wallMs);
    if (this.options.json === true) writeJsonLine(stdout, { ...summary, ...extras, commit: this.commit });
    else writeLines(stdout, summaryLines(summary, stdout.style));
    return summary.ok ? EXIT_GOOD : EXIT_BAD;
  }

  private async traced(sim: Sim, swarm: SwarmOptions, seed: number, file: string): Promise<number> {
    const runner = new sim.SeedRunner(swarm);
    const trace = new sim.ChromeTrace();
    this.write(file, '');
    const beganMs = performance.now();
    const result = await runner.play(await runner.plan(seed), trace);
    this.write(file, trace.toJson());
    return this.one(sim, result, performance.now() - beganMs, `--seed ${seed}`, `trace written to ${file}: open it at ui.perfetto.dev`);
  }

  private async playPlan(sim: Sim, swarm: SwarmOptions, file: string): Promise<number> {
    const path = this.cli.file(file);
    let content: string;
    try {
      content = readFileSync(path, 'utf8');
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code;
      throw usageError('cli/plan', `no plan at ${path} (${why}): give a file that "shardlab sim --shrink" has written`, { cause: error });
    }
    const plan = sim.readPlan(content, swarm);
    const beganMs = performance.now();
    return this.one(sim, await new sim.SeedRunner(swarm).play(plan), performance.now() - beganMs, `--plan ${file}`, `${plan.events.length} fault events`);
  }

  /** Writes a file that the user named, or which belongs beside them. */
  private write(file: string, content: string): void {
    try {
      writeFileSync(this.cli.file(file), content);
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code;
      throw usageError('cli/unwritable', `${this.cli.file(file)} can not be written (${why}): name another file`, { cause: error });
    }
  }

  private one(sim: Sim, result: SeedResult, wallMs: number, what: string, note: string): number {
    const { stdout } = this.cli.context;
    const tally = new sim.SwarmTally();
    tally.add(result);
    if (this.options.json !== true) writeLines(stdout, [...(result.ok ? [] : this.failureLines(result, what)), note]);
    const { seed, found } = result;
    return this.report(tally, wallMs, result.ok ? {} : { failures: [{ seed, found, again: this.again(what) }] });
  }

  private async shrink(sim: Sim, swarm: SwarmOptions, seed: number): Promise<NonNullable<Extras['shrunk']>> {
    const progress = this.cli.progress(this.options);
    const runner = new sim.SeedRunner(swarm);
    const fails = async (plan: Plan): Promise<boolean> => !(await runner.play(plan)).ok;
    const { plan, runs, minimal } = await sim.shrink(await runner.plan(seed), fails, (events, run) => progress.update(`shrinking: run ${run}, ${events} fault events`));
    progress.clear();
    const file = `shardlab-sim-${seed}.json`;
    this.write(file, `${JSON.stringify(plan, null, 1)}\n`);
    const shrunk = { file, events: plan.events.length, minimal };
    if (this.options.json === true) return shrunk;
    const rest = plan.events.map((event) => `  ${event.atMs} ms  ${event.kind}  ${event.nodes.join(' ')}`);
    const kind = minimal ? 'every one of them is needed' : 'the runs were used up';
    writeLines(this.cli.context.stdout, [`${plan.events.length} fault events left after ${runs} runs (${kind}):`, ...rest, `  again: ${this.again(`--plan ${file}`)}`]);
    return shrunk;
  }
}

function* missing(first: number, last: number, known: ReadonlySet<number>): Generator<number> {
  for (let seed = first; seed <= last; seed++) if (!known.has(seed)) yield seed;
}

function summaryLines(summary: SwarmSummary, style: { bold(text: string): string; good(text: string): string; bad(text: string): string }): string[] {
  const { seedsRun, failed, committed, crossShard, aborted, virtualSeconds, wallSeconds, realSignatures } = summary;
  const verdict = summary.ok ? style.good('every seed passed') : style.bad(`${failed.length} failed: ${failed.slice(0, 20).join(' ')}`);
  const faults = Object.entries(summary.faults).map(([kind, count]) => [kind, count.toLocaleString('en-US')]);
  const table = faults.length === 0 ? [] : tableLines([{ title: 'fault' }, { title: 'struck', align: 'right' }], faults, style.bold);
  return [
    ...table,
    `${seedsRun} seeds (${realSignatures} with real signatures, the others with keyed hashes): ${verdict}`,
    `${committed.toLocaleString('en-US')} committed (${crossShard.toLocaleString('en-US')} cross-shard), ${aborted.toLocaleString('en-US')} aborted; ${virtualSeconds} virtual seconds in ${wallSeconds} s`,
  ];
}
