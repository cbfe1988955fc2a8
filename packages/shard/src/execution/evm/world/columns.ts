/** Most elements that a list by account keeps when all is forgotten: setting a list's length to 0 throws its memory away, and most transactions meet a few accounts. */
export const KEEP_ACCOUNTS = 64;

/** `column` with room for `length` elements: itself, or a copy of at least twice its length. */
export function grownUint32(column: Uint32Array, length: number): Uint32Array {
  if (length <= column.length) return column;
  const grown = new Uint32Array(Math.max(length, 2 * column.length));
  grown.set(column);
  return grown;
}

/** `column` with room for `length` elements: itself, or a copy of at least twice its length. */
export function grownInt32(column: Int32Array, length: number): Int32Array {
  if (length <= column.length) return column;
  const grown = new Int32Array(Math.max(length, 2 * column.length));
  grown.set(column);
  return grown;
}

/** `column` with room for `length` elements: itself, or a copy of at least twice its length. */
export function grownUint8(column: Uint8Array, length: number): Uint8Array {
  if (length <= column.length) return column;
  const grown = new Uint8Array(Math.max(length, 2 * column.length));
  grown.set(column);
  return grown;
}
