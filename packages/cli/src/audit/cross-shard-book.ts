import { type CrossShardMessage, crossShardId, type Crypto, equalBytes, type Hash32, type ShardId, type TransactionReceipt } from '@shardlab/crosslink';
import type { Findings, Place } from './findings.ts';
import { judgeTransaction } from './cross-shard-rules.ts';
import { hashKey } from './transaction-book.ts';

/** Height at which something has not happened. */
export const NEVER = -1;

/** What one participant and its coordinator said to each other in one attempt. Heights are of the shard named; {@link NEVER} = not up to the cut. */
export interface Leg {
  readonly attempt: number;
  readonly shard: number;
  /** Wei that the Prepare asks to credit. */
  value: bigint;
  deadlineMs: number;
  /** On the coordinator. */
  preparedAt: number;
  voteHeardAt: number;
  votedYes: boolean;
  decidedAt: number;
  decidedMs: number;
  committed: boolean;
  decidedValue: bigint;
  ackHeardAt: number;
  /** On the participant. */
  prepareHeardAt: number;
  voteSentAt: number;
  sentYes: boolean;
  decisionHeardAt: number;
  heardCommit: boolean;
  ackSentAt: number;
  ackedCommit: boolean;
}

/** One cross-shard transaction, as all blocks up to the cut tell it. */
export interface CrossShardCase {
  /** Its id, 32 bytes. */
  readonly id: Uint8Array;
  readonly coordinator: number;
  readonly legs: Leg[];
  receiptAt: number;
  receiptStatus: 0 | 1;
}

/** Ids, by {@link hashKey} of their first 20 bytes, of the records under one shard's state root. */
export interface OpenRecords {
  readonly coordinators: ReadonlySet<string>;
  readonly participants: ReadonlySet<string>;
}

/** Where a message was sent or consumed. */
export interface MessagePlace {
  /** The shard whose block it is. */
  readonly shard: number;
  /** The other one. */
  readonly peer: number;
  readonly height: number;
  readonly timestampMs: number;
}

/** All cross-shard transactions, put together from what both sides sent and consumed. A few hundred bytes each. */
export class CrossShardBook {
  private readonly crypto: Crypto;
  private readonly chainId: number;
  private readonly findings: Findings;
  private readonly cases = new Map<string, CrossShardCase>();

  constructor(chainId: number, modules: { readonly crypto: Crypto; readonly findings: Findings }) {
    this.chainId = chainId;
    this.crypto = modules.crypto;
    this.findings = modules.findings;
  }

  /** Transactions seen. */
  get size(): number {
    return this.cases.size;
  }

  private leg(id: Hash32, coordinator: number, shard: number, attempt: number): Leg {
    const key = `${hashKey(id)}${coordinator}`;
    let found = this.cases.get(key);
    if (found === undefined) {
      found = { id: id.slice(), coordinator, legs: [], receiptAt: NEVER, receiptStatus: 0 };
      this.cases.set(key, found);
    }
    let leg = found.legs.find((each) => each.attempt === attempt && each.shard === shard);
    if (leg === undefined) found.legs.push((leg = newLeg(attempt, shard)));
    return leg;
  }

  private once(height: number, what: string, place: Place): void {
    if (height !== NEVER) this.findings.add('message-twice', `a second ${what} of the same attempt`, place);
  }

  /** A block sends a message. */
  sent(at: MessagePlace, message: CrossShardMessage): void {
    const { shard, peer, height } = at;
    const place = { shard, height, hash: message.id };
    const ofCoordinator = message.kind === 'prepare' || message.kind === 'decision';
    const leg = ofCoordinator ? this.leg(message.id, shard, peer, message.attempt) : this.leg(message.id, peer, shard, message.attempt);
    switch (message.kind) {
      case 'prepare': {
        this.once(leg.preparedAt, 'Prepare', place);
        const id = crossShardId(this.crypto, this.chainId, shard as ShardId, message.txHash);
        if (!equalBytes(id, message.id)) this.findings.add('prepare-identity', 'a Prepare whose id is not that of its transaction', place);
        Object.assign(leg, { preparedAt: height, value: message.operation.value, deadlineMs: message.deadlineMs });
        break;
      }
      case 'vote':
        this.once(leg.voteSentAt, 'Vote', place);
        Object.assign(leg, { voteSentAt: height, sentYes: message.answer.kind === 'yes' });
        break;
      case 'decision':
        this.once(leg.decidedAt, 'Decision', place);
        if (leg.decidedAt !== NEVER && leg.committed !== message.commit) this.findings.add('decision-mixed', 'commit and abort to the same participant', place);
        Object.assign(leg, { decidedAt: height, decidedMs: at.timestampMs, committed: message.commit, decidedValue: message.value });
        break;
      case 'ack':
        this.once(leg.ackSentAt, 'Ack', place);
        Object.assign(leg, { ackSentAt: height, ackedCommit: message.commit });
        break;
    }
  }

