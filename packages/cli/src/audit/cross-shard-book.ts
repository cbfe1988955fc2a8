import { type CrossShardMessage, crossShardId, type Crypto, equalBytes, type Hash32, keyBytes, type ShardId, type TransactionReceipt } from '@shardlab/crosslink';
import { type CrossShardCase, type Leg, newLeg, NEVER } from './cross-shard-case.ts';
import { judgeTransaction } from './cross-shard-rules.ts';
import type { Findings, Place } from './findings.ts';
import { hashKey } from './transaction-book.ts';

/** Bytes of an id under which a record stands in the state. */
const RECORD_ID_BYTES = 20;

/** The records under one shard's state root, by {@link hashKey} of their 20-byte ids. */
export interface OpenRecords {
  readonly coordinators: ReadonlyMap<string, unknown>;
  readonly participants: ReadonlyMap<string, unknown>;
}

/** Whose block a message was sent or consumed by. */
export interface MessagePlace {
  readonly shard: number;
  /** The other shard. */
  readonly peer: number;
  readonly height: number;
  readonly timestampMs: number;
}

/** All cross-shard transactions, put together from what both sides sent and consumed. A few hundred bytes each. */
export class CrossShardBook {
  private readonly crypto: Crypto;
  private readonly chainId: number;
  private readonly findings: Findings;
  /** By coordinator, then by id, one character a byte. */
  private readonly cases = new Map<number, Map<string, CrossShardCase>>();

  constructor(chainId: number, modules: { readonly crypto: Crypto; readonly findings: Findings }) {
    this.chainId = chainId;
    this.crypto = modules.crypto;
    this.findings = modules.findings;
  }

  /** Transactions seen. */
  get size(): number {
    let sum = 0;
    for (const cases of this.cases.values()) sum += cases.size;
    return sum;
  }

  private *all(): Iterable<CrossShardCase> {
    for (const cases of this.cases.values()) yield* cases.values();
  }

  private case(idBytes: Hash32, coordinator: number): CrossShardCase {
    const id = hashKey(idBytes);
    let cases = this.cases.get(coordinator);
    if (cases === undefined) this.cases.set(coordinator, (cases = new Map<string, CrossShardCase>()));
    let found = cases.get(id);
    if (found === undefined) cases.set(id, (found = { id, hash: id, coordinator, legs: [], receiptAt: NEVER, receiptStatus: 0 }));
    return found;
  }

  private legOf(found: CrossShardCase, attempt: number, shard: number): Leg {
    for (const leg of found.legs) if (leg.attempt === attempt && leg.shard === shard) return leg;
    const leg = newLeg(attempt, shard);
    found.legs.push(leg);
    return leg;
  }

  private once(height: number, what: string, place: Place): void {
    if (height !== NEVER) this.findings.add('message-twice', `a second ${what} of the same attempt`, place);
  }

  /** A block sends a message. */
  sent(at: MessagePlace, message: CrossShardMessage): void {
    // A credit (R12) is part of no agreement: sequences and pair tables answer for it.
    if (message.kind === 'credit') return;
    if (message.kind === 'prepare' || message.kind === 'decision') this.coordinatorSent(at, message);
    else this.participantSent(at, message);
  }

  private coordinatorSent(at: MessagePlace, message: CrossShardMessage & { kind: 'prepare' | 'decision' }): void {
    const { shard, peer, height } = at;
    const found = this.case(message.id, shard);
    const leg = this.legOf(found, message.attempt, peer);
    const place = { shard, height, hash: message.id };
    if (message.kind === 'prepare') {
      this.once(leg.preparedAt, 'Prepare', place);
      const id = crossShardId(this.crypto, this.chainId, shard as ShardId, message.txHash);
      if (!equalBytes(id, message.id)) this.findings.add('prepare-identity', 'a Prepare whose id is not that of its transaction', place);
      found.hash = hashKey(message.txHash);
      leg.preparedAt = height;
      leg.value = message.operation.value;
      leg.deadlineMs = message.deadlineMs;
      return;
    }
    this.once(leg.decidedAt, 'Decision', place);
    if (leg.decidedAt !== NEVER && leg.committed !== message.commit) this.findings.add('decision-mixed', 'commit and abort to the same participant', place);
    leg.decidedAt = height;
    leg.decidedMs = at.timestampMs;
    leg.committed = message.commit;
    leg.decidedValue = message.value;
  }

