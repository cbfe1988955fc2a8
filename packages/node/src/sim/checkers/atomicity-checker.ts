import {
  type Ack,
  type BlockEvent,
  bytesKey,
  type Credit,
  type CrossShardMessage,
  type Decision,
  decodeMessage,
  type Hasher,
  type Height,
  type Prepare,
  type ShardId,
  toHex,
  type TransactionReceipt,
  type Vote,
} from '@shardlab/crosslink';
import { committed, freshParticipant, NO_OWN_PART, type OpenTransaction, type ParticipantView, unfinished } from './open-transaction.ts';
import type { BlockChecker, ShardBlockRecord, Violations } from './violations.ts';

/** Ended transactions that are remembered, so that none is listed twice; the oldest are forgotten. */
const ENDED_MAX = 1 << 20;

/** A message between a coordinator and a participant: a credit is neither's, and cannot fail. */
type Spoken = Exclude<CrossShardMessage, Credit>;

interface Place {
  readonly shard: ShardId;
  readonly height: Height;
  readonly hashes: ReadonlyMap<string, number>;
}

/**
 * One decision per cross-shard transaction, never mixed; commit only if all voted yes and were heard; every transaction of a body ends in exactly one receipt, with
 * the decided status (design, What must hold, 2, 3 and 9). Follows messages and receipts, not the nodes' records. Memory: the open transactions.
 */
export class AtomicityChecker implements BlockChecker {
  /** Transactions that ended, by outcome. */
  readonly ended = { local: 0, committed: 0, aborted: 0 };
  /** Retried attempts. */
  retries = 0;
  private readonly hasher: Hasher;
  private readonly violations: Violations;
  private readonly open = new Map<string, OpenTransaction>();
  private readonly openByHash = new Map<string, OpenTransaction>();
  private readonly endedHashes = new Set<string>();

  constructor(modules: { readonly hasher: Hasher; readonly violations: Violations }) {
    this.hasher = modules.hasher;
    this.violations = modules.violations;
  }

  /** Cross-shard transactions that have begun and not ended. */
  get openCount(): number {
    return this.open.size;
  }

  block({ block }: ShardBlockRecord): void {
    const { header, body, outgoing, receipts, events } = block;
    const hashes = new Map(body.transactions.map((raw, index) => [bytesKey(this.hasher.keccak256(raw)), index]));
    const place = { shard: header.shard, height: header.height, hashes };
    for (const hash of hashes.keys()) {
      if (this.endedHashes.has(hash) || this.openByHash.has(hash)) this.fail(hash, 'is in a body for the second time');
    }
    for (const { source, messages } of body.inbox) for (const bytes of messages) this.heard(place, source, decodeMessage(bytes));
    for (const { destination, messages } of outgoing) for (const bytes of messages) this.sent(place, destination, decodeMessage(bytes));
    for (const event of events) this.own(place, event);
    const listed = new Set<string>();
    for (const receipt of receipts) this.listed(place, receipt, listed);
    for (const hash of hashes.keys()) {
      if (!listed.has(hash) && !this.openByHash.has(hash)) this.fail(hash, 'is in a body, but has neither begun nor ended');
    }
  }

  atRest(): void {
    for (const hash of this.openByHash.keys()) this.fail(hash, 'has never ended');
  }

  /** What the shard of `place` consumes. */
  private heard(place: Place, source: ShardId, message: CrossShardMessage): void {
    if (message.kind === 'credit') return;
    const coordinatorSpeaks = message.kind === 'prepare' || message.kind === 'decision';
    const view = this.participant(message, coordinatorSpeaks ? source : place.shard, coordinatorSpeaks ? place.shard : source);
    if (view === undefined) return;
    if (message.kind === 'prepare') view.asked = true;
    else if (message.kind === 'vote') view.voteHeard = true;
    else if (message.kind === 'decision') view.decisionHeard = true;
    else view.ackHeard = true;
  }

  /** What the shard of `place` sends. */
  private sent(place: Place, destination: ShardId, message: CrossShardMessage): void {
    if (message.kind === 'credit') return;
    if (message.kind === 'prepare') {
      this.prepare(place, destination, message);
      return;
    }
    const coordinatorSpeaks = message.kind === 'decision';
    const view = this.participant(message, coordinatorSpeaks ? place.shard : destination, coordinatorSpeaks ? destination : place.shard);
    if (view === undefined) return;
    if (message.kind === 'vote') this.vote(view, message);
    else if (message.kind === 'decision') this.decide(view, message);
    else this.ack(view, message);
  }

  private prepare(place: Place, destination: ShardId, message: Prepare): void {
    const { id, txHash, attempt, operation } = message;
    let open = this.open.get(bytesKey(id));
    if (open === undefined) {
      const bodyIndex = place.hashes.get(bytesKey(txHash));
      if (bodyIndex === undefined || attempt !== 0) this.fail(bytesKey(txHash), 'is prepared, but is in no body of this block');
      open = { id, txHash, coordinator: place.shard, bodyHeight: place.height, bodyIndex: bodyIndex ?? 0, attempts: new Map(), own: { ...NO_OWN_PART } };
      this.open.set(bytesKey(id), open);
      this.openByHash.set(bytesKey(txHash), open);
    }
    if (open.coordinator !== place.shard) this.fail(bytesKey(txHash), 'has two coordinators');
    let entry = open.attempts.get(attempt);
    if (entry === undefined) {
      // An attempt for which the coordinator could not lock its own part is none that anybody hears of.
      const last = Math.max(-1, ...open.attempts.keys());
      const before = open.attempts.get(last);
      if (attempt > 0) this.retries++;
      if (attempt < last || (attempt > 0 && before === undefined)) this.fail(bytesKey(txHash), `has attempt ${attempt}, but not the one before`);
      const why = before === undefined ? undefined : unfinished(before);
      if (why !== undefined) this.fail(bytesKey(txHash), `is tried again while ${why}`);
      if (committed(open)) this.fail(bytesKey(txHash), 'is tried again after a commit');
      open.attempts.set(attempt, (entry = { participants: new Map() }));
    }
    if (entry.participants.has(destination)) this.fail(bytesKey(txHash), `prepares shard ${destination} twice`);
    entry.participants.set(destination, freshParticipant(destination, operation.value));
  }

