/**
 * What goes between the load generator and its signing workers: whole chunks in transferred buffers, never an object for each transaction.
 */

/** Bytes of one transaction to sign: secret key 32, recipient 20, nonce u64, gas limit u64, value u128, whether it creates u8; big-endian. */
export const TRANSFER_RECORD_BYTES = 85;

/** Make addresses of secret keys. */
export interface AddressJob {
  readonly kind: 'addresses';
  /** 32 bytes each. */
  readonly secrets: Uint8Array<ArrayBuffer>;
}

/** Sign transactions of type 2. */
export interface SignJob {
  readonly kind: 'sign';
  readonly chainId: number;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  /** {@link TRANSFER_RECORD_BYTES} each. */
  readonly records: Uint8Array<ArrayBuffer>;
  /** Call data of all of them back to back, and where each one's ends; both empty if none has any. */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly dataEnds: Uint32Array<ArrayBuffer>;
}

/** One job of either kind. */
export type SigningJob = AddressJob | SignJob;

/** Answer to an {@link AddressJob}. */
export interface AddressResult {
  readonly kind: 'addresses';
  /** 20 bytes each. */
  readonly addresses: Uint8Array<ArrayBuffer>;
  /** First 4 bytes of keccak256(address): what R8 places an account by. */
  readonly placements: Uint32Array<ArrayBuffer>;
}

/** Answer to a {@link SignJob}. */
export interface SignResult {
  readonly kind: 'sign';
  /** For each transaction a u32 length and its EIP-2718 bytes, back to back: the body of `/submit` without its count. */
  readonly frames: Uint8Array<ArrayBuffer>;
  /** Where each frame begins, and the end of the last. */
  readonly offsets: Uint32Array<ArrayBuffer>;
  /** 32 bytes each. */
  readonly hashes: Uint8Array<ArrayBuffer>;
}

/** One answer of either kind. */
export type SigningResult = AddressResult | SignResult;

/** Writes one transaction at record `index`. */
export function writeTransferRecord(
  view: DataView,
  index: number,
  transfer: {
    readonly secret: Uint8Array;
    /** Undefined: it creates a contract. */
    readonly to: Uint8Array | undefined;
    readonly nonce: number;
    readonly gasLimit: number;
    readonly valueHigh: bigint;
    readonly valueLow: bigint;
  },
): void {
  const at = index * TRANSFER_RECORD_BYTES;
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, TRANSFER_RECORD_BYTES);
  bytes.set(transfer.secret, 0);
  if (transfer.to === undefined) bytes[84] = 1;
  else bytes.set(transfer.to, 32);
  view.setBigUint64(at + 52, BigInt(transfer.nonce));
  view.setBigUint64(at + 60, BigInt(transfer.gasLimit));
  view.setBigUint64(at + 68, transfer.valueHigh);
  view.setBigUint64(at + 76, transfer.valueLow);
}
