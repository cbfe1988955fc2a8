import {
  BASIC_DATA_POSITION,
  bytesKey,
  CODE_HASH_POSITION,
  CODE_OFFSET,
  codeChunkCount,
  decodeBasicData,
  DecodeError,
  decodeFlatKey,
  decodeFlatValue,
  deriveFlatStems,
  encodeBasicData,
  firstSlotOf,
  HEADER_STORAGE_OFFSET,
  isHeaderSlot,
  isStorageKey,
  NAMESPACE_BYTES,
  OWNER_BYTES,
  STEM_BYTES,
} from '@shardlab/crosslink';
import type { Account } from './account.ts';
import { EntryPages } from './entry-pages.ts';
import { ACCOUNT_KEY_BYTES, ACCOUNT_VALUE_BYTES, type FlatEntry, isAccountKey, isOfAccounts, writeAccountKey } from './flat-account.ts';
import type { StateParts } from './parts.ts';

const { suffix: BASIC_DATA } = BASIC_DATA_POSITION;
const { suffix: CODE_HASH } = CODE_HASH_POSITION;

/**
 * Takes the flat entries of accounts into an empty state, all stems into the trie at once. Only what a commit could have written is let in, so that whoever hands out a
 * state can not add to it what no execution would ever read or clear.
 */
export class StateLoader {
  private readonly parts: StateParts;
  /** Accounts that have nothing but basic data: most of them, so nothing else is kept of their entries. */
  private readonly plain: Account[] = [];
  /** Entries of all other stems. */
  private readonly stems = new EntryPages();

  constructor(parts: StateParts) {
    this.parts = parts;
  }

  /** Loads accounts, code and storage; returns the entries that are of the reserved key space. Throws `DecodeError` on damage. */
  load(entries: Iterable<FlatEntry>): FlatEntry[] {
    const others: FlatEntry[] = [];
    for (const entry of entries) {
      if (isAccountKey(entry.key)) this.takeHeader(entry);
      else if (isOfAccounts(entry.key)) this.stems.add(entry);
      else others.push(entry);
    }
    const { plain, stems } = this;
    const refs = this.parts.trie.load(deriveFlatStems(this.parts.hasher, this.keys(), plain.length + stems.count));
    const value = new Uint8Array(32);
    plain.forEach((account, index) => {
      account.ref = refs[index]!;
      encodeBasicData({ status: 0, codeSize: 0, nonce: account.nonce, balance: account.balance }, value);
      this.parts.trie.set(account.ref, BASIC_DATA, value);
    });
    let index = plain.length;
    for (const entry of stems) this.setHeader(refs[index++]!, entry);
    index = plain.length;
    for (const entry of stems) this.setStem(refs[index++]!, entry);
    for (const account of this.parts.accounts.withContract()) this.finish(account);
    return others;
  }

  private *keys(): Iterable<Uint8Array> {
    const key = new Uint8Array(ACCOUNT_KEY_BYTES);
    for (const account of this.plain) {
      writeAccountKey(key, 0, account.key);
      yield key;
    }
    for (const entry of this.stems) yield entry.key;
  }

  private takeHeader(entry: FlatEntry): void {
    const { value } = entry;
    const accountKey = accountKeyOf(entry.key);
    if (this.parts.accounts.get(accountKey) !== undefined) throw new DecodeError('state/account', 'an account is listed twice');
    const leaf = decodeFlatValue(value)[0]!;
    if (leaf.suffix !== BASIC_DATA) throw new DecodeError('state/account', 'an account without basic data');
    const { balance, nonce, codeSize } = decodeBasicData(leaf.value);
    if (balance === 0n && nonce === 0 && codeSize === 0) throw new DecodeError('state/account', 'an account with nothing in it');
    const account = this.parts.accounts.open(accountKey);
    account.balance = balance;
    account.nonce = nonce;
    if (value.length === ACCOUNT_VALUE_BYTES && codeSize === 0) {
      this.plain.push(account);
      return;
    }
    this.parts.accounts.contractOf(account);
    this.stems.add(entry);
  }

  private setHeader(ref: number, { key, value }: FlatEntry): void {
    if (!isAccountKey(key)) return;
    const account = this.parts.accounts.open(accountKeyOf(key));
    account.ref = ref;
    const leaves = decodeFlatValue(value);
    const chunks = codeChunkCount(decodeBasicData(leaves[0]!.value).codeSize);
    const slot = new Uint8Array(32);
    for (const { suffix, value: leaf } of leaves) {
      this.parts.trie.set(ref, suffix, leaf);
      if (suffix >= CODE_OFFSET) checkChunk(suffix - CODE_OFFSET, chunks);
      else if (suffix >= HEADER_STORAGE_OFFSET) {
        slot[STEM_BYTES] = suffix - HEADER_STORAGE_OFFSET;
        this.parts.slots.adopt(this.parts.accounts.contractOf(account), slot, leaf, ref);
      } else if (suffix !== BASIC_DATA && suffix !== CODE_HASH) throw new DecodeError('state/account', `an account has a leaf at ${suffix}, where nothing stands`);
    }
  }

  private setStem(ref: number, { key, value }: FlatEntry): void {
    if (isAccountKey(key)) return;
    const account = this.parts.accounts.get(accountKeyOf(key));
    if (account === undefined) throw new DecodeError('state/account', 'code or storage of an account that is absent');
    if (this.parts.trie.flatBytes(ref) !== 0) throw new DecodeError('state/account', 'a stem is listed twice');
    const leaves = decodeFlatValue(value);
    if (isStorageKey(key)) {
      const contract = this.parts.accounts.contractOf(account);
      const slot = firstSlotOf(key);
      for (const { suffix, value: leaf } of leaves) {
        slot[STEM_BYTES] = suffix;
        if (isHeaderSlot(slot)) throw new DecodeError('state/account', 'one of the first 64 slots is not beside the account');
        this.parts.trie.set(ref, suffix, leaf);
        this.parts.slots.adopt(contract, slot, leaf, ref);
      }
      return;
    }
    const { codeSize } = decodeBasicData(this.parts.trie.get(account.ref, BASIC_DATA)!);
    const { treeIndex } = decodeFlatKey(key);
    for (const { suffix, value: leaf } of leaves) {
      checkChunk(Number(treeIndex) * 256 + suffix - CODE_OFFSET, codeChunkCount(codeSize));
      this.parts.trie.set(ref, suffix, leaf);
    }
  }

  /** Code and code hash, of which the one calls for the other. */
  private finish(account: Account): void {
    const contract = this.parts.accounts.contractOf(account);
    contract.code = this.parts.contractCode.read(account);
    contract.committed = this.parts.codes.share(contract.code);
  }
}

function accountKeyOf(flatKey: Uint8Array): string {
  return bytesKey(flatKey.subarray(NAMESPACE_BYTES, OWNER_BYTES));
}

function checkChunk(chunk: number, chunks: number): void {
  if (chunk >= chunks) throw new DecodeError('state/account', 'an account has more chunks of code than its code size says');
}