  /** The coordinator's own part is told by events alone: what a shard says to itself does not travel. */
  private own(place: Place, { phase, outcome, peer, txHash }: BlockEvent): void {
    const open = peer === place.shard ? this.openByHash.get(bytesKey(txHash)) : undefined;
    if (open === undefined) return;
    const { own } = open;
    if (phase === 'prepared') {
      own.attempts++;
      own.voted = undefined;
    } else if (phase === 'voted') {
      if (own.voted !== undefined) this.fail(bytesKey(txHash), 'has two votes of its own shard in one attempt');
      own.voted = outcome === 'commit';
    } else if (phase === 'applied' && outcome === 'commit') {
      if (own.voted !== true) this.fail(bytesKey(txHash), 'is applied on its own shard, which did not say yes');
      own.applied++;
    }
  }

  private vote(view: ParticipantView, message: Vote): void {
    if (!view.asked) this.failId(message, `shard ${view.shard} votes unasked`);
    if (view.vote !== undefined) this.failId(message, `shard ${view.shard} votes twice`);
    if (view.acked) this.failId(message, `shard ${view.shard} votes after its Ack`);
    view.vote = message.answer.kind === 'yes';
  }

  private decide(view: ParticipantView, message: Decision): void {
    const { attempt, commit, value } = message;
    const { participants } = this.open.get(bytesKey(message.id))!.attempts.get(attempt)!;
    if (view.decision !== undefined) this.failId(message, `shard ${view.shard} is told two Decisions`);
    view.decision = commit;
    for (const other of participants.values()) {
      if (other.decision !== undefined && other.decision !== commit) this.failId(message, 'the Decisions are mixed');
      if (commit && !(other.vote === true && other.voteHeard)) this.failId(message, `commits, but no yes of shard ${other.shard} was heard`);
    }
    if (value !== (commit ? view.value : 0n)) this.failId(message, `the Decision carries ${value} wei, the Prepare asked for ${view.value}`);
  }

  private ack(view: ParticipantView, message: Ack): void {
    if (!view.decisionHeard || view.decision !== message.commit) this.failId(message, `shard ${view.shard} acknowledges what it was not told`);
    if (view.acked) this.failId(message, `shard ${view.shard} acknowledges twice`);
    view.acked = true;
  }

  private listed(place: Place, receipt: TransactionReceipt, listed: Set<string>): void {
    const hash = bytesKey(receipt.txHash);
    if (this.endedHashes.has(hash)) this.fail(hash, 'has two receipts');
    listed.add(hash);
    if (receipt.crossShard) this.crossShardEnd(place, receipt);
    else {
      this.ended.local++;
      if (place.hashes.get(hash) !== receipt.bodyIndex || receipt.bodyHeight !== place.height) this.fail(hash, 'has a receipt without its body');
    }
    this.endedHashes.add(hash);
    if (this.endedHashes.size > ENDED_MAX) this.endedHashes.delete(this.endedHashes.values().next().value!);
  }

  private crossShardEnd(place: Place, receipt: TransactionReceipt): void {
    const hash = bytesKey(receipt.txHash);
    const open = this.openByHash.get(hash);
    if (open === undefined) {
      this.fail(hash, 'has a cross-shard receipt, but never began');
      return;
    }
    if (open.coordinator !== place.shard) this.fail(hash, 'is listed by another shard than its coordinator');
    if (open.bodyHeight !== receipt.bodyHeight || open.bodyIndex !== receipt.bodyIndex) this.fail(hash, 'has a receipt that names another body');
    if ((receipt.status === 1) !== committed(open)) this.fail(hash, `has status ${receipt.status} against its Decision`);
    const { own } = open;
    const wanted = receipt.status === 1 && own.attempts > 0 ? 1 : 0;
    if (own.applied !== wanted) this.fail(hash, `has status ${receipt.status}, and its own shard's part was applied ${own.applied} times`);
    for (const [attempt, view] of open.attempts) {
      const why = unfinished(view);
      if (why !== undefined) this.fail(hash, `ends in attempt ${attempt} while ${why}`);
    }
    if (receipt.status === 1) this.ended.committed++;
    else this.ended.aborted++;
    this.open.delete(bytesKey(open.id));
    this.openByHash.delete(hash);
  }

  private participant(message: Spoken, coordinator: ShardId, shard: ShardId): ParticipantView | undefined {
    const open = this.open.get(bytesKey(message.id));
    const view = open?.attempts.get(message.attempt)?.participants.get(shard);
    if (view === undefined || open?.coordinator !== coordinator) {
      this.failId(message, `a ${message.kind} of attempt ${message.attempt} between ${coordinator} and ${shard} belongs to nothing that is open`);
      return undefined;
    }
    return view;
  }

  private failId(message: Spoken, what: string): void {
    const open = this.open.get(bytesKey(message.id));
    this.violations.add('atomicity', `transaction ${toHex(open?.txHash ?? message.id)}: ${what}`);
  }

  private fail(hashKey: string, what: string): void {
    const hash = Uint8Array.from(hashKey, (unit) => unit.charCodeAt(0));
    this.violations.add('atomicity', `transaction ${toHex(hash)} ${what}`);
  }
}
