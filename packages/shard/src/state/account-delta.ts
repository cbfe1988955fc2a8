import { invariant } from '@shardlab/crosslink';
import { ACCOUNT_KEY_BYTES, ACCOUNT_LEAF_AT, ACCOUNT_VALUE_BYTES, type FlatChange, writeAccountKey } from './flat-account.ts';

/** Bytes of one account's key, new value and old value. */
const STRIDE = ACCOUNT_KEY_BYTES + 2 * ACCOUNT_VALUE_BYTES;
const NEW_AT = ACCOUNT_KEY_BYTES;
const OLD_AT = ACCOUNT_KEY_BYTES + ACCOUNT_VALUE_BYTES;

/**
 * The flat keys, new and old values of the accounts that one block changed, encoded into one buffer: as arrays of their own they took a third of a block's
 * time. The bytes equal those of `accountFlatKey` and `accountFlatValue` (a test says so).
 */
export class AccountDelta {
  /** Where the leaves of {@link value} stand: see {@link valueAt}. */
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly changes: FlatChange[];
  private readonly undo: FlatChange[];
  private at = 0;

  /** Room for `count` accounts; `changes` and `undo` are appended to. */
  constructor(count: number, changes: FlatChange[], undo: FlatChange[]) {
    this.bytes = new Uint8Array(count * STRIDE);
    this.view = new DataView(this.bytes.buffer);
    this.changes = changes;
    this.undo = undo;
  }

  /**
   * Adds an account under the `bytesKey` of its address; (0, 0) = absent. Returns where in {@link bytes} the 32 bytes of its new leaf stand: zeros when it is
   * absent.
   */
  add(accountKey: string, oldBalance: bigint, oldNonce: number, balance: bigint, nonce: number): number {
    const { bytes, at } = this;
    this.at += STRIDE;
    writeAccountKey(bytes, at, accountKey);
    const key = bytes.subarray(at, at + ACCOUNT_KEY_BYTES);
    const value = this.value(at + NEW_AT, balance, nonce);
    this.changes.push({ key, value });
    this.undo.push({ key, value: this.value(at + OLD_AT, oldBalance, oldNonce) });
    return at + NEW_AT + ACCOUNT_LEAF_AT;
  }

  private value(at: number, balance: bigint, nonce: number): Uint8Array | undefined {
    if (balance === 0n && nonce === 0) return undefined;
    const { view } = this;
    const high = balance >> 64n;
    // A negative number has a negative high part: one comparison of a small bigint guards both ends.
    invariant(high >= 0n && high >> 64n === 0n && nonce <= Number.MAX_SAFE_INTEGER, 'an account out of range');
    view.setUint8(at, 1);
    const leaf = at + ACCOUNT_LEAF_AT;
    view.setUint32(leaf + 8, Math.floor(nonce / 0x1_0000_0000));
    view.setUint32(leaf + 12, nonce >>> 0);
    view.setBigUint64(leaf + 16, high);
    // Stores the low 64 bits, whatever is above them.
    view.setBigUint64(leaf + 24, balance);
    return this.bytes.subarray(at, at + ACCOUNT_VALUE_BYTES);
  }
}
