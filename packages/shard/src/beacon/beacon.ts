import {
  ACCEPT,
  type Announcement,
  assignmentHash,
  BEACON,
  type BeaconBlock,
  type BeaconHeader,
  beaconHash,
  buildCertificate,
  bytesKey,
  type Crosslink,
  crosslinkRoot,
  type Crypto,
  decodeAnnouncement,
  DecodeError,
  decodeEpochCertificate,
  encodeBeaconBlock,
  encodeHeader,
  type EpochAssignment,
  type EpochCertificate,
  epochSubject,
  equalBytes,
  type Genesis,
  type Hash32,
  type Height,
  ignore,
  invariant,
  reject,
  type ShardId,
  TOPICS,
  type Verdict,
  voteMessage,
  ZERO_HASH,
} from '@shardlab/crosslink';
import type { Consensus } from '../consensus/types.ts';
import type { Core, Effect, Input, LogLine } from '../effects.ts';
import { Epochs } from '../exchange/epochs.ts';
import { HeaderCheck } from '../exchange/header-check.ts';
import { Requests } from '../exchange/requests.ts';
import { proposalDelayMs } from '../production/schedule.ts';
import type { BeaconTip } from './follower.ts';

/** A shard's progress on the beacon chain. */
export interface CrosslinkTip {
  readonly height: number;
  readonly hash: Hash32;
}

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

