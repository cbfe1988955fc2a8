import { quorumSize } from '@shardlab/crosslink';
import type { Command } from 'commander';
import type { Cluster } from '../cluster/cluster-file.ts';
import { isNodeProcess } from '../cluster/process-identity.ts';
import { EXIT_BAD, EXIT_GOOD } from '../output/cli-error.ts';
import { writeJsonLine, writeLines } from '../output/output.ts';
import { type StatusChain, type StatusNode, statusLines, type StatusView } from '../output/status-view.ts';
import { type NetworkStatus, networkStatus, type NodeStatus } from '../rpc/methods.ts';
import type { Cli, NetworkOptions } from './cli.ts';
import { clientOf, findNetwork } from './network.ts';

const NOT_RUNNING = 'not running';

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

function nodeView(node: NodeStatus): StatusNode {
  return {
    ...node,
    shard: node.shard ?? null,
    height: numberOrNull(node['height']),
    stateRoot: typeof node['stateRoot'] === 'string' ? node['stateRoot'] : null,
    peers: numberOrNull(node['peers']),
    rpcUrl: node.rpcUrl ?? '',
    pid: numberOrNull(node['pid']),
  };
}

/** Each chain with the validators that answer, and why it stands if they are too few, or none of them is well. */
function chainsOf(nodes: readonly StatusNode[]): StatusChain[] {
  return [...Map.groupBy(nodes, (node) => node.shard)].map(([shard, committee]) => {
    const validators = committee.length;
    const quorum = quorumSize(validators);
    const answering = committee.filter((node) => node.height !== null && node['reason'] !== NOT_RUNNING).length;
    const chain = { chain: shard === null ? 'beacon' : `shard-${shard}`, validators, quorum, answering };
    if (answering < quorum) return { ...chain, stands: `${answering} of ${validators} validators answer, agreement takes ${quorum}` };
    const unwell = committee.find((node) => !node.healthy && typeof node['reason'] === 'string');
    // Below a quorum of healthy ones nothing is decided, whoever answers.
    if (unwell === undefined || committee.filter((node) => node.healthy).length >= quorum) return chain;
    return { ...chain, stands: String(unwell['reason']) };
  });
}

/**
 * What the network says, put into one shape. The local cluster knows better than the network which processes run: its nodes are all listed, and a dead
 * one is called so even while the others have not noticed.
 */
export function statusView(status: NetworkStatus, cluster: Cluster | undefined): StatusView {
  const nodes = status.nodes.map(nodeView);
  if (cluster === undefined) return { nodes, chains: chainsOf(nodes), beacon: status.beacon };
  const merged = cluster.nodes.map((local): StatusNode => {
    const told = nodes.find((node) => node.id === local.id);
    const { id, role, shard, rpcUrl } = local;
    const alive = isNodeProcess(local.pid, local.configFile);
    const unknown: StatusNode = { id, role, shard, height: null, stateRoot: null, peers: null, healthy: false, reason: 'no answer', rpcUrl, pid: local.pid };
    if (!alive) return { ...(told ?? unknown), healthy: false, reason: NOT_RUNNING, rpcUrl, pid: null };
    return told === undefined ? unknown : { ...told, rpcUrl, pid: local.pid };
  });
  const strangers = nodes.filter((node) => cluster.nodes.every((local) => local.id !== node.id));
  const all = [...merged, ...strangers];
  return { nodes: all, chains: chainsOf(all), beacon: status.beacon };
}

/** `shardlab status`: exit code 1 unless every node is healthy. */
export function statusCommand(cli: Cli): Command {
  return cli.networkCommand('status', 'every node: height, role, view, state root, peers, queues, receipt batches by gossip and by pull, health').action(
    cli.run<NetworkOptions>(async (options) => {
      const { stdout } = cli.context;
      const network = await findNetwork(cli, options);
      const { cluster } = network;
      const client = clientOf(network);
      try {
        const view = statusView(await networkStatus(client), cluster);
        if (options.json === true) writeJsonLine(stdout, view);
        else writeLines(stdout, statusLines(view, stdout));
        return view.nodes.every((node) => node.healthy) ? EXIT_GOOD : EXIT_BAD;
      } finally {
        client.close();
      }
    }),
  );
}
