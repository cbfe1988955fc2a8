import { FLAT_KEY_BYTES_MAX, HEADER_STORAGE_OFFSET, type Hasher, isHeaderSlot, OWNER_BYTES, STEM_BYTES, writeStemPreimage, writeStorageIndex } from '@shardlab/crosslink';
import type { Account, Contract } from '../account.ts';
import type { Accounts } from '../accounts.ts';
import { ACCOUNT_KEY_BYTES, writeAccountKey } from '../flat-account.ts';
import type { StemJournal } from '../stem-journal.ts';
import { IntList } from '../trie/growth.ts';
import type { Trie } from '../trie/trie.ts';
import { SlotTable } from './slot-table.ts';

/** Stems derived in one call of the hasher. */
const BATCH = 512;
/** Integers that lists keep between commits. */
const KEEP_ITEMS = 1 << 16;
const WORD = 32;

/**
 * Storage of all contracts of a state. Values are kept apart from the trie, which has them too: a read finds its slot in one table, whatever the trie does, and the trie
 * is changed at commit alone, all new stems derived in batches.
 */
export class SlotStore {
  private readonly table: SlotTable;
  private readonly hasher: Hasher;
  private readonly trie: Trie;
  private readonly journal: StemJournal;
  private readonly accounts: Accounts;
  private readonly dirty = new IntList();
  private readonly fresh = new IntList();
  private readonly flatKey = new Uint8Array(FLAT_KEY_BYTES_MAX);
  private readonly input = new Uint8Array(64 * BATCH);
  private readonly hashes = new Uint8Array(32 * BATCH);

  constructor(
    options: { readonly hashSeed: number },
    modules: { readonly hasher: Hasher; readonly trie: Trie; readonly journal: StemJournal; readonly accounts: Accounts },
  ) {
    this.table = new SlotTable(options.hashSeed);
    this.hasher = modules.hasher;
    this.trie = modules.trie;
    this.journal = modules.journal;
    this.accounts = modules.accounts;
  }

  /** Slots that are not zero, and those emptied since the last commit. */
  get count(): number {
    return this.table.count;
  }

  /** Bytes held, without the trie's. */
  get memoryBytes(): number {
    return this.table.memoryBytes;
  }

  /** Whether something was written since the last commit. */
  get changed(): boolean {
    return this.dirty.length > 0;
  }

  /** Writes the 32 bytes of a slot to `out`; zeros if it is absent. */
  read(contract: Contract | undefined, key: Uint8Array, out: Uint8Array): void {
    const slot = contract === undefined ? -1 : this.table.find(contract.id, key);
    if (slot < 0) {
      for (let i = 0; i < WORD; i++) out[i] = 0;
      return;
    }
    const { bytes } = this.table;
    const from = this.table.valueAt(slot);
    for (let i = 0; i < WORD; i++) out[i] = bytes[from + i]!;
  }

  /** Sets a slot to 32 bytes; zeros make it absent. */
  write(contract: Contract, key: Uint8Array, value: Uint8Array): void {
    const zero = isZero(value, 0);
    const slot = zero ? this.table.find(contract.id, key) : this.table.open(contract.id, key);
    if (slot < 0) return;
    this.put(contract, slot, value, zero);
    this.touch(slot);
  }

  /** Makes all slots of a contract absent. Looks through all slots of the state: nothing on the way of a transaction empties storage that was there before its block. */
  clear(contract: Contract): void {
    const { table } = this;
    for (let slot = 0; slot < table.end && contract.slots > 0; slot++) {
      if (table.contract(slot) !== contract.id) continue;
      this.put(contract, slot, ZERO, true);
      this.touch(slot);
    }
  }

  /** Takes a value that the stem `ref` of the trie holds, or has just lost, when a state is loaded or a block undone. */
  adopt(contract: Contract, key: Uint8Array, value: Uint8Array, ref: number): void {
    const zero = isZero(value, 0);
    const slot = zero ? this.table.find(contract.id, key) : this.table.open(contract.id, key);
    if (slot < 0) return;
    this.put(contract, slot, value, zero);
    if (zero) this.table.remove(slot);
    else this.table.setRef(slot, ref);
  }

