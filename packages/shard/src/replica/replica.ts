import { ACCEPT, BEACON, type CoordinatorRecord, crossShardId, DecodeError, ignore, reject, type ShardId, TOPICS, type TxHash, type Verdict } from '@shardlab/crosslink';
import { BeaconFollower, type BeaconTip } from '../beacon/follower.ts';
import type { ConsensusStatus } from '../consensus/types.ts';
import type { Core, Effect, Input, Peer, TimerName } from '../effects.ts';
import type { Epochs, KnownEpoch } from '../exchange/epochs.ts';
import { HeaderCheck } from '../exchange/header-check.ts';
import { DEFAULT_INBOX, Inbox } from '../exchange/inbox.ts';
import { Requests } from '../exchange/requests.ts';
import { DEFAULT_MEMPOOL, Mempool } from '../mempool/mempool.ts';
import { StepContext } from '../step-context.ts';
import { Admission } from './admission.ts';
import { BeaconLink } from './beacon-link.ts';
import { CatchUp } from './catch-up.ts';
import { Forwarding } from './forwarding.ts';
import { Production } from './production.ts';
import { Receipts } from './receipts.ts';
import { type FinalHead, increment, type ReplicaCounters, type ReplicaModules, type ReplicaOptions, type ReplicaStart } from './types.ts';

