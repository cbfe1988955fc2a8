import {
  ACCEPT,
  type Announcement,
  BEACON,
  bytesKey,
  buildBatches,
  type CoordinatorRecord,
  type Crypto,
  crossShardId,
  type CrossShardProtocol,
  decodeAnnouncement,
  decodeBatch,
  decodeBeaconBlock,
  DecodeError,
  decodeEpochCertificate,
  encodeAnnouncement,
  encodeBatch,
  encodeHeader,
  equalBytes,
  type Genesis,
  type Hash32,
  type Height,
  ignore,
  type PairTable,
  pairRoot,
  type QuorumCertificate,
  reject,
  type ShardHeader,
  type ShardId,
  TOPICS,
  type TxHash,
  type Verdict,
} from '@shardlab/crosslink';
import { BeaconFollower, type BeaconTip } from './beacon/follower.ts';
import type { Consensus } from './consensus/types.ts';
import type { Core, Effect, Input, LogLine, SubmitResult, TimerName } from './effects.ts';
import { Epochs, type KnownEpoch } from './exchange/epochs.ts';
import { HeaderCheck } from './exchange/header-check.ts';
import { DEFAULT_INBOX, Inbox } from './exchange/inbox.ts';
import type { Outbox } from './exchange/outbox.ts';
import { Requests } from './exchange/requests.ts';
import type { ExecutedBlock } from './execution/types.ts';
import { nextBaseFee } from './execution/fees.ts';
import { checkStatic, rejection, rejectionOf } from './mempool/admission.ts';
import { DEFAULT_MEMPOOL, Mempool } from './mempool/mempool.ts';
import { proposalDelayMs } from './production/schedule.ts';
import type { AccountReader } from './state/shard-state.ts';
import type { AdmissionBatch } from './transaction/admission-record.ts';
import type { PoolTransaction } from './transaction/types.ts';

/** A final block, as the replica keeps it. */
export interface FinalHead {
  readonly header: ShardHeader;
  readonly hash: Hash32;
  readonly pairs: PairTable;
  /** Undefined for genesis alone. */
  readonly certificate: QuorumCertificate | undefined;
}

/** What a replica is for. */
export interface ReplicaOptions {
  readonly shard: ShardId;
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  /** Index in the shard's committee. */
  readonly validator: number;
}

/** What a replica works with. All of them are changed only by the replica's own steps and effects. */
export interface ReplicaModules {
  readonly crypto: Crypto;
  readonly consensus: Consensus;
  readonly protocol: CrossShardProtocol;
  /** The state of the last executed block, for admission. */
  readonly accounts: AccountReader;
  readonly outbox: Outbox;
}

/** What the database gave back; everything of a fresh node but the head is empty. */
export interface ReplicaStart {
  readonly head: FinalHead;
  readonly beaconTip: BeaconTip | undefined;
  /** Encoded epoch certificates, in order, from epoch 0. */
  readonly epochs: readonly Uint8Array[];
}

/** Counters that only grow, for status and metrics. */
export interface ReplicaCounters {
  batchesGossip: number;
  batchesPull: number;
  /** Messages of peers that were refused, by reason. */
  readonly refused: Map<string, number>;
  /** Transactions that were not admitted, by code. */
  readonly rejected: Map<string, number>;
  admitted: number;
}

/** Transactions whose senders are being recovered. */
const RECOVERING_MAX = 65_536;
/** Bytes of messages that one block consumes. */
const INBOX_BLOCK_BYTES = 4 << 20;
/** Transactions that one block takes from the pool. */
const BLOCK_TAKE_MAX = 16_384;
/** A gap in a source's sequence is asked for after this long: gossip may still bring it. */
const PULL_DELAY_MS = 200;
const REQUEST_TIMEOUT_MS = 3_000;
const POOLED: SubmitResult['rejection'] = undefined;

/**
 * One shard's replica: pool, executor, agreement and two-phase commit in one step function (R1). It never waits, and knows nothing of sockets, disks and
 * clocks; recovery, execution and storage are effects that come back as inputs.
 */
