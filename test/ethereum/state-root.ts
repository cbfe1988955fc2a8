/** Ethereum's state root (Yellow Paper 4.1), by `@ethereumjs/mpt`. */
import { createMPT, type MerklePatriciaTrie } from '@ethereumjs/mpt';
import { RLP } from '@ethereumjs/rlp';
import { bytesKey, type Hash32, type Hasher, keyBytes } from '@shardlab/crosslink';
import type { WorldChanges } from '../../packages/shard/src/execution/evm/world-state.ts';
import type { TestAccount, TestAccounts } from './state-test.ts';

/** Big-endian without leading zeros. */
function minimal(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0);
  return start < 0 ? new Uint8Array(0) : bytes.subarray(start);
}

/** The roots of a pre-state and of what comes of it. Tries of the pre-state are made once, and changes are put into copies of them. */
export class StateRoots {
  private readonly keccak: (data: Uint8Array) => Uint8Array;
  private readonly pre: TestAccounts;
  private readonly noCode: Uint8Array;
  private readonly storages = new Map<string, MerklePatriciaTrie>();
  private base: MerklePatriciaTrie | undefined;

  constructor(pre: TestAccounts, hasher: Pick<Hasher, 'keccak256'>) {
    this.pre = pre;
    this.keccak = (data) => hasher.keccak256(data);
    this.noCode = this.keccak(new Uint8Array(0));
  }

  /** The root after those changes. */
  async after(changes: WorldChanges): Promise<Uint8Array> {
    this.base ??= await this.preTrie();
    const trie = this.base.shallowCopy(false);
    const storages = await this.storagesAfter(changes);
    const changed = new Set<string>();
    for (const { address, deleted, nonce, balance, codeHash } of changes.accounts) {
      const key = bytesKey(address);
      changed.add(key);
      const storage = storages.get(key) ?? (await this.storageOf(key));
      await trie.put(address, deleted ? null : encodeAccount(nonce, balance, storage.root(), codeHash));
    }
    for (const [key, storage] of storages) {
      const account = this.pre.get(key);
      if (changed.has(key) || account === undefined) continue;
      const { nonce, balance } = account;
      await trie.put(account.address, encodeAccount(nonce, balance, storage.root(), this.codeHash(account)));
    }
    return trie.root();
  }

  private async storagesAfter(changes: WorldChanges): Promise<Map<string, MerklePatriciaTrie>> {
    const out = new Map<string, MerklePatriciaTrie>();
    for (const { address, storageEmptied } of changes.accounts) if (storageEmptied) out.set(bytesKey(address), await this.newTrie());
    for (const { address, key, value } of changes.slots) {
      const account = bytesKey(address);
      let storage = out.get(account);
      if (storage === undefined) {
        storage = (await this.storageOf(account)).shallowCopy(false);
        out.set(account, storage);
      }
      const content = minimal(value);
      await storage.put(key, content.length === 0 ? null : RLP.encode(content));
    }
    return out;
  }

  private async preTrie(): Promise<MerklePatriciaTrie> {
    const trie = await this.newTrie();
    for (const [key, account] of this.pre) {
      const { address, nonce, balance } = account;
      const storage = await this.storageOf(key);
      await trie.put(address, encodeAccount(nonce, balance, storage.root(), this.codeHash(account)));
    }
    return trie;
  }

  private async storageOf(key: string): Promise<MerklePatriciaTrie> {
    const known = this.storages.get(key);
    if (known !== undefined) return known;
    const trie = await this.newTrie();
    for (const [slot, value] of this.pre.get(key)?.storage ?? []) await trie.put(keyBytes(slot), RLP.encode(minimal(value)));
    this.storages.set(key, trie);
    return trie;
  }

  private newTrie(): Promise<MerklePatriciaTrie> {
    return createMPT({ useKeyHashing: true, useKeyHashingFunction: this.keccak });
  }

  private codeHash(account: TestAccount): Uint8Array {
    return account.code.length === 0 ? this.noCode : this.keccak(account.code);
  }
}

function encodeAccount(nonce: bigint, balance: bigint, storageRoot: Uint8Array, codeHash: Uint8Array | Hash32): Uint8Array {
  return RLP.encode([nonce, balance, storageRoot, codeHash]);
}
