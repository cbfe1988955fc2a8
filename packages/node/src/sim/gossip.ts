import { hash } from 'node:crypto';

import type { Verdict } from '@shardlab/crosslink';
import { invariant } from '@shardlab/crosslink';

import type { Medium } from './medium.ts';
import type { Station } from './station.ts';

/** Bounds of gossip; the process driver's are the same. */
export interface GossipLimits {
  /** Largest message; a larger one is not sent. */
  readonly bytesMax: number;
  /** Messages that one node may have waiting for its verdict; more are dropped. */
  readonly judgingMax: number;
}

/**
 * Gossip as gossipsub delivers it when all goes well: each message reaches each node that is subscribed when it is published, once, by its own
 * delay. Hops are not modelled: the sender that a judge is told is the publisher, where in gossipsub it is whoever passed the message on, so nothing
 * may rest on it.
 */
export class Gossip {
  private readonly limits: GossipLimits;
  private readonly medium: Medium;

  constructor(options: { readonly limits: GossipLimits }, modules: { readonly medium: Medium }) {
    this.limits = options.limits;
    this.medium = modules.medium;
  }

  publish(from: Station, topic: string, data: Uint8Array): void {
    const { counters, scheduler } = this.medium;
    if (data.length > this.limits.bytesMax) {
      counters.gossipOversize++;
      return;
    }
    scheduler.trace.text('gossip').text(from.label).text(topic).bytes(data);
    // The id is that of R14: the topic is not part of it.
    const id = hash('sha256', data, 'base64');
    if (!from.seen.add(id, scheduler.nowUs())) {
      counters.gossipDuplicate++;
      return;
    }
    counters.gossipPublished++;
    const sent = data.slice();
    for (const to of this.medium.stations()) {
      if (to === from || !to.judges.has(topic)) continue;
      const lies = this.medium.tampered(from, to, topic, sent);
      if (lies === undefined) this.send(from, to, topic, id, sent);
      else for (const lie of lies) if (to.judges.has(lie.topic)) this.send(from, to, lie.topic, hash('sha256', lie.data, 'base64'), lie.data);
    }
  }

  private send(from: Station, to: Station, topic: string, id: string, data: Uint8Array): void {
    const { counters } = this.medium;
    const outcome = this.medium.transmit(from, to, { kind: 'gossip', topic, sizeBytes: data.length }, (copy) => {
      this.arrive(from, to, topic, id, data, copy);
    });
    if (outcome === 'sent') counters.gossipSent++;
    else if (outcome === 'lost') counters.gossipLost++;
    else counters.gossipOverload++;
  }

  private arrive(from: Station, to: Station, topic: string, id: string, data: Uint8Array, copy: number): void {
    const { counters, scheduler } = this.medium;
    const fresh = to.seen.add(id, scheduler.nowUs());
    // Only a fault makes a second copy, and it means the cache to have missed it.
    if (!fresh && copy === 0) {
      counters.gossipDuplicate++;
      return;
    }
    if (to.judging >= this.limits.judgingMax) {
      counters.gossipOverload++;
      return;
    }
    const judge = to.judges.get(topic);
    invariant(judge !== undefined, 'a subscription was lost');
    counters.gossipDelivered++;
    to.judging++;
    let judged = false;
    judge(data.slice(), from.sender, (verdict) => {
      if (!to.incarnation.alive) return;
      invariant(!judged, 'a message was judged twice', { topic });
      judged = true;
      to.judging--;
      this.count(from, to, verdict);
    });
  }

  private count(from: Station, to: Station, verdict: Verdict): void {
    const { counters, scheduler } = this.medium;
    switch (verdict.kind) {
      case 'accept':
        counters.gossipAccepted++;
        return;
      case 'ignore':
        counters.gossipIgnored++;
        return;
      case 'reject':
        counters.gossipRejected++;
        counters.penalties++;
        to.penalise(from.sender.peer, scheduler.nowUs());
        return;
    }
  }
}
