import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { benchRecovery } from '../../packages/node/test/perf/recovery.ts';
import { readCluster } from '../../packages/cli/src/cluster/cluster-file.ts';
import { pause } from '../../packages/cli/src/cluster/wait.ts';
import { RpcClient } from '../../packages/cli/src/rpc/client.ts';
import { networkStatus } from '../../packages/cli/src/rpc/methods.ts';

const PROGRAM = fileURLToPath(new URL('../../packages/cli/bin/shardlab.js', import.meta.url));
const SHARDS = 4;
const ACCOUNTS = 1_000;
const CROSS_SHARD = 0.2;
const SEED = 1;
/** Offered rates that are tried, as shares of the recovery bound. */
const RATIOS = [0.03, 0.045, 0.06, 0.075, 0.09, 0.105, 0.12, 0.135, 0.145, 0.155, 0.165, 0.18, 0.2, 0.22, 0.26, 0.3, 0.36, 0.42, 0.5];
/** What is measured, and where the search begins: at the target, because a rate that is too high takes the longest, all that it has queued must drain. */
const SETUPS = {
  network: { validators: 1, first: 0.18, load: ['--cross-shard', String(CROSS_SHARD)], transactions: `transfers of type 2, signed, ${CROSS_SHARD * 100} % cross-shard` },
  committees: { validators: 4, first: 0.145, load: ['--cross-shard', String(CROSS_SHARD)], transactions: `transfers of type 2, signed, ${CROSS_SHARD * 100} % cross-shard` },
  erc20: { validators: 1, first: 0.3, load: ['--workload', 'erc20'], transactions: "OpenZeppelin ERC-20 transfers, type 2, signed, each within its shard" },
} as const;
type Setup = keyof typeof SETUPS;
/** Before anything is judged, at the first rate: until it is compiled, the same code takes several times as long, in each process anew. */
export const WARM_S = 30;
const STAGE_S = 15;
const SUSTAINED_S = 60;
const HALF_S = 30;
/** A rate is held if all has ended this long after the last transaction was due: then no queue has grown. */
const TAIL_MS = 4_000;
const SAMPLE_MS = 2_000;
/** How much the bounds before and after a run may differ on a machine that does nothing else. */
const BOUND_SPREAD_MAX = 0.1;
/** Load average, in shares of the cores, from which the machine counts as busy with something else. */
const LOAD_MAX = 0.5;
const MEMORY_ACCOUNTS = 100_000;
const MEMORY_RATE = 200;
const MEMORY_S = 10;

/** The fields of `load --json` that are read here. */
interface Report {
  readonly ok: boolean;
  readonly submitted: number;
  readonly committed: number;
  readonly rejected: number;
  readonly pending: number;
  readonly offeredTps: number;
  readonly committedTps: number;
  readonly latencyMs: { readonly intraShard: { readonly p99: number | null }; readonly crossShard: { readonly p99: number | null } };
  readonly generator: { readonly cores: number; readonly lagMaxMs: number };
  readonly audit?: { readonly ok: boolean };
}

/** One probe of a rate. */
export interface NetworkStage {
  readonly bench: `${Setup}-stage`;
  readonly seconds: number;
  /** Offered rate over the recovery bound. */
  readonly offeredRatio: number;
  readonly offeredTps: number;
  readonly committedTps: number;
  readonly lost: number;
  readonly crossShardP99Ms: number | null;
  readonly generatorCores: number;
  readonly held: boolean;
}

/**
 * The whole network: {@link SHARDS} shards, everything signed, the load generator beside it. With committees every validator verifies every
 * transaction, so the bound is that of one core's share for each of them.
 */
export interface NetworkBench {
  readonly bench: Setup;
  readonly shards: number;
  readonly validators: number;
  readonly transactions: string;
  /** Committed per second over the recovery bound of the same run, divided by the validators of a committee; sustained for {@link SUSTAINED_S} seconds. */
  readonly ratio: number;
  /** Bare recovers a second, all cores at once: the larger of the two figures below, because whatever else runs can only lower it, and so flatter the ratio. */
  readonly boundPerSecond: number;
  readonly boundBeforePerSecond: number;
  readonly boundAfterPerSecond: number;
  /** False if the two differ by more than a tenth, or the machine's load says that it was not ours alone: then the figures of this run mean little. */
  readonly quiet: boolean;
  /** Processes that wanted to run, averaged over the minute before the benchmark began (`uptime`). */
  readonly loadBefore: number;
  readonly committedTps: number;
  readonly offeredTps: number;
  readonly seconds: number;
  /** Transactions that did not end, or were refused. */
  readonly lost: number;
  readonly auditOk: boolean;
  /** At half the sustained rate. */
  readonly crossShardP99Ms: number | null;
  readonly intraShardP99Ms: number | null;
  /** The largest resident set of a node that was seen during the runs. */
  readonly residentBytesMax: number;
  readonly library: string;
  readonly cpu: string;
  readonly cores: number;
}

