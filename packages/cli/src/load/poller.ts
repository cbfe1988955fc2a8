import { setTimeout as sleep } from 'node:timers/promises';
import { ShardlabError } from '@shardlab/crosslink';
import type { ShardEndpoints } from '../rpc/endpoints.ts';
import { blockEvents, type EventBlock } from '../rpc/methods.ts';

/** How long a node may hold a poll while its shard makes no block: a few heartbeats. A node that hangs is noticed by a poll that is overdue. */
const POLL_WAIT_MS = 3_000;
const BACKOFF_MIN_MS = 50;
const BACKOFF_MAX_MS = 500;

/** Takes what one shard's poll brings. */
export interface PollerEvents {
  block(block: EventBlock): void;
  /** The shard answers again after it did not: what its pool held may be gone. */
  back(): void;
}

/**
 * One long poll for one shard's final blocks, from a height on, without gaps: blocks are durable, so after a crash the poll goes on where it was, with
 * the same node or another one of the shard.
 */
export class ShardPoller {
  private readonly shard: number;
  private readonly endpoints: ShardEndpoints;
  private readonly events: PollerEvents;
  private nextHeight: number;
  private trouble: string | undefined;

  constructor(options: { readonly shard: number; readonly fromHeight: number }, modules: { readonly endpoints: ShardEndpoints; readonly events: PollerEvents }) {
    this.shard = options.shard;
    this.nextHeight = options.fromHeight;
    this.endpoints = modules.endpoints;
    this.events = modules.events;
  }

  /** Why the last poll failed; undefined while the shard answers. */
  get problem(): string | undefined {
    return this.trouble;
  }

  /** Polls until `signal` is aborted. Rejects only on a bug: whatever a node does wrong is waited out. */
  async run(signal: AbortSignal): Promise<void> {
    let backoffMs = BACKOFF_MIN_MS;
    while (!signal.aborted) {
      const client = this.endpoints.current;
      try {
        // After trouble the first poll returns at once, so that a shard that is back but idle is seen.
        const waitMs = this.trouble === undefined ? POLL_WAIT_MS : 0;
        const blocks = await blockEvents(client, this.shard, this.nextHeight, waitMs, signal);
        const missed = blocks.length > 0 && blocks[0]!.height > this.nextHeight;
        const wasAway = this.trouble !== undefined;
        this.trouble = undefined;
        backoffMs = BACKOFF_MIN_MS;
        for (const block of blocks) this.take(block);
        // A shard that is well makes blocks even when idle.
        if (blocks.length === 0 && waitMs > 0) this.endpoints.stale(client);
        // Missed blocks can only be made good by asking for each transaction: sending again finds out which.
        if (wasAway || missed) this.events.back();
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ShardlabError) || error.code === 'invariant') throw error;
        this.trouble = error.message;
        this.endpoints.failed(client);
        await sleep(backoffMs, undefined, { signal }).catch(() => undefined);
        backoffMs = Math.min(BACKOFF_MAX_MS, backoffMs * 2);
      }
    }
  }

  private take(block: EventBlock): void {
    if (block.height < this.nextHeight) return;
    this.nextHeight = block.height + 1;
    this.events.block(block);
  }
}
