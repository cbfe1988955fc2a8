import { readCluster } from '../cluster/cluster-file.ts';
import { pause } from '../cluster/wait.ts';
import { badAnswer, usageError } from '../output/cli-error.ts';
import { RpcClient, RpcError } from '../rpc/client.ts';
import { linkFaults } from './link-faults.ts';
import type { ChaosEvent } from './schedule.ts';

/** A node that hears nothing from us for this long is healthy again by itself. */
const TTL_MS = 15_000;
const RENEW_MS = 4_000;
const CALL_TIMEOUT_MS = 4_000;
/** How long a healing node may take to say that it is. Its faults have expired by then whether it says so or not. */
const CLEAR_TIMEOUT_MS = 20_000;
const CLEAR_INTERVAL_MS = 250;

/** What {@link FaultPlane} is told. */
export interface FaultPlaneOptions {
  readonly dataDir: string;
  readonly token: string;
  readonly session: string;
  readonly seed: number;
  readonly nodes: readonly string[];
}

/** The faults between all nodes of a cluster: which ones are to be in force, and that each node is told so, again and again. */
export class FaultPlane {
  private readonly options: FaultPlaneOptions;
  private readonly failed: (node: string, error: unknown) => void;
  private readonly active = new Set<ChaosEvent>();
  /** Nodes that can be told nothing now: killed or stopped by us. */
  private readonly absent = new Set<string>();
  /** The last call to each node: the next waits for it, so that no older state overtakes a newer one. */
  private readonly calls = new Map<string, Promise<void>>();
  private readonly toldMs = new Map<string, number>();
  private renewal: NodeJS.Timeout | undefined;

  /** `failed` is told of a node that could not be told. */
  constructor(options: FaultPlaneOptions, failed: (node: string, error: unknown) => void) {
    this.options = options;
    this.failed = failed;
  }

  /** Looks whether every node takes faults from us, and begins to renew them. Throws `chaos/refused` when one does not: nothing was set then. */
  async open(): Promise<void> {
    await Promise.all(
      this.options.nodes.map(async (node) => {
        try {
          await this.tell(node);
        } catch (error) {
          const why = error instanceof RpcError && error.rpcCode === -32_601 ? 'it was started without a control token: "shardlab down" and "shardlab up" give it one' : (error as Error).message;
          throw usageError('chaos/refused', `${node} takes no faults: ${why}`, { cause: error });
        }
      }),
    );
    this.renewal = setInterval(() => void this.push(this.options.nodes, 'renewal'), RENEW_MS);
  }

  /** Puts a fault into force at all nodes that can be told. */
  async add(event: ChaosEvent): Promise<void> {
    this.active.add(event);
    await this.push(this.options.nodes, 'fault');
  }

  /** Ends a fault. */
  async remove(event: ChaosEvent): Promise<void> {
    this.active.delete(event);
    // A node that does not hear of it now is told again with the next renewal.
    await this.push(this.options.nodes, 'renewal');
  }

  /** A node is gone, or stands still. */
  leave(node: string): void {
    this.absent.add(node);
  }

  /** A node is back, and knows nothing. */
  async join(node: string): Promise<void> {
    this.absent.delete(node);
    await this.push([node], 'fault');
  }

  /** Heals every node that runs; the ids of those that did not say so in time. */
  async clear(running: readonly string[]): Promise<string[]> {
    clearInterval(this.renewal);
    this.active.clear();
    this.absent.clear();
    const left = await Promise.all(running.map(async (node) => ((await this.cleared(node)) ? [] : [node])));
    return left.flat();
  }

  private async cleared(node: string): Promise<boolean> {
    const deadlineMs = performance.now() + CLEAR_TIMEOUT_MS;
    for (;;) {
      try {
        await this.tell(node);
        return true;
      } catch {
        if (performance.now() > deadlineMs) return false;
        await pause(CLEAR_INTERVAL_MS);
      }
    }
  }

  /** Tells each node that can be told. That a fault is not taken is a failure at once; a renewal may fail for as long as what was told before holds. */
  private async push(nodes: readonly string[], what: 'fault' | 'renewal'): Promise<void> {
    await Promise.all(
      nodes.map(async (node) => {
        if (this.absent.has(node)) return;
        try {
          await this.tell(node);
        } catch (error) {
          // It may have been struck while it was being told.
          if (this.absent.has(node)) return;
          const heldMs = performance.now() - (this.toldMs.get(node) ?? 0);
          if (what === 'fault' || heldMs > TTL_MS) this.failed(node, error);
        }
      }),
    );
  }

  private tell(node: string): Promise<void> {
    const before = this.calls.get(node) ?? Promise.resolve();
    const call = before.then(
      () => this.call(node),
      () => this.call(node),
    );
    this.calls.set(node, call);
    return call;
  }

  private async call(node: string): Promise<void> {
    const { dataDir, nodes, session, seed, token } = this.options;
    const url = readCluster(dataDir).nodes.find(({ id }) => id === node)?.rpcUrl ?? '';
    if (url === '') throw badAnswer('chaos/not-running', `${node} has never been ready`);
    const client = new RpcClient({ url, timeoutMs: CALL_TIMEOUT_MS, attempts: 2 });
    try {
      // Looked up last: what has changed while this call waited is in it.
      const links = linkFaults(node, nodes, [...this.active]);
      await client.call('/', 'shardlab_setFaults', [token, { session, seed, ttlMs: TTL_MS, links }]);
      this.toldMs.set(node, performance.now());
    } finally {
      client.close();
    }
  }
}