/** Headers of one shard that wait for a beacon block. */
const PENDING_MAX = 512;
/** Crosslinks of all shards in one beacon block: about 700 bytes each, under one gossip message. */
const BLOCK_CROSSLINKS_MAX = 1_000;
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
  private readonly requests = new Requests(REQUEST_TIMEOUT_MS);
  private readonly tips: Map<ShardId, CrosslinkTip>;
  private readonly pending = new Map<ShardId, Crosslink[]>();
  private readonly seen = new Map<ShardId, number>();
  private tip: (BeaconTip & { readonly timestampMs: number }) | undefined;
  private stage: { readonly request: number; readonly block: BeaconBlock; readonly hash: Hash32 } | undefined;
  private proposeAtMs: number | undefined;
  private effects: Effect[] = [];
  private nowMs = 0;

  constructor(options: BeaconOptions, modules: { readonly crypto: Crypto; readonly consensus: Consensus }, start: BeaconStart) {
    this.options = options;
    this.crypto = modules.crypto;
    this.consensus = modules.consensus;
    const { genesis, genesisHash } = options;
    this.epochs = new Epochs(this.crypto, genesisHash, genesis.beaconValidators);
    for (const encoded of start.epochs) this.epochs.add(decodeEpochCertificate(encoded));
    this.headers = new HeaderCheck(this.crypto, genesisHash, genesis.chainId, this.epochs);
    this.tips = new Map(start.crosslinks);
    this.tip = start.tip;
  }

  /** The last stored block. */
  get head(): (BeaconTip & { readonly timestampMs: number }) | undefined {
    return this.tip;
  }

  /** Crosslinked heights, by shard. */
  crosslinkTip(shard: ShardId): CrosslinkTip | undefined {
    return this.tips.get(shard);
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
        this.schedule();
        this.effects.push({ kind: 'set-timer', timer: 'follow', delayMs: this.options.genesis.parameters.heartbeatMs });
        break;
      case 'timer':
        this.timer(input.timer);
        break;
      case 'gossip': {
        const verdict = this.judge(input.topic, input.data);
        this.count(verdict);
        this.effects.push({ kind: 'verdict', token: input.token, verdict });
        break;
      }
      case 'answer':
        this.answer(input.request, input.items);
        break;
      case 'persisted':
        this.persisted(input.request);
        break;
      case 'submit':
        this.effects.push({ kind: 'reply', token: input.token, results: input.raws.map(() => ({ hash: undefined, rejection: NOT_HERE })) });
        break;
      case 'senders':
      case 'executed':
        break;
    }
  }

  private timer(timer: string): void {
    if (timer === 'propose') {
      this.proposeAtMs = undefined;
      this.schedule();
    } else if (timer === 'follow') {
      // Shards that have been silent may have made blocks whose announcements were lost.
      for (let shard = 0; shard < this.options.genesis.shards; shard++) this.askHeaders(shard as ShardId);
      this.effects.push({ kind: 'set-timer', timer: 'follow', delayMs: 2 * this.options.genesis.parameters.heartbeatMs });
    }
  }

  private judge(topic: string, data: Uint8Array): Verdict {
    if (topic !== TOPICS.headers) return ignore('topic');
    try {
      return this.takeHeader(decodeAnnouncement(data.slice()));
    } catch (error) {
      if (error instanceof DecodeError) return reject(error.code);
      throw error;
    }
  }

  private count(verdict: Verdict): void {
    if (verdict.kind === 'accept') return;
    this.refused.set(verdict.reason, (this.refused.get(verdict.reason) ?? 0) + 1);
    if (verdict.kind === 'reject') this.log({ level: 'warn', event: 'peer.rejected', fields: { reason: verdict.reason } });
  }

  private nextHeight(shard: ShardId): number {
    return (this.pending.get(shard)?.at(-1)?.header.height ?? this.tips.get(shard)?.height ?? 0) + 1;
  }

  private parentOf(shard: ShardId): Hash32 | undefined {
    const last = this.pending.get(shard)?.at(-1);
    return last === undefined ? this.tips.get(shard)?.hash : this.crypto.sha256(encodeHeader(last.header));
  }

  private takeHeader({ header, certificate }: Announcement): Verdict {
    const { shard, height } = header;
    if (shard >= this.options.genesis.shards) return reject('header-shard');
    const next = this.nextHeight(shard);
    if (height < next) return ignore('header-known');
    const verdict = this.headers.check(header, certificate, bytesKey(this.crypto.sha256(encodeHeader(header))));
    if (verdict !== undefined) return verdict;
    this.seen.set(shard, Math.max(this.seen.get(shard) ?? 0, height));
    if (height > next) {
      this.askHeaders(shard);
      return ACCEPT;
    }
    const parent = this.parentOf(shard);
    if (parent !== undefined && !equalBytes(parent, header.parentHash)) return reject('header-parent');
    const queue = this.pending.get(shard) ?? [];
    if (queue.length >= PENDING_MAX) return ignore('header-queue');
    queue.push({ header, certificate });
    this.pending.set(shard, queue);
    this.schedule();
    return ACCEPT;
  }

  private askHeaders(shard: ShardId): void {
    const effect = this.requests.ask(shard, { kind: 'headers', fromHeight: this.nextHeight(shard) as Height });
    if (effect !== undefined) this.effects.push(effect);
  }

  private answer(request: number, items: readonly Uint8Array[] | undefined): void {
    const asked = this.requests.close(request);
    if (asked === undefined || items === undefined) return;
    let progressed = 0;
    for (const item of items) {
      const verdict = this.judge(TOPICS.headers, item);
      this.count(verdict);
      if (verdict.kind === 'accept') progressed++;
      if (verdict.kind === 'reject') {
        this.effects.push({ kind: 'penalise', chain: asked.to, reason: verdict.reason });
        return;
      }
    }
    if (progressed > 0 && (this.seen.get(asked.to) ?? 0) >= this.nextHeight(asked.to)) this.askHeaders(asked.to);
  }

  private schedule(): void {
    if (this.stage !== undefined) return;
    const hasWork = this.tip === undefined || [...this.pending.values()].some((queue) => queue.length > 0);
    const delayMs = this.tip === undefined ? 0 : proposalDelayMs(this.options.genesis.parameters, this.tip.timestampMs, this.nowMs, hasWork);
    if (delayMs === 0 && this.consensus.mayPropose((this.tip?.height ?? 0) + 1)) {
      this.propose();
      return;
    }
    const atMs = this.nowMs + delayMs;
    if (this.proposeAtMs !== undefined && this.proposeAtMs <= atMs) return;
    this.proposeAtMs = atMs;
    this.effects.push({ kind: 'set-timer', timer: 'propose', delayMs });
  }

  /** Crosslinks for the next block, in order of (shard, height); shards take turns where not all fit. */
  private takeCrosslinks(): Crosslink[] {
    const shards = [...this.pending.keys()].sort((a, b) => a - b);
    const share = Math.max(1, Math.floor(BLOCK_CROSSLINKS_MAX / Math.max(1, this.options.genesis.shards)));
    return shards.flatMap((shard) => this.pending.get(shard)!.splice(0, share));
  }

  private propose(): void {
    const height = ((this.tip?.height ?? 0) + 1) as Height;
    const epochCertificate = this.epochCertificateAt(height);
    const epoch = height === 1 ? epochCertificate!.assignment : this.epochs.latest!.assignment;
    const crosslinks = this.takeCrosslinks();
    const header: BeaconHeader = {
      chainId: this.options.genesis.chainId,
      height,
      parentHash: this.tip?.hash ?? ZERO_HASH,
      epoch: epoch.epoch,
      proposer: this.options.validator,
      timestampMs: Math.max(this.nowMs, (this.tip?.timestampMs ?? this.options.genesis.timestampMs) + 1),
      crosslinkRoot: crosslinkRoot(this.crypto, crosslinks),
      epochCertificateHash: assignmentHash(this.crypto, epoch),
    };
    const hash = beaconHash(this.crypto, header);
    for (const { certificate } of this.consensus.propose({ epoch: header.epoch, height, hash })) {
      const block: BeaconBlock = { header, certificate, crosslinks, epochCertificate, wallMs: this.nowMs };
      const request = this.requests.number();
      this.stage = { request, block, hash };
      this.effects.push({ kind: 'persist', request, record: { kind: 'beacon-block', block, hash } });
    }
  }

  /** The certificate of the epoch that begins after this block, if one does: epoch 0 with block 1, then one every `epochLength` blocks. */
  private epochCertificateAt(height: number): EpochCertificate | undefined {
    const { genesis, genesisHash } = this.options;
    const previous = this.epochs.latest?.assignment;
    if (height !== 1 && height % genesis.parameters.epochLength !== 0) return undefined;
    invariant(height === 1 || previous !== undefined, 'every beacon block after the first has an epoch');
    const assignment: EpochAssignment = {
      genesisHash,
      epoch: previous === undefined ? 0 : previous.epoch + 1,
      shards: genesis.shards,
      beaconValidators: genesis.beaconValidators,
      shardValidators: genesis.shardValidators,
      overrides: previous?.overrides ?? [],
      previousHash: previous === undefined ? ZERO_HASH : assignmentHash(this.crypto, previous),
    };
    const message = voteMessage(epochSubject(this.crypto, assignment), 0);
    const votes = new Map([[this.options.validator, this.crypto.sign(this.options.secretKey, message)]]);
    return { assignment, certificate: buildCertificate(this.crypto.scheme, 0, genesis.beaconValidators.length, votes) };
  }

  private persisted(request: number): void {
    if (this.stage?.request !== request) return;
    const { block, hash } = this.stage;
    this.stage = undefined;
    if (block.epochCertificate !== undefined) {
      const wrong = this.epochs.add(block.epochCertificate);
      invariant(wrong === undefined, 'the beacon refuses its own epoch certificate', { wrong });
    }
    for (const { header } of block.crosslinks) this.tips.set(header.shard, { height: header.height, hash: this.crypto.sha256(encodeHeader(header)) });
    this.tip = { height: block.header.height, hash, timestampMs: block.header.timestampMs };
    this.effects.push({ kind: 'publish', topic: TOPICS.beacon, data: encodeBeaconBlock(block) });
    const fields = { height: block.header.height, epoch: block.header.epoch, crosslinks: block.crosslinks.length };
    this.log({ level: 'info', event: 'beacon.committed', fields });
    this.schedule();
  }

  private log(line: LogLine): void {
    this.effects.push({ kind: 'log', line });
  }
}

const NOT_HERE = { code: 'wrong-shard' as const, message: 'the beacon takes no transactions' };
