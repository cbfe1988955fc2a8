import { RpcClient } from './client.ts';
import type { HttpTransport } from './http.ts';
import { networkStatus, type NetworkStatus } from './methods.ts';

/** Nodes asked at once while looking for direct ways to the shards. */
const PROBES_AT_ONCE = 8;
/** How long a node may take to show that it can be reached directly. */
const PROBE_TIMEOUT_MS = 2000;

/**
 * Ways to one shard, best first: its own nodes where they can be reached from here, then the node that the user named, which forwards. `current`
 * changes only when the caller reports a failure.
 */
export class ShardEndpoints {
  private readonly clients: readonly RpcClient[];
  private at = 0;

  constructor(clients: readonly RpcClient[]) {
    this.clients = clients;
  }

  /** The client to use now. */
  get current(): RpcClient {
    return this.clients[this.at]!;
  }

  /** Moves on from `failed` to the next way; a second report about the same failure changes nothing. */
  failed(failed: RpcClient): void {
    if (this.current === failed) this.at = (this.at + 1) % this.clients.length;
  }
}

/**
 * Finds direct ways to each shard. A URL that a node reports of itself is trusted only when it answers with this network's genesis hash: behind port
 * mappings the same URL may be another node, or another program.
 */
export async function findEndpoints(entry: RpcClient, status: NetworkStatus, http: HttpTransport): Promise<ShardEndpoints[]> {
  const direct: RpcClient[][] = Array.from({ length: status.shards }, () => []);
  const targets = status.nodes.filter((node) => node.shard !== undefined && node.shard < status.shards && /^https?:/.test(node.rpcUrl ?? '') && URL.canParse(node.rpcUrl!));
  for (let from = 0; from < targets.length; from += PROBES_AT_ONCE) {
    await Promise.all(
      targets.slice(from, from + PROBES_AT_ONCE).map(async (node) => {
        const client = new RpcClient({ url: node.rpcUrl! }, { http });
        const reached = await networkStatus(client, { timeoutMs: PROBE_TIMEOUT_MS, attempts: 1 }).catch(() => undefined);
        if (reached?.genesisHash === status.genesisHash) direct[node.shard!]!.push(client);
      }),
    );
  }
  return direct.map((clients) => new ShardEndpoints([...clients, entry]));
}
