import { type Hash32, type Height, Writer, ZERO_ADDRESS } from '@shardlab/crosslink';
import type { ExecutionState } from '../state/execution-state.ts';
import type { BlockEnvironment } from './evm/types.ts';

/** Blocks whose hash BLOCKHASH tells (Yellow Paper 9.4.1). */
const HASHES_KEPT = 256;
/** A network without blobs. */
const BLOB_BASE_FEE = 1n;

/** What a block's environment is made of. */
export interface EnvironmentFields {
  readonly chainId: number;
  readonly gasLimit: number;
  readonly baseFeePerGas: bigint;
  readonly prevRandao: Hash32;
  readonly height: Height;
  readonly timestampMs: number;
  /** Of the block before, which the state need not know yet. */
  readonly parentHash: Hash32;
}

/** The record's id of a block's hash: one of 256 places, by height. */
function place(height: number): Uint8Array {
  return new Writer(20).fixed(new Uint8Array(18), 18).u16(height % HASHES_KEPT).finish();
}

/** Keeps the hash of the block at `height` in the state, for the 256 blocks after it: so that a node that began with a snapshot knows it, too. */
export function rememberHash(state: Pick<ExecutionState, 'putRecord'>, height: number, hash: Hash32): void {
  state.putRecord('blockhash', place(height), new Writer(41).u8(1).u64(height).fixed(hash, 32).finish());
}

/** What contracts see of the block (R5: the time in whole seconds). Under the fee policy `burn` nobody is paid: the coinbase is the zero address. */
export function blockEnvironment(fields: EnvironmentFields, state: Pick<ExecutionState, 'record'>): BlockEnvironment {
  const { height, parentHash } = fields;
  return {
    chainId: BigInt(fields.chainId),
    number: BigInt(height),
    timestamp: BigInt(Math.floor(fields.timestampMs / 1000)),
    gasLimit: BigInt(fields.gasLimit),
    coinbase: ZERO_ADDRESS,
    prevRandao: fields.prevRandao,
    baseFeePerGas: fields.baseFeePerGas,
    blobBaseFee: BLOB_BASE_FEE,
    blockHash: (number) => {
      if (number >= BigInt(height) || number < 0n || number < BigInt(height - HASHES_KEPT)) return undefined;
      if (number === BigInt(height - 1)) return parentHash;
      const record = state.record('blockhash', place(Number(number)));
      return record === undefined ? undefined : (record.slice(9) as Hash32);
    },
  };
}
