import type { FlatEntry } from './flat-account.ts';

const PAGE_BYTES = 1 << 20;
/** Two bytes each for the length of key and value. */
const HEAD_BYTES = 4;

/** Flat entries, copied into pages: at a million storage slots, arrays for each key and value would take twice as much again while a state loads. */
export class EntryPages implements Iterable<FlatEntry> {
  /** Entries. */
  count = 0;
  private readonly pages: Uint8Array[] = [];
  /** Bytes in use of the last page. */
  private length = PAGE_BYTES;
  private readonly lengths: number[] = [];

  /** Adds an entry, whose key and value are below 64 KiB each. */
  add({ key, value }: FlatEntry): void {
    const bytes = HEAD_BYTES + key.length + value.length;
    if (this.length + bytes > PAGE_BYTES) {
      this.pages.push(new Uint8Array(PAGE_BYTES));
      this.length = 0;
    }
    const page = this.pages.at(-1)!;
    const at = this.length;
    page[at] = key.length >> 8;
    page[at + 1] = key.length;
    page[at + 2] = value.length >> 8;
    page[at + 3] = value.length;
    page.set(key, at + HEAD_BYTES);
    page.set(value, at + HEAD_BYTES + key.length);
    this.length += bytes;
    this.lengths[this.pages.length - 1] = this.length;
    this.count++;
  }

  /** All entries in the order in which they were added; views. */
  *[Symbol.iterator](): Iterator<FlatEntry> {
    for (const [index, page] of this.pages.entries()) {
      for (let at = 0; at < this.lengths[index]!; ) {
        const keyEnd = at + HEAD_BYTES + ((page[at]! << 8) | page[at + 1]!);
        const valueEnd = keyEnd + ((page[at + 2]! << 8) | page[at + 3]!);
        yield { key: page.subarray(at + HEAD_BYTES, keyEnd), value: page.subarray(keyEnd, valueEnd) };
        at = valueEnd;
      }
    }
  }
}
