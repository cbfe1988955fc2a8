import { accountOwner, type Address, bytesKey, decodeFlatValue, encodeFlatKey, NAMESPACE_BYTES, OWNER_BYTES, type StemLeaf } from '@shardlab/crosslink';
import { type FlatChange, isOfAccounts } from '../../../state/flat-account.ts';

/** The leaves of one stem by suffix, 32 bytes each. */
export type Leaves = ReadonlyMap<number, Uint8Array>;

const NO_LEAVES: Leaves = new Map();

/**
 * What accounts' stems were before some of the last blocks: the undo records of those blocks, put over each other. Bounded by its caller, who looks at {@link size}.
 */
export class PastStems {
  private readonly values = new Map<string, Uint8Array | undefined>();
  private readonly decoded = new Map<string, Leaves>();
  private readonly owners = new Set<string>();

  /** Stems that are kept. */
  get size(): number {
    return this.values.size;
  }

  /** Takes the undo record of a block. To be called from the newest block to the oldest: the oldest says how it was in the beginning. */
  add(undo: readonly FlatChange[]): void {
    for (const { key, value } of undo) {
      if (!isOfAccounts(key)) continue;
      this.values.set(bytesKey(key), value);
      this.owners.add(bytesKey(key.subarray(NAMESPACE_BYTES, OWNER_BYTES)));
    }
    this.decoded.clear();
  }

  /** Whether anything of an account was different; `key` is the `bytesKey` of its address. */
  has(key: string): boolean {
    return this.owners.has(key);
  }

  /** What the stem was, no leaves if it was absent; undefined if the blocks did not change it. Throws `DecodeError` on damage. */
  stem(address: Address, treeIndex: bigint): Leaves | undefined {
    const key = bytesKey(encodeFlatKey({ owner: accountOwner(address), treeIndex }));
    const known = this.decoded.get(key);
    if (known !== undefined) return known;
    if (!this.values.has(key)) return undefined;
    const value = this.values.get(key);
    const leaves: Leaves = value === undefined ? NO_LEAVES : new Map(decodeFlatValue(value).map((leaf: StemLeaf) => [leaf.suffix, leaf.value]));
    this.decoded.set(key, leaves);
    return leaves;
  }
}
