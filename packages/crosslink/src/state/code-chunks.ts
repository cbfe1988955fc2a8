import { DecodeError } from '../errors.ts';

/** Bytes of code in one chunk. */
export const CODE_CHUNK_BYTES = 31;

/** Opcodes PUSH1 to PUSH32 are 0x60 to 0x7f. */
const PUSH_0 = 0x5f;
const PUSH_32 = 0x7f;

/** How many chunks a code of `codeSize` bytes takes. */
export function codeChunkCount(codeSize: number): number {
  return Math.ceil(codeSize / CODE_CHUNK_BYTES);
}

/**
 * Cuts code into leaf values of 32 bytes, back to back: how many of the chunk's first bytes are data of a PUSH that began before it (0 to 31), then 31 bytes of code,
 * zeros after its end. EIP-7864 `chunkify_code`, equivalent. A chunk of 32 zero bytes is an absent leaf, as everywhere in the tree.
 */
export function encodeCodeChunks(code: Uint8Array): Uint8Array {
  const chunks = new Uint8Array(32 * codeChunkCount(code.length));
  let instruction = 0;
  for (let start = 0, at = 0; start < code.length; start += CODE_CHUNK_BYTES, at += 32) {
    chunks[at] = Math.min(instruction - start, CODE_CHUNK_BYTES);
    chunks.set(code.subarray(start, start + CODE_CHUNK_BYTES), at + 1);
    const end = start + CODE_CHUNK_BYTES;
    while (instruction < end) {
      // Beyond the code all bytes are STOP.
      const opcode = code[instruction] ?? 0;
      instruction += opcode > PUSH_0 && opcode <= PUSH_32 ? 1 + opcode - PUSH_0 : 1;
    }
  }
  return chunks;
}

/**
 * The inverse of {@link encodeCodeChunks}: all chunks of a code of `codeSize` bytes, absent ones as zeros. Throws `decode/truncated`, `decode/trailing`, and `decode/range`
 * for chunks that are not what the code is cut into.
 */
export function decodeCodeChunks(chunks: Uint8Array, codeSize: number): Uint8Array {
  const wanted = 32 * codeChunkCount(codeSize);
  if (chunks.length < wanted) throw new DecodeError('decode/truncated', `chunks of ${chunks.length} bytes, ${wanted} wanted`);
  if (chunks.length > wanted) throw new DecodeError('decode/trailing', `chunks of ${chunks.length} bytes, ${wanted} expected`);
  const code = new Uint8Array(codeSize);
  for (let start = 0, at = 1; start < codeSize; start += CODE_CHUNK_BYTES, at += 32) {
    code.set(chunks.subarray(at, at + Math.min(CODE_CHUNK_BYTES, codeSize - start)), start);
  }
  const again = encodeCodeChunks(code);
  for (let i = 0; i < wanted; i++) if (again[i] !== chunks[i]) throw new DecodeError('decode/range', 'chunks that no code is cut into');
  return code;
}