  /** A block consumes a message. Repetitions are for the sequences to tell. */
  consumed(at: MessagePlace, message: CrossShardMessage): void {
    const { shard, peer, height } = at;
    const ofCoordinator = message.kind === 'prepare' || message.kind === 'decision';
    const leg = ofCoordinator ? this.leg(message.id, peer, shard, message.attempt) : this.leg(message.id, shard, peer, message.attempt);
    switch (message.kind) {
      case 'prepare':
        leg.prepareHeardAt = height;
        break;
      case 'vote':
        Object.assign(leg, { voteHeardAt: height, votedYes: message.answer.kind === 'yes' });
        break;
      case 'decision':
        Object.assign(leg, { decisionHeardAt: height, heardCommit: message.commit });
        break;
      case 'ack':
        leg.ackHeardAt = height;
        break;
    }
  }

  /** A block lists a cross-shard transaction with its receipt. */
  listed(shard: number, height: number, receipt: TransactionReceipt): void {
    const id = crossShardId(this.crypto, this.chainId, shard as ShardId, receipt.txHash);
    const found = this.cases.get(`${hashKey(id)}${shard}`);
    if (found === undefined) {
      this.findings.add('receipt-disagrees', 'a cross-shard receipt of a transaction that was never prepared', { shard, height, hash: receipt.txHash });
      return;
    }
    if (found.receiptAt !== NEVER) return;
    found.receiptAt = height;
    found.receiptStatus = receipt.status;
  }

  /** Judges every transaction; `records` are the open ones at the cut, by shard. To be called when all shards have been walked up to it. */
  judge(records: readonly OpenRecords[]): void {
    for (const each of this.cases.values()) judgeTransaction(each, this.findings);
    this.judgeRecords(records);
  }

  /** What stands under the state roots must be exactly what the messages leave open. */
  private judgeRecords(records: readonly OpenRecords[]): void {
    const open = records.map(() => ({ coordinators: new Set<string>(), participants: new Set<string>() }));
    for (const each of this.cases.values()) {
      const key = hashKey(each.id.subarray(0, 20));
      if (each.receiptAt === NEVER) open[each.coordinator]?.coordinators.add(key);
      for (const leg of each.legs) {
        const holds = leg.prepareHeardAt !== NEVER && leg.decisionHeardAt === NEVER && (leg.voteSentAt === NEVER || leg.sentYes);
        if (holds) open[leg.shard]?.participants.add(key);
      }
    }
    records.forEach((found, shard) => {
      this.compareRecords(found.coordinators, open[shard]!.coordinators, 'coordinator', shard);
      this.compareRecords(found.participants, open[shard]!.participants, 'participant', shard);
    });
  }

  private compareRecords(found: ReadonlySet<string>, wanted: ReadonlySet<string>, role: string, shard: number): void {
    for (const key of wanted) {
      if (!found.has(key)) this.findings.add('record-missing', `an open transaction has no ${role}'s record under the state root`, { shard, hash: bytesOfKey(key) });
    }
    for (const key of found) {
      if (!wanted.has(key)) this.findings.add('record-stale', `a ${role}'s record under the state root belongs to no open transaction`, { shard, hash: bytesOfKey(key) });
    }
  }
}

function bytesOfKey(key: string): Uint8Array {
  return Buffer.from(key, 'latin1');
}

function newLeg(attempt: number, shard: number): Leg {
  return {
    attempt,
    shard,
    value: 0n,
    deadlineMs: 0,
    preparedAt: NEVER,
    voteHeardAt: NEVER,
    votedYes: false,
    decidedAt: NEVER,
    decidedMs: 0,
    committed: false,
    decidedValue: 0n,
    ackHeardAt: NEVER,
    prepareHeardAt: NEVER,
    voteSentAt: NEVER,
    sentYes: false,
    decisionHeardAt: NEVER,
    heardCommit: false,
    ackSentAt: NEVER,
    ackedCommit: false,
  };
}
