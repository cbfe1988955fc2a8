import { type CoordinatorRecord, crossShardId, decodeEpochCertificate, DecodeError, ignore, reject, TOPICS, type TxHash, type Verdict } from '@shardlab/crosslink';
import { BeaconFollower, type BeaconTip } from '../beacon/follower.ts';
import type { Core, Effect, Input, TimerName } from '../effects.ts';
import { Epochs, type KnownEpoch } from '../exchange/epochs.ts';
import { HeaderCheck } from '../exchange/header-check.ts';
import { DEFAULT_INBOX, Inbox } from '../exchange/inbox.ts';
import { Requests } from '../exchange/requests.ts';
import { DEFAULT_MEMPOOL, Mempool } from '../mempool/mempool.ts';
import { StepContext } from '../step-context.ts';
import { Admission } from './admission.ts';
import { BeaconLink } from './beacon-link.ts';
import { Production } from './production.ts';
import { Receipts } from './receipts.ts';
import { type FinalHead, increment, type ReplicaCounters, type ReplicaModules, type ReplicaOptions, type ReplicaStart } from './types.ts';

const REQUEST_TIMEOUT_MS = 3_000;

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
  private readonly requests = new Requests(REQUEST_TIMEOUT_MS);
  private readonly follower: BeaconFollower;
  private readonly admission: Admission;
  private readonly production: Production;
  private readonly receipts: Receipts;
  private readonly beacon: BeaconLink;

  constructor(options: ReplicaOptions, modules: ReplicaModules, start: ReplicaStart) {
    this.options = options;
    this.modules = modules;
    const { genesis, genesisHash, shard } = options;
    const { crypto, accounts, outbox, consensus, protocol } = modules;
    const { context: step, requests, counters } = this;
    this.mempool = new Mempool(DEFAULT_MEMPOOL, accounts);
    this.epochs = new Epochs(crypto, genesisHash, genesis.beaconValidators);
    this.epochs.restore(start.epochs.map(decodeEpochCertificate));
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
    this.receipts = new Receipts(shard, { step, requests, counters, crypto, headers, inbox, outbox, askEpochs });
    this.admission = new Admission(options, { step, requests, counters, mempool, accounts, epochs });
    const takeConsumed = this.receipts.takeConsumed.bind(this.receipts);
    const producing = { step, requests, counters, crypto, consensus, protocol, mempool, inbox, outbox, epochs, takeConsumed };
    this.production = new Production(options, producing, start.head);
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
    switch (input.kind) {
      case 'start':
        this.production.start();
        return this.beacon.follow();
      case 'submit':
        return this.admission.submit(input.token, input.raws);
      case 'senders':
        this.admission.recovered(input.request, input.batch);
        return this.production.schedule();
      case 'executed':
        return this.production.executed(input.request, input.block);
      case 'persisted':
        return this.production.persisted(input.request);
      case 'gossip':
        this.gossip(input.token, input.topic, input.data);
        return this.production.schedule();
      case 'answer':
        this.answer(input.request, input.items);
        return this.production.schedule();
      case 'timer':
        return this.timer(input.timer);
    }
  }

  private timer(timer: TimerName): void {
    switch (timer) {
      case 'propose':
        return this.production.timer();
      case 'pull':
        return this.receipts.timer();
      case 'follow':
        // Twice a heartbeat long once there is an epoch, so a shard that lives has announced something; before, there is nothing to send.
        if (this.epoch !== undefined) this.receipts.probe();
        return this.beacon.follow();
    }
  }

  /** Every message gets exactly one verdict. */
  private gossip(token: number, topic: string, data: Uint8Array): void {
    const verdict = this.judge(() => {
      if (topic === TOPICS.headers) return this.receipts.takeAnnouncement(data);
      if (topic === TOPICS.beacon) return this.beacon.take(data);
      if (topic === TOPICS.receipts(this.options.shard)) return this.receipts.takeBatch(data, 'gossip');
      return ignore('topic');
    });
    this.context.push({ kind: 'verdict', token, verdict });
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
    const { kind } = asked.request;
    if (kind !== 'batches' && kind !== 'beacon-blocks') return;
    let progressed = false;
    for (const item of items ?? []) {
      const verdict = this.judge(() => (kind === 'batches' ? this.receipts.takeBatch(item, 'pull') : this.beacon.take(item)));
      if (verdict.kind === 'accept') progressed = true;
      if (verdict.kind === 'reject') {
        this.context.push({ kind: 'penalise', chain: asked.to, reason: verdict.reason });
        progressed = false;
        break;
      }
    }
    // An answer is cut at its bound: where it helped, there may be more.
    if (kind === 'batches') this.receipts.pulled(asked.to, progressed);
    else if (progressed) this.beacon.ask(asked.to);
  }
}
