import { Prng } from '@shardlab/crosslink';

import { drawLatencyUs } from '../../sim/latency.ts';
import type { LinkFaults } from './faults.ts';

/** The way from this node to one other, with what is wrong on it now. */
export class Link {
  private faults: LinkFaults | undefined;
  private prng = new Prng(0);
  /** When the bytes that were sent so far have left, as bandwidth goes. */
  private freeAtMs = 0;
  private readonly listeners = new Set<() => void>();

  /** Replaces the faults; undefined heals. What was held back goes on as the new ones have it. */
  set(faults: LinkFaults | undefined, seed: number): void {
    this.faults = faults;
    this.prng = new Prng(seed);
    this.freeAtMs = 0;
    for (const listener of [...this.listeners]) listener();
  }

  /** Whether anything is wrong. */
  get faulted(): boolean {
    return this.faults !== undefined;
  }

  /** Whether nothing gets through. */
  get cut(): boolean {
    return this.faults?.cut === true;
  }

  /** Draws whether a message is lost. */
  loses(): boolean {
    const loss = this.faults?.loss ?? 0;
    return loss > 0 && this.prng.float() < loss;
  }

  /** When a message of `sizeBytes` that is sent now arrives: it waits for those before it, takes its time to leave, and then the link's latency. */
  dueMs(sizeBytes: number, nowMs: number): number {
    const { faults } = this;
    if (faults === undefined) return nowMs;
    this.freeAtMs = Math.max(this.freeAtMs, nowMs);
    if (faults.bytesPerSecond !== undefined) this.freeAtMs += (sizeBytes * 1_000) / faults.bytesPerSecond;
    return this.freeAtMs + (faults.delay === undefined ? 0 : drawLatencyUs(faults.delay, this.prng) / 1_000);
  }

  /** Calls `listener` at each change, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
