import {
  buildAllBatches,
  type Crypto,
  type CrossShardProtocol,
  encodeAnnouncement,
  encodeBatch,
  type Genesis,
  type Height,
  type QuorumCertificate,
  TOPICS,
} from '@shardlab/crosslink';
import type { Consensus } from '../consensus/types.ts';
import type { LogLine, PersistRecord } from '../effects.ts';
import type { Epochs, KnownEpoch } from '../exchange/epochs.ts';
import type { Inbox } from '../exchange/inbox.ts';
import type { Outbox } from '../exchange/outbox.ts';
import type { Requests } from '../exchange/requests.ts';
import { nextBaseFee } from '../execution/fees.ts';
import type { ExecutedBlock, Leftover } from '../execution/types.ts';
import type { Mempool } from '../mempool/mempool.ts';
import { proposalDelayMs } from '../production/schedule.ts';
import type { StepContext } from '../step-context.ts';
import type { PoolTransaction } from '../transaction/types.ts';
import { type FinalHead, increment, type ReplicaCounters } from './types.ts';

/** Bytes of messages that one block consumes, about. */
const INBOX_BLOCK_BYTES = 4 << 20;
/** Transactions that one block takes from the pool. */
const BLOCK_TAKE_MAX = 16_384;

/** What block production works with. */
export interface ProductionModules {
  readonly step: StepContext;
  readonly requests: Requests;
  readonly counters: ReplicaCounters;
  readonly crypto: Crypto;
  readonly consensus: Consensus;
  readonly protocol: CrossShardProtocol;
  readonly mempool: Mempool;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly epochs: Epochs;
  /** Outgoing entries that their destinations have consumed and the database still has; takes them. */
  readonly takeConsumed: () => Extract<PersistRecord, { kind: 'shard-block' }>['consumed'];
}

/** What the block under way waits for. */
type Stage =
  | { readonly kind: 'idle' }
  | { readonly kind: 'executing'; readonly request: number }
  | { readonly kind: 'persisting'; readonly request: number; readonly block: ExecutedBlock; readonly certificate: QuorumCertificate };

/** Makes blocks, one after the other: proposed, executed, agreed, stored, and only then told (R2). */
export class Production {
  private readonly genesis: Genesis;
  private readonly validator: number;
  private readonly modules: ProductionModules;
  private finalHead: FinalHead;
  private stage: Stage = { kind: 'idle' };
  /** When the timer `propose` is set for. */
  private proposeAtMs: number | undefined;

  constructor(options: { readonly genesis: Genesis; readonly validator: number }, modules: ProductionModules, head: FinalHead) {
    this.genesis = options.genesis;
    this.validator = options.validator;
    this.modules = modules;
    this.finalHead = head;
    modules.mempool.setBaseFee(nextBaseFee(head.header));
  }

  /** The last final block: executed, certified, and stored. */
  get head(): FinalHead {
    return this.finalHead;
  }

  /** Tells of the last block again, in case that nobody heard of it before a crash. */
  start(): void {
    if (this.finalHead.certificate !== undefined) this.announce(this.finalHead, this.finalHead.certificate);
    this.schedule();
  }

  /** The timer `propose` has fired. */
  timer(): void {
    this.proposeAtMs = undefined;
    this.schedule();
  }

  /** How long until the next block may be proposed. */
  private delayMs(): number {
    const { mempool, inbox, protocol, step } = this.modules;
    const { timestampMs } = this.finalHead.header;
    const delay = (hasWork: boolean, dueMs?: number): number => proposalDelayMs(this.genesis.parameters, timestampMs, step.nowMs, hasWork, dueMs);
    if (mempool.ready || inbox.ready) return delay(true);
    const due = protocol.nextDue();
    // A transaction that waits for its retry is pending work: its backoff counts blocks.
    return delay(due.height !== undefined, due.timestampMs);
  }

  /** Proposes now, or sets the timer for when it may. To be called whenever something has come that a block could take. */
  schedule(): void {
    const { epochs, consensus, step } = this.modules;
    const epoch = epochs.latest;
    if (this.stage.kind !== 'idle' || epoch === undefined) return;
    const { blockIntervalMs } = this.genesis.parameters;
    const { header } = this.finalHead;
    const { proposeAtMs } = this;
    // Nothing can make a block due before its interval has passed, and the timer is set for no later.
    if (proposeAtMs !== undefined && proposeAtMs > step.nowMs && proposeAtMs <= header.timestampMs + blockIntervalMs) return;
    const delayMs = this.delayMs();
    if (delayMs > 0) this.arm(delayMs);
    else if (consensus.mayPropose(header.height + 1)) this.propose(epoch);
    else this.arm(blockIntervalMs);
  }