export class ShardReplica implements Core {
  readonly counters: ReplicaCounters = { batchesGossip: 0, batchesPull: 0, refused: new Map(), rejected: new Map(), admitted: 0 };
  readonly mempool: Mempool;
  readonly inbox: Inbox;
  readonly epochs: Epochs;
  private readonly options: ReplicaOptions;
  private readonly modules: ReplicaModules;
  private readonly headers: HeaderCheck;
  private readonly follower: BeaconFollower;
  private readonly requests = new Requests(REQUEST_TIMEOUT_MS);
  private readonly submissions = new Map<number, { readonly token: number; readonly count: number }>();
  private recovering = 0;
  private finalHead: FinalHead;
  /** What the block under way waits for. */
  private stage:
    | { readonly kind: 'idle' }
    | { readonly kind: 'executing'; readonly request: number }
    | { readonly kind: 'persisting'; readonly request: number; readonly block: ExecutedBlock; readonly certificate: QuorumCertificate } = {
    kind: 'idle',
  };
  private readonly persistingBeacon = new Set<number>();
  private readonly consumedEntries: { destination: ShardId; firstSequence: number }[] = [];
  private readonly peers = new Map<ShardId, number>();
  private proposeAtMs: number | undefined;
  private pullArmed = false;
  private effects: Effect[] = [];
  private nowMs = 0;

  constructor(options: ReplicaOptions, modules: ReplicaModules, start: ReplicaStart) {
    this.options = options;
    this.modules = modules;
    const { genesis, genesisHash, shard } = options;
    const { crypto } = modules;
    this.finalHead = start.head;
    this.mempool = new Mempool(DEFAULT_MEMPOOL, modules.accounts);
    this.epochs = new Epochs(crypto, genesisHash, genesis.beaconValidators);
    for (const encoded of start.epochs) this.epochs.add(decodeEpochCertificate(encoded));
    this.headers = new HeaderCheck(crypto, genesisHash, genesis.chainId, this.epochs);
    const consumed = new Map(start.head.pairs.map((pair) => [pair.shard, pair.consumedSequence]));
    this.inbox = new Inbox({ shard, shards: genesis.shards, ...DEFAULT_INBOX }, { crypto, headers: this.headers }, consumed);
    this.follower = new BeaconFollower(
      { genesisHash, chainId: genesis.chainId, genesisValidators: genesis.beaconValidators },
      { crypto, epochs: this.epochs },
      start.beaconTip,
    );
  }

  /** The last final block: executed, certified, and stored. */
  get head(): FinalHead {
    return this.finalHead;
  }

  get beaconTip(): BeaconTip | undefined {
    return this.follower.tip;
  }

  get epoch(): KnownEpoch | undefined {
    return this.epochs.latest;
  }

  /** The open cross-shard transaction of this hash that this shard coordinates. */
  coordinating(txHash: TxHash): CoordinatorRecord | undefined {
    const { genesis, shard } = this.options;
    return this.modules.protocol.coordinating(crossShardId(this.modules.crypto, genesis.chainId, shard, txHash));
  }

  step(nowMs: number, input: Input): readonly Effect[] {
    this.effects = [];
    this.nowMs = nowMs;
    this.dispatch(input);
    return this.effects;
  }

  private dispatch(input: Input): void {
    switch (input.kind) {
      case 'start':
        return this.start();
      case 'submit':
        return this.submit(input.token, input.raws);
      case 'senders':
        return this.admit(input.request, input.batch);
      case 'executed':
        return this.executed(input.request, input.block);
      case 'persisted':
        return this.persisted(input.request);
      case 'gossip':
        return this.gossip(input.token, input.topic, input.data);
      case 'answer':
        return this.answer(input.request, input.items);
      case 'timer':
        return this.timer(input.timer);
    }
  }

  private start(): void {
    if (this.finalHead.certificate !== undefined) this.announce(this.finalHead, this.finalHead.certificate);
    this.follow();
    this.schedule();
  }

  private timer(timer: TimerName): void {
    switch (timer) {
      case 'propose':
        this.proposeAtMs = undefined;
        return this.schedule();
      case 'pull':
        this.pullArmed = false;
        return this.pull();
      case 'follow':
        return this.follow();
    }
  }

  // Admission ---------------------------------------------------------------------------------------------------------------------------------

