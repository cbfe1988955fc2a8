import {
  ACCEPT,
  type Announcement,
  assignmentHash,
  type BeaconBlock,
  beaconHash,
  type BeaconHeader,
  bytesKey,
  crosslinkRoot,
  type Crypto,
  decodeAnnouncement,
  DecodeError,
  decodeEpochCertificate,
  encodeBeaconBlock,
  encodeHeader,
  type Genesis,
  type Hash32,
  type Height,
  ignore,
  invariant,
  reject,
  type ShardId,
  TOPICS,
  type Verdict,
  ZERO_HASH,
} from '@shardlab/crosslink';
import type { Consensus } from '../consensus/types.ts';
import type { Core, Effect, Input, TimerName } from '../effects.ts';
import { Epochs } from '../exchange/epochs.ts';
import { HeaderCheck } from '../exchange/header-check.ts';
import { Requests } from '../exchange/requests.ts';
import { rejection } from '../mempool/admission.ts';
import { proposalDelayMs } from '../production/schedule.ts';
import { StepContext } from '../step-context.ts';
import { CrosslinkQueue, type CrosslinkTip } from './crosslink-queue.ts';
import { beginsEpoch } from './epoch-schedule.ts';
import type { BeaconTip } from './follower.ts';
import { issueEpoch } from './issue-epoch.ts';

/** What a beacon is for. */
export interface BeaconOptions {
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  readonly validator: number;
  /** 32-byte secret seed of the validator. */
  readonly secretKey: Uint8Array;
}

/** What the database gave back; a fresh beacon has nothing. */
export interface BeaconStart {
  readonly tip: (BeaconTip & { readonly timestampMs: number }) | undefined;
  readonly crosslinks: ReadonlyMap<ShardId, CrosslinkTip>;
  /** Encoded epoch certificates, in order. */
  readonly epochs: readonly Uint8Array[];
}

const REQUEST_TIMEOUT_MS = 3_000;

/**
 * The beacon's core: owns the assignment, epoch by epoch, and records certified shard headers in order, none left out (design, Blocks and finality). Shards do
 * not wait for it.
 */
export class BeaconReplica implements Core {
  readonly epochs: Epochs;
  readonly refused = new Map<string, number>();
  private readonly options: BeaconOptions;
  private readonly crypto: Crypto;
  private readonly consensus: Consensus;
  private readonly headers: HeaderCheck;
  private readonly context = new StepContext();
  private readonly requests = new Requests(REQUEST_TIMEOUT_MS);
  private readonly queue: CrosslinkQueue;
  /** Highest certified header seen, by shard. */
  private readonly seen = new Map<ShardId, number>();
  private tip: (BeaconTip & { readonly timestampMs: number }) | undefined;
  private stage: { readonly request: number; readonly block: BeaconBlock; readonly hash: Hash32 } | undefined;
  private proposeAtMs: number | undefined;

  constructor(options: BeaconOptions, modules: { readonly crypto: Crypto; readonly consensus: Consensus }, start: BeaconStart) {
    this.options = options;
    this.crypto = modules.crypto;
    this.consensus = modules.consensus;
    const { genesis, genesisHash } = options;
    this.epochs = new Epochs(this.crypto, genesisHash, genesis.beaconValidators);
    this.epochs.restore(start.epochs.map(decodeEpochCertificate));
    this.headers = new HeaderCheck(this.crypto, genesisHash, genesis.chainId, this.epochs);
    this.queue = new CrosslinkQueue(genesis.shards, this.crypto, start.crosslinks);
    this.tip = start.tip;
  }

  /** The last stored block. */
  get head(): (BeaconTip & { readonly timestampMs: number }) | undefined {
    return this.tip;
  }

  /** Crosslinked heights, by shard. */
  crosslinkTip(shard: ShardId): CrosslinkTip | undefined {
    return this.queue.tip(shard);
  }

  step(nowMs: number, input: Input): readonly Effect[] {
    this.context.begin(nowMs);
    this.dispatch(input);
    return this.context.end();
  }

  private dispatch(input: Input): void {
    switch (input.kind) {
      case 'start':
        this.schedule();
        return this.context.push({ kind: 'set-timer', timer: 'follow', delayMs: this.options.genesis.parameters.heartbeatMs });
      case 'timer':
        return this.timer(input.timer);
      case 'gossip':
        this.context.push({ kind: 'verdict', token: input.token, verdict: this.judge(input.topic, input.data) });
        return this.schedule();
      case 'answer':
        this.answer(input.request, input.items);
        return this.schedule();
      case 'persisted':
        return this.persisted(input.request);
      case 'submit':
        return this.context.push({ kind: 'reply', token: input.token, results: input.raws.map(() => NOT_HERE) });
      case 'senders':
      case 'executed':
        // A beacon never asks for either.
        return undefined;
    }
  }

