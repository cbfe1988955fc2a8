import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import process from 'node:process';
import { readCluster } from '../../packages/cli/src/cluster/cluster-file.ts';
import { pause } from '../../packages/cli/src/cluster/wait.ts';
import { RpcClient } from '../../packages/cli/src/rpc/client.ts';
import { networkStatus } from '../../packages/cli/src/rpc/methods.ts';
import { load, onNetwork, shardlab, WARM_S } from './network.ts';

/** Half of what a network of this size holds on two cores (`committees`). */
const RATE = 1_000;
const LOAD_S = 30;
/** The leader dies when the load has run for so long. */
const KILL_AFTER_MS = 8_000;
/** Leaders killed, one after the other, each of another shard. */
const SHARDS = 4;
/** A new block must come within this time of the death: `ratio` is this over what it took. */
const TARGET_MS = 2_000;

/** How long a shard stands still when its leader is killed (SIGKILL) under half load, at default settings, in a network that has warmed up. */
export interface ViewChangeBench {
  readonly bench: 'view-change';
  /** {@link TARGET_MS} over the longest gap: above 1 is faster than asked. */
  readonly ratio: number;
  /** For each killed leader: the longest time between two blocks of its shard around the kill, as a survivor stored them, in milliseconds. */
  readonly gapsMs: readonly number[];
  readonly offeredTps: number;
  readonly transactions: string;
  readonly committed: number;
  readonly lost: number;
  readonly cpu: string;
  readonly cores: number;
}

/** Milliseconds since the Unix epoch at which a node has stored its blocks, by its log. */
function commits(logFile: string): number[] {
  const times: number[] = [];
  for (const line of readFileSync(logFile, 'utf8').split('\n')) {
    if (line.includes('"event":"block.committed"')) times.push((JSON.parse(line) as { time: number }).time);
  }
  return times;
}

function longestGap(times: readonly number[], fromMs: number, toMs: number): number {
  const around = times.filter((time) => time >= fromMs && time <= toMs);
  return Math.max(...around.slice(1).map((time, index) => time - around[index]!));
}

async function killLeaders(dataDir: string): Promise<number[]> {
  const { nodes } = readCluster(dataDir);
  const client = new RpcClient({ url: nodes[0]!.rpcUrl });
  const gaps: number[] = [];
  try {
    for (let shard = 0; shard < SHARDS; shard++) {
      const { nodes: states } = await networkStatus(client);
      const member = states.find((node) => node['shard'] === shard);
      const { leader } = member!['consensus'] as { leader: number };
      const id = nodes.find((node) => node.shard === shard && node.validator === leader)!.id;
      const survivor = nodes.find((node) => node.shard === shard && node.validator !== leader)!;
      const killedMs = Date.now();
      await shardlab(['kill', id, '--data-dir', dataDir]);
      await pause(6_000);
      gaps.push(longestGap(commits(survivor.logFile), killedMs - 1_000, killedMs + 6_000));
    }
  } finally {
    client.close();
  }
  return gaps;
}

/** Kills the leader of each of four shards of four, once the network has warmed up, while a load runs, and measures the longest gap between blocks. Two minutes. */
export async function benchViewChange(): Promise<ViewChangeBench> {
  const { value } = await onNetwork(['--shards', String(SHARDS), '--validators', '4', '--accounts', '1000'], async (dataDir) => {
    const warm = await load(dataDir, RATE, WARM_S, ['--cross-shard', '0.2', '--seed', '8', '--no-audit']);
    process.stderr.write(`warmed up: ${warm.committed} of ${warm.submitted} committed; killing ${SHARDS} leaders\n`);
    const running = load(dataDir, RATE, LOAD_S + KILL_AFTER_MS / 1_000, ['--cross-shard', '0.2', '--seed', '7', '--no-audit']);
    await pause(KILL_AFTER_MS);
    const gaps = await killLeaders(dataDir);
    return { gaps, report: await running };
  });
  const { gaps, report } = value;
  return {
    bench: 'view-change',
    ratio: Number((TARGET_MS / Math.max(...gaps)).toFixed(2)),
    gapsMs: gaps,
    offeredTps: report.offeredTps,
    transactions: 'transfers of type 2, signed, 20 % cross-shard',
    committed: report.committed,
    lost: report.pending + report.rejected,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
  };
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await benchViewChange())}\n`);
