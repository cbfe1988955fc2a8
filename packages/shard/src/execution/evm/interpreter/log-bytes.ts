/** Bytes of memory that logs share; longer data have memory of their own. */
const CHUNK_BYTES = 32 * 1024;
const SHARED_MAX = CHUNK_BYTES / 16;

/**
 * Memory for topics and data of logs, which are views of it: an array of its own for each topic is three times as much to allocate, and to copy for the garbage collector
 * while receipts live. A log that is kept keeps its chunk.
 */
export class LogBytes {
  private chunk = new Uint8Array(0);
  private at = 0;

  /** `sizeBytes` bytes that nobody else has; what is in them is not said. */
  take(sizeBytes: number): Uint8Array {
    if (sizeBytes > SHARED_MAX) return new Uint8Array(sizeBytes);
    if (this.at + sizeBytes > this.chunk.length) {
      this.chunk = new Uint8Array(CHUNK_BYTES);
      this.at = 0;
    }
    const start = this.at;
    this.at += sizeBytes;
    return this.chunk.subarray(start, this.at);
  }
}