  private timer(timer: TimerName): void {
    if (timer === 'propose') {
      this.proposeAtMs = undefined;
      this.schedule();
    } else if (timer === 'follow') {
      const { shards, parameters } = this.options.genesis;
      // Shards that have been silent may have made blocks whose announcements were lost.
      for (let shard = 0; shard < shards; shard++) this.askHeaders(shard as ShardId);
      this.context.push({ kind: 'set-timer', timer: 'follow', delayMs: 2 * parameters.heartbeatMs });
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
    if (topic !== TOPICS.headers) return ignore('topic');
    try {
      return this.takeHeader(decodeAnnouncement(data.slice()));
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
    const verdict = this.headers.check(header, certificate, bytesKey(this.crypto.sha256(encodeHeader(header))));
    if (verdict !== undefined) return verdict;
    this.seen.set(shard, Math.max(this.seen.get(shard) ?? 0, height));
    if (height === next) return this.queue.add({ header, certificate });
    // Good, and of use to others; here it tells that some before it are missing.
    this.askHeaders(shard);
    return ACCEPT;
  }

  private askHeaders(shard: ShardId): void {
    const effect = this.requests.ask(shard, { kind: 'headers', fromHeight: this.queue.next(shard) as Height });
    if (effect !== undefined) this.context.push(effect);
  }

  private answer(request: number, items: readonly Uint8Array[] | undefined): void {
    const asked = this.requests.close(request);
    if (asked === undefined || items === undefined) return;
    const before = this.queue.next(asked.to);
    for (const item of items) {
      const verdict = this.judge(TOPICS.headers, item);
      if (verdict.kind === 'reject') {
        this.context.push({ kind: 'penalise', chain: asked.to, reason: verdict.reason });
        return;
      }
    }
    const next = this.queue.next(asked.to);
    if (next > before && (this.seen.get(asked.to) ?? 0) >= next) this.askHeaders(asked.to);
  }

  private schedule(): void {
    if (this.stage !== undefined) return;
    const { parameters } = this.options.genesis;
    const { nowMs } = this.context;
    const delayMs = this.tip === undefined ? 0 : proposalDelayMs(parameters, this.tip.timestampMs, nowMs, this.queue.ready);
    if (delayMs > 0) this.arm(delayMs);
    else if (this.consensus.mayPropose((this.tip?.height ?? 0) + 1)) this.propose();
    else this.arm(parameters.blockIntervalMs);
  }

  private arm(delayMs: number): void {
    const atMs = this.context.nowMs + delayMs;
    if (this.proposeAtMs !== undefined && this.proposeAtMs <= atMs) return;
    this.proposeAtMs = atMs;
    this.context.push({ kind: 'set-timer', timer: 'propose', delayMs });
  }

  private propose(): void {
    const { genesis, validator } = this.options;
    const { latest } = this.epochs;
    const height = ((this.tip?.height ?? 0) + 1) as Height;
    const begins = beginsEpoch(height, genesis.parameters.epochLength);
    const epochCertificate = begins ? issueEpoch(this.crypto, this.options, latest?.assignment) : undefined;
    const epoch = latest?.assignment ?? epochCertificate?.assignment;
    invariant(epoch !== undefined, 'every beacon block after the first has an epoch', { height });
    const crosslinks = this.queue.take();
    const header: BeaconHeader = {
      chainId: genesis.chainId,
      height,
      parentHash: this.tip?.hash ?? ZERO_HASH,
      epoch: epoch.epoch,
      proposer: validator,
      timestampMs: Math.max(this.context.nowMs, (this.tip?.timestampMs ?? genesis.timestampMs) + 1),
      crosslinkRoot: crosslinkRoot(this.crypto, crosslinks),
      epochCertificateHash: assignmentHash(this.crypto, epoch),
    };
    const hash = beaconHash(this.crypto, header);
    for (const { certificate } of this.consensus.propose({ epoch: header.epoch, height, hash })) {
      const block: BeaconBlock = { header, certificate, crosslinks, epochCertificate, wallMs: this.context.nowMs };
      const request = this.requests.number();
      this.stage = { request, block, hash };
      this.context.push({ kind: 'persist', request, record: { kind: 'beacon-block', block, hash } });
    }
  }

  private persisted(request: number): void {
    if (this.stage?.request !== request) return;
    const { block, hash } = this.stage;
    this.stage = undefined;
    if (block.epochCertificate !== undefined) {
      const wrong = this.epochs.add(block.epochCertificate);
      invariant(wrong === undefined, 'the beacon refuses its own epoch certificate', { wrong });
    }
    this.queue.settle(block.crosslinks);
    this.tip = { height: block.header.height, hash, timestampMs: block.header.timestampMs };
    this.context.push({ kind: 'publish', topic: TOPICS.beacon, data: encodeBeaconBlock(block) });
    const fields = { height: block.header.height, epoch: block.header.epoch, crosslinks: block.crosslinks.length };
    this.context.log({ level: 'info', event: 'beacon.committed', fields });
    this.schedule();
  }
}

const NOT_HERE = { hash: undefined, rejection: rejection('wrong-shard', 'the beacon takes no transactions') };
