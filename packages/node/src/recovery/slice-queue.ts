import type { AdmissionBatch } from '@shardlab/shard';

import type { Done } from '../ports.ts';

/** Most transactions of one slice. */
export const SLICE_MAX = 64;
/** A slice is closed when it has reached this many bytes; one transaction has at most 128 KiB. */
export const SLICE_BYTES = 262_144;

/** One call of `recover`, while it is open. */
export interface RecoveryRequest {
  readonly raws: readonly Uint8Array[];
  /** Filled slice by slice. */
  readonly records: Uint8Array;
  readonly bytes: number;
  readonly done: Done<AdmissionBatch>;
  /** Transactions that are not answered yet. */
  missing: number;
  /** Whether `done` was called: slices that come later are dropped. */
  closed: boolean;
}

/** A part of a request: what is handed to workers, together with others. */
export interface Slice {
  readonly request: RecoveryRequest;
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
  /** How many workers have died over it. */
  deaths: number;
}

/** Cuts a request into slices. */
export function sliceRequest(request: RecoveryRequest): Slice[] {
  const slices: Slice[] = [];
  let from = 0;
  let bytes = 0;
  for (let i = 0; i < request.raws.length; i++) {
    bytes += request.raws[i]!.length;
    const to = i + 1;
    if (to - from < SLICE_MAX && bytes < SLICE_BYTES && to < request.raws.length) continue;
    slices.push({ request, from, to, deaths: 0 });
    from = to;
    bytes = 0;
  }
  return slices;
}

/** Slices that wait, first in, first out; what a dead worker left goes to the front. Bounded by the pool, which counts transactions. */
export class SliceQueue {
  private items: Slice[] = [];
  private head = 0;

  /** Slices that wait. */
  get length(): number {
    return this.items.length - this.head;
  }

  push(slices: readonly Slice[]): void {
    for (const slice of slices) this.items.push(slice);
  }

  unshift(slices: readonly Slice[]): void {
    this.items = [...slices, ...this.items.slice(this.head)];
    this.head = 0;
  }

  /** Takes up to `max` slices whose requests are still open. */
  take(max: number): Slice[] {
    const taken: Slice[] = [];
    while (taken.length < max && this.head < this.items.length) {
      const slice = this.items[this.head++]!;
      if (!slice.request.closed) taken.push(slice);
    }
    if (this.head > 1024 || this.head === this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return taken;
  }
}
