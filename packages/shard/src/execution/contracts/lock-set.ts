import { accountLock, type Address, balanceLock, equalBytes, type Lock, type LockMode, storageLock } from '@shardlab/crosslink';
import type { WorldChanges, WorldReads } from '../evm/world-state.ts';

/** A lock that a transaction needs. */
export type LockRequest = Pick<Lock, 'key' | 'mode'>;

/** Collects requests; of several of one key one remains that covers them. */
class Requests {
  private readonly modes = new Map<string, LockMode>();

  add(key: string, mode: LockMode): void {
    const before = this.modes.get(key);
    this.modes.set(key, before === undefined || before === mode ? mode : 'write');
  }

  list(): LockRequest[] {
    return [...this.modes].map(([key, mode]) => ({ key, mode }));
  }
}

/**
 * What a transaction read and changed, as locks (R16): the read set and the write set. A balance that was only added to is a delta. So is that of `payer`,
 * who has no code, unless some code looked at it: that it suffices is settled when it is taken.
 */
export function lockSetOf(reads: WorldReads, changes: WorldChanges, payer?: Address): LockRequest[] {
  const requests = new Requests();
  const { accounts, slots } = reads;
  for (const { address, nonce, balance, codeHash, observed } of accounts) {
    const pays = payer !== undefined && equalBytes(address, payer);
    if (balance !== undefined && (observed || !pays)) requests.add(balanceLock(address), 'read');
    if (nonce !== undefined || codeHash !== undefined) requests.add(accountLock(address), 'read');
  }
  for (const { address, key } of slots) requests.add(storageLock(address, key), 'read');
  for (const { address, balance, balanceBefore, nonce, nonceBefore, code, deleted } of changes.accounts) {
    if (balance !== balanceBefore) requests.add(balanceLock(address), 'delta');
    if (nonce !== nonceBefore || code !== undefined || deleted) requests.add(accountLock(address), 'write');
  }
  for (const { address, key } of changes.slots) requests.add(storageLock(address, key), 'write');
  return requests.list();
}
