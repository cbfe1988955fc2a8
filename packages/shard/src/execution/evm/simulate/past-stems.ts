import { accountOwner, type Address, bytesKey, decodeFlatValue, decodeRecord, encodeFlatKey, NAMESPACE_BYTES, type Owner, owner, OWNER_BYTES, recordChunkPosition, recordChunksOf, type StemLeaf } from '@shardlab/crosslink';
import { type FlatChange, isOfAccounts } from '../../../state/flat-account.ts';
import { namespaceOf, recordNamespaceOf, type StateNamespace } from '../../../state/namespaces.ts';
import type { StateRecord } from '../../../state/record-store.ts';

/** The leaves of one stem by suffix, 32 bytes each. */
export type Leaves = ReadonlyMap<number, Uint8Array>;

const NO_LEAVES: Leaves = new Map();
/** Chunks of a record in one stem. */
const STEM_CHUNKS = 256;

/**
 * What the state's stems were before some of the last blocks: the undo records of those blocks, put over each other. Bounded by its caller, who looks at {@link size}.
 */
export class PastStems {
  private readonly values = new Map<string, Uint8Array | undefined>();
  private readonly decoded = new Map<string, Leaves>();
  private readonly owners = new Set<string>();
  /** Owners of records that were different. */
  private readonly reserved = new Map<string, Owner>();

  /** Stems that are kept. */
  get size(): number {
    return this.values.size;
  }

  /** Takes the undo record of a block. To be called from the newest block to the oldest: the oldest says how it was in the beginning. */
  add(undo: readonly FlatChange[]): void {
    for (const { key, value } of undo) {
      this.values.set(bytesKey(key), value);
      const of = key.subarray(0, OWNER_BYTES);
      if (isOfAccounts(key)) this.owners.add(bytesKey(of.subarray(NAMESPACE_BYTES)));
      else this.reserved.set(bytesKey(of), of as Owner);
    }
    this.decoded.clear();
  }

  /** Whether anything of an account was different; `key` is the `bytesKey` of its address. */
  has(key: string): boolean {
    return this.owners.has(key);
  }

  /** What the stem was, no leaves if it was absent; undefined if the blocks did not change it. Throws `DecodeError` on damage. */
  stem(address: Address, treeIndex: bigint): Leaves | undefined {
    return this.leaves(accountOwner(address), treeIndex);
  }

  /** A record of the reserved key space as it was; undefined if the blocks did not change it. Throws `DecodeError` on damage. */
  record(namespace: StateNamespace, id: Uint8Array): StateRecord | undefined {
    return this.recordOf(owner(namespaceOf(namespace), id));
  }

  /** All records that were different, those included that were absent. Throws as {@link record}. */
  *records(): Iterable<StateRecord> {
    for (const of of this.reserved.values()) {
      const record = this.recordOf(of);
      if (record !== undefined) yield record;
    }
  }

  /** A block that changes a record says of all its stems how they were. */
  private recordOf(of: Owner): StateRecord | undefined {
    const namespace = recordNamespaceOf(of.subarray(0, NAMESPACE_BYTES) as Parameters<typeof recordNamespaceOf>[0]);
    const id = of.slice(NAMESPACE_BYTES);
    const first = this.chunks(of, 0);
    if (first === undefined) return undefined;
    if (first[0] === undefined) return { namespace, id, value: undefined };
    const count = recordChunksOf(first[0]);
    const chunks = [...first];
    for (let at = STEM_CHUNKS; at < count; at += STEM_CHUNKS) chunks.push(...(this.chunks(of, at) ?? []));
    return { namespace, id, value: decodeRecord(chunks).slice() };
  }

  private chunks(of: Owner, chunk: number): Uint8Array[] | undefined {
    const leaves = this.leaves(of, recordChunkPosition(chunk).treeIndex);
    return leaves === undefined ? undefined : [...leaves.values()];
  }

  private leaves(of: Owner, treeIndex: bigint): Leaves | undefined {
    const key = bytesKey(encodeFlatKey({ owner: of, treeIndex }));
    const known = this.decoded.get(key);
    if (known !== undefined) return known;
    if (!this.values.has(key)) return undefined;
    const value = this.values.get(key);
    const leaves: Leaves = value === undefined ? NO_LEAVES : new Map(decodeFlatValue(value).map((leaf: StemLeaf) => [leaf.suffix, leaf.value]));
    this.decoded.set(key, leaves);
    return leaves;
  }
}
