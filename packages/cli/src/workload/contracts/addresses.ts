/** Where contracts come to live, before they are made. */
import { concatBytes, type Hasher } from '@shardlab/crosslink';

type Keccak = Pick<Hasher, 'keccak256'>;

/** The number as RLP wants it: no leading zeros, none at all for 0. */
function bigEndian(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return bytes;
}

/** Address of what `creator`'s transaction of that nonce makes: the end of keccak256(rlp([creator, nonce])) (Yellow Paper 7). */
export function createdAddress(crypto: Keccak, creator: Uint8Array, nonce: number): Uint8Array {
  const digits = bigEndian(nonce);
  const item = digits.length === 1 && digits[0]! < 0x80 ? digits : [0x80 + digits.length, ...digits];
  return crypto.keccak256(Uint8Array.of(0xc0 + 21 + item.length, 0x94, ...creator, ...item)).slice(12);
}

/** Address of the Uniswap V2 pair of two tokens, in either order, that `factory` makes by CREATE2 (EIP-1014); `pairHash` = keccak256 of the pair's initcode. */
export function pairAddress(crypto: Keccak, factory: Uint8Array, pairHash: Uint8Array, tokens: readonly [Uint8Array, Uint8Array]): Uint8Array {
  const [first, second] = sortedTokens(tokens);
  const salt = crypto.keccak256(concatBytes(first, second));
  return crypto.keccak256(concatBytes(Uint8Array.of(0xff), factory, salt, pairHash)).slice(12);
}

/** Two tokens in the order that Uniswap calls token0, token1: by address. */
export function sortedTokens([a, b]: readonly [Uint8Array, Uint8Array]): readonly [Uint8Array, Uint8Array] {
  return Buffer.compare(a, b) < 0 ? [a, b] : [b, a];
}
