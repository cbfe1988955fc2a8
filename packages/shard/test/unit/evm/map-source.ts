/** A state below the EVM, in maps. */
import { keccak_256 } from '@noble/hashes/sha3.js';
import { type Address, bytesKey, fromHex, type Hash32, InvariantError, keyBytes, toHex } from '@shardlab/crosslink';
import type { SourceAccount, StateSource } from '../../../src/execution/evm/types.ts';

/** An account; `code` as `bytesKey` of the bytes, `storage` by key, never zero. */
export interface ModelAccount {
  nonce: bigint;
  balance: bigint;
  code: string;
  storage: Map<bigint, bigint>;
}

/** keccak-256, by noble. */
export const keccak = { keccak256: (data: Uint8Array): Hash32 => keccak_256(data) as Hash32 };

/** Hash of a code that is given as `bytesKey`. */
export function hashOf(code: string): Hash32 {
  return keccak.keccak256(keyBytes(code));
}

/** The accounts of a map, by `bytesKey` of the address; all live here but those that `homes` names. */
export class MapSource implements StateSource {
  readonly accounts: Map<string, ModelAccount>;
  readonly homes = new Map<string, number>();

  constructor(accounts: Map<string, ModelAccount>) {
    this.accounts = accounts;
  }

  account(at: Address): SourceAccount | undefined {
    const account = this.accounts.get(bytesKey(at));
    return account === undefined ? undefined : { nonce: account.nonce, balance: account.balance, codeHash: hashOf(account.code) };
  }
  code(codeHash: Hash32): Uint8Array {
    const wanted = bytesKey(codeHash);
    for (const { code } of this.accounts.values()) if (bytesKey(hashOf(code)) === wanted) return keyBytes(code);
    throw new InvariantError('no such code');
  }
  storage(at: Address, key: Uint8Array, out: Uint8Array): void {
    const value = this.accounts.get(bytesKey(at))?.storage.get(BigInt(toHex(key))) ?? 0n;
    out.set(fromHex(`0x${value.toString(16).padStart(64, '0')}`));
  }
  hasStorage(at: Address): boolean {
    return (this.accounts.get(bytesKey(at))?.storage.size ?? 0) > 0;
  }
  homeOf(at: Address): number {
    return this.homes.get(bytesKey(at)) ?? -1;
  }
}
