import { FORK_RULES, type ForkRules, GAS_AUTHORIZATION_NEW } from '../execution/evm/fork-rules.ts';
import type { EvmFork } from '../execution/evm/types.ts';
import {
  FLAG_CHAIN_ID,
  FLAG_NO_RECIPIENT,
  RECORD,
  RECORD_BYTES,
  RECORD_VERSION,
} from './admission-record.ts';
import { statusOf, TransactionError } from './errors.ts';
import { readBig } from './field-readers.ts';
import { batchIntrinsicGas, dataFloor, dataGas, INITCODE_BYTES_MAX, intrinsicGas } from './intrinsic-gas.ts';
import { TransactionScanner } from './scanner.ts';
import { BATCH_TYPE, type RecoveryPrimitives } from './types.ts';

/** What a network demands of a transaction before any account is looked at. The same on all its nodes: it decides what may lie in a block. */
export interface AdmissionPolicy {
  /** Chain id that a transaction must be signed for; `undefined` takes all, for tools that read other chains' transactions. */
  readonly chainId: number | undefined;
  /** Whether legacy transactions without a chain id (before EIP-155) may pass. */
  readonly allowUnprotected: boolean;
  /** Whose rules hold: which types there are, and the floor price of data. */
  readonly fork: EvmFork;
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
  private readonly rules: ForkRules;
  private readonly scanner = new TransactionScanner();
  private readonly publicKey = new Uint8Array(65);
  private readonly publicKeyXY = this.publicKey.subarray(1);

  constructor(records: Uint8Array, primitives: RecoveryPrimitives, policy: AdmissionPolicy) {
    this.records = records;
    this.view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    this.primitives = primitives;
    this.policy = policy;
    this.rules = FORK_RULES[policy.fork];
  }

  /** Fills the record at `at`; leaves only the status in it when `raw` is not acceptable. */
  judge(raw: Uint8Array, at: number): void {
    const { records } = this;
    try {
      if (raw[0] === 4 && !this.rules.delegations) {
        throw new TransactionError('tx/type4-unsupported', `set-code transactions (type 4, EIP-7702) are not part of ${this.policy.fork}`);
      }
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
    const noRecipient = scanner.toStart < 0;
    const bound = scanner.chainId >= 0;
    if (!bound && !policy.allowUnprotected) throw new TransactionError('tx/unprotected', 'signed without a chain id (EIP-155)');
    if (bound && policy.chainId !== undefined && scanner.chainId !== policy.chainId) {
      throw new TransactionError('tx/chain-id', `signed for chain ${scanner.chainId}, this is ${policy.chainId}`);
    }
    const { dataLength } = scanner;
    const gas = scanner.type === BATCH_TYPE ? this.batchGas(raw) : this.intrinsicGas(raw, noRecipient);
    if (scanner.gasLimit < gas) throw new TransactionError('tx/intrinsic-gas', `gas limit ${scanner.gasLimit}, ${gas} needed`);
    if (scanner.type === BATCH_TYPE) this.checkCallsGas(gas);
    records[at + RECORD.type] = scanner.type;
    records[at + RECORD.flags] = (noRecipient ? FLAG_NO_RECIPIENT : 0) | (bound ? FLAG_CHAIN_ID : 0);
    view.setUint32(at + RECORD.dataLength, dataLength);
    writeSafe(view, at + RECORD.nonce, scanner.nonce);
    writeSafe(view, at + RECORD.gasLimit, scanner.gasLimit);
    writeSafe(view, at + RECORD.intrinsicGas, gas);
    writeSafe(view, at + RECORD.chainId, bound ? scanner.chainId : 0);
    if (!noRecipient) copy(raw, scanner.toStart, records, at + RECORD.to, 20);
  }

  private intrinsicGas(raw: Uint8Array, creation: boolean): number {
    const { dataStart, dataLength, accessAddresses, accessKeys, authorizations } = this.scanner;
    if (creation && dataLength > INITCODE_BYTES_MAX) {
      throw new TransactionError('tx/initcode-size', `initcode has at most ${INITCODE_BYTES_MAX} bytes, not ${dataLength}`);
    }
    const gas = intrinsicGas(raw, dataStart, dataLength, creation, accessAddresses, accessKeys) + authorizations * GAS_AUTHORIZATION_NEW;
    if (dataLength === 0 || !this.rules.dataFloor) return gas;
    return Math.max(gas, dataFloor(dataGas(raw, dataStart, dataLength)));
  }

  private batchGas(raw: Uint8Array): number {
    const { calls } = this.scanner;
    let data = 0;
    for (let i = 0; i < calls.count; i++) data += dataGas(raw, calls.dataStart[i]!, calls.dataLength[i]!);
    const gas = batchIntrinsicGas(calls.count, data);
    return this.rules.dataFloor ? Math.max(gas, dataFloor(data)) : gas;
  }

  /** Sums of 17 numbers below 2^53 may be rounded, but never down to one that fits. */
  private checkCallsGas(intrinsic: number): void {
    const { calls, gasLimit } = this.scanner;
    let needed = intrinsic;
    for (let i = 0; i < calls.count; i++) needed += calls.gasLimit[i]!;
    if (needed > gasLimit) throw new TransactionError('tx/batch-gas', `gas limit ${gasLimit}, ${needed} needed for the calls and the intrinsic gas`);
  }

  /** Copies value and fees as they stand, right-aligned: no bigint is made, but for a batch. */
  private writeAmounts(raw: Uint8Array, at: number): void {
    const { records, scanner } = this;
    const { valueLength, feeLength, tipLength } = scanner;
    if (valueLength > 16) throw new TransactionError('tx/value-range', 'a value is below 2^128 wei');
    if (feeLength > 16 || tipLength > 16) throw new TransactionError('tx/fee-range', 'a fee is below 2^128 wei per gas');
    if (scanner.type === BATCH_TYPE) this.writeBatchValue(raw, at + RECORD.value);
    else copy(raw, scanner.valueStart, records, at + RECORD.value + 16 - valueLength, valueLength);
    copy(raw, scanner.feeStart, records, at + RECORD.maxFeePerGas + 16 - feeLength, feeLength);
    copy(raw, scanner.tipStart, records, at + RECORD.maxPriorityFeePerGas + 16 - tipLength, tipLength);
    if (scanner.type >= 2 && isAbove(records, at + RECORD.maxPriorityFeePerGas, at + RECORD.maxFeePerGas)) {
      throw new TransactionError('tx/tip-above-fee-cap', 'the tip is above the fee cap');
    }
  }

  /** A batch's value is its calls' sum. */
  private writeBatchValue(raw: Uint8Array, at: number): void {
    const { calls } = this.scanner;
    let sum = 0n;
    for (let i = 0; i < calls.count; i++) sum += readBig(raw, calls.valueStart[i]!, calls.valueLength[i]!);
    if (sum >> 128n !== 0n) throw new TransactionError('tx/value-range', 'the values of a batch are together below 2^128 wei');
    this.view.setBigUint64(at, sum >> 64n);
    this.view.setBigUint64(at + 8, BigInt.asUintN(64, sum));
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
