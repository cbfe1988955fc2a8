import {
  bytesKey,
  decodeFlatKey,
  decodeFlatValue,
  DecodeError,
  decodeRecord,
  deriveStem,
  encodeFlatKey,
  encodeFlatValue,
  encodeRecord,
  type Hasher,
  type Namespace,
  NAMESPACE_BYTES,
  owner,
  type Owner,
  RECORD_CHUNKS_MAX,
  recordChunkPosition,
  recordChunksOf,
  type RecordNamespace,
} from '@shardlab/crosslink';
import type { FlatChange, FlatEntry } from './flat-account.ts';
import { namespaceOf, recordNamespaceOf, type StateNamespace } from './namespaces.ts';
import type { Trie } from './trie/trie.ts';

/** One record of the cross-shard protocol; `value` undefined = absent. */
export interface ProtocolRecord {
  readonly namespace: RecordNamespace;
  /** 20 bytes. */
  readonly id: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** One record of the reserved key space; `value` undefined = absent. */
export interface StateRecord {
  readonly namespace: StateNamespace;
  /** 20 bytes. */
  readonly id: Uint8Array;
  readonly value: Uint8Array | undefined;
}

interface Entry {
  readonly namespace: StateNamespace;
  readonly id: Uint8Array;
  value: Uint8Array | undefined;
  old: Uint8Array | undefined;
  dirty: boolean;
}

/** Leaves of one stem. */
const STEM_CHUNKS = 256;
const ABSENT = new Uint8Array(32);

/** The records of two-phase commit under the state root (R10): as bytes by namespace and id, and in the trie as chunks of 31 bytes. */
export class RecordStore {
  private readonly hasher: Hasher;
  private readonly trie: Trie;
  /** By namespace, then by the `bytesKey` of the id: who asks for what no record is of, as most do who ask for a stub, pays for no key. */
  private readonly entries = new Map<StateNamespace, Map<string, Entry>>();
  private count = 0;
  private dirty: Entry[] = [];

  constructor(hasher: Hasher, trie: Trie) {
    this.hasher = hasher;
    this.trie = trie;
  }

  get size(): number {
    return this.count;
  }

  /** All records. */
  *all(): Iterable<StateRecord & { readonly value: Uint8Array }> {
    for (const of of this.entries.values()) {
      for (const { namespace, id, value } of of.values()) if (value !== undefined) yield { namespace, id, value };
    }
  }

  /** The record's bytes, shared; undefined if it is absent. */
  get(namespace: StateNamespace, id: Uint8Array): Uint8Array | undefined {
    const of = this.entries.get(namespace);
    return of === undefined || of.size === 0 ? undefined : of.get(bytesKey(id))?.value;
  }

  private open(namespace: StateNamespace, id: Uint8Array, entry: Entry): void {
    let of = this.entries.get(namespace);
    if (of === undefined) this.entries.set(namespace, (of = new Map()));
    const key = bytesKey(id);
    if (!of.has(key)) this.count++;
    of.set(key, entry);
  }

  private forget(namespace: StateNamespace, id: Uint8Array): void {
    if (this.entries.get(namespace)?.delete(bytesKey(id)) === true) this.count--;
  }

  /** See `ShardState.putRecord`. */
  put(namespace: StateNamespace, id: Uint8Array, value: Uint8Array | undefined): void {
    let entry = this.entries.get(namespace)?.get(bytesKey(id));
    if (entry === undefined) {
      if (value === undefined) return;
      entry = { namespace, id: id.slice(), value: undefined, old: undefined, dirty: false };
      this.open(namespace, id, entry);
    }
    if (!entry.dirty) {
      entry.dirty = true;
      entry.old = entry.value;
      this.dirty.push(entry);
    }
    entry.value = value;
  }

  /** Takes flat entries of the reserved key space into the empty store and the trie. Throws `DecodeError` on damage. */
  load(stems: readonly FlatEntry[]): void {
    const owners = new Map<string, Owner>();
    for (const { key, value } of stems) {
      const { owner: of, treeIndex } = decodeFlatKey(key);
      this.setStem(of, treeIndex, value);
      owners.set(bytesKey(of), of);
    }
    let chunks = 0;
    for (const of of owners.values()) {
      const { namespace, id, value } = this.read(of);
      if (value === undefined) throw new DecodeError('decode/truncated', 'a record without its first chunk');
      this.open(namespace, id, { namespace, id, value, old: undefined, dirty: false });
      chunks += encodeRecord(value).length;
    }
    const stored = stems.reduce((sum, { value }) => sum + decodeFlatValue(value).length, 0);
    if (chunks !== stored) throw new DecodeError('decode/trailing', `${stored} chunks of records, ${chunks} belong to one`);
  }

