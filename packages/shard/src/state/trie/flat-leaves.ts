import { FLAT_VALUE_VERSION } from '@shardlab/crosslink';
import { SINGLE, type StemStore, suffixOf } from './stems.ts';

/** Version and count. */
const HEAD_BYTES = 2;
/** Suffix and value. */
const LEAF_BYTES = 33;

/** Bytes of a stem's flat value as it is now; 0 for a stem without leaves, which has none. */
export function flatValueBytes(stems: StemStore, ref: number): number {
  const leaves = stems.leafCount(ref);
  return leaves === 0 ? 0 : HEAD_BYTES + LEAF_BYTES * leaves;
}

/** Writes crosslink's `encodeFlatValue` of a stem's leaves, without an object for each, and returns where it ends. Writes nothing for a stem without leaves. */
export function writeFlatValue(stems: StemStore, ref: number, out: Uint8Array, at: number): number {
  const leaves = stems.leafCount(ref);
  if (leaves === 0) return at;
  out[at] = FLAT_VALUE_VERSION;
  out[at + 1] = leaves - 1;
  const memory = stems.memoryOf(ref);
  let to = at + HEAD_BYTES;
  if (stems.kind(ref) === SINGLE) {
    out[to] = suffixOf(stems.meta[ref]!);
    copyLeaf(memory, 64 * ref + 32, out, to + 1);
    return to + LEAF_BYTES;
  }
  const { sparse, leafInts } = stems;
  const handle = 16 * ref + 8;
  for (let index = 0; index < leaves; index++, to += LEAF_BYTES) {
    out[to] = sparse.suffixAt(leafInts, handle, index);
    copyLeaf(memory, sparse.valueOffset(leafInts, handle, index), out, to + 1);
  }
  return to;
}

function copyLeaf(from: Uint8Array, at: number, to: Uint8Array, toAt: number): void {
  for (let i = 0; i < 32; i++) to[toAt + i] = from[at + i]!;
}