  private submit(token: number, raws: readonly Uint8Array[]): void {
    if (this.recovering + raws.length > RECOVERING_MAX) {
      this.reply(token, raws.map(() => ({ hash: undefined, rejection: rejection('busy', 'too many transactions wait for sender recovery') })));
      return;
    }
    const request = this.requests.number();
    this.submissions.set(request, { token, count: raws.length });
    this.recovering += raws.length;
    this.effects.push({ kind: 'recover-senders', request, raws });
  }

  private admit(request: number, batch: AdmissionBatch | undefined): void {
    const submission = this.submissions.get(request);
    if (submission === undefined) return;
    this.submissions.delete(request);
    this.recovering -= submission.count;
    const results: SubmitResult[] = [];
    for (let index = 0; index < submission.count; index++) {
      results.push(batch === undefined ? { hash: undefined, rejection: rejection('busy', 'sender recovery is overloaded') } : this.admitOne(batch, index));
    }
    this.reply(submission.token, results);
    this.schedule();
  }

  private admitOne(batch: AdmissionBatch, index: number): SubmitResult {
    const error = batch.error(index);
    if (error !== undefined) return { hash: undefined, rejection: rejectionOf(error) };
    const tx = batch.transaction(index);
    const refused = this.refusal(tx);
    if (refused === undefined) this.counters.admitted++;
    return { hash: tx.hash, rejection: refused };
  }

  private refusal(tx: PoolTransaction): SubmitResult['rejection'] {
    const { genesis, shard } = this.options;
    const wrong = checkStatic(tx, genesis.chainId, genesis.parameters.blockGasLimit);
    if (wrong !== undefined) return wrong;
    const epoch = this.epochs.latest;
    if (epoch === undefined) return rejection('busy', 'this node has no assignment certificate from the beacon yet');
    if (this.modules.accounts.account(tx.senderKey) === undefined) {
      const home = epoch.table.shardOf(tx.sender);
      if (home !== shard) return rejection('wrong-shard', `the sender lives on shard ${home}, this is shard ${shard}`);
    }
    return this.mempool.add(tx, nextBaseFee(this.finalHead.header)) ?? POOLED;
  }

  private reply(token: number, results: readonly SubmitResult[]): void {
    for (const { rejection: refused } of results) if (refused !== undefined) increment(this.counters.rejected, refused.code);
    this.effects.push({ kind: 'reply', token, results });
  }

  // Production --------------------------------------------------------------------------------------------------------------------------------

  private hasWork(): boolean {
    if (this.mempool.ready || this.inbox.ready) return true;
    const due = this.modules.protocol.nextDue();
    const byTime = due.timestampMs !== undefined && due.timestampMs < this.nowMs;
    return byTime || (due.height !== undefined && due.height <= this.finalHead.header.height + 1);
  }

  /** Proposes now, or sets the timer for when it may. */
  private schedule(): void {
    if (this.stage.kind !== 'idle' || this.epochs.latest === undefined) return;
    const { parameters } = this.options.genesis;
    const { header } = this.finalHead;
    const delayMs = proposalDelayMs(parameters, header.timestampMs, this.nowMs, this.hasWork());
    if (delayMs === 0 && this.modules.consensus.mayPropose(header.height + 1)) {
      this.propose(this.epochs.latest);
      return;
    }
    const atMs = this.nowMs + delayMs;
    if (this.proposeAtMs !== undefined && this.proposeAtMs <= atMs) return;
    this.proposeAtMs = atMs;
    this.effects.push({ kind: 'set-timer', timer: 'propose', delayMs });
  }

  private propose(epoch: KnownEpoch): void {
    const { header } = this.finalHead;
    const { parameters } = this.options.genesis;
    const request = this.requests.number();
    this.stage = { kind: 'executing', request };
    const proposal = {
      height: (header.height + 1) as Height,
      timestampMs: Math.max(this.nowMs, header.timestampMs + 1),
      epoch: epoch.assignment.epoch,
      epochCertificateHash: epoch.hash,
      proposer: this.options.validator,
      inbox: this.inbox.take(INBOX_BLOCK_BYTES),
      transactions: this.mempool.take(parameters.blockGasLimit, BLOCK_TAKE_MAX),
      mode: 'build' as const,
    };
    this.effects.push({ kind: 'execute-block', request, proposal, assignment: epoch.table });
  }

