import { type Address, bytesKey, keyBytes, type ShardId, type TxHash, ZERO_HASH } from '../primitives.ts';
import { balanceLock, type LockTable } from './locks.ts';
import type { ProtocolHost } from './protocol.ts';
import { decodeParkedCredit, encodeParkedCredit } from './records.ts';

/** The transaction of a parked credit that goes on: it may be the sum of several. */
const SEVERAL = ZERO_HASH as TxHash;

/** `source` sent the credit on because the address lives here: it is not sent back, or it would travel for ever. */
function deliver(host: ProtocolHost, to: Address, value: bigint, txHash: TxHash, source?: ShardId): void {
  const home = host.homeOf(to);
  if (home === host.shard || home === source) {
    host.unescrow(to, value);
    return;
  }
  host.sendValue(home, value);
  host.emit(home, { kind: 'credit', txHash, to, value });
}

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

  /** Credits `amount` wei out of escrow, now or when the balance is free; where a stub stands, they go on in the same block (R12). Never conflicts. */
  credit(host: ProtocolHost, address: Address, amount: bigint, txHash: TxHash, source?: ShardId): void {
    if (amount === 0n) return;
    if (!this.locks.forbids(balanceLock(address), 'delta')) {
      deliver(host, address, amount, txHash, source);
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
    deliver(host, keyBytes(key) as Address, amount, SEVERAL);
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