/** A node that holds many accounts. */
export interface MemoryBench {
  readonly bench: 'memory';
  readonly accounts: number;
  /** Largest resident set of the one shard's node, from its start through a short load. */
  readonly residentBytes: number;
}

/** Runs the program; its output. Rejects unless it exits with 0, or with 1 where a bad answer is an answer. */
export function shardlab(args: readonly string[], badIsAnswer = false): Promise<string> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0 || (badIsAnswer && code === 1 && out !== '')) resolve(out);
      else reject(new Error(`shardlab ${args.join(' ')} exited with ${code}: ${err.trim()}`));
    });
  });
}

/** Networks that are up: a benchmark that is ended takes them down. */
const running = new Set<string>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const dataDir of running) spawnSync(process.execPath, [PROGRAM, 'down', '--data-dir', dataDir], { stdio: 'ignore' });
    process.exit(130);
  });
}

/** Runs `task` on a network of its own, which is down and gone afterwards; with the largest resident set of each node by id. */
export async function onNetwork<T>(options: readonly string[], task: (dataDir: string) => Promise<T>): Promise<{ readonly value: T; readonly resident: ReadonlyMap<string, number> }> {
  const root = mkdtempSync(join(tmpdir(), 'shardlab-bench-'));
  const dataDir = join(root, 'data');
  const resident = new Map<string, number>();
  const over = new AbortController();
  try {
    running.add(dataDir);
    await shardlab(['up', ...options, '--base-port', '0', '--seed', String(SEED), '--detach', '--data-dir', dataDir]);
    const sampling = sample(dataDir, resident, over.signal);
    const value = await task(dataDir);
    over.abort();
    await sampling;
    return { value, resident };
  } finally {
    over.abort();
    await shardlab(['down', '--data-dir', dataDir]);
    running.delete(dataDir);
    rmSync(root, { recursive: true, force: true });
  }
}

async function sample(dataDir: string, resident: Map<string, number>, signal: AbortSignal): Promise<void> {
  const client = new RpcClient({ url: readCluster(dataDir).nodes[0]!.rpcUrl });
  try {
    while (!signal.aborted) {
      const { nodes } = await networkStatus(client);
      for (const node of nodes) resident.set(node.id, Math.max(resident.get(node.id) ?? 0, Number(node['residentBytes'] ?? 0)));
      await pause(SAMPLE_MS, signal);
    }
  } finally {
    client.close();
  }
}

export async function load(dataDir: string, rate: number, seconds: number, options: readonly string[]): Promise<Report> {
  const amount = ['--rate', rate.toFixed(1), '--duration', String(seconds)];
  const out = await shardlab(['load', ...amount, ...options, '--json', '--data-dir', dataDir], true);
  return JSON.parse(out.trim().split('\n').at(-1)!) as Report;
}

function stageOf(setup: Setup, report: Report, bound: number, seconds: number): NetworkStage {
  const { submitted, committed, pending, rejected, committedTps, offeredTps, latencyMs, generator } = report;
  const endMs = committedTps === 0 ? Number.POSITIVE_INFINITY : (committed * 1_000) / committedTps;
  const lost = pending + rejected;
  return {
    bench: `${setup}-stage`,
    seconds,
    offeredRatio: Number((offeredTps / bound).toFixed(3)),
    offeredTps,
    committedTps,
    lost,
    crossShardP99Ms: latencyMs.crossShard.p99,
    generatorCores: generator.cores,
    held: lost === 0 && submitted > 0 && endMs <= seconds * 1_000 + TAIL_MS,
  };
}

