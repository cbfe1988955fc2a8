import { computeStateRoot, decodeFlatKey, decodeFlatValue, deriveStem, type Hash32, type Hasher, type StateLeaf, STEM_BYTES } from '@shardlab/crosslink';

/** The state root of exactly these flat entries, from crosslink's reference tree: not the trie that nodes keep. Throws `DecodeError` on an entry that can not be read. */
export function stateRootOf(hasher: Hasher, entries: Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>): Hash32 {
  const leaves: StateLeaf[] = [];
  for (const { key, value } of entries) {
    const { owner, treeIndex } = decodeFlatKey(key);
    const stem = deriveStem(hasher, owner, treeIndex);
    for (const leaf of decodeFlatValue(value)) {
      const leafKey = new Uint8Array(32);
      leafKey.set(stem);
      leafKey[STEM_BYTES] = leaf.suffix;
      leaves.push({ key: leafKey, value: leaf.value });
    }
  }
  return computeStateRoot(hasher, leaves);
}
