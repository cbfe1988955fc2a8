import { quorumSize } from '@shardlab/crosslink';
import type { Cluster, ClusterNode } from './cluster-file.ts';
import type { NodeHealth } from './node-process.ts';
import { isNodeProcess } from './process-identity.ts';

/** The validators of one chain, by id. */
export interface Committee {
  /** `beacon`, `shard-2`. */
  readonly chain: string;
  readonly ids: readonly string[];
  /** Validators that it takes to agree. */
  readonly quorum: number;
}

/** The committees of a cluster: the beacon's, then the shards' in order. */
export function committeesOf(cluster: Pick<Cluster, 'nodes'>): Committee[] {
  const groups = Map.groupBy(cluster.nodes, (node) => node.shard);
  return [...groups].map(([shard, nodes]) => ({
    chain: shard === null ? 'beacon' : `shard-${shard}`,
    ids: nodes.map((node) => node.id),
    quorum: quorumSize(nodes.length),
  }));
}

/** What can be expected of a node now, given which others run: a chain below its quorum stands, and one that is dead connects to nobody. */
export class Readiness {
  private readonly committees: readonly Committee[];
  private readonly running: ReadonlySet<string>;

  /** `starting`: ids that count as running, whatever their processes' state is at this moment. */
  constructor(cluster: Cluster, starting: readonly string[]) {
    this.committees = committeesOf(cluster);
    const alive = cluster.nodes.filter((node) => isNodeProcess(node.pid, node.configFile)).map((node) => node.id);
    this.running = new Set([...alive, ...starting]);
  }

  /** Nodes that run, apart from `ids`. */
  othersThan(ids: readonly string[], nodes: readonly ClusterNode[]): ClusterNode[] {
    return nodes.filter((node) => this.running.has(node.id) && !ids.includes(node.id));
  }

  /**
   * What node `id` lacks to do all that it can do as things are, in words; undefined: nothing. It is to be healthy if its chain has a quorum, and connected to a quorum of
   * every chain that has one.
   */
  lacking(id: string, health: NodeHealth): string | undefined {
    const connected = new Set([id, ...health.connected]);
    for (const { chain, ids, quorum } of this.committees) {
      const here = ids.filter((member) => this.running.has(member)).length;
      if (ids.includes(id) && here >= quorum && !health.healthy) return health.reason ?? 'it is not healthy';
      const wanted = Math.min(quorum, here);
      const reached = ids.filter((member) => connected.has(member)).length;
      if (reached < wanted) return `connected to ${reached} of ${chain}'s ${here} running validators, ${wanted} are needed`;
    }
    return undefined;
  }
}
