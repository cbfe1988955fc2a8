import { toHex } from '@shardlab/crosslink';

/** The number in big-endian bytes; 0 for none. */
export function toWei(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(toHex(bytes));
}

/** A number below 2^256 as 32 bytes, big-endian. */
export function toWord(value: bigint): Uint8Array {
  const out = new Uint8Array(32);
  for (let at = 31, rest = value; rest > 0n; at--, rest >>= 8n) out[at] = Number(rest & 0xffn);
  return out;
}