const REQUEST_TIMEOUT_MS = 3_000;
/** Messages with new transactions to the rest of the committee, within one block interval. */
const FORWARDS_PER_BLOCK = 2;

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
  private readonly context = new StepContext();
  private readonly requests: Requests;
  private readonly follower: BeaconFollower;
  private readonly admission: Admission;
  /** `undefined` = this validator is the only one. */
  private readonly forwarding: Forwarding | undefined;
  private readonly production: Production;
  private readonly receipts: Receipts;
  private readonly beacon: BeaconLink;
  private readonly catchUp: CatchUp;
  private readonly topics: { readonly consensus: string; readonly receipts: string; readonly transactions: string };

  constructor(options: ReplicaOptions, modules: ReplicaModules, start: ReplicaStart) {
    this.options = options;
    this.modules = modules;
    const { genesis, genesisHash, shard } = options;
    const { crypto, accounts, outbox, consensus, protocol } = modules;
    const size = (chain: ShardId): number => (chain === BEACON ? genesis.beaconValidators : genesis.shardValidators[chain]!).length;
    this.requests = new Requests({ own: { chain: shard, validator: options.validator }, size, timeoutMs: REQUEST_TIMEOUT_MS }, this.context);
    this.topics = { consensus: TOPICS.consensus(shard), receipts: TOPICS.receipts(shard), transactions: TOPICS.transactions(shard) };
    const { context: step, requests, counters } = this;
    this.mempool = new Mempool(DEFAULT_MEMPOOL, accounts);
    this.epochs = modules.epochs;
    const { mempool, epochs } = this;
    const headers = new HeaderCheck(crypto, genesisHash, genesis.chainId, epochs);
    const consumed = new Map(start.head.pairs.map((pair) => [pair.shard, pair.consumedSequence]));
    this.inbox = new Inbox({ shard, shards: genesis.shards, ...DEFAULT_INBOX }, { crypto, headers }, consumed);
    const { inbox } = this;
    const { chainId, beaconValidators: genesisValidators, parameters } = genesis;
    const { epochLength } = parameters;
    this.follower = new BeaconFollower({ genesisHash, chainId, genesisValidators, epochLength }, { crypto, epochs, headers }, start.beaconTip);
    this.beacon = new BeaconLink(2 * parameters.heartbeatMs, { step, requests, follower: this.follower, epochs });
    const askEpochs = this.beacon.ask.bind(this.beacon);
    const behind = (height: number): void => this.catchUp.behind(height);
    const height = (): number => this.production.head.header.height;
    this.receipts = new Receipts(shard, { step, requests, counters, crypto, headers, inbox, outbox, askEpochs, height, behind });
    const intervalMs = parameters.blockIntervalMs / FORWARDS_PER_BLOCK;
    this.forwarding = size(shard) === 1 ? undefined : new Forwarding({ shard, intervalMs }, { step, mempool });
    this.admission = new Admission(options, { step, requests, counters, crypto, mempool, accounts, epochs, forwarding: this.forwarding });
    const producing = {
      ...{ step, requests, counters, crypto, consensus, protocol, mempool, inbox, outbox, epochs, behind },
      takeConsumed: this.receipts.takeConsumed.bind(this.receipts),
      lack: this.receipts.lack.bind(this.receipts),
      askEpochs: () => this.beacon.ask(BEACON),
      stuck: () => this.stuck(),
    };
    this.production = new Production(options, producing, start.head);
    const known = (): number => this.production.known;
    const take = this.production.offerCertified.bind(this.production);
    const consumedBy = this.receipts.consumedBy.bind(this.receipts);
    this.catchUp = new CatchUp({ shard, validator: options.validator, size: size(shard) }, { step, requests, crypto, headers, known, take, askEpochs, consumed: consumedBy });
  }

  /** What agreement waits for, for status and metrics. */
  get consensus(): ConsensusStatus {
    return this.modules.consensus.status;
  }

  /** Nothing has been agreed on for a while: others may be ahead, or lack what waits here. */
  private stuck(): void {
    this.catchUp.ask();
    if (this.mempool.ready) this.forwarding?.again();
  }

  /** The last final block: executed, certified, and stored. */
  get head(): FinalHead {
    return this.production.head;
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
    this.context.begin(nowMs);
    this.dispatch(input);
    return this.context.end();
  }

  private dispatch(input: Input): void {
    this.handle(input);
    this.production.work();
    this.production.watch();
  }

  private handle(input: Input): void {
    switch (input.kind) {
      case 'start':
        this.production.start();
        if (this.options.genesis.shardValidators[this.options.shard]!.length > 1) this.catchUp.probe();
        return this.beacon.follow();
      case 'submit':
        return this.admission.submit(input.token, input.raws);
      case 'senders':
        if (!this.admission.recovered(input.request, input.batch)) this.production.recovered(input.request, input.batch);
        return undefined;
      case 'executed':
        return this.production.executed(input.request, input.outcome);
      case 'persisted':
        return this.production.persisted(input.request);
      case 'gossip':
        return this.gossip(input.token, input.topic, input.data);
      case 'answer':
        return this.answer(input.request, input.items);
      case 'peer':
        if (input.peer.chain === this.options.shard) this.production.agreement.connected(input.peer.validator, input.connected);
        return undefined;
      case 'timer':
        return this.timer(input.timer);
    }
  }

  private timer(timer: TimerName): void {
    switch (timer) {
      case 'propose':
        return this.production.proposeTimer();
      case 'pull':
        return this.receipts.timer();
      case 'follow':
        // Twice a heartbeat long once there is an epoch, so a shard that lives has announced something; before, there is nothing to send.
        if (this.epoch !== undefined) this.receipts.probe();
        return this.beacon.follow();
      case 'view':
        return this.production.agreement.viewTimer(this.production.dueAtMs);
      case 'retransmit':
        return this.production.agreement.retransmitTimer(this.production.dueAtMs);
      case 'sync':
        return this.catchUp.timer();
      case 'forward':
        return this.forwarding?.timer();
    }
  }

  /** Every message gets exactly one verdict. */
  private gossip(token: number, topic: string, data: Uint8Array): void {
    if (topic === this.topics.transactions) return this.transactions(token, data);
    const verdict = this.judge(() => {
      if (topic === this.topics.consensus) return this.production.agreement.take(data);
      if (topic === TOPICS.headers) return this.receipts.takeAnnouncement(data);
      if (topic === TOPICS.beacon) return this.beacon.take(data);
      if (topic === this.topics.receipts) return this.receipts.takeBatch(data, 'gossip');
      return ignore('topic');
    });
    this.context.push({ kind: 'verdict', token, verdict });
  }

  /** The verdict comes when the senders are recovered, unless the bytes are no list of transactions. */
  private transactions(token: number, data: Uint8Array): void {
    const verdict = this.judge(() => {
      this.admission.take(token, data);
      return ACCEPT;
    });
    if (verdict.kind !== 'accept') this.context.push({ kind: 'verdict', token, verdict });
  }

  /** Undecodable bytes are their sender's fault; anything else that is thrown is a bug of ours. */
  private judge(take: () => Verdict): Verdict {
    let verdict: Verdict;
    try {
      verdict = take();
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      verdict = reject(error.code);
    }
    if (verdict.kind !== 'accept') increment(this.counters.refused, verdict.reason);
    if (verdict.kind === 'reject') this.context.log({ level: 'warn', event: 'peer.rejected', fields: { reason: verdict.reason } });
    return verdict;
  }

  private answer(request: number, items: readonly Uint8Array[] | undefined): void {
    const asked = this.requests.close(request);
    if (asked === undefined) return;
    const { to } = asked;
    switch (asked.request.kind) {
      case 'batches':
        // An answer is cut at its bound: where it helped, there may be more.
        return this.receipts.pulled(to.chain, this.each(to, items, (item) => this.receipts.takeBatch(item, 'pull')));
      case 'beacon-blocks':
        return this.beacon.answered(to.chain, this.each(to, items, (item) => this.beacon.take(item)));
      case 'blocks':
      case 'snapshot-head':
      case 'snapshot-page':
        return this.blame(to, this.judge(() => this.catchUp.answered(asked.request.kind, items)));
      case 'proposal':
        return this.blame(to, this.judge(() => this.production.agreement.fetched(items)));
      default:
        return undefined;
    }
  }

  /** Judges the items of an answer in order, up to the first that is its sender's fault; whether they have helped. */
  private each(to: Peer, items: readonly Uint8Array[] | undefined, take: (item: Uint8Array) => Verdict): boolean {
    let progressed = false;
    for (const item of items ?? []) {
      const verdict = this.judge(() => take(item));
      if (verdict.kind === 'accept') progressed = true;
      if (verdict.kind === 'reject') {
        this.blame(to, verdict);
        return false;
      }
    }
    return progressed;
  }

  private blame(to: Peer, verdict: Verdict): void {
    if (verdict.kind === 'reject') this.context.push({ kind: 'penalise', to, reason: verdict.reason });
  }
}
