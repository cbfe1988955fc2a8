import {
  ACCEPT,
  type Announcement,
  assignmentHash,
  BEACON,
  type BeaconBlock,
  type BeaconHeader,
  bytesKey,
  crosslinkRoot,
  type Crypto,
  decodeAnnouncement,
  decodeBeaconBlock,
  decodeBeaconHeader,
  decodeCrosslinks,
  DecodeError,
  encodeBeaconBlock,
  encodeBeaconHeader,
  encodeCrosslinks,
  encodeHeader,
  type Genesis,
  type Hash32,
  type Height,
  ignore,
  invariant,
  type QuorumCertificate,
  reject,
  type ShardId,
  TOPICS,
  type Verdict,
  ZERO_HASH,
} from '@shardlab/crosslink';
import { Agreement } from '../consensus/agreement.ts';
import type { Consensus, ConsensusOutput, ConsensusStatus } from '../consensus/types.ts';
import type { Core, Effect, Input, Peer, TimerName } from '../effects.ts';
import type { Epochs } from '../exchange/epochs.ts';
import { HeaderCheck } from '../exchange/header-check.ts';
import { Requests } from '../exchange/requests.ts';
import { rejection } from '../mempool/admission.ts';
import { proposalDelayMs } from '../production/schedule.ts';
import { StepContext } from '../step-context.ts';
import { CrosslinkQueue, type CrosslinkTip } from './crosslink-queue.ts';
import { type EpochVotes, nextAssignment } from './epoch-votes.ts';
import { BeaconFollower, type BeaconTip } from './follower.ts';
import { beaconFault } from './proposal-fault.ts';

/** What a beacon is for. */
export interface BeaconOptions {
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  readonly validator: number;
}

/** What a beacon works with. */
export interface BeaconModules {
  readonly crypto: Crypto;
  readonly consensus: Consensus;
  readonly epochs: Epochs;
  readonly epochVotes: EpochVotes;
}

/** The end of the beacon chain, as its validators keep it. */
export interface BeaconHead extends BeaconTip {
  readonly epoch: number;
  readonly timestampMs: number;
  readonly certificate: QuorumCertificate;
}

/** What the database gave back; a fresh beacon has nothing. */
export interface BeaconStart {
  readonly tip: BeaconHead | undefined;
  readonly crosslinks: ReadonlyMap<ShardId, CrosslinkTip>;
}

/** A committee's beacon block waits for so many block intervals of a shard: each costs every node of the network a certificate and a write. */
const COMMITTEE_INTERVALS = 2;
const REQUEST_TIMEOUT_MS = 3_000;

/**
 * The beacon's core: owns the assignment, epoch by epoch, and records certified shard headers in order, none left out (design, Blocks and finality). Shards do
 * not wait for it. Its committee agrees as a shard's does, one height at a time.
 */
export class BeaconReplica implements Core {
  readonly epochs: Epochs;
  readonly refused = new Map<string, number>();
  private readonly options: BeaconOptions;
  private readonly modules: BeaconModules;
  private readonly size: number;
  private readonly headers: HeaderCheck;
  private readonly context = new StepContext();
  private readonly requests: Requests;
  private readonly queue: CrosslinkQueue;
  private readonly follower: BeaconFollower;
  private readonly agreement: Agreement;
  /** Highest certified header seen, by shard. */
  private readonly seen = new Map<ShardId, number>();
  /** Shards whose headers have come since they were to be asked last. */
  private readonly heard = new Set<ShardId>();
  private tip: BeaconHead | undefined;
  /** Blocks on their way to the disk, in order. */
  private persisting: { readonly request: number; readonly block: BeaconBlock; readonly hash: Hash32 }[] = [];
  private proposeAtMs: number | undefined;

