/**
 * What crosses between the pool and its workers, as transferred buffers: a request is a u32 count, a u32 length for each transaction and their bytes
 * (in the machine's byte order: it never leaves the process); the answer is the admission records.
 */
import { invariant } from '@shardlab/crosslink';
import type { AdmissionPolicy } from '@shardlab/shard';

/** What a worker is started with. */
export interface WorkerSetup {
  readonly policy: AdmissionPolicy;
  readonly libraries: 'native' | 'portable';
  readonly transactions: 'secp256k1' | 'keyed-hash';
}

/** Pool to worker. */
export interface WorkerRequest {
  readonly id: number;
  readonly packed: ArrayBuffer;
}

/** Worker to pool: it has loaded its libraries, or one batch is done. */
export type WorkerMessage =
  | { readonly kind: 'ready'; readonly library: string }
  | { readonly kind: 'records'; readonly id: number; readonly records: ArrayBuffer };

/** Puts transactions into one buffer that can be transferred. */
export function packRaws(raws: readonly Uint8Array[]): ArrayBuffer {
  const start = 4 + 4 * raws.length;
  let length = start;
  for (const raw of raws) length += raw.length;
  const buffer = new ArrayBuffer(length);
  const lengths = new Uint32Array(buffer, 0, 1 + raws.length);
  const bytes = new Uint8Array(buffer);
  lengths[0] = raws.length;
  let at = start;
  for (let i = 0; i < raws.length; i++) {
    const raw = raws[i]!;
    lengths[i + 1] = raw.length;
    bytes.set(raw, at);
    at += raw.length;
  }
  return buffer;
}

/** The inverse of {@link packRaws}: views of `buffer`. */
export function unpackRaws(buffer: ArrayBuffer): Uint8Array[] {
  const count = new Uint32Array(buffer, 0, 1)[0]!;
  const lengths = new Uint32Array(buffer, 4, count);
  const raws: Uint8Array[] = [];
  let at = 4 + 4 * count;
  for (const length of lengths) {
    raws.push(new Uint8Array(buffer, at, length));
    at += length;
  }
  invariant(at === buffer.byteLength, 'a packed batch has no trailing bytes');
  return raws;
}
