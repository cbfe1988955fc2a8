/**
 * Copies of hashes between arenas. Words of 64 bits, because the compiler turns a load that goes straight into a store into plain machine words (8 ns for
 * 64 bytes; sixteen 32-bit words take 21 ns, `set` with views more). Never doubles: a NaN would not survive. Small functions on purpose: in
 * large ones the compiler may allocate the bigints after all.
 */

/** Copies four words (32 bytes). */
export function copy4(from: BigUint64Array, at: number, to: BigUint64Array, toAt: number): void {
  to[toAt] = from[at]!;
  to[toAt + 1] = from[at + 1]!;
  to[toAt + 2] = from[at + 2]!;
  to[toAt + 3] = from[at + 3]!;
}

/** Copies eight words (64 bytes). */
export function copy8(from: BigUint64Array, at: number, to: BigUint64Array, toAt: number): void {
  to[toAt] = from[at]!;
  to[toAt + 1] = from[at + 1]!;
  to[toAt + 2] = from[at + 2]!;
  to[toAt + 3] = from[at + 3]!;
  to[toAt + 4] = from[at + 4]!;
  to[toAt + 5] = from[at + 5]!;
  to[toAt + 6] = from[at + 6]!;
  to[toAt + 7] = from[at + 7]!;
}

/** Zeroes four words (32 bytes). */
export function zero4(to: BigUint64Array, at: number): void {
  to[at] = 0n;
  to[at + 1] = 0n;
  to[at + 2] = 0n;
  to[at + 3] = 0n;
}

/** Whether four words (32 bytes) are zero. */
export function isZero4(words: BigUint64Array, at: number): boolean {
  return words[at] === 0n && words[at + 1] === 0n && words[at + 2] === 0n && words[at + 3] === 0n;
}
