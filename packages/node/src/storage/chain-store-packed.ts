import type { FlatEntry } from '@shardlab/shard';
import type { StorageEntry } from '../ports.ts';

/**
 * Flat entries, packed: one buffer for a page of thousands instead of two arrays for each, which at 100,000 accounts is tens of megabytes at the
 * moment when a node is largest. Can be walked once; pages are let go as they are walked.
 */
export class PackedEntries implements Iterable<FlatEntry> {
  private pages: (Uint8Array | undefined)[] = [];
  private entries = 0;

  /** Entries added so far. */
  get count(): number {
    return this.entries;
  }

  /** Adds a page; `keySkip` leading bytes of each key are left out. Keys and values are copied, each below 64 KiB. */
  add(page: readonly StorageEntry[], keySkip: number): void {
    let sizeBytes = 0;
    for (const { key, value } of page) sizeBytes += 4 + key.length - keySkip + value.length;
    const packed = new Uint8Array(sizeBytes);
    const view = new DataView(packed.buffer);
    let at = 0;
    for (const { key, value } of page) {
      view.setUint16(at, key.length - keySkip);
      view.setUint16(at + 2, value.length);
      packed.set(key.subarray(keySkip), at + 4);
      at += 4 + key.length - keySkip;
      packed.set(value, at);
      at += value.length;
    }
    this.pages.push(packed);
    this.entries += page.length;
  }

  *[Symbol.iterator](): Iterator<FlatEntry> {
    for (let index = 0; index < this.pages.length; index++) {
      const packed = this.pages[index];
      if (packed === undefined) continue;
      this.pages[index] = undefined;
      yield* unpack(packed);
    }
  }
}

function* unpack(packed: Uint8Array): Iterable<FlatEntry> {
  const view = new DataView(packed.buffer);
  for (let at = 0; at < packed.length; ) {
    const keyEnd = at + 4 + view.getUint16(at);
    const valueEnd = keyEnd + view.getUint16(at + 2);
    yield { key: packed.subarray(at + 4, keyEnd), value: packed.subarray(keyEnd, valueEnd) };
    at = valueEnd;
  }
}