  private arm(delayMs: number): void {
    const { step } = this.modules;
    const atMs = step.nowMs + delayMs;
    if (this.proposeAtMs !== undefined && this.proposeAtMs <= atMs) return;
    this.proposeAtMs = atMs;
    step.push({ kind: 'set-timer', timer: 'propose', delayMs });
  }

  private propose(epoch: KnownEpoch): void {
    const { requests, inbox, mempool, step } = this.modules;
    const { header } = this.finalHead;
    const request = requests.number();
    this.stage = { kind: 'executing', request };
    const proposal = {
      height: (header.height + 1) as Height,
      timestampMs: Math.max(step.nowMs, header.timestampMs + 1),
      epoch: epoch.assignment.epoch,
      epochCertificateHash: epoch.hash,
      proposer: this.validator,
      inbox: inbox.take(INBOX_BLOCK_BYTES),
      transactions: mempool.take(this.genesis.parameters.blockGasLimit, BLOCK_TAKE_MAX),
      mode: 'build' as const,
    };
    step.push({ kind: 'execute-block', request, proposal, assignment: epoch.table });
  }

  /** Answers `execute-block`; a stale answer is dropped. */
  executed(request: number, block: ExecutedBlock): void {
    if (this.stage.kind !== 'executing' || this.stage.request !== request) return;
    const { requests, consensus, step } = this.modules;
    this.settlePool(block);
    const { header, hash } = block;
    for (const { certificate } of consensus.propose({ epoch: header.epoch, height: header.height, hash })) {
      const persist = requests.number();
      this.stage = { kind: 'persisting', request: persist, block, certificate };
      const record = { kind: 'shard-block' as const, block, certificate, wallMs: step.nowMs, consumed: this.modules.takeConsumed() };
      step.push({ kind: 'persist', request: persist, record });
    }
  }

  private settlePool(block: ExecutedBlock): void {
    const { mempool, counters } = this.modules;
    const of = (...reasons: readonly Leftover[]): PoolTransaction[] =>
      block.leftovers.filter(({ why }) => reasons.includes(why)).map(({ transaction }) => transaction);
    for (const { why } of block.leftovers) if (why !== 'later' && why !== 'blocked') increment(counters.rejected, why);
    mempool.settle(block.transactions, of('nonce-too-low', 'insufficient-funds'), of('later'), of('blocked'));
    // What blocks a transaction, a full budget or a lock, ends with some message of another shard.
    if (block.body.inbox.length > 0) mempool.retryBlocked();
  }

  /** Answers `persist` of a block; what is about something else is dropped. */
  persisted(request: number): void {
    if (this.stage.kind !== 'persisting' || this.stage.request !== request) return;
    const { block, certificate } = this.stage;
    this.stage = { kind: 'idle' };
    this.finalHead = { header: block.header, hash: block.hash, pairs: block.body.pairs, certificate };
    this.modules.mempool.setBaseFee(nextBaseFee(block.header));
    this.modules.outbox.add(block.header.height, block.outgoing);
    this.publishBatches(block, certificate);
    this.announce(this.finalHead, certificate);
    this.modules.step.log(blockLine(block));
    this.schedule();
  }

  private publishBatches(block: ExecutedBlock, certificate: QuorumCertificate): void {
    const { crypto, step } = this.modules;
    for (const batch of buildAllBatches(crypto, block.header, certificate, block.outgoing)) {
      step.push({ kind: 'publish', topic: TOPICS.receipts(batch.entry.destination), data: encodeBatch(batch) });
    }
  }

  private announce(head: FinalHead, certificate: QuorumCertificate): void {
    const data = encodeAnnouncement({ header: head.header, certificate, pairs: head.pairs });
    this.modules.step.push({ kind: 'publish', topic: TOPICS.headers, data });
  }
}

function blockLine(block: ExecutedBlock): LogLine {
  const { header } = block;
  const messagesIn = block.body.inbox.reduce((sum, segment) => sum + segment.messages.length, 0);
  const messagesOut = block.outgoing.reduce((sum, each) => sum + each.messages.length, 0);
  return {
    level: 'info',
    event: 'block.committed',
    fields: {
      height: header.height,
      blockTimeMs: header.timestampMs,
      taken: block.transactions.length,
      listed: block.receipts.length,
      gasUsed: header.gasUsed,
      messagesIn,
      messagesOut,
      settled: block.settled.length,
    },
  };
}
