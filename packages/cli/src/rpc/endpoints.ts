import { RpcClient } from './client.ts';
import type { HttpTransport } from './http.ts';
import { type NetworkStatus, type NodeStatus, shardStatus } from './methods.ts';

/** Nodes asked at once while looking for direct ways to the shards. */
const PROBES_AT_ONCE = 8;
/** How long a node may take to show that it can be reached directly. */
const PROBE_TIMEOUT_MS = 2000;

/** What the ways of {@link ShardEndpoints} are. */
export interface Ways {
  /** How many of them, from the first on, are the shard's own validators; the rest forwards. */
  readonly direct: number;
  /** How many of those take part in the shard's work now, as far as is known. */
  readonly live: number;
}

/**
 * Ways to one shard, best first: its own validators where they can be reached from here, then the node that the user named, which forwards. `current` changes
 * only when the caller reports that it failed, or that it seems to be cut off.
 */
export class ShardEndpoints {
  private readonly clients: readonly RpcClient[];
  private readonly ways: Ways;
  private at = 0;

  constructor(clients: readonly RpcClient[], ways: Ways = { direct: 0, live: 0 }) {
    this.clients = clients;
    this.ways = ways;
  }

  /** The client to use now. */
  get current(): RpcClient {
    return this.clients[this.at]!;
  }

  /** Moves on from `failed` to the next way; a second report about the same failure changes nothing. */
  failed(failed: RpcClient): void {
    if (this.current === failed) this.at = (this.at + 1) % this.clients.length;
  }

  /** Moves on from `client`, which answers but brings nothing new, to the shard's next validator: it may be the one that its committee goes on without. */
  stale(client: RpcClient): void {
    if (this.current === client && this.ways.direct > 1) this.at = (this.at + 1) % this.ways.direct;
  }

  /** The same ways, once for each validator that takes part: each begins with another one, so that work can be spread over them. At least one. */
  lanes(): ShardEndpoints[] {
    const { direct, live } = this.ways;
    const own = this.clients.slice(0, direct);
    const rest = this.clients.slice(direct);
    return Array.from({ length: Math.max(1, live) }, (_, first) => new ShardEndpoints([...own.slice(first), ...own.slice(0, first), ...rest], this.ways));
  }
}

/** A client of the node itself, if it can be reached at the URL that it reports, and is that node of that network: behind port mappings it may be another one. */
async function probe(node: NodeStatus, genesisHash: string, http: HttpTransport): Promise<RpcClient | undefined> {
  const client = new RpcClient({ url: node.rpcUrl! }, { http });
  const reached = await shardStatus(client, node.shard!, { timeoutMs: PROBE_TIMEOUT_MS, attempts: 1 }).catch(() => undefined);
  return reached?.id === node.id && reached['genesisHash'] === genesisHash ? client : undefined;
}

/** Finds direct ways to each shard; healthy validators are taken before others. */
export async function findEndpoints(entry: RpcClient, status: NetworkStatus, http: HttpTransport): Promise<ShardEndpoints[]> {
  const found: { readonly node: NodeStatus; readonly client: RpcClient }[] = [];
  const targets = status.nodes.filter((node) => node.shard !== undefined && node.shard < status.shards && /^https?:/.test(node.rpcUrl ?? '') && URL.canParse(node.rpcUrl!));
  for (let from = 0; from < targets.length; from += PROBES_AT_ONCE) {
    const batch = targets.slice(from, from + PROBES_AT_ONCE);
    const clients = await Promise.all(batch.map((node) => probe(node, status.genesisHash, http)));
    clients.forEach((client, at) => client !== undefined && found.push({ node: batch[at]!, client }));
  }
  return Array.from({ length: status.shards }, (_, shard) => {
    const own = found.filter(({ node }) => node.shard === shard);
    const [well, unwell] = [own.filter(({ node }) => node.healthy), own.filter(({ node }) => !node.healthy)];
    const direct = [...well, ...unwell].map(({ client }) => client);
    return new ShardEndpoints([...direct, entry], { direct: direct.length, live: well.length });
  });
}