  constructor(options: BeaconOptions, modules: BeaconModules, start: BeaconStart) {
    this.options = options;
    this.modules = modules;
    this.epochs = modules.epochs;
    const { genesis, genesisHash, validator } = options;
    const { crypto, epochs, consensus } = modules;
    const { chainId, beaconValidators: genesisValidators, parameters } = genesis;
    this.size = genesisValidators.length;
    const size = (chain: ShardId): number => (chain === BEACON ? genesisValidators : genesis.shardValidators[chain]!).length;
    this.requests = new Requests({ own: { chain: BEACON, validator }, size, timeoutMs: REQUEST_TIMEOUT_MS }, this.context);
    this.headers = new HeaderCheck(crypto, genesisHash, chainId, epochs);
    this.queue = new CrosslinkQueue(genesis.shards, crypto, start.crosslinks);
    const { epochLength } = parameters;
    this.follower = new BeaconFollower({ genesisHash, chainId, genesisValidators, epochLength }, { crypto, epochs, headers: this.headers }, start.tip);
    this.tip = start.tip;
    const { context: step, requests } = this;
    this.agreement = new Agreement(
      { chain: BEACON, size: this.size, blockIntervalMs: parameters.blockIntervalMs },
      { step, requests, consensus },
      {
        validate: (output) => this.agreement.validated(output.hash, this.good(output)),
        decided: (output) => this.decided(output),
        behind: () => this.askBlocks(),
        stuck: () => this.askBlocks(),
      },
    );
  }

  /** The last stored block. */
  get head(): BeaconHead | undefined {
    return this.tip;
  }

  /** What agreement waits for, for status and metrics. */
  get consensusStatus(): ConsensusStatus {
    return this.modules.consensus.status;
  }

  /** Crosslinked heights, by shard. */
  crosslinkTip(shard: ShardId): CrosslinkTip | undefined {
    return this.queue.tip(shard);
  }

  step(nowMs: number, input: Input): readonly Effect[] {
    this.context.begin(nowMs);
    this.handle(input);
    this.schedule();
    if (this.size > 1) this.agreement.watch(this.dueAtMs);
    return this.context.end();
  }

  private handle(input: Input): void {
    switch (input.kind) {
      case 'start':
        if (this.size > 1) this.askBlocks();
        this.agreement.start();
        return this.context.push({ kind: 'set-timer', timer: 'follow', delayMs: this.options.genesis.parameters.heartbeatMs });
      case 'timer':
        return this.timer(input.timer);
      case 'gossip':
        return this.context.push({ kind: 'verdict', token: input.token, verdict: this.judge(input.topic, input.data) });
      case 'answer':
        return this.answer(input.request, input.items);
      case 'persisted':
        return this.persisted(input.request);
      case 'peer':
        if (input.peer.chain === BEACON) this.agreement.connected(input.peer.validator, input.connected);
        return undefined;
      case 'submit':
        return this.context.push({ kind: 'reply', token: input.token, results: input.raws.map(() => NOT_HERE) });
      case 'senders':
      case 'executed':
        // A beacon never asks for either.
        return undefined;
    }
  }

  private timer(timer: TimerName): void {
    switch (timer) {
      case 'propose':
        this.proposeAtMs = undefined;
        return;
      case 'follow': {
        const { shards, parameters } = this.options.genesis;
        // Shards that have been silent may have made blocks whose announcements were lost.
        for (let shard = 0 as ShardId; shard < shards; shard++) if (!this.heard.delete(shard)) this.askHeaders(shard);
        return this.context.push({ kind: 'set-timer', timer: 'follow', delayMs: 2 * parameters.heartbeatMs });
      }
      case 'view':
        return this.agreement.viewTimer(this.dueAtMs);
      case 'retransmit':
        return this.agreement.retransmitTimer(this.dueAtMs);
      case 'pull':
      case 'sync':
      case 'forward':
        return;
    }
  }

  private judge(topic: string, data: Uint8Array): Verdict {
    const verdict = this.judgeBytes(topic, data);
    if (verdict.kind !== 'accept') this.refused.set(verdict.reason, (this.refused.get(verdict.reason) ?? 0) + 1);
    if (verdict.kind === 'reject') this.context.log({ level: 'warn', event: 'peer.rejected', fields: { reason: verdict.reason } });
    return verdict;
  }

  /** Undecodable bytes are their sender's fault; anything else that is thrown is a bug of ours. */
  private judgeBytes(topic: string, data: Uint8Array): Verdict {
    try {
      if (topic === TOPICS.crosslinks) return this.takeHeader(decodeAnnouncement(data.slice()));
      if (topic === CONSENSUS) return this.agreement.take(data);
      if (topic === TOPICS.beacon) return this.takeBlock(decodeBeaconBlock(data.slice()));
      return ignore('topic');
    } catch (error) {
      if (error instanceof DecodeError) return reject(error.code);
      throw error;
    }
  }

