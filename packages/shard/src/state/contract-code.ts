import {
  accountOwner,
  type Address,
  BASIC_DATA_POSITION,
  CODE_HASH_POSITION,
  codeChunkCount,
  codeChunkPosition,
  decodeBasicData,
  decodeCodeChunks,
  DecodeError,
  deriveStem,
  encodeCodeChunks,
  encodeFlatKey,
  equalBytes,
  type Hash32,
  type Hasher,
  keyBytes,
  type Owner,
} from '@shardlab/crosslink';
import type { Account, Contract } from './account.ts';
import type { Accounts } from './accounts.ts';
import type { CodeStore, StoredCode } from './code-store.ts';
import { accountFlatKey } from './flat-account.ts';
import type { StemJournal } from './stem-journal.ts';
import type { Trie } from './trie/trie.ts';

const ABSENT = new Uint8Array(32);

/** The code of contracts in the trie: its hash beside the basic data, and its chunks (EIP-7864). */
export class ContractCode {
  private readonly hasher: Hasher;
  private readonly trie: Trie;
  private readonly journal: StemJournal;
  private readonly accounts: Accounts;
  private readonly codes: CodeStore;

  constructor(modules: { readonly hasher: Hasher; readonly trie: Trie; readonly journal: StemJournal; readonly accounts: Accounts; readonly codes: CodeStore }) {
    this.hasher = modules.hasher;
    this.trie = modules.trie;
    this.journal = modules.journal;
    this.accounts = modules.accounts;
    this.codes = modules.codes;
  }

  /** Puts the account's stem into the journal, before it is changed in the trie. */
  captureHeader(account: Account): void {
    const ref = this.accounts.headerRef(account);
    if (!this.journal.wants(ref)) return;
    const key = accountFlatKey(account.key);
    this.journal.add(ref, key, key.length);
  }

  /** Replaces the code that the trie has of an account; the code size in its basic data is the caller's. */
  commit(account: Account, contract: Contract): void {
    const { code, committed } = contract;
    const of = accountOwner(keyBytes(account.key) as Address);
    this.captureHeader(account);
    const header = this.accounts.headerRef(account);
    this.trie.set(header, CODE_HASH_POSITION.suffix, code === this.codes.none ? ABSENT : code.hash);
    const chunks = encodeCodeChunks(code.bytes);
    const end = Math.max(chunks.length, 32 * codeChunkCount(committed.bytes.length));
    let ref = header;
    for (let at = 0, chunk = 0; at < end; at += 32, chunk++) {
      const { treeIndex, suffix } = codeChunkPosition(chunk);
      if (suffix === 0) ref = this.openStem(of, treeIndex);
      if (at < chunks.length) this.trie.set(ref, suffix, chunks, at);
      else this.trie.set(ref, suffix, ABSENT);
    }
    this.codes.release(committed);
    contract.committed = this.codes.share(code);
  }

  /** The code that the trie has of an account, as a use that the caller gives back. Throws `DecodeError` when size, hash and chunks do not belong together. */
  read(account: Account): StoredCode {
    const basic = this.trie.get(account.ref, BASIC_DATA_POSITION.suffix);
    const codeSize = basic === undefined ? 0 : decodeBasicData(basic).codeSize;
    const hash = this.trie.get(account.ref, CODE_HASH_POSITION.suffix) as Hash32 | undefined;
    if ((codeSize === 0) !== (hash === undefined)) throw new DecodeError('state/account', 'an account has a code size without a code hash, or a code hash without a size');
    if (hash === undefined) return this.codes.none;
    const bytes = decodeCodeChunks(this.readChunks(account, codeChunkCount(codeSize)), codeSize);
    const known = this.codes.find(hash);
    if (!(known === undefined ? equalBytes(this.hasher.keccak256(bytes), hash) : equalBytes(known.bytes, bytes))) {
      throw new DecodeError('state/account', 'the code of an account has another hash');
    }
    return this.codes.use(bytes, hash);
  }

  private readChunks(account: Account, count: number): Uint8Array {
    const of = accountOwner(keyBytes(account.key) as Address);
    const chunks = new Uint8Array(32 * count);
    let { ref } = account;
    for (let chunk = 0; chunk < count; chunk++) {
      const { treeIndex, suffix } = codeChunkPosition(chunk);
      if (suffix === 0) ref = this.trie.findStem(deriveStem(this.hasher, of, treeIndex));
      // A stem of zeros alone is absent.
      if (ref >= 0) this.trie.read(ref, suffix, chunks, 32 * chunk);
    }
    return chunks;
  }

  private openStem(of: Owner, treeIndex: bigint): number {
    const ref = this.trie.stemRef(deriveStem(this.hasher, of, treeIndex));
    if (this.journal.wants(ref)) {
      const key = encodeFlatKey({ owner: of, treeIndex });
      this.journal.add(ref, key, key.length);
    }
    return ref;
  }
}
