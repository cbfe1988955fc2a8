import type { Clock } from '../../ports.ts';
import { stripMessages } from './gossip-frame.ts';
import type { Link } from './link.ts';

/** What a stream carries, which decides what a lost message is. */
export type StreamKind = 'gossip' | 'committee' | 'request' | 'hello';

/** What became of a message. */
export type MessageOutcome = 'passed' | 'held' | 'lost';

/** Bytes that one stream holds back; beyond, its writer waits, and its own bounds apply. */
const HELD_BYTES_MAX = 4 << 20;

/** What a stream's sink is given, a chunk at a time. */
export type Chunk = Uint8Array | { readonly length: number; subarray(): Uint8Array };
/** What a stream's sink takes. */
export type ChunkSource = AsyncIterable<Chunk> | Iterable<Chunk>;

/** What {@link ShapedSource} works with. */
export interface ShapeModules {
  readonly link: Link;
  readonly clock: Clock;
  count(kind: StreamKind, outcome: MessageOutcome): void;
  /** Breaks the stream: that the source throws is not told to whoever reads its other half. */
  abort(error: Error): void;
}

interface Held {
  readonly chunk: Chunk;
  readonly dueMs: number;
}

const DONE = { done: true, value: undefined } as const;

/**
 * What one stream writes, as it comes through its link: late, thinned out, or not at all. The order within a stream stays, as TCP keeps it. On a link
 * without faults each chunk passes as it is.
 *
 * Message boundaries: a gossip stream's chunks are one frame each, a committee's link writes whole messages; what is written on a request stream, and on a hello, is one message.
 */
export class ShapedSource implements AsyncIterableIterator<Chunk> {
  private readonly source: AsyncIterator<Chunk> | Iterator<Chunk>;
  private readonly kind: StreamKind;
  private readonly modules: ShapeModules;
  private readonly held: Held[] = [];
  private heldBytes = 0;
  private lastDueMs = 0;
  private pulling = false;
  private judged = false;
  private state: 'open' | 'ended' | 'closed' = 'open';
  private failure: { readonly error: unknown } | undefined;
  private wake: () => void = () => undefined;

  constructor(source: ChunkSource, kind: StreamKind, modules: ShapeModules) {
    this.source = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    this.kind = kind;
    this.modules = modules;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Chunk, undefined>> {
    const { clock, link } = this.modules;
    for (;;) {
      if (this.state === 'closed') return DONE;
      const head = this.held[0];
      if (head !== undefined && !link.cut && (!link.faulted || head.dueMs <= clock.nowMs())) {
        this.held.shift();
        this.heldBytes -= head.chunk.length;
        return { done: false, value: head.chunk };
      }
      if (head === undefined && this.state === 'ended') {
        if (this.failure !== undefined) throw this.failure.error;
        return DONE;
      }
      if (!this.pulling && this.state === 'open' && this.heldBytes < HELD_BYTES_MAX) this.pull();
      await this.change(head);
    }
  }

  /** The stream ends, or is aborted: what is held back is gone. */
  async return(): Promise<IteratorResult<Chunk, undefined>> {
    this.state = 'closed';
    this.held.length = 0;
    this.wake();
    await this.source.return?.();
    return DONE;
  }

  /** Waits until something may have changed: a chunk came, the first is due, the link healed or broke, the stream ended. */
  private async change(head: Held | undefined): Promise<void> {
    const { clock, link } = this.modules;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wake = resolve;
    const unlisten = link.onChange(resolve);
    const cancel = head === undefined || link.cut ? undefined : clock.schedule(Math.ceil(head.dueMs - clock.nowMs()), resolve);
    try {
      await promise;
    } finally {
      cancel?.();
      unlisten();
    }
  }

  private pull(): void {
    this.pulling = true;
    Promise.resolve(this.source.next()).then(
      (result) => {
        this.pulling = false;
        if (result.done === true) this.end(undefined);
        else this.take(result.value);
        this.wake();
      },
      (error: unknown) => {
        this.pulling = false;
        this.end({ error });
        this.wake();
      },
    );
  }

  private end(failure: { readonly error: unknown } | undefined): void {
    if (this.state !== 'open') return;
    this.state = 'ended';
    this.failure = failure;
  }

  private take(chunk: Chunk): void {
    if (this.state !== 'open') return;
    const { link } = this.modules;
    if (!link.faulted) this.hold(chunk, 0);
    else if (this.kind === 'gossip') this.takeGossip(chunk);
    else if (this.kind === 'committee') this.takeMessages(chunk);
    else if (this.judged) this.delay(chunk);
    else this.takeExchange(chunk);
    this.judged = true;
  }

  private takeGossip(chunk: Chunk): void {
    const { link } = this.modules;
    if (!link.cut && !link.loses()) {
      this.modules.count('gossip', 'passed');
      this.delay(chunk);
      return;
    }
    const { messages, rest } = stripMessages(chunk.subarray());
    if (messages > 0) this.modules.count('gossip', 'lost');
    if (rest !== undefined) this.delay(rest);
  }

  /** A committee's link writes whole messages. */
  private takeMessages(chunk: Chunk): void {
    const { link } = this.modules;
    const lost = link.cut || link.loses();
    this.modules.count('committee', lost ? 'lost' : 'passed');
    if (!lost) this.delay(chunk);
  }

  /** The first chunk of a request, an answer or a hello stands for all of it. */
  private takeExchange(chunk: Chunk): void {
    const { link } = this.modules;
    // Connections are made by retrying until they stand, so a lost hello would only be a slow one.
    if (this.kind === 'request' && !link.cut && link.loses()) {
      this.modules.count(this.kind, 'lost');
      const error = new Error('lost by the fault shim');
      this.end({ error });
      this.modules.abort(error);
      return;
    }
    this.modules.count(this.kind, link.cut ? 'held' : 'passed');
    this.delay(chunk);
  }

  private delay(chunk: Chunk): void {
    const { clock, link } = this.modules;
    // What is drawn later may be due earlier, but cannot overtake.
    this.lastDueMs = Math.max(this.lastDueMs, link.dueMs(chunk.length, clock.nowMs()));
    this.hold(chunk, this.lastDueMs);
  }

  private hold(chunk: Chunk, dueMs: number): void {
    this.held.push({ chunk, dueMs });
    this.heldBytes += chunk.length;
  }
}
