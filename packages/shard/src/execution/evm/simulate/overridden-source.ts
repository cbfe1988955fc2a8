import { type Address, bytesKey, type Hash32, type Hasher, type Wei } from '@shardlab/crosslink';
import { HERE, type SourceAccount, type StateSource } from '../types.ts';

/** What a caller wants an account to be for one call, as go-ethereum's state overrides have it. */
export interface AccountOverride {
  readonly balance: Wei | undefined;
  readonly nonce: bigint | undefined;
  readonly code: Uint8Array | undefined;
  /** By the `bytesKey` of a slot (32 bytes), 32 bytes each. */
  readonly slots: ReadonlyMap<string, Uint8Array>;
  /** Whether all other slots are zero (`state`), or as they are (`stateDiff`). */
  readonly wholeStorage: boolean;
}

/** A state with some accounts replaced. */
export class OverriddenSource implements StateSource {
  private readonly below: StateSource;
  private readonly overrides: ReadonlyMap<string, AccountOverride>;
  private readonly hasher: Pick<Hasher, 'keccak256'>;
  private readonly codes = new Map<string, Uint8Array>();
  private readonly hashes = new Map<string, Hash32>();
  private readonly emptyHash: Hash32;

  /** `overrides` by the `bytesKey` of addresses. */
  constructor(below: StateSource, overrides: ReadonlyMap<string, AccountOverride>, hasher: Pick<Hasher, 'keccak256'>) {
    this.below = below;
    this.overrides = overrides;
    this.hasher = hasher;
    this.emptyHash = hasher.keccak256(new Uint8Array(0));
    for (const [account, { code }] of overrides) {
      if (code === undefined) continue;
      const hash = this.hasher.keccak256(code);
      this.codes.set(bytesKey(hash), code);
      this.hashes.set(account, hash);
    }
  }

  account(address: Address): SourceAccount | undefined {
    const key = bytesKey(address);
    const override = this.overrides.get(key);
    const account = this.below.account(address);
    if (override === undefined) return account;
    const nonce = override.nonce ?? account?.nonce ?? 0n;
    const balance = override.balance ?? account?.balance ?? 0n;
    const codeHash = this.hashes.get(key) ?? account?.codeHash ?? this.emptyHash;
    const empty = nonce === 0n && balance === 0n && bytesKey(codeHash) === bytesKey(this.emptyHash);
    return empty ? undefined : { nonce, balance, codeHash };
  }

  code(codeHash: Hash32): Uint8Array {
    return this.codes.get(bytesKey(codeHash)) ?? this.below.code(codeHash);
  }

  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    const override = this.overrides.get(bytesKey(address));
    const slot = override?.slots.get(bytesKey(key));
    if (slot !== undefined) out.set(slot);
    else if (override?.wholeStorage === true) out.fill(0);
    else this.below.storage(address, key, out);
  }

  hasStorage(address: Address): boolean {
    const override = this.overrides.get(bytesKey(address));
    if (override === undefined) return this.below.hasStorage(address);
    return override.slots.size > 0 || (!override.wholeStorage && this.below.hasStorage(address));
  }

  /** An account that is given code is wanted here, wherever it lives. */
  homeOf(address: Address): number {
    if (this.hashes.has(bytesKey(address))) return HERE;
    return this.below.homeOf(address);
  }
}
