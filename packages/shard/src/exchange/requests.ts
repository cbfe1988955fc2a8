import { encodeRequest, type ShardId, type WireRequest } from '@shardlab/crosslink';
import type { Effect } from '../effects.ts';

/** Requests to other nodes that are under way: at most one of a kind to a chain, so that a slow peer is not asked over and over. */
export class Requests {
  private readonly open = new Map<number, { readonly to: ShardId; readonly request: WireRequest }>();
  private readonly busy = new Set<string>();
  private readonly timeoutMs: number;
  private next = 1;

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }

  /** Takes a number for a request of any kind. */
  number(): number {
    return this.next++;
  }

  /** The effect that asks; `undefined` while a question of this kind to this chain is open. */
  ask(to: ShardId, request: WireRequest): Effect | undefined {
    const key = `${request.kind}/${to}`;
    if (this.busy.has(key)) return undefined;
    this.busy.add(key);
    const number = this.number();
    this.open.set(number, { to, request });
    return { kind: 'request', request: number, to, body: encodeRequest(request), timeoutMs: this.timeoutMs };
  }

  /** What the answer with this number answers; `undefined` for a stale one. */
  close(number: number): { readonly to: ShardId; readonly request: WireRequest } | undefined {
    const entry = this.open.get(number);
    if (entry === undefined) return undefined;
    this.open.delete(number);
    this.busy.delete(`${entry.request.kind}/${entry.to}`);
    return entry;
  }
}