  private executed(request: number, block: ExecutedBlock): void {
    if (this.stage.kind !== 'executing' || this.stage.request !== request) return;
    const { header, hash, leftovers } = block;
    const later = leftovers.filter((each) => each.why === 'later').map((each) => each.transaction);
    const dropped = leftovers.filter((each) => each.why !== 'later');
    this.mempool.settle(block.transactions, dropped.map((each) => each.transaction), later);
    for (const { why } of dropped) increment(this.counters.rejected, why);
    for (const output of this.modules.consensus.propose({ epoch: header.epoch, height: header.height, hash })) {
      const persist = this.requests.number();
      this.stage = { kind: 'persisting', request: persist, block, certificate: output.certificate };
      const consumed = this.consumedEntries.splice(0);
      const record = { kind: 'shard-block' as const, block, certificate: output.certificate, wallMs: this.nowMs, consumed };
      this.effects.push({ kind: 'persist', request: persist, record });
    }
  }

  private persisted(request: number): void {
    if (this.persistingBeacon.delete(request)) return;
    if (this.stage.kind !== 'persisting' || this.stage.request !== request) return;
    const { block, certificate } = this.stage;
    this.stage = { kind: 'idle' };
    this.finalHead = { header: block.header, hash: block.hash, pairs: block.body.pairs, certificate };
    this.modules.outbox.add(block.header.height, block.outgoing);
    this.publishBatches(block, certificate);
    this.announce(this.finalHead, certificate);
    this.log(blockLine(block));
    this.schedule();
  }

  private publishBatches(block: ExecutedBlock, certificate: QuorumCertificate): void {
    for (const { destination } of block.outgoing) {
      for (const batch of buildBatches(this.modules.crypto, block.header, certificate, block.outgoing, destination)) {
        this.effects.push({ kind: 'publish', topic: TOPICS.receipts(destination), data: encodeBatch(batch) });
      }
    }
  }

  private announce(head: FinalHead, certificate: QuorumCertificate): void {
    const data = encodeAnnouncement({ header: head.header, certificate, pairs: head.pairs });
    this.effects.push({ kind: 'publish', topic: TOPICS.headers, data });
  }

  // Peers -------------------------------------------------------------------------------------------------------------------------------------

  private gossip(token: number, topic: string, data: Uint8Array): void {
    const verdict = this.judge(topic, data);
    this.count(verdict);
    this.effects.push({ kind: 'verdict', token, verdict });
  }

  private judge(topic: string, data: Uint8Array): Verdict {
    try {
      if (topic === TOPICS.headers) return this.takeAnnouncement(decodeAnnouncement(data));
      if (topic === TOPICS.beacon) return this.takeBeaconBlock(data);
      if (topic === TOPICS.receipts(this.options.shard)) return this.takeBatch(data, 'gossip');
      return ignore('topic');
    } catch (error) {
      if (error instanceof DecodeError) return reject(error.code);
      throw error;
    }
  }

  private count(verdict: Verdict): void {
    if (verdict.kind !== 'accept') increment(this.counters.refused, verdict.reason);
    if (verdict.kind === 'reject') this.log({ level: 'warn', event: 'peer.rejected', fields: { reason: verdict.reason } });
  }

  private takeBatch(data: Uint8Array, path: 'gossip' | 'pull'): Verdict {
    // The bytes outlive the message that brought them: chunks wait in the inbox and are views of them.
    const batch = decodeBatch(data.slice());
    const verdict = this.inbox.offer(batch);
    if (verdict.kind === 'accept') {
      if (path === 'gossip') this.counters.batchesGossip++;
      else this.counters.batchesPull++;
      this.armPull();
      this.schedule();
    } else if (verdict.kind === 'ignore' && verdict.reason === 'epoch-unknown') {
      // Its sender has followed the beacon further, and can show what this epoch is even if the beacon is gone.
      this.askBeaconBlocks(batch.header.shard);
    }
    return verdict;
  }

