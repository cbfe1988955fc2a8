import { bytesKey, decodeFlatKey, decodeFlatValue, decodeRecord, encodeFlatKey, type Owner } from '@shardlab/crosslink';

/** Leaves of one stem. */
const STEM_LEAVES = 256;

/** The record of one owner in the reserved key space, put together from its stems; undefined if it is absent. Throws `DecodeError`. */
export function recordAt(values: ReadonlyMap<string, Uint8Array>, of: Owner): Uint8Array | undefined {
  const chunks: Uint8Array[] = [];
  for (let treeIndex = 0n; ; treeIndex++) {
    const value = values.get(bytesKey(encodeFlatKey({ owner: of, treeIndex })));
    if (value === undefined) break;
    const leaves = decodeFlatValue(value);
    for (const leaf of leaves) chunks.push(leaf.value);
    if (leaves.length < STEM_LEAVES) break;
  }
  return chunks.length === 0 ? undefined : decodeRecord(chunks);
}

/** The owners of changed flat keys, each once, in the order of the changes. */
export function ownersOf(changes: readonly { readonly key: Uint8Array }[]): Owner[] {
  const owners = new Map<string, Owner>();
  for (const { key } of changes) {
    const { owner } = decodeFlatKey(key);
    owners.set(bytesKey(owner), owner);
  }
  return [...owners.values()];
}