/** Looks for the highest rate of {@link RATIOS} that holds for a minute with nothing lost: up from the first while short probes hold, then down. */
async function findSustained(setup: Setup, dataDir: string, bound: number, stages: NetworkStage[]): Promise<Report | undefined> {
  const offer = async (at: number, seconds: number, audit: boolean): Promise<{ readonly held: boolean; readonly report: Report }> => {
    const options = [...SETUPS[setup].load, '--seed', String(stages.length), ...(audit ? [] : ['--no-audit'])];
    const report = await load(dataDir, bound * RATIOS[at]!, seconds, options);
    const stage = stageOf(setup, report, bound, seconds);
    stages.push(stage);
    // As they come: a run of minutes that says nothing looks like one that hangs.
    process.stderr.write(`${JSON.stringify(stage)}\n`);
    return { held: stage.held, report };
  };
  const first = RATIOS.indexOf(SETUPS[setup].first);
  const warm = await load(dataDir, bound * SETUPS[setup].first, WARM_S, [...SETUPS[setup].load, '--seed', '98', '--no-audit']);
  stages.push(stageOf(setup, warm, bound, WARM_S));
  let at = first;
  while (at < RATIOS.length && (await offer(at, STAGE_S, false)).held) at++;
  for (at = at === first ? first - 1 : at - 1; at >= 0; at--) {
    const { held, report } = await offer(at, SUSTAINED_S, true);
    if (held && report.audit?.ok === true) return report;
  }
  return undefined;
}

/** Measures resident memory with 100,000 accounts on one shard, through a short load. */
export async function benchMemory(): Promise<MemoryBench> {
  const { resident } = await onNetwork(['--shards', '1', '--accounts', String(MEMORY_ACCOUNTS)], (dataDir) =>
    load(dataDir, MEMORY_RATE, MEMORY_S, ['--no-audit']),
  );
  return { bench: 'memory', accounts: MEMORY_ACCOUNTS, residentBytes: resident.get('shard-0') ?? 0 };
}

async function bench(setup: Setup): Promise<(NetworkStage | NetworkBench)[]> {
  const { validators } = SETUPS[setup];
  const loadBefore = loadavg()[0]!;
  const { perSecond: before, library } = await benchRecovery();
  const stages: NetworkStage[] = [];
  const size = ['--shards', String(SHARDS), '--validators', String(validators), '--accounts', String(ACCOUNTS)];
  const { value, resident } = await onNetwork(size, async (dataDir) => {
    const sustained = await findSustained(setup, dataDir, before / validators, stages);
    if (sustained === undefined) throw new Error(`no rate of ${RATIOS.join(', ')} of the bound holds for ${SUSTAINED_S} s: ${JSON.stringify(stages)}`);
    const half = await load(dataDir, sustained.offeredTps / 2, HALF_S, [...SETUPS[setup].load, '--seed', '99', '--no-audit']);
    stages.push(stageOf(setup, half, before / validators, HALF_S));
    return { sustained, half };
  });
  const { sustained, half } = value;
  const { perSecond: after } = await benchRecovery();
  const bound = Math.max(before, after) / validators;
  const network: NetworkBench = {
    bench: setup,
    shards: SHARDS,
    validators,
    transactions: SETUPS[setup].transactions,
    ratio: Number((sustained.committedTps / bound).toFixed(3)),
    boundPerSecond: bound,
    boundBeforePerSecond: before / validators,
    boundAfterPerSecond: after / validators,
    quiet: Math.min(before, after) >= bound * validators * (1 - BOUND_SPREAD_MAX) && loadBefore < LOAD_MAX * availableParallelism(),
    loadBefore: Number(loadBefore.toFixed(2)),
    committedTps: sustained.committedTps,
    offeredTps: sustained.offeredTps,
    seconds: SUSTAINED_S,
    lost: sustained.pending + sustained.rejected + half.pending + half.rejected,
    auditOk: sustained.audit?.ok === true,
    crossShardP99Ms: half.latencyMs.crossShard.p99,
    intraShardP99Ms: half.latencyMs.intraShard.p99,
    residentBytesMax: Math.max(...resident.values()),
    library,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
  };
  return [...stages, network];
}

/** One validator a chain: the recovery bound, the highest sustained rate against it, and the latency at half that rate; then memory. 3 to 6 minutes. */
export async function benchNetwork(): Promise<(NetworkStage | NetworkBench | MemoryBench)[]> {
  return [...(await bench('network')), await benchMemory()];
}

/** Committees of four, and a beacon of four, on the same machine: as {@link benchNetwork}. 3 to 6 minutes. */
export async function benchCommittees(): Promise<(NetworkStage | NetworkBench)[]> {
  return bench('committees');
}

/** One validator a chain, calls of a contract instead of transfers: as {@link benchNetwork}. 3 to 6 minutes. */
export async function benchErc20Network(): Promise<(NetworkStage | NetworkBench)[]> {
  return bench('erc20');
}

if (import.meta.main) for (const record of await benchNetwork()) process.stdout.write(`${JSON.stringify(record)}\n`);
