import { BASIC_DATA_POSITION, invariant } from '@shardlab/crosslink';
import { ACCOUNT_KEY_BYTES, ACCOUNT_LEAF_AT, ACCOUNT_VALUE_BYTES, type FlatChange, writeAccountKey } from './flat-account.ts';
import type { Trie } from './trie/trie.ts';

/** Bytes of one account's key, new value and old value. */
const STRIDE = ACCOUNT_KEY_BYTES + 2 * ACCOUNT_VALUE_BYTES;
const NEW_AT = ACCOUNT_KEY_BYTES;
const OLD_AT = ACCOUNT_KEY_BYTES + ACCOUNT_VALUE_BYTES;

/**
 * The flat keys, new and old values of the accounts that one block changed, encoded into one buffer: as arrays of their own they took a third of a block's
 * time. The bytes equal those of `accountFlatKey` and `accountFlatValue` (a test says so).
 */
export class AccountDelta {
  /** Everything encoded so far. */
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly trie: Trie;
  private readonly changes: FlatChange[];
  private readonly undo: FlatChange[];
  private at = 0;

  /** Room for `count` accounts, whose old leaves are in `trie`; `changes` and `undo` are appended to. */
  constructor(count: number, trie: Trie, changes: FlatChange[], undo: FlatChange[]) {
    this.trie = trie;
    this.bytes = new Uint8Array(count * STRIDE);
    this.view = new DataView(this.bytes.buffer);
    this.changes = changes;
    this.undo = undo;
  }

  /**
   * Adds an account under the `bytesKey` of its address; (0, 0) = absent now, `oldRef` -1 = absent before, else the reference of the stem that still holds its
   * old leaf. Returns where in {@link bytes} the 32 bytes of its new leaf stand: zeros when it is absent.
   */
  add(accountKey: string, oldRef: number, balance: bigint, nonce: number): number {
    const { bytes, at } = this;
    this.at += STRIDE;
    writeAccountKey(bytes, at, accountKey);
    const key = bytes.subarray(at, at + ACCOUNT_KEY_BYTES);
    this.changes.push({ key, value: this.newValue(at + NEW_AT, balance, nonce) });
    this.undo.push({ key, value: this.oldValue(at + OLD_AT, oldRef) });
    return at + NEW_AT + ACCOUNT_LEAF_AT;
  }

  private oldValue(at: number, ref: number): Uint8Array | undefined {
    if (ref < 0) return undefined;
    const { bytes } = this;
    bytes[at] = 1;
    invariant(this.trie.read(ref, BASIC_DATA_POSITION.suffix, bytes, at + ACCOUNT_LEAF_AT), 'an account that is no new one has a leaf');
    return bytes.subarray(at, at + ACCOUNT_VALUE_BYTES);
  }

  private newValue(at: number, balance: bigint, nonce: number): Uint8Array | undefined {
    if (balance === 0n && nonce === 0) return undefined;
    const { view } = this;
    const high = balance >> 64n;
    // A negative number has a negative high part: one comparison of a small bigint guards both ends.
    invariant(high >= 0n && high >> 64n === 0n && nonce <= Number.MAX_SAFE_INTEGER, 'an account out of range');
    this.bytes[at] = 1;
    const leaf = at + ACCOUNT_LEAF_AT;
    view.setUint32(leaf + 8, Math.floor(nonce / 0x1_0000_0000));
    view.setUint32(leaf + 12, nonce >>> 0);
    view.setBigUint64(leaf + 16, high);
    // Stores the low 64 bits, whatever is above them.
    view.setBigUint64(leaf + 24, balance);
    return this.bytes.subarray(at, at + ACCOUNT_VALUE_BYTES);
  }
}
