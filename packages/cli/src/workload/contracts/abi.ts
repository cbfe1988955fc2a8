/** As much of Solidity's contract ABI as workloads need to call contracts: static words, and strings, bytes and lists of words. */
import { ascii, concatBytes, ShardlabError } from '@shardlab/crosslink';
import { selector } from './artifacts.ts';
import type { ContractArtifact } from './artifacts.ts';

/** A value of a parameter: `uint…` and `bool` as bigint, `address` and `bytes` as bytes, `string` as ASCII text, `T[]` as a list. */
export type AbiValue = bigint | Uint8Array | string | readonly AbiValue[];

const WORD_BYTES = 32;
const ADDRESS_BYTES = 20;
const UINT_BITS_MAX = 256;

function wrong(type: string): ShardlabError {
  return new ShardlabError('workload/abi', `a value does not fit the ABI type ${type}`, { type });
}

function wordOf(value: bigint): Uint8Array {
  const out = new Uint8Array(WORD_BYTES);
  for (let i = WORD_BYTES - 1, rest = value; rest > 0n; i--, rest >>= 8n) out[i] = Number(rest & 0xffn);
  return out;
}

function encodeUint(type: string, value: AbiValue): Uint8Array {
  const bits = type === 'bool' ? 1 : Number(type.slice('uint'.length) || UINT_BITS_MAX);
  if (typeof value !== 'bigint' || value < 0n || value >> BigInt(bits) !== 0n) throw wrong(type);
  return wordOf(value);
}

/** Length, and the bytes filled up to whole words. */
function encodeBytes(bytes: Uint8Array): Uint8Array {
  const padding = -bytes.length & (WORD_BYTES - 1);
  return concatBytes(wordOf(BigInt(bytes.length)), bytes, new Uint8Array(padding));
}

function isDynamic(type: string): boolean {
  return type.endsWith('[]') || type === 'string' || type === 'bytes';
}

function encodeOne(type: string, value: AbiValue): Uint8Array {
  if (type.endsWith('[]')) {
    if (!Array.isArray(value)) throw wrong(type);
    const items = value as readonly AbiValue[];
    return concatBytes(wordOf(BigInt(items.length)), encodeArguments(items.map(() => type.slice(0, -2)), items));
  }
  if (type === 'bool' || /^uint\d*$/.test(type)) return encodeUint(type, value);
  if (type === 'address' && value instanceof Uint8Array && value.length === ADDRESS_BYTES) return concatBytes(new Uint8Array(WORD_BYTES - ADDRESS_BYTES), value);
  if (type === 'bytes32' && value instanceof Uint8Array && value.length === WORD_BYTES) return value;
  if (type === 'bytes' && value instanceof Uint8Array) return encodeBytes(value);
  if (type === 'string' && typeof value === 'string') return encodeBytes(ascii(value));
  throw wrong(type);
}

/** Encodes a constructor's arguments, or a call's. Throws `workload/abi` if a value does not fit its type, or for types that are not known here. */
export function encodeArguments(types: readonly string[], values: readonly AbiValue[]): Uint8Array {
  if (types.length !== values.length) throw new ShardlabError('workload/abi', `${types.length} parameters take ${types.length} values, not ${values.length}`);
  const heads: Uint8Array[] = [];
  const tails: Uint8Array[] = [];
  let tailAt = WORD_BYTES * types.length;
  for (const [index, type] of types.entries()) {
    const encoded = encodeOne(type, values[index]!);
    if (!isDynamic(type)) {
      heads.push(encoded);
      continue;
    }
    heads.push(wordOf(BigInt(tailAt)));
    tails.push(encoded);
    tailAt += encoded.length;
  }
  return concatBytes(...heads, ...tails);
}

/** Call data for the function of that signature. Throws `workload/method` if the contract has none, and as {@link encodeArguments}. */
export function encodeCall(artifact: ContractArtifact, signature: string, values: readonly AbiValue[]): Uint8Array {
  const types = signature.slice(signature.indexOf('(') + 1, -1);
  return concatBytes(selector(artifact, signature), encodeArguments(types === '' ? [] : types.split(','), values));
}
