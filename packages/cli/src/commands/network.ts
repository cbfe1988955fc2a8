import { type Cluster, readCluster } from '../cluster/cluster-file.ts';
import { checkHealth } from '../cluster/node-process.ts';
import { isNodeProcess } from '../cluster/process-identity.ts';
import { usageError } from '../output/cli-error.ts';
import type { Cli, NetworkOptions } from './cli.ts';

/** The network that a command talks to. */
export interface NetworkTarget {
  /** Of a node that answers; any node will do (it forwards). */
  readonly rpcUrl: string;
  /** The local cluster; undefined when the network was named by --rpc. */
  readonly cluster: Cluster | undefined;
}

/**
 * Finds the network: `--rpc`, or the first node of the local cluster that runs and answers, the beacon's first. A node that is busy or unwell still
 * answers for the others. Throws `cluster/absent`, or `cluster/down` when none runs.
 */
export async function findNetwork(cli: Cli, options: NetworkOptions): Promise<NetworkTarget> {
  if (options.rpc !== undefined) return { rpcUrl: options.rpc, cluster: undefined };
  const dataDir = cli.dataDir(options);
  const cluster = readCluster(dataDir);
  const running = cluster.nodes.filter((node) => node.rpcUrl !== '' && isNodeProcess(node.pid, node.configFile));
  for (const node of running) {
    if ((await checkHealth(node.rpcUrl)) !== 'silent') return { rpcUrl: node.rpcUrl, cluster };
  }
  const what = running.length === 0 ? 'no cluster is running' : 'no node answers';
  throw usageError('cluster/down', `${what} in ${dataDir}: start it with "shardlab up", or name a network by --rpc URL`);
}
