import { equalBytes } from '@shardlab/crosslink';
import type { FlatChange } from './flat-account.ts';
import { growBytes, IntList } from './trie/growth.ts';
import type { Trie } from './trie/trie.ts';

/** Integers that lists keep between commits. */
const KEEP_ITEMS = 1 << 16;
/** Bytes that the buffer keeps between commits. */
const KEEP_BYTES = 1 << 22;

/**
 * What stems held before a commit changed them, encoded as it will be stored, in one buffer: a block of contract calls changes thousands of stems, and an array for each
 * key and value costs more than hashing it.
 */
export class StemJournal {
  private readonly trie: Trie;
  /** Key and old value of each entry, back to back. */
  private bytes: Uint8Array = new Uint8Array(1 << 12);
  private length = 0;
  private readonly refs = new IntList();
  /** Of each entry: where its old value starts, and where it ends. */
  private readonly valueStarts = new IntList();
  private readonly ends = new IntList();
  /** By reference: 1 if the stem has an entry. */
  private marks: Uint8Array = new Uint8Array(64);

  constructor(trie: Trie) {
    this.trie = trie;
  }

  /** Whether the stem has no entry yet: then {@link add} must come before it is changed. */
  wants(ref: number): boolean {
    return this.marks[ref] !== 1;
  }

  /** Takes the stem's leaves as they are now as its old ones, under the flat key in the first `keyBytes` bytes of `key`. */
  add(ref: number, key: Uint8Array, keyBytes: number): void {
    const start = this.length;
    const valueStart = start + keyBytes;
    const end = valueStart + this.trie.flatBytes(ref);
    if (end > this.bytes.length) this.bytes = growBytes(this.bytes, Math.max(end, 2 * this.bytes.length));
    for (let i = 0; i < keyBytes; i++) this.bytes[start + i] = key[i]!;
    this.trie.writeFlat(ref, this.bytes, valueStart);
    this.length = end;
    this.refs.push(ref);
    this.valueStarts.push(valueStart);
    this.ends.push(end);
    if (ref >= this.marks.length) this.marks = growBytes(this.marks, Math.max(ref + 1, 2 * this.marks.length));
    this.marks[ref] = 1;
  }

  /** Appends what the stems hold now, and what they held, of those that changed; then forgets everything. Before the trie's commit, in which references die. */
  finish(changes: FlatChange[], undo: FlatChange[]): void {
    const { trie, refs } = this;
    const old = this.bytes.slice(0, this.length);
    let sizeBytes = 0;
    for (let i = 0; i < refs.length; i++) sizeBytes += trie.flatBytes(refs.items[i]!);
    const fresh = new Uint8Array(sizeBytes);
    let start = 0;
    for (let i = 0, at = 0; i < refs.length; i++) {
      const ref = refs.items[i]!;
      this.marks[ref] = 0;
      const [valueStart, end] = [this.valueStarts.items[i]!, this.ends.items[i]!];
      const key = old.subarray(start, valueStart);
      start = end;
      const valueEnd = trie.writeFlat(ref, fresh, at);
      const [before, after] = [old.subarray(valueStart, end), fresh.subarray(at, valueEnd)];
      at = valueEnd;
      if (equalBytes(before, after)) continue;
      changes.push({ key, value: after.length === 0 ? undefined : after });
      undo.push({ key, value: before.length === 0 ? undefined : before });
    }
    this.clear();
  }

  private clear(): void {
    this.length = 0;
    if (this.bytes.length > KEEP_BYTES) this.bytes = new Uint8Array(KEEP_BYTES);
    for (const list of [this.refs, this.valueStarts, this.ends]) list.clear(KEEP_ITEMS);
  }
}