  private takeHeader({ header, certificate }: Announcement): Verdict {
    const { shard, height } = header;
    if (shard >= this.options.genesis.shards) return reject('header-shard');
    const next = this.queue.next(shard);
    if (height < next) return ignore('header-known');
    const verdict = this.headers.check(header, certificate, bytesKey(this.modules.crypto.sha256(encodeHeader(header))));
    if (verdict !== undefined) return verdict;
    this.seen.set(shard, Math.max(this.seen.get(shard) ?? 0, height));
    this.heard.add(shard);
    if (height === next) return this.queue.add({ header, certificate });
    // Good, and of use to others; here it tells that some before it are missing.
    this.askHeaders(shard);
    return ACCEPT;
  }

  private askHeaders(shard: ShardId): void {
    const effect = this.requests.ask(shard, { kind: 'headers', fromHeight: this.queue.next(shard) as Height });
    if (effect !== undefined) this.context.push(effect);
  }

  /** A block that the committee has certified without this validator. */
  private takeBlock(block: BeaconBlock): Verdict {
    const outcome = this.follower.offer(block);
    if (outcome.kind === 'taken') {
      this.store(block, outcome.hash);
      return ACCEPT;
    }
    if (outcome.verdict.kind === 'ignore' && outcome.verdict.reason === 'beacon-gap') this.askBlocks();
    return outcome.verdict;
  }

  private askBlocks(): void {
    const effect = this.requests.ask(BEACON, { kind: 'beacon-blocks', fromHeight: this.follower.next as Height });
    if (effect !== undefined) this.context.push(effect);
  }

  private answer(request: number, items: readonly Uint8Array[] | undefined): void {
    const asked = this.requests.close(request);
    if (asked === undefined) return;
    const { to } = asked;
    switch (asked.request.kind) {
      case 'headers':
        return this.headersAnswered(to, items);
      case 'beacon-blocks':
        return this.blocksAnswered(to, items);
      case 'proposal':
        return this.blame(to, this.agreement.fetched(items));
      default:
        return undefined;
    }
  }

  private headersAnswered(to: Peer, items: readonly Uint8Array[] | undefined): void {
    const before = this.queue.next(to.chain);
    for (const item of items ?? []) {
      const verdict = this.judge(TOPICS.crosslinks, item);
      if (verdict.kind === 'reject') return this.blame(to, verdict);
    }
    const next = this.queue.next(to.chain);
    const more = (this.seen.get(to.chain) ?? 0) >= next;
    if (next > before && more) this.askHeaders(to.chain);
    else if (items === undefined || more) this.requests.rotate(to.chain);
  }

  private blocksAnswered(to: Peer, items: readonly Uint8Array[] | undefined): void {
    const before = this.follower.next;
    for (const item of items ?? []) {
      const verdict = this.judge(TOPICS.beacon, item);
      if (verdict.kind === 'reject') return this.blame(to, verdict);
    }
    if (this.follower.next > before) this.askBlocks();
    else this.requests.rotate(BEACON);
  }

  private blame(to: Peer, verdict: Verdict): void {
    if (verdict.kind !== 'reject') return;
    this.requests.rotate(to.chain);
    this.context.push({ kind: 'penalise', to, reason: verdict.reason });
  }

  private get delayMs(): number {
    const { tip, size } = this;
    const { blockIntervalMs, heartbeatMs } = this.options.genesis.parameters;
    const schedule = { blockIntervalMs: blockIntervalMs * (size === 1 ? 1 : COMMITTEE_INTERVALS), heartbeatMs };
    return tip === undefined ? 0 : proposalDelayMs(schedule, tip.timestampMs, this.context.nowMs, this.queue.ready);
  }

  /** See `Production.dueAtMs`. */
  private get dueAtMs(): number {
    return this.context.nowMs + (this.modules.consensus.busy ? 0 : this.delayMs);
  }

