/** Bytes of several messages that are written in one piece. */
const PIECE_BYTES_MAX = 64 << 10;

const DONE = { done: true, value: undefined } as const;

/**
 * What a stream's sink reads: messages that come while it is busy, or within one turn of the event loop, go out in one piece. On a committee's links that is one
 * encrypted write where each message had one of its own. A piece is always a whole number of messages.
 */
export class LinkWriter implements AsyncIterableIterator<Uint8Array, undefined> {
  private readonly bytesMax: number;
  private queue: Uint8Array[] = [];
  private bytes = 0;
  private closed = false;
  private wake: (() => void) | undefined;

  /** `bytesMax`: how much may wait. */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Queues a frame, which is the writer's from now on; false = there is no room for it. */
  push(frame: Uint8Array): boolean {
    if (this.closed || this.bytes + frame.length > this.bytesMax) return false;
    this.queue.push(frame);
    this.bytes += frame.length;
    this.wake?.();
    return true;
  }

  /** Ends the stream; what waits is dropped. */
  close(): void {
    this.closed = true;
    this.queue = [];
    this.bytes = 0;
    this.wake?.();
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    while (this.queue.length === 0 && !this.closed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.wake = resolve;
      await promise;
      this.wake = undefined;
    }
    return this.closed ? DONE : { done: false, value: this.piece() };
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.close();
    return Promise.resolve(DONE);
  }

  private piece(): Uint8Array {
    let count = 1;
    let length = this.queue[0]!.length;
    while (count < this.queue.length && length + this.queue[count]!.length <= PIECE_BYTES_MAX) length += this.queue[count++]!.length;
    const frames = this.queue.splice(0, count);
    this.bytes -= length;
    if (count === 1) return frames[0]!;
    const piece = new Uint8Array(length);
    let at = 0;
    for (const frame of frames) {
      piece.set(frame, at);
      at += frame.length;
    }
    return piece;
  }
}
