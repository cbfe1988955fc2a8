import {
  FLAG_CHAIN_ID,
  FLAG_CREATION,
  RECORD,
  RECORD_BYTES,
  RECORD_VERSION,
} from './admission-record.ts';
import { statusOf, TransactionError } from './errors.ts';
import { INITCODE_BYTES_MAX, intrinsicGas } from './intrinsic-gas.ts';
import { TransactionScanner } from './scanner.ts';
import type { RecoveryPrimitives } from './types.ts';

/** What a network demands of a transaction before any account is looked at. The same on all its nodes: it decides what may lie in a block. */
export interface AdmissionPolicy {
  /** Chain id that a transaction must be signed for; `undefined` takes all, for tools that read other chains' transactions. */
  readonly chainId: number | undefined;
  /** Whether legacy transactions without a chain id (before EIP-155) may pass. */
  readonly allowUnprotected: boolean;
}

/**
 * Judges each of `raws` (EIP-2718 encodings) and returns one admission record for each, back to back: decoding, policy, intrinsic gas, sender, hash. A bad
 * transaction gives a record with a status; nothing is thrown for it. Used alike by worker threads, inline by simulations, for pools and for
 * the bodies of blocks, so that all nodes take the same transactions for good.
 */
export function recoverBatch(raws: readonly Uint8Array[], primitives: RecoveryPrimitives, policy: AdmissionPolicy): Uint8Array {
  const records = new Uint8Array(raws.length * RECORD_BYTES);
  const judge = new Judge(records, primitives, policy);
  for (let i = 0; i < raws.length; i++) judge.judge(raws[i]!, i * RECORD_BYTES);
  return records;
}

class Judge {
  private readonly records: Uint8Array;
  private readonly view: DataView;
  private readonly primitives: RecoveryPrimitives;
  private readonly policy: AdmissionPolicy;
  private readonly scanner = new TransactionScanner();
  private readonly publicKey = new Uint8Array(65);
  private readonly publicKeyXY = this.publicKey.subarray(1);

  constructor(records: Uint8Array, primitives: RecoveryPrimitives, policy: AdmissionPolicy) {
    this.records = records;
    this.view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    this.primitives = primitives;
    this.policy = policy;
  }

  /** Fills the record at `at`; leaves only the status in it when `raw` is not acceptable. */
  judge(raw: Uint8Array, at: number): void {
    const { records } = this;
    try {
      this.scanner.scan(raw);
      this.writeFields(raw, at);
      this.writeAmounts(raw, at);
      this.writeHashes(raw, at);
    } catch (error) {
      if (!(error instanceof TransactionError)) throw error;
      records.fill(0, at, at + RECORD_BYTES);
      records[at + RECORD.status] = statusOf(error.code);
    }
    records[at + RECORD.version] = RECORD_VERSION;
  }

  private writeFields(raw: Uint8Array, at: number): void {
    const { records, view, scanner, policy } = this;
    const creation = scanner.toStart < 0;
    const bound = scanner.chainId >= 0;
    if (!bound && !policy.allowUnprotected) throw new TransactionError('tx/unprotected', 'signed without a chain id (EIP-155)');
    if (bound && policy.chainId !== undefined && scanner.chainId !== policy.chainId) {
      throw new TransactionError('tx/chain-id', `signed for chain ${scanner.chainId}, this is ${policy.chainId}`);
    }
    if (creation && scanner.dataLength > INITCODE_BYTES_MAX) {
      throw new TransactionError('tx/initcode-size', `initcode has at most ${INITCODE_BYTES_MAX} bytes, not ${scanner.dataLength}`);
    }
    const { dataStart, dataLength, accessAddresses, accessKeys } = scanner;
    const gas = intrinsicGas(raw, dataStart, dataLength, creation, accessAddresses, accessKeys);
    if (scanner.gasLimit < gas) throw new TransactionError('tx/intrinsic-gas', `gas limit ${scanner.gasLimit}, ${gas} needed`);
    records[at + RECORD.type] = scanner.type;
    records[at + RECORD.flags] = (creation ? FLAG_CREATION : 0) | (bound ? FLAG_CHAIN_ID : 0);
    view.setUint32(at + RECORD.dataLength, dataLength);
    writeSafe(view, at + RECORD.nonce, scanner.nonce);
    writeSafe(view, at + RECORD.gasLimit, scanner.gasLimit);
    writeSafe(view, at + RECORD.intrinsicGas, gas);
    writeSafe(view, at + RECORD.chainId, bound ? scanner.chainId : 0);
    if (!creation) copy(raw, scanner.toStart, records, at + RECORD.to, 20);
  }

  /** Copies value and fees as they stand, right-aligned: no bigint is made. */
  private writeAmounts(raw: Uint8Array, at: number): void {
    const { records, scanner } = this;
    const { valueLength, feeLength, tipLength } = scanner;
    if (valueLength > 16) throw new TransactionError('tx/value-range', 'a value is below 2^128 wei');
    if (feeLength > 16 || tipLength > 16) throw new TransactionError('tx/fee-range', 'a fee is below 2^128 wei per gas');
    copy(raw, scanner.valueStart, records, at + RECORD.value + 16 - valueLength, valueLength);
    copy(raw, scanner.feeStart, records, at + RECORD.maxFeePerGas + 16 - feeLength, feeLength);
    copy(raw, scanner.tipStart, records, at + RECORD.maxPriorityFeePerGas + 16 - tipLength, tipLength);
    if (scanner.type === 2 && isAbove(records, at + RECORD.maxPriorityFeePerGas, at + RECORD.maxFeePerGas)) {
      throw new TransactionError('tx/tip-above-fee-cap', 'the tip is above the fee cap');
    }
  }

  /** The costly part, so the last: what fails earlier costs an attacker's victim next to nothing. */
  private writeHashes(raw: Uint8Array, at: number): void {
    const { records, scanner, primitives } = this;
    const signingHash = primitives.keccak256(scanner.signingPayload());
    if (!primitives.recoverPublicKey(signingHash, scanner.signature, scanner.yParity, this.publicKey)) {
      throw new TransactionError('tx/unrecoverable', 'no public key fits the signature');
    }
    copy(primitives.keccak256(this.publicKeyXY), 12, records, at + RECORD.sender, 20);
    copy(primitives.keccak256(raw), 0, records, at + RECORD.hash, 32);
  }
}

/** For a few dozen bytes a loop is quicker than `set` with a subarray. */
function copy(from: Uint8Array, start: number, to: Uint8Array, at: number, length: number): void {
  for (let i = 0; i < length; i++) to[at + i] = from[start + i]!;
}

function writeSafe(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 0x1_0000_0000));
  view.setUint32(at + 4, value >>> 0);
}

/** Whether the 16 bytes at `a` are more than the 16 bytes at `b`. */
function isAbove(bytes: Uint8Array, a: number, b: number): boolean {
  for (let i = 0; i < 16; i++) {
    const difference = bytes[a + i]! - bytes[b + i]!;
    if (difference !== 0) return difference > 0;
  }
  return false;
}
