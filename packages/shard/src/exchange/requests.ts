import { encodeRequest, type ShardId, type WireRequest } from '@shardlab/crosslink';
import type { Effect, Peer } from '../effects.ts';
import type { StepContext } from '../step-context.ts';

/** When all validators of a chain have failed to help, it rests this long, and twice as long each time after, in milliseconds. */
const REST_MS = 200;
const REST_MAX_MS = 3_000;

/** Who asks, and how large the committees are. */
export interface RequestOptions {
  readonly own: Peer;
  /** Validators of a chain. */
  readonly size: (chain: ShardId) => number;
  readonly timeoutMs: number;
}

interface Failures {
  readonly count: number;
  readonly untilMs: number;
}

/** What is asked once at a time, and rests as one. */
function questionOf(kind: WireRequest['kind'], chain: ShardId): string {
  return `${kind}/${chain}`;
}

/**
 * Requests to other nodes that are under way: at most one of a kind to a chain, so that a slow peer is not asked over and over. A chain is asked through one of its
 * validators, and through the next one when that has not helped; validators begin with different ones, so that none is asked by all. A chain of which none has helped
 * rests: a request can fail in no time, and whoever needs the answer may ask at each step.
 */
export class Requests {
  private readonly options: RequestOptions;
  private readonly step: StepContext;
  private readonly open = new Map<number, { readonly to: Peer; readonly request: WireRequest }>();
  private readonly busy = new Set<string>();
  private readonly turns = new Map<ShardId, number>();
  private readonly failures = new Map<string, Failures>();
  private next = 1;

  constructor(options: RequestOptions, step: StepContext) {
    this.options = options;
    this.step = step;
  }

  /** Takes a number for a request of any kind. */
  number(): number {
    return this.next++;
  }

  /** The effect that asks a chain; `undefined` while a question of this kind to it is open, it rests from those, or nobody else is there to ask. */
  ask(chain: ShardId, request: WireRequest): Effect | undefined {
    const to = this.target(chain);
    const rests = (this.failures.get(questionOf(request.kind, chain))?.untilMs ?? 0) > this.step.nowMs;
    return to === undefined || rests ? undefined : this.askPeer(to, request);
  }

  /** The effect that asks one validator; `undefined` while a question of this kind to its chain is open. */
  askPeer(to: Peer, request: WireRequest): Effect | undefined {
    const key = questionOf(request.kind, to.chain);
    if (this.busy.has(key)) return undefined;
    this.busy.add(key);
    const number = this.number();
    this.open.set(number, { to, request });
    return { kind: 'request', request: number, to, body: encodeRequest(request), timeoutMs: this.options.timeoutMs };
  }

  private target(chain: ShardId): Peer | undefined {
    const { own, size } = this.options;
    const validators = size(chain);
    const turn = this.turns.get(chain) ?? 0;
    if (chain !== own.chain) return { chain, validator: (own.validator + turn) % validators };
    return validators === 1 ? undefined : { chain, validator: (own.validator + 1 + (turn % (validators - 1))) % validators };
  }

  /** Who was asked has not helped: the chain's next validator is asked from now on, after a rest of at most `restMaxMs` if it was the last one's turn. */
  failed(kind: WireRequest['kind'], chain: ShardId, restMaxMs = REST_MAX_MS): void {
    this.rotate(chain);
    const key = questionOf(kind, chain);
    const count = (this.failures.get(key)?.count ?? 0) + 1;
    const { own, size } = this.options;
    const others = Math.max(1, chain === own.chain ? size(chain) - 1 : size(chain));
    const restMs = Math.min(restMaxMs, REST_MS * 2 ** Math.min(count / others - 1, 8));
    this.failures.set(key, { count, untilMs: count % others === 0 ? this.step.nowMs + restMs : 0 });
  }

  /** The chain has helped, or was heard of: what failed before may work now. */
  helped(kind: WireRequest['kind'], chain: ShardId): void {
    this.failures.delete(questionOf(kind, chain));
  }

  /** The chain's next validator is asked from now on. */
  rotate(chain: ShardId): void {
    this.turns.set(chain, (this.turns.get(chain) ?? 0) + 1);
  }

  /** What the answer with this number answers; `undefined` for a stale one. */
  close(number: number): { readonly to: Peer; readonly request: WireRequest } | undefined {
    const entry = this.open.get(number);
    if (entry === undefined) return undefined;
    this.open.delete(number);
    this.busy.delete(questionOf(entry.request.kind, entry.to.chain));
    return entry;
  }
}