  private schedule(): void {
    if (this.persisting.length > 0 || this.modules.consensus.mayPropose((this.tip?.height ?? 0) + 1) === undefined) return;
    const { delayMs } = this;
    if (delayMs > 0) this.arm(delayMs);
    else this.propose();
  }

  private arm(delayMs: number): void {
    const atMs = this.context.nowMs + delayMs;
    if (this.proposeAtMs !== undefined && this.proposeAtMs > this.context.nowMs && this.proposeAtMs <= atMs) return;
    this.proposeAtMs = atMs;
    this.context.push({ kind: 'set-timer', timer: 'propose', delayMs });
  }

  private propose(): void {
    const { genesis, validator } = this.options;
    const { crypto } = this.modules;
    const epoch = this.epochs.latest?.assignment ?? nextAssignment(crypto, this.options, undefined);
    const crosslinks = this.queue.select();
    const header: BeaconHeader = {
      chainId: genesis.chainId,
      height: ((this.tip?.height ?? 0) + 1) as Height,
      parentHash: this.tip?.hash ?? ZERO_HASH,
      epoch: epoch.epoch,
      proposer: validator,
      timestampMs: Math.max(this.context.nowMs, (this.tip?.timestampMs ?? genesis.timestampMs) + 1),
      crosslinkRoot: crosslinkRoot(crypto, crosslinks),
      epochCertificateHash: assignmentHash(crypto, epoch),
    };
    this.agreement.propose({ header: encodeBeaconHeader(header), body: encodeCrosslinks(crosslinks) });
  }

  /** Whether a proposal is what this validator would stand for. */
  private good({ proposal, fresh }: Extract<ConsensusOutput, { kind: 'validate' }>): boolean {
    const { context, headers, queue, epochs, tip } = this;
    const { crypto } = this.modules;
    const fault = beaconFault({ ...this.options, crypto, epochs, headers, queue, tip, nowMs: context.nowMs }, proposal, fresh);
    if (fault === undefined) return true;
    context.log({ level: 'warn', event: 'proposal.refused', fields: { height: (tip?.height ?? 0) + 1, reason: fault } });
    this.refused.set(`proposal-${fault}`, (this.refused.get(`proposal-${fault}`) ?? 0) + 1);
    return false;
  }

  private decided({ fields, proposal, certificate, extensions }: Extract<ConsensusOutput, { kind: 'decided' }>): void {
    // It may have come by another way meanwhile, and be on its way to the disk.
    if (fields.height !== this.follower.next) return;
    const header = decodeBeaconHeader(proposal.header);
    const epochCertificate = this.modules.epochVotes.certificate(fields, extensions);
    const block = { header, certificate, crosslinks: decodeCrosslinks(proposal.body), epochCertificate, wallMs: this.context.nowMs };
    const outcome = this.follower.offer(block);
    invariant(outcome.kind === 'taken', 'the committee decides what holds', { height: fields.height, reason: JSON.stringify(outcome) });
    this.store(block, outcome.hash);
  }

  private store(block: BeaconBlock, hash: Hash32): void {
    const request = this.requests.number();
    this.persisting.push({ request, block, hash });
    this.context.push({ kind: 'persist', request, record: { kind: 'beacon-block', block, hash } });
  }

  private persisted(request: number): void {
    if (this.agreement.persisted(request) || this.persisting[0]?.request !== request) return;
    const { block, hash } = this.persisting.shift()!;
    const { epoch, height, timestampMs, proposer } = block.header;
    const { certificate } = block;
    const { validator } = this.options;
    const speaks = this.size === 1 || this.modules.consensus.leader(height) === validator || proposer === validator;
    this.queue.settle(block.crosslinks);
    this.tip = { epoch, height, hash, timestampMs, certificate };
    if (speaks) this.context.push({ kind: 'publish', topic: TOPICS.beacon, data: encodeBeaconBlock(block) });
    const fields = { height, epoch, crosslinks: block.crosslinks.length };
    this.context.log({ level: 'info', event: 'beacon.committed', fields });
    this.agreement.finalised({ epoch, height, hash, certificate });
  }
}

const CONSENSUS = TOPICS.consensus(BEACON);
const NOT_HERE = { hash: undefined, rejection: rejection('wrong-shard', 'the beacon takes no transactions') };
