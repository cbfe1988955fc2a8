import { InvariantError } from '../errors.ts';
import { bytesKey, type Hash32 } from '../primitives.ts';
import type { Age } from './messages.ts';

/**
 * How a lock is held. `delta` is a commutative change of a balance: it is compatible with other deltas, so that hot accounts do not serialise (R16);
 * a read forbids changes, a write forbids everything.
 */
export type LockMode = 'read' | 'write' | 'delta';

/** One lock of one transaction. The key is a {@link bytesKey} of what {@link balanceLock} and its kind build. */
export interface Lock {
  readonly key: string;
  readonly mode: LockMode;
  /** Which grant in a row this is on this key, from 1 (R17's fairness); 0 in a request. */
  readonly run: number;
}

/** After this many grants in a row a lock rests until one block's local transactions have run (R17). */
export const GRANTS_IN_ROW_MAX = 8;

/** Lock key of an account's balance: 0x00 and the address. */
export function balanceLock(address: Uint8Array): string {
  return `\0${bytesKey(address)}`;
}

/** Lock key of an account's nonce and code: 0x01 and the address. */
export function accountLock(address: Uint8Array): string {
  return `\u0001${bytesKey(address)}`;
}

/** Lock key of one storage slot: 0x02, the address, and the 32-byte slot. */
export function storageLock(address: Uint8Array, slot: Uint8Array): string {
  return `\u0002${bytesKey(address)}${bytesKey(slot)}`;
}

/** Negative when `a` is older than `b` (R17). */
export function compareAge(a: Age, b: Age): number {
  if (a.timestampMs !== b.timestampMs) return a.timestampMs - b.timestampMs;
  const left = bytesKey(a.id);
  const right = bytesKey(b.id);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Whether two holders may share a key. */
export function compatible(a: LockMode, b: LockMode): boolean {
  return a === b && a !== 'write';
}

/** A read set and a write set may name the same key. Whoever reads and changes a thing needs it alone: no other change, and no other reader. */
function onePerKey(requests: readonly Pick<Lock, 'key' | 'mode'>[]): readonly Pick<Lock, 'key' | 'mode'>[] {
  if (requests.length < 2) return requests;
  const modes = new Map<string, LockMode>();
  for (const { key, mode } of requests) modes.set(key, (modes.get(key) ?? mode) === mode ? mode : 'write');
  return [...modes].map(([key, mode]) => ({ key, mode }));
}

interface Holder {
  readonly id: string;
  readonly age: Age;
  readonly mode: LockMode;
  readonly run: number;
}

/** What became of a request: granted with its runs, or whom it would have to wait for. */
export type LockOutcome =
  | { readonly kind: 'granted'; readonly locks: readonly Lock[] }
  /** Held by others; `older` tells whether the requester is older than every one of them (wait-die: then it may wait). */
  | { readonly kind: 'held'; readonly older: boolean };

/**
 * The locks of one shard. Derived wholly from the open records that stand under the state root (R10): {@link adopt} rebuilds it. A set of locks is granted
 * whole or not at all, so there is no partial hold.
 */
export class LockTable {
  private readonly holders = new Map<string, Map<string, Holder>>();
  /** Runs of keys that were released in this block: cleared by {@link endBlock}, because then local transactions have had their turn. */
  private readonly releasedRuns = new Map<string, number>();
  private heldCount = 0;
  private exclusiveCount = 0;

  /** Number of (transaction, key) holds. */
  get held(): number {
    return this.heldCount;
  }

  /** Number of holds that forbid a change of what they lock: with none, nothing has to be looked up. */
  get exclusive(): number {
    return this.exclusiveCount;
  }

  /** What {@link acquire} would come to, without taking anything: the locks are free, or held, and then whether the requester may wait (wait-die). */
  judge(id: Hash32, age: Age, requests: readonly Pick<Lock, 'key' | 'mode'>[]): 'free' | 'may-wait' | 'must-die' {
    const own = bytesKey(id);
    let blocked = false;
    let older = true;
    for (const { key, mode } of requests) {
      if (mode !== 'delta' && (this.releasedRuns.get(key) ?? 0) >= GRANTS_IN_ROW_MAX) blocked = true;
      for (const holder of this.holders.get(key)?.values() ?? []) {
        if (holder.id === own || compatible(holder.mode, mode)) continue;
        blocked = true;
        if (compareAge(age, holder.age) > 0) older = false;
      }
    }
    if (!blocked) return 'free';
    return older ? 'may-wait' : 'must-die';
  }

  /** Asks for all of `requests` at once for the transaction `id` of `age`. Grants are recorded. Several requests of one key become one that covers them. */
  acquire(id: Hash32, age: Age, requests: readonly Pick<Lock, 'key' | 'mode'>[]): LockOutcome {
    const wanted = onePerKey(requests);
    const judged = this.judge(id, age, wanted);
    if (judged !== 'free') return { kind: 'held', older: judged === 'may-wait' };
    const locks = wanted.map(({ key, mode }) => ({ key, mode, run: mode === 'delta' ? 1 : Math.min(255, (this.releasedRuns.get(key) ?? 0) + 1) }));
    this.adopt(id, age, locks);
    return { kind: 'granted', locks };
  }

  /** Records locks that are known to be granted: a new grant, or one from a record after a restart. */
  adopt(id: Hash32, age: Age, locks: readonly Lock[]): void {
    const own = bytesKey(id);
    for (const { key, mode, run } of locks) {
      let entry = this.holders.get(key);
      if (entry === undefined) this.holders.set(key, (entry = new Map<string, Holder>()));
      const before = entry.get(own);
      if (before === undefined) this.heldCount++;
      this.exclusiveCount += Number(mode !== 'delta') - Number(before !== undefined && before.mode !== 'delta');
      entry.set(own, { id: own, age, mode, run });
    }
  }

  /** Gives back what {@link acquire} or {@link adopt} took. */
  release(id: Hash32, locks: readonly Lock[]): void {
    const own = bytesKey(id);
    for (const { key } of locks) {
      const entry = this.holders.get(key);
      const holder = entry?.get(own);
      if (entry === undefined || holder === undefined) throw new InvariantError('release of a lock that is not held');
      entry.delete(own);
      this.heldCount--;
      if (holder.mode !== 'delta') this.exclusiveCount--;
      if (entry.size === 0) this.holders.delete(key);
      if (holder.mode !== 'delta') this.releasedRuns.set(key, Math.max(holder.run, this.releasedRuns.get(key) ?? 0));
    }
  }

  /** Whether somebody holds `key` in a mode that forbids `mode`: what local transactions and credits ask. */
  forbids(key: string, mode: LockMode): boolean {
    const entry = this.holders.get(key);
    if (entry === undefined) return false;
    for (const holder of entry.values()) if (!compatible(holder.mode, mode)) return true;
    return false;
  }

  /** To be called when a block's local transactions have run: keys that were free meanwhile start counting anew. */
  endBlock(): void {
    this.releasedRuns.clear();
  }
}
