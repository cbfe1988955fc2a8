import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { threadFlags } from '@shardlab/node';
import { usageError } from '../output/cli-error.ts';
import { type Cluster, type ClusterNode, withNode, writeCluster } from './cluster-file.ts';
import { controlTokenHash, ensureControlToken } from './control-token.ts';
import { JsonFields, parseJson } from './json.ts';
import { clusterPaths, nodePaths } from './layout.ts';
import { type NodeConfig, nodeConfig, readReadyFile, writeNodeConfig } from './node-config.ts';
import { type NodeLaunch, readHealth, signalNode, spawnNode, type StartedNode, waitUntilGone } from './node-process.ts';
import { LOOPBACK } from './ports.ts';
import { findNodeProcess } from './process-identity.ts';
import { Readiness } from './readiness.ts';
import { waitFor } from './wait.ts';

const START_TIMEOUT_MS = 60_000;
const START_TIMEOUT_PER_NODE_MS = 2_000;
const STOP_AFTER_FAILURE_MS = 5_000;
const STARTING_AT_ONCE = 8;
/** How long the others may take to have a node that has come back among their connections. */
const LISTED_TIMEOUT_MS = 90_000;
const HEALTH_INTERVAL_MS = 50;

/** How far a start has come. */
export interface StartProgress {
  readonly step: 'starting' | 'ready' | 'healthy';
  readonly id: string;
  /** Nodes that have reached `step`, of `total`. */
  readonly done: number;
  readonly total: number;
}

/** What {@link bringUp} starts, and how. */
export interface BringUpOptions {
  readonly dataDir: string;
  readonly cluster: Cluster;
  /** Which of its nodes; none of them may be running. */
  readonly ids: readonly string[];
  readonly launch: NodeLaunch;
  /** pino level of the nodes; undefined: as they were, `info` at first. */
  readonly logLevel?: string | undefined;
  /** Execution threads of each node; undefined: as they were, none at first. */
  readonly workers?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: StartProgress) => void) | undefined;
  /** For all of it; by default 60 s and 2 s a node. */
  readonly timeoutMs?: number | undefined;
  /**
   * What to wait for. `connected`, by default: the nodes do all that they can do with those that run, and those that run are connected to them. `ready`: they
   * serve, whatever their network is like.
   */
  readonly until?: 'ready' | 'connected' | undefined;
}

function portOf(node: ClusterNode): { rpc: number; p2p: number } {
  const p2p = /\/tcp\/(\d+)/.exec(node.p2p)?.[1];
  return { rpc: node.rpcUrl === '' ? 0 : Number(new URL(node.rpcUrl).port), p2p: p2p === undefined ? 0 : Number(p2p) };
}

/** Ports that a node of a cluster listens on; 0 where it has not chosen yet. */
export function recordedPorts(node: ClusterNode): readonly number[] {
  const { rpc, p2p } = portOf(node);
  return [rpc, p2p];
}

/** How a node was started before. */
function recorded(configFile: string): { readonly logLevel: string; readonly workers: number } {
  if (!existsSync(configFile)) return { logLevel: 'info', workers: 0 };
  const fields = new JsonFields(parseJson(readFileSync(configFile, 'utf8'), configFile), configFile);
  return { logLevel: fields.string('logLevel'), workers: fields.integer('workers', 0) };
}

async function forEachBounded<T>(items: readonly T[], concurrency: number, task: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const lane = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await task(item);
  };
  // Settled, not raced: when one fails, the others must have come to rest before anything is cleaned up.
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(concurrency, items.length) }, lane));
  for (const result of lanes) if (result.status === 'rejected') throw result.reason;
}

/** One start of some nodes: the cluster as it stands, written to disk with every change. */
class Start {
  cluster: Cluster;
  private readonly options: BringUpOptions;
  private readonly deadlineMs: number;
  private readonly failed = new AbortController();
  private readonly done = { starting: 0, ready: 0, healthy: 0 };

