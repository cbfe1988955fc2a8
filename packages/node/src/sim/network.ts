import type { Prng } from '@shardlab/crosslink';

import { checkTopic, compareNodes } from '../network/names.ts';
import type { Done, Network, NodeName } from '../ports.ts';
import { type ExchangeLimits, Exchanges } from './exchange.ts';
import { Gossip, type GossipLimits } from './gossip.ts';
import type { Incarnation } from './incarnation.ts';
import { LATENCY, type LatencyModel } from './latency.ts';
import { Medium, type MediumLimits, type NetworkCounters } from './medium.ts';
import { type NetworkFaults, NO_NETWORK_FAULTS } from './network-faults.ts';
import type { Scheduler } from './scheduler.ts';
import { type Handler, type Judge, type PenaltyPolicy, peerOf, Station, type Watcher } from './station.ts';

/** Everything about a simulated network that has a bound. */
export interface SimNetworkLimits extends GossipLimits, ExchangeLimits, MediumLimits, PenaltyPolicy {
  /** How long gossip that was published or received once is not delivered again, in milliseconds. */
  readonly seenMs: number;
}

const MIB = 1024 * 1024;

/** Gossip to 1 MiB, requests to 4 MiB, answers to 8 MiB, as in the process driver; `seenMs` is gossipsub's default. */
export const SIM_NETWORK_LIMITS: SimNetworkLimits = {
  bytesMax: MIB,
  judgingMax: 4096,
  requestBytesMax: 4 * MIB,
  replyBytesMax: 8 * MIB,
  servingMax: 1024,
  inFlightMax: 1_000_000,
  inFlightBytesMax: 1024 * MIB,
  penaltiesMax: 10,
  banMs: 60_000,
  seenMs: 120_000,
};

/** The network between all nodes of one simulation. */
export class SimNetwork {
  private readonly limits: SimNetworkLimits;
  private readonly medium: Medium;
  private readonly gossip: Gossip;
  private readonly exchanges: Exchanges;

  constructor(
    options: { readonly latency?: LatencyModel; readonly limits?: SimNetworkLimits },
    modules: { readonly scheduler: Scheduler; readonly prng: Prng; readonly faults?: NetworkFaults },
  ) {
    const limits = options.limits ?? SIM_NETWORK_LIMITS;
    this.limits = limits;
    this.medium = new Medium(
      { latency: options.latency ?? LATENCY, limits },
      { scheduler: modules.scheduler, prng: modules.prng, faults: modules.faults ?? NO_NETWORK_FAULTS },
    );
    this.gossip = new Gossip({ limits }, { medium: this.medium });
    this.exchanges = new Exchanges({ limits }, { medium: this.medium });
  }

  /** What happened so far. */
  get counters(): Readonly<NetworkCounters> {
    return this.medium.counters;
  }

  /** To be called when `NetworkFaults.broken` says something else of nodes than before, with their labels: they and the others see it a little later. */
  recheck(labels: readonly string[]): void {
    this.medium.recheck(new Set(labels));
  }

  /** Connects one life of a node, until it is killed. A node can have one life at a time. */
  join(name: NodeName, incarnation: Incarnation): Network {
    const station = new Station({ name, seenMs: this.limits.seenMs, penalties: this.limits }, { incarnation });
    this.medium.attach(station);
    this.exchanges.attach(station);
    return new SimNetworkPort(station, this.medium, this.gossip, this.exchanges);
  }
}

/** One life's {@link Network}. Topics are named as {@link checkTopic} wants it. Calls of a dead life do nothing. */
class SimNetworkPort implements Network {
  private readonly station: Station;
  private readonly medium: Medium;
  private readonly gossip: Gossip;
  private readonly exchanges: Exchanges;

  constructor(station: Station, medium: Medium, gossip: Gossip, exchanges: Exchanges) {
    this.station = station;
    this.medium = medium;
    this.gossip = gossip;
    this.exchanges = exchanges;
  }

  publish(topic: string, data: Uint8Array): void {
    checkTopic(topic);
    if (this.station.incarnation.alive) this.gossip.publish(this.station, topic, data);
  }

  subscribe(topic: string, judge: Judge): void {
    checkTopic(topic);
    this.station.judges.set(topic, judge);
  }

  request(to: NodeName, body: Uint8Array, timeoutMs: number, done: Done<Uint8Array>): void {
    this.exchanges.request(this.station, to, body, timeoutMs, done);
  }

  serve(handler: Handler): void {
    this.station.handler = handler;
  }

  watch(listener: Watcher): void {
    this.station.watcher = listener;
  }

  penalise(target: string | NodeName, reason: string): void {
    if (!this.station.incarnation.alive) return;
    const peer = typeof target === 'string' ? target : peerOf(target);
    const { counters, scheduler } = this.medium;
    scheduler.trace.text('penalty').text(this.station.label).text(peer).text(reason);
    counters.penalties++;
    this.station.penalise(peer, scheduler.nowUs());
  }

  connected(): readonly NodeName[] {
    if (!this.station.incarnation.alive) return [];
    const names: NodeName[] = [];
    for (const other of this.medium.stations()) {
      if (this.medium.linked(this.station, other) && this.medium.linked(other, this.station)) names.push(other.name);
    }
    return names.sort(compareNodes);
  }
}
