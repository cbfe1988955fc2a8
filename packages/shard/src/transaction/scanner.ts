import { TransactionError } from './errors.ts';
import { nextInteger, nextItem, nextNumber } from './field-readers.ts';
import { RlpCursor, writePrefix } from './rlp.ts';
import { BatchCallSpans, scanAuthorizations } from './scan-lists.ts';
import { BATCH_TYPE, type TransactionType } from './types.ts';

/** Most bytes of one transaction: geth's `txMaxSize`, four slots of 32 KiB. */
export const TRANSACTION_BYTES_MAX = 131_072;

/** Order of the secp256k1 group (SEC 2, section 2.4.1), 32 bytes. */
const ORDER = order('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141');
/** Half of the order, rounded down: the largest s of EIP-2. */
const HALF_ORDER = order('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0');

function order(hex: string): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

function compare32(bytes: Uint8Array, at: number, limit: Uint8Array): number {
  for (let i = 0; i < 32; i++) {
    const difference = bytes[at + i]! - limit[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Reads one signed transaction in place: checks that its bytes are canonical and leaves numbers and offsets behind, so that the hot path makes no
 * objects, no bigints and no copies of fields. One instance serves many transactions, one after another; what it holds belongs to the last one.
 */
export class TransactionScanner {
  type: TransactionType = 0;
  /** -1 when it was signed without one (before EIP-155). */
  chainId = -1;
  nonce = 0;
  gasLimit = 0;
  /** Offset of the 20 bytes of the recipient, or -1: a creation or a batch. */
  toStart = -1;
  valueStart = 0;
  valueLength = 0;
  /** The fee cap; the gas price of types 0 and 1. */
  feeStart = 0;
  feeLength = 0;
  /** The tip; the gas price of types 0 and 1. */
  tipStart = 0;
  tipLength = 0;
  dataStart = 0;
  dataLength = 0;
  /** Payload of the access list, without its prefix. */
  accessStart = 0;
  accessLength = 0;
  accessAddresses = 0;
  accessKeys = 0;
  /** Payload of the authorizations of type 4, without its prefix. */
  authorizationsStart = 0;
  authorizationsLength = 0;
  authorizations = 0;
  yParity: 0 | 1 = 0;
  /** r and s, 32 bytes each. */
  readonly signature = new Uint8Array(64);

  private readonly fields = new RlpCursor();
  private readonly entries = new RlpCursor();
  private readonly entry = new RlpCursor();
  private readonly keys = new RlpCursor();
  /** Made for the first batch. */
  private spans: BatchCallSpans | undefined;
  private raw: Uint8Array = new Uint8Array(0);
  private contentStart = 0;
  private signatureStart = 0;
  private payload = new Uint8Array(512);
  private tailChainId = -1;
  private tail = new Uint8Array(0);

  /** Of type 0x70, which has no recipient, value and data besides; means nothing for other types. */
  get calls(): BatchCallSpans {
    return (this.spans ??= new BatchCallSpans());
  }

  /** Reads `raw`, an EIP-2718 encoding. Throws a {@link TransactionError}; then the fields mean nothing. */
  scan(raw: Uint8Array): void {
    if (raw.length > TRANSACTION_BYTES_MAX) {
      throw new TransactionError('tx/oversized', `a transaction has at most ${TRANSACTION_BYTES_MAX} bytes, not ${raw.length}`);
    }
    this.raw = raw;
    const { fields } = this;
    fields.open(raw, this.readType(raw), raw.length);
    fields.next();
    if (!fields.list || !fields.done) throw new TransactionError('tx/rlp', 'not canonical RLP: bytes after the end, or no list');
    this.contentStart = fields.start;
    fields.open(raw, fields.start, raw.length);
    if (this.type !== 0) {
      this.chainId = this.number('tx/chain-id', 'chain id');
      if (this.chainId === 0) throw new TransactionError('tx/chain-id', 'a chain id is at least 1');
    }
    this.readFees();
    if (this.type === BATCH_TYPE) {
      this.readCalls();
    } else {
      this.readTarget();
      if (this.type !== 0) this.readAccessList();
      if (this.type === 4) this.readAuthorizations();
    }
    this.signatureStart = fields.at;
    this.readParity();
    this.readScalar(0);
    this.readScalar(32);
    if (!fields.done) throw new TransactionError('tx/field', 'too many fields');
    if (compare32(this.signature, 32, HALF_ORDER) > 0) {
      throw new TransactionError('tx/malleable-signature', 's is in the upper half of the group order (EIP-2)');
    }
  }

  /**
   * What the sender signed the keccak-256 of: the fields without the signature, for legacy transactions with chain id, 0, 0 (EIP-155). A view that
   * is overwritten by the next call.
   */
  signingPayload(): Uint8Array {
    const content = this.signatureStart - this.contentStart;
    const tail = this.type === 0 && this.chainId >= 0 ? this.chainIdTail() : undefined;
    const length = content + (tail?.length ?? 0);
    if (this.payload.length < length + 5) this.payload = new Uint8Array(2 * length + 5);
    const out = this.payload;
    let at = 0;
    if (this.type !== 0) out[at++] = this.type;
    at = writePrefix(out, at, length, 0xc0);
    // Byte by byte beats a subarray and set() for the hundred bytes of a transfer.
    if (content > 200) out.set(this.raw.subarray(this.contentStart, this.signatureStart), at);
    else for (let i = 0; i < content; i++) out[at + i] = this.raw[this.contentStart + i]!;
    at += content;
    if (tail !== undefined) out.set(tail, at);
    return out.subarray(0, at + (tail?.length ?? 0));
  }

  /** RLP of chain id, 0, 0; remembered, because on one network it is always the same. */
  private chainIdTail(): Uint8Array {
    if (this.tailChainId === this.chainId) return this.tail;
    const digits: number[] = [];
    for (let rest = this.chainId; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
    const single = digits.length === 1 && digits[0]! < 0x80;
    this.tail = Uint8Array.from(single ? [...digits, 0x80, 0x80] : [0x80 + digits.length, ...digits, 0x80, 0x80]);
    this.tailChainId = this.chainId;
    return this.tail;
  }

  /** Returns the offset of the list of fields. */
  private readType(raw: Uint8Array): number {
    const first = raw[0];
    if (first === undefined) throw new TransactionError('tx/rlp', 'no bytes');
    this.chainId = -1;
    if (first >= 0xc0) {
      this.type = 0;
      return 0;
    }
    if (first === 1 || first === 2 || first === 4 || first === BATCH_TYPE) {
      this.type = first;
      return 1;
    }
    if (first === 3) throw new TransactionError('tx/type3-unsupported', 'blob transactions (type 3, EIP-4844) are not supported');
    if (first < 0x80) throw new TransactionError('tx/type-unknown', `transaction type ${first} is not known`, { type: first });
    throw new TransactionError('tx/rlp', 'neither a typed transaction nor an RLP list');
  }

  /** Nonce, fees, gas limit; and forgets what the last transaction had of the lists that not every type has. */
  private readFees(): void {
    const { fields } = this;
    this.nonce = this.number('tx/nonce-range', 'nonce');
    this.integer('gas price');
    this.tipStart = fields.start;
    this.tipLength = fields.length;
    if (this.type >= 2) this.integer('fee cap');
    this.feeStart = fields.start;
    this.feeLength = fields.length;
    this.gasLimit = this.number('tx/gas-range', 'gas limit');
    this.accessStart = 0;
    this.accessLength = 0;
    this.accessAddresses = 0;
    this.accessKeys = 0;
    this.authorizations = 0;
  }

  private readTarget(): void {
    const { fields } = this;
    this.item(false, 'recipient');
    if (fields.length !== 20 && fields.length !== 0) throw new TransactionError('tx/field', `a recipient has 20 bytes or none, not ${fields.length}`);
    if (fields.length === 0 && this.type === 4) throw new TransactionError('tx/no-recipient', 'a set-code transaction has a recipient (EIP-7702)');
    this.toStart = fields.length === 0 ? -1 : fields.start;
    this.integer('value');
    this.valueStart = fields.start;
    this.valueLength = fields.length;
    this.item(false, 'data');
    this.dataStart = fields.start;
    this.dataLength = fields.length;
  }

  private readCalls(): void {
    const { calls } = this;
    this.item(true, 'list of calls');
    calls.scan(this.raw, this.fields);
    this.toStart = -1;
    this.valueLength = 0;
    this.dataLength = 0;
    for (let i = 0; i < calls.count; i++) this.dataLength += calls.dataLength[i]!;
  }

  private readAuthorizations(): void {
    this.item(true, 'list of authorizations');
    this.authorizationsStart = this.fields.start;
    this.authorizationsLength = this.fields.length;
    this.authorizations = scanAuthorizations(this.raw, this.fields);
  }

  private readAccessList(): void {
    const { entries, entry, keys, raw } = this;
    this.item(true, 'access list');
    this.accessStart = this.fields.start;
    this.accessLength = this.fields.length;
    entries.open(raw, this.accessStart, this.accessStart + this.accessLength);
    while (!entries.done) {
      entries.next();
      if (!entries.list) throw new TransactionError('tx/field', 'an access list entry is a list');
      entry.open(raw, entries.start, entries.start + entries.length);
      if (entry.done) throw new TransactionError('tx/field', 'an empty access list entry');
      entry.next();
      if (entry.list || entry.length !== 20) throw new TransactionError('tx/field', 'an access list address has 20 bytes');
      if (entry.done) throw new TransactionError('tx/field', 'an access list entry without storage keys');
      entry.next();
      if (!entry.list || !entry.done) throw new TransactionError('tx/field', 'an access list entry is an address and a list');
      keys.open(raw, entry.start, entry.start + entry.length);
      while (!keys.done) {
        keys.next();
        if (keys.list || keys.length !== 32) throw new TransactionError('tx/field', 'a storage key has 32 bytes');
        this.accessKeys++;
      }
      this.accessAddresses++;
    }
  }

  private readParity(): void {
    const v = this.number(this.type === 0 ? 'tx/chain-id' : 'tx/y-parity', 'v');
    if (this.type !== 0) {
      if (v > 1) throw new TransactionError('tx/y-parity', `a y parity is 0 or 1, not ${v}`);
      this.yParity = v === 0 ? 0 : 1;
    } else if (v === 27 || v === 28) {
      this.yParity = v === 27 ? 0 : 1;
    } else {
      if (v < 35) throw new TransactionError('tx/y-parity', `v is 27, 28 or from 35 on, not ${v}`);
      this.yParity = (v - 35) % 2 === 0 ? 0 : 1;
      this.chainId = Math.floor((v - 35) / 2);
      if (this.chainId === 0) throw new TransactionError('tx/chain-id', 'a chain id is at least 1');
    }
  }

  /** r (at 0) or s (at 32): 1 to the group order - 1. */
  private readScalar(at: 0 | 32): void {
    const { signature, fields, raw } = this;
    this.integer(at === 0 ? 'r' : 's');
    if (fields.length === 0) throw new TransactionError('tx/signature-range', `${at === 0 ? 'r' : 's'} is zero`);
    const pad = at + 32 - fields.length;
    for (let i = at; i < pad; i++) signature[i] = 0;
    for (let i = 0; i < fields.length; i++) signature[pad + i] = raw[fields.start + i]!;
    if (compare32(signature, at, ORDER) >= 0) {
      throw new TransactionError('tx/signature-range', `${at === 0 ? 'r' : 's'} is not below the group order`);
    }
  }

  private item(list: boolean, name: string): void {
    nextItem(this.fields, list, name);
  }

  private integer(name: string): void {
    nextInteger(this.raw, this.fields, name);
  }

  private number(code: 'tx/nonce-range' | 'tx/gas-range' | 'tx/chain-id' | 'tx/y-parity', name: string): number {
    return nextNumber(this.raw, this.fields, code, name);
  }
}