  constructor(options: BringUpOptions) {
    this.options = options;
    this.cluster = options.cluster;
    const timeoutMs = options.timeoutMs ?? START_TIMEOUT_MS + START_TIMEOUT_PER_NODE_MS * options.ids.length;
    this.deadlineMs = performance.now() + timeoutMs;
  }

  async run(): Promise<Cluster> {
    await this.startAll();
    if (this.options.until !== 'ready') await this.awaitListed();
    return this.cluster;
  }

  private async startAll(): Promise<void> {
    const { ids, until } = this.options;
    // The others bootstrap from its address, which holds its peer id: it must have been ready once.
    const first = ids.filter((id) => id === this.cluster.nodes[0]!.id);
    try {
      await forEachBounded(first, 1, (id) => this.startOne(id));
      await forEachBounded(ids.filter((id) => !first.includes(id)), STARTING_AT_ONCE, (id) => this.startOne(id));
      if (until === 'ready') return;
      const readiness = new Readiness(this.cluster, ids);
      await forEachBounded(ids, STARTING_AT_ONCE, (id) => this.awaitUp(id, readiness));
    } catch (error) {
      await this.undo();
      throw error;
    }
  }

  private node(id: string): ClusterNode {
    const node = this.cluster.nodes.find((candidate) => candidate.id === id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  private change(id: string, change: Partial<ClusterNode>): void {
    this.cluster = withNode(this.cluster, id, change);
    writeCluster(this.options.dataDir, this.cluster);
  }

  private progress(step: StartProgress['step'], id: string): void {
    this.done[step] += 1;
    this.options.onProgress?.({ step, id, done: this.done[step], total: this.options.ids.length });
  }

  private get signal(): AbortSignal {
    const { signal } = this.options;
    return signal === undefined ? this.failed.signal : AbortSignal.any([signal, this.failed.signal]);
  }

  private configure(id: string): NodeConfig {
    const node = this.node(id);
    const paths = nodePaths(this.options.dataDir, id);
    mkdirSync(paths.directory, { recursive: true });
    const ports = portOf(node);
    const before = recorded(paths.configFile);
    const config = nodeConfig({ id, role: node.role, shard: node.shard, validator: node.validator }, this.cluster.seed, {
      genesisFile: clusterPaths(this.options.dataDir).genesisFile,
      directory: paths.directory,
      listen: [`/ip4/${LOOPBACK}/tcp/${ports.p2p}`],
      announce: [],
      bootstrap: this.bootstrapOf(id),
      rpc: { host: LOOPBACK, port: ports.rpc },
      logLevel: this.options.logLevel ?? before.logLevel,
      logFile: paths.logFile,
      workers: this.options.workers ?? before.workers,
      controlTokenHash: controlTokenHash(ensureControlToken(this.options.dataDir)),
    });
    writeNodeConfig(paths.configFile, config);
    return config;
  }

  /** Addresses of the beacon's validators that have been ready once: any of them knows the others. */
  private bootstrapOf(id: string): string[] {
    const known = this.cluster.nodes.filter((node) => node.role === 'beacon' && node.id !== id && node.p2p.includes('/p2p/'));
    return known.map((node) => node.p2p);
  }

  private async startOne(id: string): Promise<void> {
    this.signal.throwIfAborted();
    try {
      const { dataDir, launch } = this.options;
      const paths = nodePaths(dataDir, id);
      const { workers } = this.configure(id);
      rmSync(paths.readyFile, { force: true });
      const started = spawnNode(launch, threadFlags(workers), paths);
      this.change(id, { pid: started.pid === 0 ? null : started.pid });
      this.progress('starting', id);
      const ready = await waitFor(() => this.readyOf(id, started), this.leftMs(), this.signal);
      if (ready === undefined) throw this.tooLate(id, 'it does not say that it serves');
      this.change(id, { rpcUrl: ready.rpcUrl, p2p: ready.p2p });
      this.progress('ready', id);
    } catch (error) {
      this.failed.abort(error);
      throw error;
    }
  }

  private readyOf(id: string, started: StartedNode): { rpcUrl: string; p2p: string } | undefined {
    const paths = nodePaths(this.options.dataDir, id);
    const how = started.ended();
    if (how !== undefined) {
      const why = started.complaint() ?? `it ended at once (${how}), see ${paths.logFile}`;
      throw usageError('cluster/node-failed', `${id} could not start: ${why}`);
    }
    const ready = readReadyFile(paths.readyFile);
    const p2p = ready?.p2p[0];
    if (ready === undefined || ready.pid !== started.pid || p2p === undefined) return undefined;
    return { rpcUrl: ready.rpcUrl, p2p };
  }

  private async awaitUp(id: string, readiness: Readiness): Promise<void> {
    const { rpcUrl } = this.node(id);
    let lacking: string | undefined;
    const look = async (): Promise<true | undefined> => {
      const health = await readHealth(rpcUrl, this.signal);
      lacking = health === undefined ? `nothing answers at ${rpcUrl}` : readiness.lacking(id, health);
      return lacking === undefined ? true : undefined;
    };
    if ((await waitFor(look, this.leftMs(), this.signal, HEALTH_INTERVAL_MS)) === undefined) throw this.tooLate(id, lacking ?? 'no time was left to ask it');
    this.progress('healthy', id);
  }

  /** Waits until the nodes that ran before are connected to those that were started. One that does not answer, paused perhaps, is not waited for. */
  private async awaitListed(): Promise<void> {
    const { ids, signal } = this.options;
    const others = new Readiness(this.cluster, ids).othersThan(ids, this.cluster.nodes);
    await forEachBounded(others, STARTING_AT_ONCE, async ({ id, rpcUrl }) => {
      const look = async (): Promise<true | undefined> => {
        const health = await readHealth(rpcUrl, signal);
        return health === undefined || ids.every((started) => health.connected.includes(started)) ? true : undefined;
      };
      if ((await waitFor(look, Math.min(this.leftMs(), LISTED_TIMEOUT_MS), signal, HEALTH_INTERVAL_MS)) !== undefined) return;
      throw usageError('cluster/start-timeout', `${ids.join(', ')} runs again, but ${id} is not connected to it: see ${nodePaths(this.options.dataDir, id).logFile}`);
    });
  }

  private leftMs(): number {
    return Math.max(0, this.deadlineMs - performance.now());
  }

  private tooLate(id: string, lacking: string): Error {
    return usageError('cluster/start-timeout', `${id} did not become ready in time: ${lacking}; see ${nodePaths(this.options.dataDir, id).logFile}`);
  }

  /** Ends what this start has started: a half-started cluster is nobody's wish. What ran before goes on. */
  private async undo(): Promise<void> {
    const nodes = this.options.ids.map((id) => this.node(id));
    const started = nodes.flatMap((node) => findNodeProcess(node.pid, node.configFile) ?? []);
    for (const node of started) signalNode(node, 'SIGTERM');
    const left = await waitUntilGone(started, STOP_AFTER_FAILURE_MS);
    for (const node of left) signalNode(node, 'SIGKILL');
    await waitUntilGone(left, STOP_AFTER_FAILURE_MS);
    for (const node of nodes) this.change(node.id, { pid: null });
  }
}

/**
 * Starts the named nodes of a cluster and waits until they are up (see {@link BringUpOptions.until}); `cluster.json` is written with every change, and the
 * cluster as it then stands is returned. When one cannot start, or `signal` is aborted, those that were started here are ended again. Throws
 * `cluster/node-failed`, `cluster/start-timeout`, or the reason of `signal`.
 */
export async function bringUp(options: BringUpOptions): Promise<Cluster> {
  return new Start(options).run();
}
