import type { GossipsubMessage } from '@chainsafe/libp2p-gossipsub';
import { TopicValidatorResult } from '@libp2p/interface';
import { ShardlabError, type Verdict } from '@shardlab/crosslink';

import type { Clock, Network, Sender } from '../ports.ts';
import { type CommitteeLinks, isCommitteeTopic } from './committee-links.ts';
import type { GossipGate } from './gossip-gate.ts';
import type { GuardHooks } from './gossip-guard.ts';
import { NO_LABELS, type NetworkLog, type NetworkMetrics } from './metrics.ts';
import { TOPIC_LENGTH_MAX, topicFamily } from './names.ts';
import type { NetworkLimits } from './options.ts';
import type { Penalties } from './penalties.ts';
import { asError } from './streams.ts';

type Judge = Parameters<Network['subscribe']>[1];

/** Topics that this node itself may subscribe to. */
const TOPICS_MAX = 1_024;

const OUTCOMES = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
} as const;

interface Waiting {
  readonly family: string;
  readonly sizeBytes: number;
  readonly sinceMs: number;
  readonly source: string;
  /** gossipsub's id of it; undefined for a message of a committee's link, which nobody passes on. */
  readonly gossipId: string | undefined;
}

interface Modules {
  readonly gate: GossipGate;
  /** For topics of one committee. */
  readonly links: Pick<CommitteeLinks, 'publish'>;
  readonly penalties: Penalties;
  readonly clock: Clock;
  readonly log: NetworkLog;
  readonly metrics: NetworkMetrics;
  sender(peer: string): Sender;
}

/** Publishing, and the judging of what others publish. */
export class Gossip {
  private readonly prefix: string;
  private readonly limits: NetworkLimits;
  private readonly modules: Modules;
  private readonly judges = new Map<string, Judge>();
  /** Messages without a verdict, in the order of arrival. */
  private readonly waiting = new Map<number, Waiting>();
  private waitingBytes = 0;
  private nextId = 0;
  private running = false;
  private cancelSweep: (() => void) | undefined;

  constructor(prefix: string, limits: NetworkLimits, modules: Modules) {
    this.prefix = prefix;
    this.limits = limits;
    this.modules = modules;
  }

  /** Call once libp2p runs. */
  start(): void {
    this.running = true;
    const router = this.modules.gate.gossipsub;
    router.addEventListener('gossipsub:message', this.onMessage);
    for (const topic of this.judges.keys()) if (!isCommitteeTopic(topic)) router.subscribe(this.prefix + topic);
    this.scheduleSweep();
  }

  /** Call before libp2p stops. What awaits a verdict is forgotten. */
  stop(): void {
    this.running = false;
    this.cancelSweep?.();
    this.modules.gate.gossipsub.removeEventListener('gossipsub:message', this.onMessage);
    this.waiting.clear();
    this.waitingBytes = 0;
  }

  /** Sends a copy of `data` to all subscribers that are connected. Too much is refused, and counted. */
  publish(topic: string, data: Uint8Array): void {
    const family = topicFamily(topic);
    if (data.length > this.limits.gossipBytesMax) {
      this.count(family, 'oversized');
      this.modules.log.warn({ event: 'network.gossip_oversized', topic, sizeBytes: data.length }, 'message too large for gossip, not published');
      return;
    }
    if (!this.running) {
      this.count(family, 'stopped');
      return;
    }
    if (isCommitteeTopic(topic)) {
      this.count(family, this.modules.links.publish(topic, data) > 0 ? 'published' : 'unheard');
      return;
    }
    this.modules.gate.gossipsub.publish(this.prefix + topic, new Uint8Array(data)).then(
      ({ recipients }) => this.count(family, recipients.length > 0 ? 'published' : 'unheard'),
      (error: unknown) => {
        this.count(family, 'unpublished');
        this.modules.log.warn({ event: 'network.gossip_unpublished', topic, error: asError(error).message }, 'gossipsub refused to publish');
      },
    );
  }

  /** Sets the judge of `topic`. Throws `network/topics` beyond the number of topics that a node may have. */
  subscribe(topic: string, judge: Judge): void {
    const isNew = !this.judges.has(topic);
    if (isNew && this.judges.size >= TOPICS_MAX) throw new ShardlabError('network/topics', `a node subscribes to at most ${TOPICS_MAX} topics`);
    this.judges.set(topic, judge);
    if (isNew && this.running && !isCommitteeTopic(topic)) this.modules.gate.gossipsub.subscribe(this.prefix + topic);
  }

