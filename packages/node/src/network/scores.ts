import type { NetworkLimits } from './options.ts';

/** Peers whose scores are remembered. */
const PEERS_MAX = 4_096;
/** Closer to 0 than this part of a penalty, a score is 0: a peer's slate becomes clean in bounded time. */
const NEGLIGIBLE = 0.1;

interface Entry {
  score: number;
  atMs: number;
  bannedUntilMs: number;
}

/**
 * What we hold against peers: a score that starts at 0, falls with each penalty and halves every `scoreHalfLifeMs`. A key is a peer id or a node's
 * label; both are scored, because a validator could come back with another transport key. Time enters as an argument.
 */
export class Scores {
  private readonly limits: Pick<NetworkLimits, 'penalty' | 'banScore' | 'banMs' | 'scoreHalfLifeMs'>;
  private readonly entries = new Map<string, Entry>();

  constructor(limits: Pick<NetworkLimits, 'penalty' | 'banScore' | 'banMs' | 'scoreHalfLifeMs'>) {
    this.limits = limits;
  }

  /** The score now, 0 or below. */
  value(key: string, nowMs: number): number {
    const entry = this.entries.get(key);
    return entry === undefined ? 0 : this.decayed(entry, nowMs);
  }

  /** Whether `key` is blocked now. */
  banned(key: string, nowMs: number): boolean {
    return (this.entries.get(key)?.bannedUntilMs ?? 0) > nowMs;
  }

  /** When the block of `key` ends, in ms since the Unix epoch; 0 if there is none. */
  bannedUntilMs(key: string): number {
    return this.entries.get(key)?.bannedUntilMs ?? 0;
  }

  /** Takes one penalty off. True when that makes it blocked, and not when it is blocked already. After a block it starts at half the threshold. */
  penalise(key: string, nowMs: number): boolean {
    const entry = this.entries.get(key) ?? this.create(key, nowMs);
    if (entry.bannedUntilMs > nowMs) return false;
    entry.score = this.decayed(entry, nowMs) - this.limits.penalty;
    entry.atMs = nowMs;
    if (entry.score > this.limits.banScore) return false;
    entry.score = this.limits.banScore / 2;
    // Decay starts with the end of the block.
    entry.atMs = entry.bannedUntilMs = nowMs + this.limits.banMs;
    return true;
  }

  private decayed(entry: Entry, nowMs: number): number {
    const score = entry.score * 2 ** (-Math.max(0, nowMs - entry.atMs) / this.limits.scoreHalfLifeMs);
    return score > -NEGLIGIBLE * this.limits.penalty ? 0 : score;
  }

  private create(key: string, nowMs: number): Entry {
    if (this.entries.size >= PEERS_MAX) this.makeRoom(nowMs);
    const entry: Entry = { score: 0, atMs: nowMs, bannedUntilMs: 0 };
    this.entries.set(key, entry);
    return entry;
  }

  /** Forgets the clean ones, or else the oldest that is not blocked, or else the oldest. */
  private makeRoom(nowMs: number): void {
    for (const [key, entry] of this.entries) if (entry.bannedUntilMs <= nowMs && this.decayed(entry, nowMs) === 0) this.entries.delete(key);
    if (this.entries.size < PEERS_MAX) return;
    let victim: string | undefined;
    for (const [key, entry] of this.entries) {
      victim ??= key;
      if (entry.bannedUntilMs > nowMs) continue;
      victim = key;
      break;
    }
    if (victim !== undefined) this.entries.delete(victim);
  }
}
