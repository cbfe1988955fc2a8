import {
  ACCEPT,
  bytesKey,
  type Crypto,
  decodeAnnouncement,
  decodeBatch,
  encodeHeader,
  equalBytes,
  ignore,
  pairRoot,
  reject,
  type ShardId,
  type Verdict,
} from '@shardlab/crosslink';
import type { HeaderCheck } from '../exchange/header-check.ts';
import type { Inbox } from '../exchange/inbox.ts';
import type { Outbox } from '../exchange/outbox.ts';
import type { Requests } from '../exchange/requests.ts';
import type { StepContext } from '../step-context.ts';
import type { ReplicaCounters } from './types.ts';

/** A gap in a source's sequence is asked for after this long: gossip may still bring it. */
const PULL_DELAY_MS = 200;

/** What the exchange of receipts works with. */
export interface ReceiptModules {
  readonly step: StepContext;
  readonly requests: Requests;
  readonly counters: ReplicaCounters;
  readonly crypto: Crypto;
  readonly headers: HeaderCheck;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  /** Whoever knows an epoch that this node does not, can show it, even if the beacon is gone. */
  readonly askEpochs: (from: ShardId) => void;
  /** Height of this shard's last final block here. */
  readonly height: () => number;
  /** This shard has a certified block of that height, which is above {@link height}. */
  readonly behind: (height: number) => void;
}

/** Receives other shards' receipt batches and announcements, and pulls what gossip has lost (R14). */
export class Receipts {
  private readonly shard: ShardId;
  private readonly modules: ReceiptModules;
  /** Heights that were announced, by shard. */
  private readonly announced = new Map<ShardId, number>();
  private readonly consumedSequences = new Map<ShardId, number>();
  private readonly consumedEntries: { readonly destination: ShardId; readonly firstSequence: number }[] = [];
  /** Shards that have announced something since the last {@link probe}. */
  private readonly heard = new Set<ShardId>();
  private pullArmed = false;

  constructor(shard: ShardId, modules: ReceiptModules) {
    this.shard = shard;
    this.modules = modules;
  }

  /** Last sequence that a shard is known to have consumed of this one's messages. */
  consumedBy(destination: ShardId): number | undefined {
    return this.consumedSequences.get(destination);
  }

  /** See `ProductionModules.takeConsumed`. */
  takeConsumed(): { readonly destination: ShardId; readonly firstSequence: number }[] {
    return this.consumedEntries.splice(0);
  }

  /** Judges an encoded receipt batch, and keeps it if it is good. Throws `DecodeError`. */
  takeBatch(data: Uint8Array, path: 'gossip' | 'pull'): Verdict {
    const { inbox, counters, askEpochs } = this.modules;
    // The bytes outlive the message that brought them: chunks wait in the inbox and are views of them.
    const batch = decodeBatch(data.slice());
    const verdict = inbox.offer(batch);
    if (verdict.kind === 'accept') {
      if (path === 'gossip') counters.batchesGossip++;
      else counters.batchesPull++;
    } else if (verdict.kind === 'ignore' && verdict.reason === 'epoch-unknown') {
      askEpochs(batch.header.shard);
    }
    // Even a batch that was not kept may tell of a gap.
    this.armPull();
    return verdict;
  }

  /** Judges an encoded announcement: what its shard has sent here, and what of ours it has consumed. Throws `DecodeError`. */
  takeAnnouncement(data: Uint8Array): Verdict {
    const { crypto, headers, inbox, outbox, requests } = this.modules;
    const { header, certificate, pairs } = decodeAnnouncement(data);
    if (header.shard !== this.shard && !inbox.knows(header.shard)) return reject('header-shard');
    if ((this.announced.get(header.shard) ?? 0) >= header.height) return ignore('announcement-old');
    if (header.shard === this.shard && header.height <= this.modules.height()) return ignore('own');
    const own = pairs.find((pair) => pair.shard === this.shard);
    if ((own === undefined && header.shard !== this.shard) || !equalBytes(pairRoot(crypto, pairs), header.pairRoot)) return reject('announcement-pairs');
    const verdict = headers.check(header, certificate, bytesKey(crypto.sha256(encodeHeader(header))));
    if (verdict !== undefined) {
      if (verdict.kind === 'ignore' && verdict.reason === 'epoch-unknown') this.modules.askEpochs(header.shard);
      return verdict;
    }
    if (own === undefined) {
      this.modules.behind(header.height);
      return ACCEPT;
    }
    this.announced.set(header.shard, header.height);
    this.heard.add(header.shard);
    requests.helped('batches', header.shard);
    inbox.announce(header.shard, own.sentSequence);
    this.consumedSequences.set(header.shard, own.consumedSequence);
    this.consumedEntries.push(...outbox.consumed(header.shard, own.consumedSequence));
    this.armPull();
    return ACCEPT;
  }

  private armPull(needed = this.modules.inbox.incomplete().length > 0): void {
    if (this.pullArmed || !needed) return;
    this.pullArmed = true;
    this.modules.step.push({ kind: 'set-timer', timer: 'pull', delayMs: PULL_DELAY_MS });
  }

  /** The timer `pull` has fired. */
  timer(): void {
    this.pullArmed = false;
    this.pull();
  }

  /** Asks for what is known to be sent and has not come; keeps the timer going while there is any. */
  private pull(): void {
    for (const source of this.modules.inbox.incomplete()) this.ask(source);
    this.armPull();
  }

  /** A block that waits lacks a source's messages from a sequence on. To be called at each step while it does: they are asked for as often as {@link Requests} allows. */
  lack(source: ShardId, fromSequence: number): void {
    this.ask(source, fromSequence);
    // A step may be what is lacking: after a rest, nothing else need bring one.
    this.armPull(true);
  }

  /**
   * Asks whoever has announced nothing since the last call for what it may have sent: announcements are gossip too, and all of it can be lost. To be called at an
   * interval of more than one heartbeat.
   */
  probe(): void {
    for (const source of this.modules.inbox.others()) {
      if (!this.heard.delete(source)) this.ask(source, this.modules.inbox.next(source));
    }
  }

  /** Asks a source for its messages to this shard from a sequence on, unless a question to it is open or it rests. */
  private ask(source: ShardId, fromSequence = this.modules.inbox.missing(source)): void {
    const { requests, inbox, step } = this.modules;
    if (fromSequence === undefined || !inbox.knows(source)) return;
    const effect = requests.ask(source, { kind: 'batches', destination: this.shard, fromSequence });
    if (effect === undefined) return;
    step.push(effect);
    step.log({ level: 'info', event: 'receipts.pull', fields: { source, fromSequence } });
  }

  /** What an answer to a pull came to: the next part is asked for at once, or somebody else is, later. */
  pulled(source: ShardId, progressed: boolean): void {
    const { requests } = this.modules;
    if (progressed) {
      requests.helped('batches', source);
      this.pull();
    } else {
      requests.failed('batches', source);
      this.armPull();
    }
  }
}