  /** Whether this node has a judge for `topic`. */
  subscribed(topic: string): boolean {
    return this.judges.has(topic);
  }

  /** The guard's view of this node, for one peer. */
  hooks(peer: string): GuardHooks {
    const { metrics, penalties } = this.modules;
    return {
      gossipBytesMax: this.limits.gossipBytesMax,
      topicPrefix: this.prefix,
      topicLengthMax: this.prefix.length + TOPIC_LENGTH_MAX,
      subscribed: (topic) => this.subscribed(topic.slice(this.prefix.length)) && !isCommitteeTopic(topic.slice(this.prefix.length)),
      received: (sizeBytes) => metrics.count('shardlab_network_gossip_received_bytes', NO_LABELS, sizeBytes),
      violated: (reason) => {
        metrics.count('shardlab_network_gossip_frames_total', { reason });
        penalties.penalise(peer, `gossip_${reason}`);
      },
    };
  }

  private readonly onMessage = (event: CustomEvent<GossipsubMessage>): void => {
    const { msg, msgId, propagationSource } = event.detail;
    // A copy: gossipsub keeps its own to pass on, and the judge may do with these as it likes.
    this.received(msg.topic.slice(this.prefix.length), new Uint8Array(msg.data), propagationSource.toString(), msgId);
  };

  /** Has a message judged: of gossip, or of a committee's link, then without an id. `data` is the judge's. */
  received(topic: string, data: Uint8Array, source: string, gossipId?: string): void {
    const judge = this.judges.get(topic);
    if (judge === undefined || !this.running) return;
    const sizeBytes = data.length;
    const entry: Waiting = { family: topicFamily(topic), sizeBytes, sinceMs: this.modules.clock.nowMs(), source, gossipId };
    if (this.waiting.size >= this.limits.gossipWaitingMax || this.waitingBytes + sizeBytes > this.limits.gossipWaitingBytesMax) {
      this.report(entry, { kind: 'ignore', reason: 'overload' });
      return;
    }
    const id = this.nextId++;
    this.waiting.set(id, entry);
    this.waitingBytes += sizeBytes;
    try {
      judge(data, this.modules.sender(source), (verdict) => this.settle(id, verdict));
    } catch (error) {
      // A judge that throws is our own fault, never the peer's.
      this.modules.log.warn({ event: 'network.judge_failed', topic, error: asError(error).message }, 'judging a gossip message failed');
      this.settle(id, { kind: 'ignore', reason: 'judge_failed' });
    }
  }

  private settle(id: number, verdict: Verdict): void {
    const entry = this.waiting.get(id);
    // Judged twice, or too late.
    if (entry === undefined) return;
    this.waiting.delete(id);
    this.waitingBytes -= entry.sizeBytes;
    this.report(entry, verdict);
  }

  private report({ family, source, gossipId }: Waiting, verdict: Verdict): void {
    const { gate, metrics, penalties } = this.modules;
    this.count(family, verdict.kind);
    if (verdict.kind !== 'accept') metrics.count('shardlab_network_gossip_verdicts_total', { family, reason: verdict.reason });
    if (gossipId !== undefined) gate.gossipsub.reportMessageValidationResult(gossipId, source, OUTCOMES[verdict.kind]);
    if (verdict.kind === 'reject') penalties.penalise(source, verdict.reason);
  }

  private scheduleSweep(): void {
    this.cancelSweep = this.modules.clock.schedule(Math.min(1_000, this.limits.verdictTimeoutMs), () => {
      const before = this.modules.clock.nowMs() - this.limits.verdictTimeoutMs;
      for (const [id, entry] of this.waiting) {
        if (entry.sinceMs > before) break;
        this.settle(id, { kind: 'ignore', reason: 'verdict_timeout' });
      }
      this.modules.metrics.set('shardlab_network_gossip_waiting', NO_LABELS, this.waiting.size);
      this.scheduleSweep();
    });
  }

  private count(family: string, outcome: string): void {
    this.modules.metrics.count('shardlab_network_gossip_messages_total', { family, outcome });
  }
}
