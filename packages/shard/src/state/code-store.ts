import { bytesKey, type Hash32, type Hasher, invariant } from '@shardlab/crosslink';

/** One code of a state: shared by all accounts that have it, and never written to. */
export interface StoredCode {
  readonly hash: Hash32;
  readonly bytes: Uint8Array;
  /** Uses that were taken and not given back. */
  users: number;
}

/** The codes of a state by their keccak-256, once each, however many contracts are made of one. Memory: those of the accounts. */
export class CodeStore {
  /** No code. */
  readonly none: StoredCode;
  private readonly hasher: Pick<Hasher, 'keccak256'>;
  private readonly byHash = new Map<string, StoredCode>();

  constructor(hasher: Pick<Hasher, 'keccak256'>) {
    this.hasher = hasher;
    const bytes = new Uint8Array(0);
    this.none = { hash: hasher.keccak256(bytes), bytes, users: 0 };
  }

  /** Different codes. */
  get size(): number {
    return this.byHash.size;
  }

  /** The code under a hash (32 bytes). Not counted as a use. */
  find(hash: Uint8Array): StoredCode | undefined {
    return this.byHash.get(bytesKey(hash));
  }

  /** Takes a use of a code, which is copied if it is new here; `hash` is its keccak-256, if the caller knows it. */
  use(bytes: Uint8Array, hash: Hash32 = this.hasher.keccak256(bytes)): StoredCode {
    if (bytes.length === 0) return this.none;
    const key = bytesKey(hash);
    let code = this.byHash.get(key);
    if (code === undefined) {
      code = { hash: hash.slice() as Hash32, bytes: bytes.slice(), users: 0 };
      this.byHash.set(key, code);
    }
    code.users++;
    return code;
  }

  /** Takes another use of a code that is in use. */
  share(code: StoredCode): StoredCode {
    if (code !== this.none) code.users++;
    return code;
  }

  /** Gives a use back; a code without any is forgotten. */
  release(code: StoredCode): void {
    if (code === this.none) return;
    code.users--;
    invariant(code.users >= 0, 'a code is given back as often as it was taken');
    if (code.users === 0) this.byHash.delete(bytesKey(code.hash));
  }
}
