import type { Clock } from '../ports.ts';
import { NO_LABELS, type NetworkLog, type NetworkMetrics } from './metrics.ts';
import type { Scores } from './scores.ts';

/** Lowers scores on the clock, and acts when one falls too low. */
export class Penalties {
  private readonly scores: Scores;
  private readonly modules: { readonly clock: Clock; readonly log: NetworkLog; readonly metrics: NetworkMetrics };
  /** The name that a peer has proven, if it has. */
  nameOf: (peer: string) => string | undefined = () => undefined;
  /** Disconnects a peer that was blocked. */
  onBan: (peer: string) => void = () => {};

  constructor(scores: Scores, modules: { readonly clock: Clock; readonly log: NetworkLog; readonly metrics: NetworkMetrics }) {
    this.scores = scores;
    this.modules = modules;
  }

  /** Lowers the score of a peer, and of the node that it has proven to be; blocks and disconnects it when that falls too low. */
  penalise(peer: string, reason: string): void {
    const { clock, log, metrics } = this.modules;
    const nowMs = clock.nowMs();
    metrics.count('shardlab_network_penalties_total', { reason });
    const name = this.nameOf(peer);
    const bannedName = name !== undefined && this.scores.penalise(name, nowMs);
    const bannedPeer = this.scores.penalise(peer, nowMs);
    if (!bannedName && !bannedPeer) return;
    metrics.count('shardlab_network_bans_total', NO_LABELS);
    log.warn({ event: 'network.peer_banned', peer, name, reason }, 'peer blocked for its score');
    this.onBan(peer);
  }

  /** Whether a peer id or a node's label is blocked now. */
  banned(key: string): boolean {
    return this.scores.banned(key, this.modules.clock.nowMs());
  }

  /** When the block of a peer id or a node's label ends, in ms since the Unix epoch; 0 if there is none. */
  bannedUntilMs(key: string): number {
    return this.scores.bannedUntilMs(key);
  }

  /** The score of a peer now: of its id, or of the node that it has proven to be, whichever is lower. */
  score(peer: string): number {
    const nowMs = this.modules.clock.nowMs();
    const name = this.nameOf(peer);
    return Math.min(this.scores.value(peer, nowMs), name === undefined ? 0 : this.scores.value(name, nowMs));
  }
}
