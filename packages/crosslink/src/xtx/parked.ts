import { type Address, bytesKey, keyBytes } from '../primitives.ts';
import { balanceLock, type LockTable } from './locks.ts';
import type { ProtocolHost } from './protocol.ts';
import { decodeParkedCredit, encodeParkedCredit } from './records.ts';

/**
 * Credits that may not touch a balance yet, because an open transaction has read it (R16). The wei stay in escrow and are applied when the lock goes.
 */
export class ParkedCredits {
  private readonly amounts = new Map<string, bigint>();
  private readonly dirty = new Set<string>();
  private readonly locks: LockTable;

  constructor(locks: LockTable) {
    this.locks = locks;
  }

  /** Accounts with a parked credit. */
  get size(): number {
    return this.amounts.size;
  }

  /** Resets the record of one address. */
  restore(address: Uint8Array, value: Uint8Array | undefined): void {
    const key = bytesKey(address);
    if (value === undefined) this.amounts.delete(key);
    else this.amounts.set(key, decodeParkedCredit(value));
  }

  /** Credits `amount` wei out of escrow, now or when the balance is free. Never conflicts. */
  credit(host: ProtocolHost, address: Address, amount: bigint): void {
    if (amount === 0n) return;
    if (!this.locks.forbids(balanceLock(address), 'delta')) {
      host.unescrow(address, amount);
      return;
    }
    const key = bytesKey(address);
    this.amounts.set(key, (this.amounts.get(key) ?? 0n) + amount);
    this.dirty.add(key);
  }

  /** Applies what waited for the lock `lockKey`, if that was a balance's and is free now. */
  released(host: ProtocolHost, lockKey: string): void {
    if (this.amounts.size === 0 || lockKey[0] !== '\0') return;
    const key = lockKey.slice(1);
    const amount = this.amounts.get(key);
    if (amount === undefined || this.locks.forbids(lockKey, 'delta')) return;
    this.amounts.delete(key);
    this.dirty.add(key);
    host.unescrow(keyBytes(key) as Address, amount);
  }

  /** Writes what changed to the host. */
  flush(host: ProtocolHost): void {
    for (const key of [...this.dirty].sort()) {
      const amount = this.amounts.get(key);
      host.putRecord('parked', keyBytes(key), amount === undefined ? undefined : encodeParkedCredit(amount));
    }
    this.dirty.clear();
  }
}