  /** All that is not zero, and, with `changed`, instead what was written since the last commit: 32 bytes of key and value each, the state's own. */
  visit(changed: boolean, visit: (account: Account, key: Uint8Array, value: Uint8Array) => void): void {
    const { table, dirty } = this;
    const end = changed ? dirty.length : table.end;
    for (let i = 0; i < end; i++) {
      const slot = changed ? dirty.items[i]! : i;
      const contract = table.contract(slot);
      if (contract < 0) continue;
      const [keyAt, valueAt] = [table.keyAt(slot), table.valueAt(slot)];
      visit(this.accounts.ofContract(contract), table.bytes.subarray(keyAt, keyAt + WORD), table.bytes.subarray(valueAt, valueAt + WORD));
    }
  }

  /** Writes what changed to the trie, and to the journal what was there before. */
  commit(): void {
    const { table, trie, journal, dirty } = this;
    const kept = this.keepChanges();
    this.findStems();
    for (let i = 0; i < kept; i++) {
      const slot = dirty.items[i]!;
      const ref = table.ref(slot);
      const { bytes } = table;
      const [keyAt, valueAt] = [table.keyAt(slot), table.valueAt(slot)];
      const last = bytes[keyAt + STEM_BYTES]!;
      const inHeader = isHeaderSlot(bytes, keyAt);
      if (journal.wants(ref)) journal.add(ref, this.flatKey, this.writeKey(slot, inHeader));
      trie.set(ref, inHeader ? HEADER_STORAGE_OFFSET + last : last, bytes, valueAt);
      if (isZero(bytes, valueAt)) table.remove(slot);
    }
    dirty.clear(KEEP_ITEMS);
  }

  /** Drops slots that came and went within the block, and moves the others to the front of {@link dirty}; returns how many. Those of unknown stems go to {@link fresh}. */
  private keepChanges(): number {
    const { table, dirty, fresh } = this;
    let kept = 0;
    for (let i = 0; i < dirty.length; i++) {
      const slot = dirty.items[i]!;
      table.clearDirty(slot);
      if (table.ref(slot) < 0) {
        if (isZero(table.bytes, table.valueAt(slot))) {
          table.remove(slot);
          continue;
        }
        if (isHeaderSlot(table.bytes, table.keyAt(slot))) table.setRef(slot, this.accounts.headerRef(this.accounts.ofContract(table.contract(slot))));
        else fresh.push(slot);
      }
      dirty.items[kept++] = slot;
    }
    return kept;
  }

  private findStems(): void {
    const { table, trie, fresh, input, hashes } = this;
    const stem = new Uint8Array(STEM_BYTES);
    for (let start = 0; start < fresh.length; start += BATCH) {
      const count = Math.min(BATCH, fresh.length - start);
      for (let i = 0; i < count; i++) {
        const keyBytes = this.writeKey(fresh.items[start + i]!, false);
        writeStemPreimage(this.flatKey.subarray(0, keyBytes), input, 64 * i);
      }
      this.hasher.hashPairs(input.subarray(0, 64 * count), hashes.subarray(0, 32 * count));
      for (let i = 0; i < count; i++) {
        for (let k = 0; k < STEM_BYTES; k++) stem[k] = hashes[32 * i + k]!;
        table.setRef(fresh.items[start + i]!, trie.stemRef(stem));
      }
    }
    fresh.clear(KEEP_ITEMS);
  }

  /** Writes the flat key of a slot's stem to {@link flatKey} and returns its length. */
  private writeKey(slot: number, inHeader: boolean): number {
    const { table, flatKey } = this;
    writeAccountKey(flatKey, 0, this.accounts.ofContract(table.contract(slot)).key);
    if (!inHeader) return writeStorageIndex(table.bytes, table.keyAt(slot), flatKey, OWNER_BYTES);
    flatKey[OWNER_BYTES] = 0;
    return ACCOUNT_KEY_BYTES;
  }

  private put(contract: Contract, slot: number, value: Uint8Array, zero: boolean): void {
    const { bytes } = this.table;
    const at = this.table.valueAt(slot);
    if (zero !== isZero(bytes, at)) contract.slots += zero ? -1 : 1;
    for (let i = 0; i < WORD; i++) bytes[at + i] = value[i]!;
  }

  private touch(slot: number): void {
    if (this.table.markDirty(slot)) this.dirty.push(slot);
  }
}

const ZERO = new Uint8Array(WORD);

function isZero(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < WORD; i++) if (bytes[at + i] !== 0) return false;
  return true;
}
