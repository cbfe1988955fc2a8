import { type Cluster, readCluster } from '../cluster/cluster-file.ts';
import { readHealth } from '../cluster/node-process.ts';
import { isNodeProcess } from '../cluster/process-identity.ts';
import { usageError } from '../output/cli-error.ts';
import { RpcClient } from '../rpc/client.ts';
import type { Cli, NetworkOptions } from './cli.ts';

/** The network that a command talks to. */
export interface NetworkTarget {
  /** Of a node that answers; any node will do (it forwards). */
  readonly rpcUrl: string;
  /** Of the other nodes that run, for when that one does not answer any more. */
  readonly others: readonly string[];
  /** The local cluster; undefined when the network was named by --rpc. */
  readonly cluster: Cluster | undefined;
}

/** Unwell nodes that are looked at before the first of them is taken. */
const UNWELL_MAX = 4;

/**
 * Finds the network: `--rpc`, or the first node of the local cluster that runs and is healthy, the beacon's first. A node that is busy or unwell still answers for
 * the others: if no healthy one is found soon, it will do. Throws `cluster/absent`, or `cluster/down` when none runs.
 */
export async function findNetwork(cli: Cli, options: NetworkOptions): Promise<NetworkTarget> {
  if (options.rpc !== undefined) return { rpcUrl: options.rpc, others: [], cluster: undefined };
  const dataDir = cli.dataDir(options);
  const cluster = readCluster(dataDir);
  const running = cluster.nodes.filter((node) => node.rpcUrl !== '' && isNodeProcess(node.pid, node.configFile));
  const target = (rpcUrl: string): NetworkTarget => ({ rpcUrl, others: running.map((node) => node.rpcUrl).filter((url) => url !== rpcUrl), cluster });
  const unwell: string[] = [];
  for (const node of running) {
    const health = await readHealth(node.rpcUrl);
    if (health?.healthy === true) return target(node.rpcUrl);
    if (health !== undefined) unwell.push(node.rpcUrl);
    if (unwell.length === UNWELL_MAX) break;
  }
  if (unwell[0] !== undefined) return target(unwell[0]);
  const what = running.length === 0 ? 'no cluster is running' : 'no node answers';
  throw usageError('cluster/down', `${what} in ${dataDir}: start it with "shardlab up", or name a network by --rpc URL`);
}

/** A client of the network: it goes on with another node when one does not answer. */
export function clientOf({ rpcUrl, others }: NetworkTarget): RpcClient {
  return new RpcClient({ url: rpcUrl, others });
}