  /** Puts the changed records into the trie and appends what to store, and how to undo it. */
  commit(changes: FlatChange[], undo: FlatChange[]): void {
    for (const entry of this.dirty) this.commitEntry(entry, changes, undo);
    this.dirty = [];
  }

  private commitEntry(entry: Entry, changes: FlatChange[], undo: FlatChange[]): void {
    const before = entry.old === undefined ? [] : encodeRecord(entry.old);
    const after = entry.value === undefined ? [] : encodeRecord(entry.value);
    const of = owner(namespaceOf(entry.namespace), entry.id);
    entry.dirty = false;
    entry.old = undefined;
    if (entry.value === undefined) this.forget(entry.namespace, entry.id);
    for (let first = 0; first < Math.max(before.length, after.length); first += STEM_CHUNKS) {
      const { treeIndex } = recordChunkPosition(first);
      const key = encodeFlatKey({ owner: of, treeIndex });
      const value = stemOf(after.slice(first, first + STEM_CHUNKS));
      changes.push({ key, value });
      undo.push({ key, value: stemOf(before.slice(first, first + STEM_CHUNKS)) });
      this.setStem(of, treeIndex, value);
    }
  }

  /** Sets all leaves of one stem to what its flat value says. */
  private setStem(of: Owner, treeIndex: bigint, flatValue: Uint8Array | undefined): void {
    const ref = this.trie.stemRef(deriveStem(this.hasher, of, treeIndex));
    const leaves = flatValue === undefined ? [] : decodeFlatValue(flatValue);
    const kept = new Set(leaves.map((leaf) => leaf.suffix));
    for (const { suffix } of this.trie.leaves(ref)) if (!kept.has(suffix)) this.trie.set(ref, suffix, ABSENT);
    for (const { suffix, value } of leaves) this.trie.set(ref, suffix, value);
  }

  /** Reads a record out of the trie. */
  private read(of: Owner): StateRecord {
    const namespace = recordNamespaceOf(of.subarray(0, NAMESPACE_BYTES) as Namespace);
    const id = of.slice(NAMESPACE_BYTES);
    const first = this.leavesOf(of, 0);
    if (first[0] === undefined) return { namespace, id, value: undefined };
    const count = recordChunksOf(first[0]);
    const chunks = [...first];
    for (let at = STEM_CHUNKS; at < Math.min(count, RECORD_CHUNKS_MAX); at += STEM_CHUNKS) chunks.push(...this.leavesOf(of, at));
    return { namespace, id, value: decodeRecord(chunks).slice() };
  }

  private leavesOf(of: Owner, chunk: number): Uint8Array[] {
    const { treeIndex } = recordChunkPosition(chunk);
    const ref = this.trie.findStem(deriveStem(this.hasher, of, treeIndex));
    const leaves = ref < 0 ? [] : this.trie.leaves(ref);
    leaves.forEach(({ suffix }, index) => {
      if (suffix !== index) throw new DecodeError('decode/truncated', 'a record with a missing chunk');
    });
    return leaves.map((leaf) => leaf.value);
  }

  /** Sets stems back to what they were. Returns the records that changed by it; the trie is not committed. */
  revert(undo: readonly FlatChange[]): StateRecord[] {
    const owners = new Map<string, Owner>();
    for (const { key, value } of undo) {
      const { owner: of, treeIndex } = decodeFlatKey(key);
      this.setStem(of, treeIndex, value);
      owners.set(bytesKey(of), of);
    }
    const restored = [...owners.values()].map((of) => this.read(of));
    for (const { namespace, id, value } of restored) {
      if (value === undefined) this.forget(namespace, id);
      else this.open(namespace, id, { namespace, id, value, old: undefined, dirty: false });
    }
    return restored;
  }
}

function stemOf(chunks: readonly Uint8Array[]): Uint8Array | undefined {
  return chunks.length === 0 ? undefined : encodeFlatValue(chunks.map((value, suffix) => ({ suffix, value })));
}
