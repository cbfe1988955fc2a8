import { DecodeError } from '@shardlab/crosslink';
import type { Stream } from '@libp2p/interface';

/** Bytes of the length before each frame: a big-endian u32. */
const PREFIX_BYTES = 4;

/** `body` with its length before it, in fresh bytes: the caller may reuse its own at once. */
export function frame(body: Uint8Array): Uint8Array {
  const out = new Uint8Array(PREFIX_BYTES + body.length);
  new DataView(out.buffer).setUint32(0, body.length);
  out.set(body, PREFIX_BYTES);
  return out;
}

/**
 * Reads frames from a stream. Memory follows the bytes that have arrived, never the length that was announced. Throws `decode/truncated` when the
 * peer ends the stream inside a frame, `decode/bound` for a length above the bound, another error when the stream is reset or its connection dies.
 */
export class FrameReader {
  private readonly stream: Stream;
  private readonly source: AsyncIterator<{ subarray(): Uint8Array }>;
  private readonly chunks: Uint8Array[] = [];
  private held = 0;

  constructor(stream: Stream) {
    this.stream = stream;
    this.source = stream.source[Symbol.asyncIterator]();
  }

  /** Exactly `length` bytes, fresh. */
  async exactly(length: number): Promise<Uint8Array> {
    while (this.held < length) {
      const next = await this.source.next();
      if (next.done === true) throw this.ended(length);
      const chunk = next.value.subarray();
      this.chunks.push(chunk);
      this.held += chunk.length;
    }
    return this.take(length);
  }

  /**
   * One frame of at most `bytesMax` bytes, fresh. `reserve` is asked with the announced length before the body is read; when it says no, the
   * result is `undefined`.
   */
  async frame(bytesMax: number, reserve: (length: number) => boolean = () => true): Promise<Uint8Array | undefined> {
    const prefix = await this.exactly(PREFIX_BYTES);
    const length = new DataView(prefix.buffer).getUint32(0);
    if (length > bytesMax) throw new DecodeError('decode/bound', `frame of ${length} bytes, at most ${bytesMax} allowed`);
    return reserve(length) ? this.exactly(length) : undefined;
  }

  private ended(wanted: number): Error {
    // A connection that dies ends the source in the same way, but the sink with it. Where we have closed our own side the two look the same: no offence.
    if (this.stream.timeline.closeWrite !== undefined) return new Error('the stream was cut');
    return new DecodeError('decode/truncated', `stream ended after ${this.held} of ${wanted} bytes`);
  }

  private take(length: number): Uint8Array {
    const out = new Uint8Array(length);
    let at = 0;
    let used = 0;
    while (at < length) {
      const chunk = this.chunks[used]!;
      const part = chunk.subarray(0, length - at);
      out.set(part, at);
      at += part.length;
      if (part.length === chunk.length) used++;
      else this.chunks[used] = chunk.subarray(part.length);
    }
    this.chunks.splice(0, used);
    this.held -= length;
    return out;
  }
}

/** Whether `error` says that the peer sent what no honest peer sends; a reset or a dead connection does not. */
export function isMalformed(error: unknown): error is DecodeError {
  return error instanceof DecodeError;
}
