import { badAnswer, usageError } from '../output/cli-error.ts';
import { bringUp, type BringUpOptions, recordedPorts } from './bring-up.ts';
import { type Cluster, type ClusterNode, readCluster, withNode, writeCluster } from './cluster-file.ts';
import { idsInWords, nodePaths } from './layout.ts';
import { withClusterLock } from './lock.ts';
import { readReadyFile } from './node-config.ts';
import { signalNode, waitUntilGone } from './node-process.ts';
import { assertPortsFree, PORT_PATIENCE_MS, PORTS_ARE_KEPT } from './ports.ts';
import { findNodeProcess, type NodeProcess } from './process-identity.ts';

const STOP_TIMEOUT_MS = 15_000;
const KILL_TIMEOUT_MS = 5_000;

/** How a stop went: ids of the nodes that ended on request, and of those that had to be killed. */
export interface StopReport {
  readonly stopped: readonly string[];
  readonly killed: readonly string[];
}

interface RunningNode extends NodeProcess {
  readonly id: string;
}

/** The processes of one node that run: the one on record, and one that a start left behind which died before it could record it. */
function runningProcesses(dataDir: string, node: ClusterNode): RunningNode[] {
  const pids = new Set([node.pid]);
  try {
    pids.add(readReadyFile(nodePaths(dataDir, node.id).readyFile)?.pid ?? null);
  } catch {
    // A torn file names nobody; the pid on record still does.
  }
  return [...pids].flatMap((pid) => {
    const found = findNodeProcess(pid, node.configFile);
    return found === undefined ? [] : [{ ...found, id: node.id }];
  });
}

/**
 * `shardlab down`: SIGTERM to every node, SIGKILL to what still runs after `timeoutMs`, and a look that none is left. Signals nothing but our own
 * nodes. Throws `cluster/absent`, and `cluster/left` when a process survives even that.
 */
export async function stopCluster(dataDir: string, timeoutMs: number = STOP_TIMEOUT_MS): Promise<StopReport> {
  readCluster(dataDir);
  return withClusterLock(dataDir, async () => {
    const cluster = readCluster(dataDir);
    const running = cluster.nodes.flatMap((node) => runningProcesses(dataDir, node));
    for (const node of running) signalNode(node, 'SIGTERM');
    const stubborn = await waitUntilGone(running, timeoutMs);
    for (const node of stubborn) signalNode(node, 'SIGKILL');
    const left = await waitUntilGone(stubborn, KILL_TIMEOUT_MS);
    if (left.length > 0) throw badAnswer('cluster/left', `still running after SIGKILL: ${left.map((node) => `pid ${node.pid}`).join(', ')}`);
    writeCluster(dataDir, { ...cluster, nodes: cluster.nodes.map((node) => ({ ...node, pid: null })) });
    const killed = running.filter((node) => stubborn.includes(node)).map((node) => node.id);
    return { stopped: running.map((node) => node.id).filter((id) => !killed.includes(id)), killed };
  });
}

function requireNode(cluster: Cluster, id: string): ClusterNode {
  const node = cluster.nodes.find((candidate) => candidate.id === id);
  if (node !== undefined) return node;
  throw usageError('cluster/no-node', `there is no node ${id}: give ${idsInWords(cluster)}`);
}

/** What {@link killNodes} did to one node. */
export interface KillReport {
  /** The process that was killed; null when the node was down already. */
  readonly killedPid: number | null;
  /** The node as it is now; its pid is null unless it was started again. */
  readonly node: ClusterNode;
}

/** Options of {@link killNodes}. */
export interface KillOptions extends Pick<BringUpOptions, 'dataDir' | 'launch' | 'signal' | 'onProgress' | 'timeoutMs' | 'until'> {
  /** Which nodes; undefined: all. */
  readonly ids: readonly string[] | undefined;
  /** Start them again, on the same ports, and wait until they are up, as {@link bringUp} does. */
  readonly restart: boolean;
}

/**
 * `shardlab kill`: SIGKILL to nodes' processes, all at once, and nothing else; one report for each, in order. Throws `cluster/absent`, `cluster/no-node`,
 * `cluster/not-running` (when none of them runs, and none is to be started again), and what {@link bringUp} throws.
 */
export async function killNodes(options: KillOptions): Promise<KillReport[]> {
  const { dataDir } = options;
  const named = (cluster: Cluster): readonly ClusterNode[] => options.ids?.map((id) => requireNode(cluster, id)) ?? cluster.nodes;
  named(readCluster(dataDir));
  return withClusterLock(dataDir, async () => {
    let cluster = readCluster(dataDir);
    const ids = named(cluster).map((node) => node.id);
    const running = named(cluster).flatMap((node) => runningProcesses(dataDir, node));
    if (running.length === 0 && !options.restart) {
      const who = options.ids === undefined ? 'no node is running' : `${ids.join(', ')} is not running`;
      throw usageError('cluster/not-running', `${who}: start it with "shardlab up" or "shardlab kill ${options.ids === undefined ? '--all' : ids[0]} --restart"`);
    }
    for (const process of running) signalNode(process, 'SIGKILL');
    const left = await waitUntilGone(running, KILL_TIMEOUT_MS);
    if (left.length > 0) throw badAnswer('cluster/left', `still running after SIGKILL: ${left.map((node) => `${node.id} (pid ${node.pid})`).join(', ')}`);
    for (const id of ids) cluster = withNode(cluster, id, { pid: null });
    writeCluster(dataDir, cluster);
    if (options.restart) {
      await assertPortsFree(named(cluster).flatMap(recordedPorts), PORTS_ARE_KEPT, PORT_PATIENCE_MS);
      cluster = await bringUp({ ...options, cluster, ids });
    }
    return named(cluster).map((node) => ({ killedPid: running.find((process) => process.id === node.id)?.pid ?? null, node }));
  });
}
