import {
  ACCOUNTS,
  BASIC_DATA_POSITION,
  bytesKey,
  decodeBasicData,
  decodeFlatKey,
  decodeFlatValue,
  decodeParkedCredit,
  equalBytes,
  HEADER_STORAGE_OFFSET,
  keyBytes,
  NAMESPACE_BYTES,
  PARKED,
  toHex,
} from '@shardlab/crosslink';
import { recordAt } from './record-at.ts';
import type { ShardBlockRecord } from './violations.ts';

/** An account of the model. */
export interface ModelAccount {
  balance: bigint;
  nonce: number;
}

interface StoredAccount extends Readonly<ModelAccount> {
  /** Slots 0 to 63 that are not zero. */
  readonly slots: ReadonlyMap<number, bigint>;
  /** Whose code it has let be its own (EIP-7702). */
  readonly delegate: string | undefined;
}

/** Slots that share an account's stem, and where those of code begin. */
const SLOTS_END = 128;
const NO_SLOTS: ReadonlyMap<number, bigint> = new Map();
const NOBODY: StoredAccount = { balance: 0n, nonce: 0, slots: NO_SLOTS, delegate: undefined };
/** Code that says whose it really is: these three bytes and an address (EIP-7702). In a chunk of code, a byte of the chunk's own comes first. */
const DESIGNATOR = Uint8Array.of(0xef, 0x01, 0x00);
const DESIGNATOR_BYTES = 23;

function delegateIn(chunk: Uint8Array): string | undefined {
  return equalBytes(chunk.subarray(1, 4), DESIGNATOR) ? bytesKey(chunk.subarray(4, 1 + DESIGNATOR_BYTES)) : undefined;
}

function storedOf(value: Uint8Array | undefined): StoredAccount {
  if (value === undefined) return NOBODY;
  const slots = new Map<number, bigint>();
  let account: Readonly<ModelAccount> = NOBODY;
  let delegate: string | undefined;
  for (const leaf of decodeFlatValue(value)) {
    if (leaf.suffix === BASIC_DATA_POSITION.suffix) account = decodeBasicData(leaf.value);
    else if (leaf.suffix === SLOTS_END) delegate = delegateIn(leaf.value);
    else if (leaf.suffix >= HEADER_STORAGE_OFFSET && leaf.suffix < SLOTS_END) slots.set(leaf.suffix - HEADER_STORAGE_OFFSET, BigInt(toHex(leaf.value)));
  }
  return { balance: account.balance, nonce: account.nonce, slots, delegate };
}

/** One shard's accounts: as the model has them, and as blocks have stored them last. */
export class SerialAccounts {
  /** Wei that wait for a lock's release (R16): the model has credited them. */
  parked = 0n;
  private readonly model = new Map<string, ModelAccount>();
  private readonly stored = new Map<string, StoredAccount>();
  private readonly parkedBy = new Map<string, bigint>();

  /** An account of the genesis. */
  genesis(key: string, balance: bigint): void {
    this.model.set(key, { balance, nonce: 0 });
    this.stored.set(key, { ...NOBODY, balance });
  }

  of(key: string): ModelAccount {
    let account = this.model.get(key);
    if (account === undefined) this.model.set(key, (account = { balance: 0n, nonce: 0 }));
    return account;
  }

  keys(): Set<string> {
    return new Set([...this.model.keys(), ...this.stored.keys(), ...this.parkedBy.keys()]);
  }

  /** Takes what a block stores. Returns the accounts that it changes. */
  store({ block }: ShardBlockRecord): Set<string> {
    const changed = new Set<string>();
    for (const { key, value } of block.delta.changes) {
      const { owner, treeIndex } = decodeFlatKey(key);
      if (treeIndex !== BASIC_DATA_POSITION.treeIndex) continue;
      const space = owner.subarray(0, NAMESPACE_BYTES);
      const address = bytesKey(owner.subarray(NAMESPACE_BYTES));
      if (equalBytes(space, ACCOUNTS)) this.stored.set(address, storedOf(value));
      else if (equalBytes(space, PARKED)) this.park(address, value === undefined ? 0n : decodeParkedCredit(recordAt(new Map([[bytesKey(key), value]]), owner)!));
      else continue;
      changed.add(address);
    }
    return changed;
  }

  private park(key: string, wei: bigint): void {
    this.parked += wei - (this.parkedBy.get(key) ?? 0n);
    this.parkedBy.set(key, wei);
  }

  /** What is stored otherwise than the model has it. */
  differs(key: string, slots: ReadonlyMap<number, bigint> = NO_SLOTS, delegate?: string): string | undefined {
    const stored = this.stored.get(key) ?? NOBODY;
    const account = this.model.get(key) ?? NOBODY;
    const balance = stored.balance + (this.parkedBy.get(key) ?? 0n);
    const name = toHex(keyBytes(key));
    if (balance !== account.balance || stored.nonce !== account.nonce) {
      return `${name} is stored with ${balance} wei and nonce ${stored.nonce}, the serial history gives ${account.balance} and ${account.nonce}`;
    }
    if (stored.delegate !== delegate) {
      const said = (whose: string | undefined): string => (whose === undefined ? 'code of its own, or none' : `the code of ${toHex(keyBytes(whose))}`);
      return `${name} is stored with ${said(stored.delegate)}, the serial history gives ${said(delegate)}`;
    }
    for (const slot of new Set([...slots.keys(), ...stored.slots.keys()])) {
      const [is, wanted] = [stored.slots.get(slot) ?? 0n, slots.get(slot) ?? 0n];
      if (is !== wanted) return `${name} is stored with ${is} in slot ${slot}, the serial history gives ${wanted}`;
    }
    return undefined;
  }
}