  private takeAnnouncement(announcement: Announcement): Verdict {
    const { header, certificate, pairs } = announcement;
    const { shard } = this.options;
    if (header.shard === shard) return ignore('own');
    if ((this.peers.get(header.shard) ?? 0) >= header.height) return ignore('announcement-old');
    if (!equalBytes(pairRoot(this.modules.crypto, pairs), header.pairRoot)) return reject('announcement-pairs');
    const verdict = this.headers.check(header, certificate, bytesKey(this.modules.crypto.sha256(encodeHeader(header))));
    if (verdict !== undefined) return verdict;
    this.peers.set(header.shard, header.height);
    const own = pairs.find((pair) => pair.shard === shard);
    if (own === undefined) return reject('announcement-pairs');
    this.inbox.announce(header.shard, own.sentSequence);
    this.consumedEntries.push(...this.modules.outbox.consumed(header.shard, own.consumedSequence));
    this.armPull();
    return ACCEPT;
  }

  private armPull(): void {
    if (this.pullArmed || this.inbox.incomplete().length === 0) return;
    this.pullArmed = true;
    this.effects.push({ kind: 'set-timer', timer: 'pull', delayMs: PULL_DELAY_MS });
  }

  /** Asks for what is known to be sent and has not come. */
  private pull(): void {
    for (const source of this.inbox.incomplete()) {
      const fromSequence = this.inbox.missing(source)!;
      const effect = this.requests.ask(source, { kind: 'batches', destination: this.options.shard, fromSequence });
      if (effect === undefined) continue;
      this.effects.push(effect);
      this.log({ level: 'info', event: 'receipts.pull', fields: { source, fromSequence } });
    }
    this.armPull();
  }

  /** Asks the beacon for its next blocks when none came by gossip, and keeps the timer going. */
  private follow(): void {
    this.askBeaconBlocks(BEACON);
    this.effects.push({ kind: 'set-timer', timer: 'follow', delayMs: this.epochs.latest === undefined ? 250 : 2 * this.options.genesis.parameters.heartbeatMs });
  }

  private takeBeaconBlock(data: Uint8Array): Verdict {
    const block = decodeBeaconBlock(data.slice());
    const known = this.epochs.latest?.assignment.epoch;
    const outcome = this.follower.offer(block);
    if (outcome.kind === 'refused') {
      if (outcome.verdict.kind === 'ignore' && outcome.verdict.reason === 'beacon-gap') this.askBeaconBlocks(BEACON);
      return outcome.verdict;
    }
    const request = this.requests.number();
    this.persistingBeacon.add(request);
    this.effects.push({ kind: 'persist', request, record: { kind: 'beacon-block', block, hash: outcome.hash } });
    const epoch = this.epochs.latest?.assignment.epoch;
    if (epoch !== undefined && epoch !== known) {
      this.log({ level: 'info', event: 'epoch.adopted', fields: { epoch } });
      this.schedule();
    }
    return ACCEPT;
  }

  private askBeaconBlocks(from: ShardId): void {
    const effect = this.requests.ask(from, { kind: 'beacon-blocks', fromHeight: this.follower.next as Height });
    if (effect !== undefined) this.effects.push(effect);
  }

  private answer(request: number, items: readonly Uint8Array[] | undefined): void {
    const asked = this.requests.close(request);
    if (asked === undefined || items === undefined) return;
    let progressed = 0;
    for (const item of items) {
      const verdict = this.judgeAnswer(asked.request.kind, item);
      this.count(verdict);
      if (verdict.kind === 'accept') progressed++;
      if (verdict.kind === 'reject') {
        this.effects.push({ kind: 'penalise', chain: asked.to, reason: verdict.reason });
        return;
      }
    }
    // The answer was cut at its bound: there is more.
    if (progressed === 0) return;
    if (asked.request.kind === 'beacon-blocks') this.askBeaconBlocks(asked.to);
    if (asked.request.kind === 'batches') this.pull();
  }

  private judgeAnswer(kind: string, item: Uint8Array): Verdict {
    try {
      if (kind === 'beacon-blocks') return this.takeBeaconBlock(item);
      if (kind === 'batches') return this.takeBatch(item, 'pull');
      return ignore('answer');
    } catch (error) {
      if (error instanceof DecodeError) return reject(error.code);
      throw error;
    }
  }

  private log(line: LogLine): void {
    this.effects.push({ kind: 'log', line });
  }
}

function increment(counter: Map<string, number>, key: string): void {
  counter.set(key, (counter.get(key) ?? 0) + 1);
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
