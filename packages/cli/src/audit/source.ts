import { ShardlabError } from '@shardlab/crosslink';
import { badAnswer, byteListOf, bytesOf, callRpc, callRpcBatch, fieldsOf, getJson, integerOf, type RpcOptions, textOf } from './rpc.ts';

/** Blocks asked for at once: the most that a node serves. */
const PAGE_BLOCKS = 256;
const STATE_PAGE_BYTES = 1 << 20;

/** Where the network is. */
export interface SourceOptions extends RpcOptions {
  /** Base URL of any node. */
  readonly rpcUrl: string;
  /** Base URLs of nodes of single shards, asked before any other for theirs. */
  readonly shardUrls: ReadonlyMap<number, string>;
}

/** A node that the network names, at the URL that it reports. */
export interface Validator {
  readonly id: string;
  /** undefined: of the beacon. */
  readonly shard: number | undefined;
  readonly url: string;
}

/** How long a single validator may take, in milliseconds: it is asked beside the others, and may be dead. */
const VALIDATOR_TIMEOUT_MS = 5_000;

/** A pinned state of one shard. */
export interface Pin {
  readonly shard: number;
  readonly height: number;
  readonly id: string;
}

/**
 * The network as the audit sees it: JSON-RPC and nothing else. A shard is asked through the node that was named for it, then through the node at `rpcUrl`, which
 * forwards, then through the URLs that the network gives for its nodes. The way that worked last is taken first, because pins live on one node.
 */
export class Source {
  private readonly options: SourceOptions;
  private readonly routes = new Map<number, string[]>();
  private readonly networkRoutes: string[];
  private readonly named: Validator[] = [];

  constructor(options: SourceOptions) {
    this.options = options;
    this.networkRoutes = [...new Set([options.rpcUrl, ...options.shardUrls.values()].map(trimmed))];
  }

  /** Throws the signal's reason when the audit was called off. */
  checkCancelled(): void {
    this.options.signal?.throwIfAborted();
  }

  /** Every node that the network has named. */
  get validators(): readonly Validator[] {
    return this.named;
  }

  /** Learns of a node, which may be asked when all else fails. */
  addNode({ id, shard, url }: Validator): void {
    this.named.push({ id, shard, url: trimmed(url) });
    if (shard !== undefined) this.routesOf(shard).push(`${trimmed(url)}/shard/${shard}`);
    if (!this.networkRoutes.includes(trimmed(url))) this.networkRoutes.push(trimmed(url));
  }

  private routesOf(shard: number): string[] {
    let routes = this.routes.get(shard);
    if (routes === undefined) {
      const own = this.options.shardUrls.get(shard);
      routes = [...(own === undefined ? [] : [own]), this.options.rpcUrl].map((url) => `${trimmed(url)}/shard/${shard}`);
      this.routes.set(shard, routes);
    }
    return routes;
  }

  /** Calls a method of the network view. Rejects as {@link callRpc}. */
  network(method: string, params: readonly unknown[]): Promise<unknown> {
    return this.tryRoutes(this.networkRoutes, (route) => callRpc(route, method, params, this.options), 'the network');
  }

  /** Calls a method of one shard's chain. Rejects as {@link callRpc}. */
  shard(shard: number, method: string, params: readonly unknown[]): Promise<unknown> {
    return this.tryRoutes(this.routesOf(shard), (route) => callRpc(route, method, params, this.options), `shard ${shard}`);
  }

  /** Calls one method of one shard's chain several times (at most 100) in one request; results in the same order. Rejects as {@link callRpcBatch}. */
  shardBatch(shard: number, method: string, params: readonly (readonly unknown[])[]): Promise<unknown[]> {
    return this.tryRoutes(this.routesOf(shard), (route) => callRpcBatch(route, method, params, this.options), `shard ${shard}`);
  }

