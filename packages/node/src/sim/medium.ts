import { invariant, type Prng } from '@shardlab/crosslink';

import { nodeLabel } from '../network/names.ts';
import type { NodeName } from '../ports.ts';
import { drawLatencyUs, type LatencyModel } from './latency.ts';
import type { GossipMessage, MessageInfo, NetworkFaults } from './network-faults.ts';
import type { Scheduler } from './scheduler.ts';
import type { Station } from './station.ts';

/** What happened on the network, counted by kind. A message lost on the way counts as `…Lost`, one copy more or less than sent shows there. */
export interface NetworkCounters {
  gossipPublished: number;
  /** Published again within the seen cache's time, and so not sent, or seen by the receiver before. */
  gossipDuplicate: number;
  /** Not sent: above the size limit. */
  gossipOversize: number;
  gossipSent: number;
  gossipLost: number;
  gossipDelivered: number;
  /** Not judged: too much was waiting, on the way or at the receiver. */
  gossipOverload: number;
  gossipAccepted: number;
  gossipIgnored: number;
  gossipRejected: number;
  requests: number;
  replies: number;
  /** Answers that nobody waited for any more. */
  repliesLate: number;
  requestsLost: number;
  requestsAnswered: number;
  requestsRefused: number;
  requestsTimedOut: number;
  requestsUnreachable: number;
  penalties: number;
}

function zeroCounters(): NetworkCounters {
  return {
    gossipPublished: 0,
    gossipDuplicate: 0,
    gossipOversize: 0,
    gossipSent: 0,
    gossipLost: 0,
    gossipDelivered: 0,
    gossipOverload: 0,
    gossipAccepted: 0,
    gossipIgnored: 0,
    gossipRejected: 0,
    requests: 0,
    replies: 0,
    repliesLate: 0,
    requestsLost: 0,
    requestsAnswered: 0,
    requestsRefused: 0,
    requestsTimedOut: 0,
    requestsUnreachable: 0,
    penalties: 0,
  };
}

/** What a sender says of its message. */
export type Outgoing = Pick<MessageInfo, 'kind' | 'topic' | 'sizeBytes'>;

/** Messages and bytes that may be on the way at once. */
export interface MediumLimits {
  readonly inFlightMax: number;
  readonly inFlightBytesMax: number;
}

/** The wires: which stations are up, who is linked to whom, and how long what takes. */
export class Medium {
  readonly counters = zeroCounters();
  readonly scheduler: Scheduler;
  private readonly latency: LatencyModel;
  private readonly limits: MediumLimits;
  private readonly prng: Prng;
  private readonly faults: NetworkFaults;
  private readonly up = new Map<string, Station>();
  private inFlight = 0;
  private inFlightBytes = 0;

  constructor(
    options: { readonly latency: LatencyModel; readonly limits: MediumLimits },
    modules: { readonly scheduler: Scheduler; readonly prng: Prng; readonly faults: NetworkFaults },
  ) {
    this.latency = options.latency;
    this.limits = options.limits;
    this.scheduler = modules.scheduler;
    this.prng = modules.prng;
    this.faults = modules.faults;
  }

  /** Takes a station up, until its life ends. */
  attach(station: Station): void {
    invariant(!this.up.has(station.label), 'a node of this name is up already', { node: station.label });
    this.up.set(station.label, station);
    for (const other of this.up.values()) if (other.missed.has(station.label)) this.notice(other, station.name);
    station.onCut = (peer) => this.cut(station, peer);
    station.incarnation.onKill(() => {
      this.up.delete(station.label);
      for (const other of this.up.values()) this.notice(other, station.name);
    });
  }

  /** Has all nodes look whether they are still connected to those of `labels`, and those to them: their connections may have broken, or be back. */
  recheck(labels: ReadonlySet<string>): void {
    for (const station of this.up.values()) {
      for (const other of this.up.values()) {
        if (station !== other && (labels.has(station.label) || labels.has(other.label))) this.notice(station, other.name);
      }
    }
  }

