import { address, type Address, bytesKey, type Hash32 } from '@shardlab/crosslink';
import { OP, opcodeSize } from './opcodes.ts';
import { Segments } from './segments.ts';

/** Room after the code: what a PUSH32 in the last byte reads, and the STOP on which code that runs off its end halts. */
const PADDING_BYTES = 33;
/** Default bound of {@link CodeCache}. */
const CACHE_BYTES_MAX = 64 * 1024 * 1024;
/** What a code costs in memory per byte, with its analysis, roughly; and what it costs in any case. */
const BYTES_PER_BYTE = 8;
const BYTES_PER_CODE = 512;

/** A contract's code with what execution needs to know about it; analysed when it first runs. */
export class Code {
  /** The code itself. Never written to. */
  readonly bytes: Uint8Array;
  /** keccak-256 of it; undefined for initcode, whose hash nobody asks for. */
  readonly hash: Hash32 | undefined;
  /** The code and 33 zero bytes. */
  readonly padded: Uint8Array;
  /** The account that a delegation (EIP-7702: 0xef0100 and an address) points to. Means something under Prague only. */
  readonly delegate: Address | undefined;
  private analysis: Segments | undefined;
  /** A bit for each byte that may be jumped to; found at the first jump. */
  private destinations: Uint8Array | undefined;

  constructor(bytes: Uint8Array, hash: Hash32 | undefined) {
    this.padded = new Uint8Array(bytes.length + PADDING_BYTES);
    this.padded.set(bytes);
    this.bytes = this.padded.subarray(0, bytes.length);
    this.hash = hash;
    const delegates = bytes.length === 23 && bytes[0] === 0xef && bytes[1] === 0x01 && bytes[2] === 0x00;
    this.delegate = delegates ? address(bytes.slice(3)) : undefined;
  }

  /** The segments that have been entered. */
  get segments(): Segments {
    this.analysis ??= new Segments(this.padded, this.bytes.length);
    return this.analysis;
  }

  /** Whether the byte at `position` (an integer, or Infinity) is a JUMPDEST that is not part of a PUSH. */
  isJumpDestination(position: number): boolean {
    if (position >= this.bytes.length || this.padded[position] !== OP.JUMPDEST) return false;
    this.destinations ??= findDestinations(this.bytes);
    return (this.destinations[position >>> 3]! & (1 << (position & 7))) !== 0;
  }
}

function findDestinations(bytes: Uint8Array): Uint8Array {
  const found = new Uint8Array((bytes.length >>> 3) + 1);
  for (let at = 0; at < bytes.length; ) {
    const op = bytes[at]!;
    if (op === OP.JUMPDEST) found[at >>> 3] = found[at >>> 3]! | (1 << (at & 7));
    at += opcodeSize(op);
  }
  return found;
}

/** The code of accounts without code. */
export const EMPTY_CODE = new Code(new Uint8Array(0), undefined);

/** Codes by hash, bounded in bytes; the one that was used longest ago goes first. */
export class CodeCache {
  private readonly codes = new Map<string, Code>();
  private readonly bytesMax: number;
  private sizeBytes = 0;
  private lastHash: Hash32 | undefined;
  private last: Code | undefined;

  /** `bytesMax` bounds what the codes and their analyses take, roughly. */
  constructor(bytesMax: number = CACHE_BYTES_MAX) {
    this.bytesMax = bytesMax;
  }

  /** The code that was asked for last, if this very array was its hash: the state has one array for each code's hash. It is the newest: nothing goes before it. */
  recent(hash: Hash32): Code | undefined {
    return hash === this.lastHash ? this.last : undefined;
  }

  /** The code of that keccak-256; `load` gives its bytes if it is not here. */
  get(hash: Hash32, load: () => Uint8Array): Code {
    const key = bytesKey(hash);
    const known = this.codes.get(key);
    if (known !== undefined) {
      this.codes.delete(key);
      this.codes.set(key, known);
      this.lastHash = hash;
      this.last = known;
      return known;
    }
    const code = new Code(load(), hash);
    this.codes.set(key, code);
    this.lastHash = hash;
    this.last = code;
    this.sizeBytes += weight(code);
    for (const [oldest, old] of this.codes) {
      if (this.sizeBytes <= this.bytesMax || old === code) break;
      this.codes.delete(oldest);
      this.sizeBytes -= weight(old);
    }
    return code;
  }

  /** A code that is not kept: initcode. */
  of(bytes: Uint8Array): Code {
    return new Code(bytes, undefined);
  }
}

function weight(code: Code): number {
  return BYTES_PER_CODE + BYTES_PER_BYTE * code.bytes.length;
}
