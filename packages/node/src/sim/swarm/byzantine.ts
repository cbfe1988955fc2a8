import {
  BEACON,
  buildBatches,
  type Crypto,
  decodeAnnouncement,
  decodeBatch,
  decodeBeaconHeader,
  decodeHeader,
  DecodeError,
  encodeAnnouncement,
  encodeBatch,
  encodeBeaconHeader,
  encodeHeader,
  type Hash32,
  outRoot,
  type Prng,
  type QuorumCertificate,
  type ShardHeader,
  type ShardId,
  TOPICS,
  voteMessage,
} from '@shardlab/crosslink';
import { decodeConsensusMessage, encodeConsensusMessage, type ProposalMessage, type VoteMessage } from '@shardlab/shard';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';
import type { GossipMessage } from '../network-faults.ts';
import type { ByzantineKind } from './options.ts';
import type { FaultEvent, Plan } from './plan.ts';
import type { Strikes } from './strikes.ts';

/** Messages of others that a traitor keeps to say again. */
const KEPT_MAX = 64;

/** What traitors work with. */
export interface ByzantineModules {
  readonly crypto: Crypto;
  readonly genesisHash: Hash32;
  readonly secretKey: (name: NodeName) => Uint8Array;
  readonly prng: Prng;
  readonly strikes: Strikes;
  /** Virtual milliseconds since the start. */
  readonly nowMs: () => number;
}

interface Heard {
  readonly topic: string;
  readonly data: Uint8Array;
}

/**
 * What Byzantine validators of a plan say to each of their peers instead of what the protocol has them say. They hold their own keys and nobody else's, so each lie is
 * one that a real traitor could tell. Different peers may be told different things.
 */
export class Byzantine {
  private readonly modules: ByzantineModules;
  private readonly acts = new Map<string, FaultEvent[]>();
  private readonly heard: Heard[] = [];
  private attempts = 0x8000_0000;

  constructor(plan: Plan, modules: ByzantineModules, kinds: readonly ByzantineKind[]) {
    this.modules = modules;
    for (const event of plan.events) {
      if (!kinds.some((kind) => kind === event.kind)) continue;
      for (const node of event.nodes) this.acts.set(node, [...(this.acts.get(node) ?? []), event]);
    }
  }

  /** Labels of the validators that lie at some time. */
  get traitors(): ReadonlySet<string> {
    return new Set(this.acts.keys());
  }

  /** See `NetworkFaults.tamper`. */
  tamper(from: NodeName, to: NodeName, topic: string, data: Uint8Array): readonly GossipMessage[] | undefined {
    this.listen(topic, data);
    const acts = this.acts.get(nodeLabel(from));
    if (acts === undefined) return undefined;
    const { nowMs, prng, strikes } = this.modules;
    const now = nowMs();
    for (const { kind, atMs, untilMs, percent } of acts) {
      if (now < atMs || now >= untilMs || prng.below(100) >= percent) continue;
      const lies = this.act(kind as ByzantineKind, from, to, { topic, data });
      if (lies === undefined) continue;
      strikes.add(kind);
      return lies;
    }
    return undefined;
  }

  /** Gossip is public: whoever listens can say it again. */
  private listen(topic: string, data: Uint8Array): void {
    if (!announces(topic) && !topic.startsWith('receipts/')) return;
    if (this.heard.length < KEPT_MAX) this.heard.push({ topic, data });
    else if (this.modules.prng.below(8) === 0) this.heard[this.modules.prng.below(KEPT_MAX)] = { topic, data };
  }

  private act(kind: ByzantineKind, from: NodeName, to: NodeName, message: Heard): readonly GossipMessage[] | undefined {
    const consensus = message.topic === TOPICS.consensus(from.chain);
    const receipts = message.topic.startsWith('receipts/') || announces(message.topic);
    switch (kind) {
      case 'withhold-votes':
        return consensus && this.decode(from, message)?.kind === 'vote' ? [] : undefined;
      case 'double-vote':
        return consensus ? this.doubleVote(from, message) : undefined;
      case 'equivocate':
        return consensus && to.validator % 2 === 1 ? this.changeProposal(from, message, later) : undefined;
      case 'wrong-root':
        return consensus ? this.changeProposal(from, message, otherRoot) : undefined;
      case 'forge-receipt':
        return receipts ? this.forge(message) : undefined;
      case 'replay-receipt':
        return receipts ? this.replay(message) : undefined;
      case 'stale-certificate':
        return receipts ? this.staleCertificate(message) : undefined;
    }
  }

  private decode(from: NodeName, message: Heard): ReturnType<typeof decodeConsensusMessage> {
    return decodeConsensusMessage(from.chain, message.data);
  }

  private encode(chain: ShardId, message: VoteMessage | ProposalMessage): Uint8Array {
    return encodeConsensusMessage(chain, this.attempts++, message);
  }

  private signVote(from: NodeName, vote: Pick<VoteMessage, 'epoch' | 'height' | 'phase' | 'hash' | 'view'>): Uint8Array {
    const { crypto, genesisHash, secretKey } = this.modules;
    const subject = { genesisHash, chain: from.chain, epoch: vote.epoch, height: vote.height, phase: vote.phase, blockHash: vote.hash };
    return crypto.sign(secretKey(from), voteMessage(subject, vote.view));
  }