  /** For how long one of the two will not talk to the other; 0 = both do. */
  private bannedForUs(one: Station, other: Station): number {
    const nowUs = this.scheduler.nowUs();
    return Math.max(one.bannedForUs(other.sender.peer, nowUs), other.bannedForUs(one.sender.peer, nowUs));
  }

  private cut(station: Station, peer: string): void {
    for (const other of this.up.values()) {
      if (other.sender.peer !== peer) continue;
      this.notice(station, other.name);
      this.notice(other, station.name);
    }
  }

  /**
   * A little later `station` sees whether it is still connected to a node: the connections of a process that dies break, who comes up connects, and a ban is a cut. A
   * link that is down is silence, as it is to TCP, unless its connections break.
   */
  private notice(station: Station, node: NodeName, afterUs = 0): void {
    station.incarnation.schedule(afterUs + this.drawUs(), () => {
      const label = nodeLabel(node);
      const other = this.up.get(label);
      const bannedUs = other === undefined ? 0 : this.bannedForUs(station, other);
      if (bannedUs > 0) this.notice(station, node, bannedUs);
      const connected = other !== undefined && bannedUs === 0 && this.faults.broken?.(station.name, node) !== true;
      if (station.watcher === undefined || station.missed.has(label) !== connected) return;
      if (connected) station.missed.delete(label);
      else station.missed.add(label);
      this.scheduler.trace.text(connected ? 'peer-back' : 'peer-gone').text(station.label).text(label);
      station.watcher(node, connected);
    });
  }

  /** The station of `name`, if it is up. */
  station(name: NodeName): Station | undefined {
    return this.up.get(nodeLabel(name));
  }

  /** All that are up, in the order in which they came. */
  stations(): Iterable<Station> {
    return this.up.values();
  }

  /** Whether what `from` sends can reach `to`: both alive, not the same, linked, and neither has cut the other off. */
  linked(from: Station, to: Station): boolean {
    if (from === to || !from.incarnation.alive || !to.incarnation.alive) return false;
    if (this.bannedForUs(from, to) > 0) return false;
    return this.faults.linked(from.name, to.name);
  }

  /** See `NetworkFaults.tamper`. */
  tampered(from: Station, to: Station, topic: string, data: Uint8Array): readonly GossipMessage[] | undefined {
    return this.faults.tamper?.(from.name, to.name, topic, data);
  }

  /** A seeded latency, for what a node learns without a message: that nobody is there. */
  drawUs(): number {
    return drawLatencyUs(this.latency, this.prng);
  }

  private latencyUs(from: Station, to: Station): number {
    const model = this.faults.latency?.(from.name, to.name) ?? this.latency;
    return drawLatencyUs(model, this.prng);
  }

  /**
   * Sends one message; `arrive` runs for each copy that gets through, with the copy's number. It gets through whether or not the sender is still
   * alive then: it has left. Returns `overload` if too much is on the way, and then nothing is sent; `lost` if no copy will arrive.
   */
  transmit(from: Station, to: Station, message: Outgoing, arrive: (copy: number) => void): 'sent' | 'lost' | 'overload' {
    const { sizeBytes } = message;
    if (this.inFlight >= this.limits.inFlightMax || this.inFlightBytes + sizeBytes > this.limits.inFlightBytesMax) return 'overload';
    if (!this.linked(from, to)) return 'lost';
    const extras = this.faults.copies({ ...message, from: from.name, to: to.name, nowMs: this.scheduler.nowMs() });
    for (const [copy, extraUs] of extras.entries()) {
      this.inFlight++;
      this.inFlightBytes += sizeBytes;
      this.scheduler.schedule(this.latencyUs(from, to) + extraUs, () => {
        this.inFlight--;
        this.inFlightBytes -= sizeBytes;
        if (to.incarnation.alive) arrive(copy);
      });
    }
    return extras.length === 0 ? 'lost' : 'sent';
  }
}
