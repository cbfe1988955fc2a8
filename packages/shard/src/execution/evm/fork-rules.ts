import { ShardlabError } from '@shardlab/crosslink';
import { dataFloor, dataGas, intrinsicGas } from '../../transaction/intrinsic-gas.ts';
import type { EvmFork } from './types.ts';

/** Gas of one blob (EIP-4844, `GAS_PER_BLOB`). */
export const GAS_PER_BLOB = 131_072;
/** Intrinsic gas of one authorization, and what it costs in all if its authority did not exist (EIP-7702). */
export const GAS_AUTHORIZATION_NEW = 25_000;
/** What an authorization of an authority that existed costs (EIP-7702, `PER_AUTH_BASE_COST`). */
export const GAS_AUTHORIZATION = 12_500;
/** EIP-4844 `MIN_BASE_FEE_PER_BLOB_GAS`. */
const BLOB_BASE_FEE_MIN = 1n;

/** e^177 is just below 2^256. */
const BLOB_FEE_EXPONENT_MAX = 177n;

/** What differs between the forks outside of the interpreter. */
export interface ForkRules {
  /** Precompiles are at the addresses 1 to this one. */
  readonly precompileLast: number;
  /** Most blobs of a block (EIP-4844, EIP-7691). */
  readonly blobsMax: number;
  /** EIP-4844 `BLOB_BASE_FEE_UPDATE_FRACTION`, as EIP-7691 changes it. */
  readonly blobFeeFraction: bigint;
  /** Whether transactions of type 4 exist, and delegated accounts may send transactions (EIP-7702). */
  readonly delegations: boolean;
  /** Whether data has a floor price (EIP-7623). */
  readonly dataFloor: boolean;
}

/** The rules of each fork. */
export const FORK_RULES: Readonly<Record<EvmFork, ForkRules>> = {
  cancun: { precompileLast: 0x0a, blobsMax: 6, blobFeeFraction: 3_338_477n, delegations: false, dataFloor: false },
  prague: { precompileLast: 0x11, blobsMax: 9, blobFeeFraction: 5_007_716n, delegations: true, dataFloor: true },
};

/** What decides the gas of a transaction before it runs. */
interface GasFields {
  readonly data: Uint8Array;
  readonly creation: boolean;
  /** Addresses, and storage keys, of the access list. */
  readonly addresses: number;
  readonly keys: number;
  readonly authorizations: number;
}

/** Gas that a transaction is charged before it runs, and the least that it is charged in all (0: there is no floor). Equivalent to execution-specs' `calculate_intrinsic_cost`. */
export function intrinsicGasUnder(fork: EvmFork, tx: GasFields): { readonly gas: number; readonly floor: number } {
  const { data } = tx;
  const gas = intrinsicGas(data, 0, data.length, tx.creation, tx.addresses, tx.keys) + GAS_AUTHORIZATION_NEW * tx.authorizations;
  if (!FORK_RULES[fork].dataFloor) return { gas, floor: 0 };
  return { gas, floor: dataFloor(dataGas(data, 0, data.length)) };
}

/**
 * The base fee, wei per blob gas, of a block with that excess (EIP-4844 `get_base_fee_per_blob_gas`, equivalent). Throws `evm/excess-blob-gas` where it would not
 * fit into a word: no chain gets there.
 */
export function blobBaseFee(fork: EvmFork, excessBlobGas: bigint): bigint {
  const denominator = FORK_RULES[fork].blobFeeFraction;
  if (excessBlobGas > BLOB_FEE_EXPONENT_MAX * denominator) throw new ShardlabError('evm/excess-blob-gas', 'the excess blob gas is out of range');
  let output = 0n;
  let term = BLOB_BASE_FEE_MIN * denominator;
  for (let i = 1n; term > 0n; i++) {
    output += term;
    term = (term * excessBlobGas) / (denominator * i);
  }
  return output / denominator;
}