  private participantSent({ shard, peer, height }: MessagePlace, message: CrossShardMessage & { kind: 'vote' | 'ack' }): void {
    const leg = this.legOf(this.case(message.id, peer), message.attempt, shard);
    const place = { shard, height, hash: message.id };
    if (message.kind === 'vote') {
      this.once(leg.voteSentAt, 'Vote', place);
      leg.voteSentAt = height;
      leg.sentYes = message.answer.kind === 'yes';
      return;
    }
    this.once(leg.ackSentAt, 'Ack', place);
    leg.ackSentAt = height;
    leg.ackedCommit = message.commit;
  }

  /** A block consumes a message. That each is consumed once is for the sequences to tell. */
  consumed({ shard, peer, height }: MessagePlace, message: CrossShardMessage): void {
    if (message.kind === 'credit') return;
    const ofCoordinator = message.kind === 'prepare' || message.kind === 'decision';
    const found = this.case(message.id, ofCoordinator ? peer : shard);
    const leg = this.legOf(found, message.attempt, ofCoordinator ? shard : peer);
    switch (message.kind) {
      case 'prepare':
        leg.prepareHeardAt = height;
        break;
      case 'vote':
        leg.voteHeardAt = height;
        leg.votedYes = message.answer.kind === 'yes';
        break;
      case 'decision':
        leg.decisionHeardAt = height;
        leg.heardCommit = message.commit;
        break;
      case 'ack':
        leg.ackHeardAt = height;
        break;
    }
  }

  /** A block lists a cross-shard transaction with its receipt. */
  listed(shard: number, height: number, receipt: TransactionReceipt): void {
    const id = crossShardId(this.crypto, this.chainId, shard as ShardId, receipt.txHash);
    const found = this.cases.get(shard)?.get(hashKey(id));
    if (found === undefined) {
      // An atomic batch within one shard settles in its block, without a message.
      if (receipt.bodyHeight === height) return;
      this.findings.add('receipt-disagrees', 'a cross-shard receipt of a transaction that was never prepared', { shard, height, hash: receipt.txHash });
      return;
    }
    // A second receipt is for the transaction book to tell.
    if (found.receiptAt !== NEVER) return;
    found.receiptAt = height;
    found.receiptStatus = receipt.status;
  }

  /** Judges every transaction; `records` are the open ones at the cut, by shard. To be called when all shards have been walked up to it. */
  judge(records: readonly OpenRecords[]): void {
    for (const each of this.all()) judgeTransaction(each, this.findings);
    this.judgeRecords(records);
  }

  /** What stands under the state roots must be exactly what the messages leave open. */
  private judgeRecords(records: readonly OpenRecords[]): void {
    const open = records.map(() => ({ coordinators: new Set<string>(), participants: new Set<string>() }));
    for (const each of this.all()) {
      const key = each.id.slice(0, RECORD_ID_BYTES);
      if (each.receiptAt === NEVER && each.legs.some((leg) => leg.preparedAt !== NEVER)) open[each.coordinator]?.coordinators.add(key);
      for (const leg of each.legs) {
        const holds = leg.prepareHeardAt !== NEVER && leg.decisionHeardAt === NEVER && (leg.voteSentAt === NEVER || leg.sentYes);
        if (holds) open[leg.shard]?.participants.add(key);
      }
    }
    records.forEach((found, shard) => {
      this.compareRecords(found.coordinators, open[shard]!.coordinators, 'coordinator', shard);
      // A shard that takes part in its own transaction says nothing to itself.
      const heard = new Map([...found.participants].filter(([key]) => !found.coordinators.has(key) || open[shard]!.participants.has(key)));
      this.compareRecords(heard, open[shard]!.participants, 'participant', shard);
    });
  }

  private compareRecords(found: ReadonlyMap<string, unknown>, wanted: ReadonlySet<string>, role: string, shard: number): void {
    for (const key of wanted) {
      if (!found.has(key)) this.findings.add('record-missing', `an open transaction has no ${role}'s record under the state root`, { shard, hash: keyBytes(key) });
    }
    for (const key of found.keys()) {
      if (!wanted.has(key)) this.findings.add('record-stale', `a ${role}'s record under the state root belongs to no open transaction`, { shard, hash: keyBytes(key) });
    }
  }
}
