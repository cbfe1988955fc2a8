import type { Precompile } from '@shardlab/shard';

/** EIP-152: rounds (4 bytes, big-endian), h (64), m (128), t (16), all little-endian, and the final flag. */
const INPUT_BYTES = 213;
const H_AT = 4;
const M_AT = 68;
const T_AT = 196;
const FLAG_AT = 212;

/** BLAKE2b's initial vector (RFC 7693, section 2.6). */
// prettier-ignore
const IV = BigUint64Array.of(
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
);

/** Message schedule (RFC 7693, section 2.7). Round 10 uses the first line again, and so on without end. */
// prettier-ignore
const SIGMA = Uint8Array.of(
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
  14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3,
  11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4,
  7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8,
  9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13,
  2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9,
  12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11,
  13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10,
  6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5,
  10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0,
);
const SCHEDULES = 10;

/**
 * RFC 7693's G on words a, b, c and d of `v` with the message words x and y. Every intermediate is stored at once, because stores cut bigints to 64 bits: that lets the
 * compiler work on machine words (70 ns a round, and a round is sold for one gas), where bigints in local variables cost 960 and pairs of 32-bit halves 170.
 */
function mix(v: BigUint64Array, a: number, b: number, c: number, d: number, m: BigUint64Array, x: number, y: number): void {
  v[a] = v[a]! + v[b]! + m[x]!;
  v[d]! ^= v[a]!;
  v[d] = (v[d]! >> 32n) | (v[d]! << 32n);
  v[c]! += v[d]!;
  v[b]! ^= v[c]!;
  v[b] = (v[b]! >> 24n) | (v[b]! << 40n);
  v[a] = v[a]! + v[b]! + m[y]!;
  v[d]! ^= v[a]!;
  v[d] = (v[d]! >> 16n) | (v[d]! << 48n);
  v[c]! += v[d]!;
  v[b]! ^= v[c]!;
  v[b] = (v[b]! >> 63n) | (v[b]! << 1n);
}

function rounds(v: BigUint64Array, m: BigUint64Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const s = 16 * (i % SCHEDULES);
    mix(v, 0, 4, 8, 12, m, SIGMA[s]!, SIGMA[s + 1]!);
    mix(v, 1, 5, 9, 13, m, SIGMA[s + 2]!, SIGMA[s + 3]!);
    mix(v, 2, 6, 10, 14, m, SIGMA[s + 4]!, SIGMA[s + 5]!);
    mix(v, 3, 7, 11, 15, m, SIGMA[s + 6]!, SIGMA[s + 7]!);
    mix(v, 0, 5, 10, 15, m, SIGMA[s + 8]!, SIGMA[s + 9]!);
    mix(v, 1, 6, 11, 12, m, SIGMA[s + 10]!, SIGMA[s + 11]!);
    mix(v, 2, 7, 8, 13, m, SIGMA[s + 12]!, SIGMA[s + 13]!);
    mix(v, 3, 4, 9, 14, m, SIGMA[s + 14]!, SIGMA[s + 15]!);
  }
}

function roundsOf(input: Uint8Array): number {
  return new DataView(input.buffer, input.byteOffset, input.length).getUint32(0);
}

/** BLAKE2b's compression F (0x09; EIP-152): one gas a round. Input of another length, or a flag above 1, is invalid. */
export const BLAKE2F: Precompile = {
  gas: (input) => (input.length === INPUT_BYTES ? roundsOf(input) : 0),
  run(input) {
    const flag = input[FLAG_AT];
    if (input.length !== INPUT_BYTES || flag === undefined || flag > 1) return undefined;
    const view = new DataView(input.buffer, input.byteOffset, input.length);
    const m = new BigUint64Array(16);
    for (let i = 0; i < 16; i++) m[i] = view.getBigUint64(M_AT + 8 * i, true);
    const v = new BigUint64Array(16);
    for (let i = 0; i < 8; i++) v[i] = view.getBigUint64(H_AT + 8 * i, true);
    v.set(IV, 8);
    v[12]! ^= view.getBigUint64(T_AT, true);
    v[13]! ^= view.getBigUint64(T_AT + 8, true);
    if (flag === 1) v[14] = ~v[14]!;
    rounds(v, m, roundsOf(input));
    const out = new Uint8Array(64);
    const words = new DataView(out.buffer);
    for (let i = 0; i < 8; i++) words.setBigUint64(8 * i, view.getBigUint64(H_AT + 8 * i, true) ^ v[i]! ^ v[8 + i]!, true);
    return out;
  },
};
