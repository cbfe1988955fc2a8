import {
  accountOwner,
  type Address,
  BASIC_DATA_POSITION,
  codeChunkCount,
  codeChunkPosition,
  decodeBasicData,
  decodeCodeChunks,
  decodeFlatValue,
  encodeFlatKey,
  type StemLeaf,
  storagePosition,
} from '@shardlab/crosslink';
import { decodeStored } from './chain-store-read.ts';

/** Reads the flat value under a flat key in one state; undefined = that state is not there. */
type ReadStem = (flatKey: Uint8Array) => Promise<{ readonly value: Uint8Array | undefined } | undefined>;

/** The code of an account, no bytes if it has none; undefined when `read` is. Rejects with `storage/damaged` when what is stored is no code. */
export async function readCode(read: ReadStem, address: Address): Promise<Uint8Array | undefined> {
  const owner = accountOwner(address);
  let leaves = await leavesOf(read, encodeFlatKey({ owner, treeIndex: 0n }));
  if (leaves === undefined) return undefined;
  const codeSize = decodeStored('an account', () => codeSizeOf(leaves!));
  const count = codeChunkCount(codeSize);
  const chunks = new Uint8Array(32 * count);
  for (let chunk = 0; chunk < count; chunk++) {
    const { treeIndex, suffix } = codeChunkPosition(chunk);
    if (suffix === 0) leaves = await leavesOf(read, encodeFlatKey({ owner, treeIndex }));
    if (leaves === undefined) return undefined;
    // An absent chunk is one of zeros.
    const leaf = leaves.get(suffix);
    if (leaf !== undefined) chunks.set(leaf, 32 * chunk);
  }
  return decodeStored('the code of an account', () => decodeCodeChunks(chunks, codeSize));
}

/** The 32 bytes of a storage slot (0 to 2^256 - 1), zeros if it is absent; undefined when `read` is. Rejects with `storage/damaged`. */
export async function readSlot(read: ReadStem, address: Address, slot: bigint): Promise<Uint8Array | undefined> {
  const { treeIndex, suffix } = storagePosition(slot);
  const leaves = await leavesOf(read, encodeFlatKey({ owner: accountOwner(address), treeIndex }));
  if (leaves === undefined) return undefined;
  return leaves.get(suffix)?.slice() ?? new Uint8Array(32);
}

async function leavesOf(read: ReadStem, key: Uint8Array): Promise<Map<number, Uint8Array> | undefined> {
  const found = await read(key);
  if (found === undefined) return undefined;
  const { value } = found;
  const leaves: StemLeaf[] = value === undefined ? [] : decodeStored('a state entry', () => decodeFlatValue(value));
  return new Map(leaves.map((leaf) => [leaf.suffix, leaf.value]));
}

function codeSizeOf(leaves: ReadonlyMap<number, Uint8Array>): number {
  const basic = leaves.get(BASIC_DATA_POSITION.suffix);
  return basic === undefined ? 0 : decodeBasicData(basic).codeSize;
}
