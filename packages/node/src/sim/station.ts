import type { Verdict } from '@shardlab/crosslink';

import { nodeLabel } from '../network/names.ts';
import type { NodeName, Sender } from '../ports.ts';
import type { Incarnation } from './incarnation.ts';
import { SeenCache } from './seen-cache.ts';

/** Judges gossip on one topic, as `Network.subscribe` takes it. */
export type Judge = (data: Uint8Array, from: Sender, verdict: (verdict: Verdict) => void) => void;
/** Answers requests, as `Network.serve` takes it. */
export type Handler = (body: Uint8Array, from: Sender, reply: (body: Uint8Array | undefined) => void) => void;

/** Is told of nodes that are gone and back, as `Network.watch` takes it. */
export type Watcher = (node: NodeName, connected: boolean) => void;

interface Penalties {
  sinceUs: number;
  count: number;
}

/** How one node judges its peers. */
export interface PenaltyPolicy {
  /** Penalties within `banMs` that cost the connection. */
  readonly penaltiesMax: number;
  /** How long a connection stays cut, and how long a penalty counts, in milliseconds. */
  readonly banMs: number;
}

/** The transport's id of a node: the same in every life, as a node keeps its transport key. */
export function peerOf(name: NodeName): string {
  return `sim-${nodeLabel(name)}`;
}

/** What one life of a node is to the network: what it listens to, what it has seen, and whom it does not talk to. All of it is lost in a crash. */
export class Station {
  readonly name: NodeName;
  /** `shard-2.1`: unique, so it is the key of maps too. */
  readonly label: string;
  /** As others see it: the same peer in every life, as a node keeps its transport key. */
  readonly sender: Sender;
  readonly incarnation: Incarnation;
  readonly judges = new Map<string, Judge>();
  readonly seen: SeenCache;
  handler: Handler | undefined;
  watcher: Watcher | undefined;
  /** Is called when this node has cut its connection to `peer`. */
  onCut: ((peer: string) => void) | undefined;
  /** Labels of the nodes of which it was told that they are gone. */
  readonly missed = new Set<string>();
  /** Messages that wait for this node's verdict. */
  judging = 0;
  /** Requests that wait for this node's answer, each with what tells the requester that the connection broke. */
  readonly serving = new Set<() => void>();
  private readonly policy: PenaltyPolicy;
  private readonly penalties = new Map<string, Penalties>();
  private readonly bannedUntilUs = new Map<string, number>();

  constructor(
    options: { readonly name: NodeName; readonly seenMs: number; readonly penalties: PenaltyPolicy },
    modules: { readonly incarnation: Incarnation },
  ) {
    this.name = { chain: options.name.chain, validator: options.name.validator };
    this.label = nodeLabel(options.name);
    this.sender = { peer: peerOf(options.name), node: this.name };
    this.seen = new SeenCache(options.seenMs * 1000);
    this.policy = options.penalties;
    this.incarnation = modules.incarnation;
  }

  /** Counts a penalty against `peer` and cuts the connection at the last one. Bounded by the number of peers that there are. */
  penalise(peer: string, nowUs: number): void {
    const entry = this.penalties.get(peer) ?? { sinceUs: nowUs, count: 0 };
    if (nowUs - entry.sinceUs > this.policy.banMs * 1000) {
      entry.sinceUs = nowUs;
      entry.count = 0;
    }
    entry.count++;
    this.penalties.set(peer, entry);
    if (entry.count < this.policy.penaltiesMax) return;
    this.penalties.delete(peer);
    this.bannedUntilUs.set(peer, nowUs + this.policy.banMs * 1000);
    this.onCut?.(peer);
  }

  /** For how long this node has cut its connection to `peer`, in microseconds from now; 0 = it has not. */
  bannedForUs(peer: string, nowUs: number): number {
    const untilUs = this.bannedUntilUs.get(peer);
    if (untilUs === undefined) return 0;
    if (nowUs >= untilUs) this.bannedUntilUs.delete(peer);
    return Math.max(0, untilUs - nowUs);
  }
}