  private async tryRoutes<T>(routes: string[], call: (route: string) => Promise<T>, what: string): Promise<T> {
    let first: ShardlabError | undefined;
    for (const route of routes.slice()) {
      try {
        const result = await call(route);
        routes.splice(routes.indexOf(route), 1);
        routes.unshift(route);
        return result;
      } catch (error) {
        if (!(error instanceof ShardlabError) || error.code !== 'audit/unreachable') throw error;
        first ??= error;
      }
    }
    throw new ShardlabError('audit/unreachable', `${what} cannot be reached: ${first!.message}`, first!.data, { cause: first });
  }

  /** What one validator says at `/healthz`. Rejects as {@link getJson}. */
  health({ url }: Validator): Promise<unknown> {
    return getJson(`${url}/healthz`, { ...this.options, timeoutMs: VALIDATOR_TIMEOUT_MS });
  }

  /** One validator's own block of its chain at a height, encoded: none or one. Rejects as {@link callRpc}. */
  async blockOf({ shard, url }: Validator, height: number): Promise<Uint8Array[]> {
    const [path, method] = shard === undefined ? ['/', 'shard_getBeaconBlocks'] : [`/shard/${shard}`, 'shard_getBlocks'];
    const answer = await callRpc(`${url}${path}`, method, [height, 1], { ...this.options, timeoutMs: VALIDATOR_TIMEOUT_MS });
    return byteListOf(fieldsOf(answer, method), 'blocks', method);
  }

  /** Encoded blocks of a shard from one height to another, both included, in order; the next page is fetched while one is worked on. */
  async *blocks(shard: number, from: number, to: number): AsyncGenerator<Uint8Array> {
    const page = async (at: number): Promise<Uint8Array[]> => {
      const answer = fieldsOf(await this.shard(shard, 'shard_getBlocks', [at, Math.min(PAGE_BLOCKS, to - at + 1)]), 'shard_getBlocks');
      const blocks = byteListOf(answer, 'blocks', 'shard_getBlocks');
      if (blocks.length === 0 || at + blocks.length > to + 1) throw badAnswer('shard_getBlocks', `has ${blocks.length} blocks from ${at} of shard ${shard} on`);
      return blocks;
    };
    let next = from <= to ? page(from) : undefined;
    for (let at = from; next !== undefined; ) {
      const blocks = await next;
      at += blocks.length;
      next = at <= to ? page(at) : undefined;
      // Whoever stops reading must not be told of an error that nobody waits for.
      next?.catch(() => undefined);
      yield* blocks;
    }
  }

  /** Encoded beacon blocks from a height on; empty when there are no more. */
  async beaconBlocks(from: number): Promise<Uint8Array[]> {
    const answer = await this.network('shard_getBeaconBlocks', [from, PAGE_BLOCKS]);
    return byteListOf(fieldsOf(answer, 'shard_getBeaconBlocks'), 'blocks', 'shard_getBeaconBlocks');
  }

  /** Pins the state of a height, to be read page by page. */
  async pin(shard: number, height: number): Promise<Pin> {
    const answer = fieldsOf(await this.shard(shard, 'shard_pinState', [height]), 'shard_pinState');
    if (integerOf(answer, 'height', 'shard_pinState') !== height) throw badAnswer('shard_pinState', `is about another height than ${height}`);
    return { shard, height, id: textOf(answer, 'pin', 'shard_pinState') };
  }

  /** The flat entries of a pinned state, page by page: u16 length and key, u16 length and value, back to back, keys ascending. */
  async *state(pin: Pin): AsyncGenerator<Uint8Array> {
    for (let cursor: unknown = null; ; ) {
      const answer = fieldsOf(await this.shard(pin.shard, 'shard_readState', [pin.id, cursor, STATE_PAGE_BYTES]), 'shard_readState');
      yield bytesOf(answer['entries'], 'shard_readState');
      if (answer['next'] === null) return;
      cursor = textOf(answer, 'next', 'shard_readState');
    }
  }

  /** Lets a pin go. */
  async unpin(pin: Pin): Promise<void> {
    await this.shard(pin.shard, 'shard_unpinState', [pin.id]);
  }
}

function trimmed(url: string): string {
  return url.replace(/\/+$/, '');
}
