import { createHash } from 'node:crypto';

import { type Hash32, hash32, invariant } from '@shardlab/crosslink';

const BUFFER_BYTES = 16_384;
/** Texts whose bytes are remembered. */
const TEXTS_MAX = 1_024;

/**
 * A running SHA-256 over everything that a simulation did, so that two runs of one seed can be compared: equal digests after every event mean
 * equal runs. To find where two runs part, compare {@link digest} after runs of n/2, n/4, … events. Every item carries its length, so that no
 * two sequences of items give the same bytes.
 */
export class TraceHash {
  /** Whether anything is folded: without it a run is a tenth faster, and its digest says nothing. */
  readonly enabled: boolean;
  private readonly hash = createHash('sha256');
  // Events fold 16 bytes each: calling into OpenSSL for each would cost more than the event.
  private readonly buffer = new Uint8Array(BUFFER_BYTES);
  private readonly view = new DataView(this.buffer.buffer);
  private readonly encoder = new TextEncoder();
  /** Names come back again and again. */
  private readonly texts = new Map<string, Uint8Array>();
  private at = 0;

  constructor(enabled = true) {
    this.enabled = enabled;
  }

  /** Folds a safe integer of at least 0. */
  integer(value: number): this {
    if (!this.enabled) return this;
    invariant(Number.isSafeInteger(value) && value >= 0, 'not an integer that a trace can hold', { value });
    const start = this.reserve(8);
    this.view.setUint32(start, Math.floor(value / 0x1_0000_0000));
    this.view.setUint32(start + 4, value >>> 0);
    return this;
  }

  /** Folds a length and the bytes; they are not kept. */
  bytes(bytes: Uint8Array): this {
    if (!this.enabled) return this;
    this.integer(bytes.length);
    if (bytes.length > BUFFER_BYTES / 2) {
      this.flush();
      this.hash.update(bytes);
    } else {
      const start = this.reserve(bytes.length);
      this.buffer.set(bytes, start);
    }
    return this;
  }

  /** Folds UTF-8 text as {@link bytes}: names of effects, topics. */
  text(text: string): this {
    if (!this.enabled) return this;
    let bytes = this.texts.get(text);
    if (bytes === undefined) {
      bytes = this.encoder.encode(text);
      if (this.texts.size < TEXTS_MAX) this.texts.set(text, bytes);
    }
    return this.bytes(bytes);
  }

  /** SHA-256 of all that was folded so far, 32 bytes; folding can go on. */
  digest(): Hash32 {
    this.flush();
    return hash32(new Uint8Array(this.hash.copy().digest()));
  }

  private reserve(bytes: number): number {
    if (this.at + bytes > BUFFER_BYTES) this.flush();
    const start = this.at;
    this.at += bytes;
    return start;
  }

  private flush(): void {
    this.hash.update(this.buffer.subarray(0, this.at));
    this.at = 0;
  }
}