  /** The vote, and one for another block in the same view, height and phase, well signed. */
  private doubleVote(from: NodeName, message: Heard): readonly GossipMessage[] | undefined {
    const vote = this.decode(from, message);
    if (vote?.kind !== 'vote') return undefined;
    const hash = this.modules.crypto.sha256(vote.hash);
    const second = { ...vote, hash, signature: this.signVote(from, { ...vote, hash }) };
    const lie = { topic: message.topic, data: this.encode(from.chain, second) };
    return this.modules.prng.below(2) === 0 ? [message, lie] : [lie, message];
  }

  /** Another block in place of the proposed one, with the leader's own signature. */
  private changeProposal(from: NodeName, message: Heard, change: (header: Uint8Array, chain: ShardId) => Uint8Array): readonly GossipMessage[] | undefined {
    const proposed = this.decode(from, message);
    if (proposed?.kind !== 'proposal') return undefined;
    const header = change(proposed.proposal.header, from.chain);
    const { epoch, height } = from.chain === BEACON ? decodeBeaconHeader(header) : decodeHeader(header);
    const hash = this.modules.crypto.sha256(header);
    const signature = this.signVote(from, { epoch, height, phase: 'prepare', hash, view: proposed.view });
    const lie: ProposalMessage = { ...proposed, proposal: { header, body: proposed.proposal.body }, signature };
    return [{ topic: message.topic, data: this.encode(from.chain, lie) }];
  }

  /** A batch with other messages in it, or a header that nobody certified. */
  private forge(message: Heard): readonly GossipMessage[] {
    const { topic, data } = message;
    if (announces(topic)) {
      const announcement = decodeAnnouncement(data);
      return [{ topic, data: encodeAnnouncement({ ...announcement, header: otherHeader(topic, announcement.header) }) }];
    }
    const batch = decodeBatch(data);
    const messages = batch.messages.map((each, index) => (index === 0 ? flip(each, each.length - 1) : each));
    return [{ topic, data: encodeBatch({ ...batch, messages }) }];
  }

  /** What was said before, by anybody, said again beside what is new; and to a shard that it was not for. */
  private replay(message: Heard): readonly GossipMessage[] {
    const old = this.heard[this.modules.prng.below(this.heard.length)];
    if (old === undefined) return [message];
    const elsewhere = old.topic.startsWith('receipts/') && message.topic.startsWith('receipts/') ? message.topic : old.topic;
    return [message, { topic: elsewhere, data: old.data }];
  }

  /** A certificate of another block under a header that nobody has certified, with messages that it proves. */
  private staleCertificate(message: Heard): readonly GossipMessage[] | undefined {
    const certificate = this.oldCertificate();
    if (certificate === undefined) return undefined;
    const { topic, data } = message;
    if (announces(topic)) {
      const announcement = decodeAnnouncement(data);
      return [{ topic, data: encodeAnnouncement({ ...announcement, header: otherHeader(topic, announcement.header), certificate }) }];
    }
    // Proven in itself: nothing but the certificate shows the lie.
    const { header, entry, firstSequence, messages } = decodeBatch(data);
    const { destination } = entry;
    const outgoing = [{ destination, firstSequence, messages: messages.map((each, index) => (index === 0 ? flip(each, each.length - 1) : each)) }];
    const lie = { ...header, outRoot: outRoot(this.modules.crypto, outgoing) };
    return buildBatches(this.modules.crypto, lie, certificate, outgoing, destination).map((batch) => ({ topic, data: encodeBatch(batch) }));
  }

  private oldCertificate(): QuorumCertificate | undefined {
    const old = this.heard[this.modules.prng.below(Math.max(1, this.heard.length))];
    if (old === undefined) return undefined;
    try {
      return announces(old.topic) ? decodeAnnouncement(old.data).certificate : decodeBatch(old.data).certificate;
    } catch (error) {
      // What another traitor has said need not decode.
      if (error instanceof DecodeError) return undefined;
      throw error;
    }
  }
}

function announces(topic: string): boolean {
  return topic === TOPICS.headers || topic === TOPICS.crosslinks;
}

/** A header that nobody has certified: for shards one that comes next, for the beacon one in place of the shard's own. */
function otherHeader(topic: string, header: ShardHeader): ShardHeader {
  if (topic === TOPICS.crosslinks) return { ...header, stateRoot: flip(header.stateRoot, 0) as Hash32 };
  return { ...header, height: (header.height + 1) as ShardHeader['height'], parentHash: header.stateRoot };
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const changed = bytes.slice();
  changed[at]! ^= 1;
  return changed;
}

/** The same block a millisecond later: as good as the first, where nothing in it depends on time. */
function later(header: Uint8Array, chain: ShardId): Uint8Array {
  if (chain === BEACON) {
    const decoded = decodeBeaconHeader(header);
    return encodeBeaconHeader({ ...decoded, timestampMs: decoded.timestampMs + 1 });
  }
  const decoded = decodeHeader(header);
  return encodeHeader({ ...decoded, timestampMs: decoded.timestampMs + 1 });
}

/** A block whose execution gives something else than it says. */
function otherRoot(header: Uint8Array, chain: ShardId): Uint8Array {
  if (chain === BEACON) {
    const decoded = decodeBeaconHeader(header);
    return encodeBeaconHeader({ ...decoded, crosslinkRoot: flip(decoded.crosslinkRoot, 0) as Hash32 });
  }
  const decoded = decodeHeader(header);
  return encodeHeader({ ...decoded, stateRoot: flip(decoded.stateRoot, 0) as Hash32 });
}
