import { toWei } from './hex-words.ts';

/** First 4 bytes of keccak-256 of `Error(string)`, `Panic(uint256)` and `ForeignAccount(address,uint256)`. */
const ERROR = 0x08c379a0;
const PANIC = 0x4e487b71;
const FOREIGN_ACCOUNT = 0x9b3f8cdc;
/** A reason longer than this is cut: it goes into one line. */
const REASON_BYTES_MAX = 1_024;

/** What Solidity's panics mean, in go-ethereum's words. */
const PANICS: ReadonlyMap<number, string> = new Map([
  [0x00, 'generic panic'],
  [0x01, 'assert(false)'],
  [0x11, 'arithmetic underflow or overflow'],
  [0x12, 'division or modulo by zero'],
  [0x21, 'enum overflow'],
  [0x22, 'invalid encoded storage byte array accessed'],
  [0x31, 'out-of-bounds array access; popping on an empty array'],
  [0x32, 'out-of-bounds access of an array or bytesN'],
  [0x41, 'out of memory'],
  [0x51, 'uninitialized function'],
]);

/** The index that a word holds, if that many bytes can be there at all. */
function index(data: Uint8Array, at: number): number | undefined {
  if (data.length < at + 32) return undefined;
  const value = toWei(data.subarray(at, at + 32));
  return value <= BigInt(data.length) ? Number(value) : undefined;
}

function text(data: Uint8Array): string | undefined {
  const offset = index(data, 0);
  const length = offset === undefined ? undefined : index(data, offset);
  if (offset === undefined || length === undefined || offset + 32 + length > data.length) return undefined;
  const bytes = data.subarray(offset + 32, offset + 32 + Math.min(length, REASON_BYTES_MAX));
  // A contract's words: nothing that could upset a terminal or a log.
  return new TextDecoder().decode(bytes).replaceAll(/\p{Cc}/gu, '?');
}

function panic(data: Uint8Array): string | undefined {
  if (data.length !== 32) return undefined;
  const code = toWei(data);
  return (code <= 0xffn ? PANICS.get(Number(code)) : undefined) ?? `unknown panic code: 0x${code.toString(16)}`;
}

function foreign(data: Uint8Array): string | undefined {
  if (data.length !== 64) return undefined;
  const address = toWei(data.subarray(12, 32)).toString(16).padStart(40, '0');
  return `account 0x${address} lives on shard ${toWei(data.subarray(32))}: a contract can send it value without data, and nothing else`;
}

/**
 * Why a call reverted, from its revert data: the text of `Error(string)`, the meaning of a `Panic(uint256)`, or which account of another shard code has tried to
 * use (R12). undefined for custom errors and for no data.
 */
export function revertReason(data: Uint8Array): string | undefined {
  if (data.length < 4) return undefined;
  const rest = data.subarray(4);
  switch (Number(toWei(data.subarray(0, 4)))) {
    case ERROR:
      return text(rest);
    case PANIC:
      return panic(rest);
    case FOREIGN_ACCOUNT:
      return foreign(rest);
    default:
      return undefined;
  }
}
