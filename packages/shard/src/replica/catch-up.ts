import { ACCEPT, bytesKey, type Crypto, decodeBlock, type Hash32, headerHash, type Height, ignore, reject, type ShardId, type Verdict, type WireRequest } from '@shardlab/crosslink';
import type { HeaderCheck } from '../exchange/header-check.ts';
import type { Requests } from '../exchange/requests.ts';
import type { FlatEntry } from '../state/flat-account.ts';
import { ShardState } from '../state/shard-state.ts';
import type { StepContext } from '../step-context.ts';
import { checkBlockParts } from './catch-up/block-parts.ts';
import { SnapshotFetch } from './catch-up/snapshot-fetch.ts';
import type { CertifiedBlock } from './checks.ts';

/** Who has not helped is asked again after this long, doubled each time, in milliseconds. */
const RETRY_MS = 250;
const RETRY_MAX_MS = 4_000;
/** Rounds without an answer that helps after which a height that was only said to exist is forgotten. */
const TARGET_ROUNDS = 8;

/** What catching up works with. */
export interface CatchUpModules {
  readonly step: StepContext;
  readonly requests: Requests;
  readonly crypto: Crypto;
  readonly headers: HeaderCheck;
  /** Height up to which certified blocks are here. */
  readonly known: () => number;
  /** Takes the next certified block; false = it is not the next one. */
  readonly take: (block: CertifiedBlock) => boolean;
  readonly askEpochs: (from: ShardId) => void;
  /** See `BlockJudges`. */
  readonly consumed: (destination: ShardId) => number | undefined;
}

/** Whose chain it is. */
export interface CatchUpOptions {
  readonly shard: ShardId;
  readonly validator: number;
  /** Validators of the shard. */
  readonly size: number;
}

/** Heights that are replayed, rather than skipped with a snapshot: a few minutes of blocks. */
const REPLAY_MAX = 512;

/** Fetches certified blocks that this validator has missed, from others of its committee, and has them replayed. Nothing is believed but certificates. */
export class CatchUp {
  private readonly options: CatchUpOptions;
  private readonly modules: CatchUpModules;
  private snapshot: SnapshotFetch | undefined;
  /** No validator had a snapshot of use: blocks it is. */
  private snapshotFailed = false;
  /** Height that somebody is known, or said, to have. */
  private target = 0;
  private failures = 0;
  private armed = false;
  private probing = false;

  constructor(options: CatchUpOptions, modules: CatchUpModules) {
    this.options = options;
    this.modules = modules;
  }

  /** Whether blocks are known to be missing. */
  get active(): boolean {
    return this.target > this.modules.known();
  }

  /** A block of `height` is certified somewhere. */
  behind(height: number): void {
    if (height <= this.target || height <= this.modules.known()) return;
    this.target = height;
    if (height - this.modules.known() > REPLAY_MAX && !this.snapshotFailed) this.startSnapshot();
    this.ask();
  }

  /** Asks, a moment from now, whether there is more than is known: if somebody tells how much before, so much the better. */
  probe(): void {
    this.probing = true;
    this.arm();
  }

  private startSnapshot(): void {
    if (this.snapshot !== undefined) return;
    const { crypto, headers, known, consumed, step } = this.modules;
    const { shard, validator, size } = this.options;
    const validators = Array.from({ length: size - 1 }, (_, index) => (validator + 1 + index) % size);
    const checkHeader = headers.check.bind(headers);
    const rootOf = (entries: readonly FlatEntry[]): Hash32 => new ShardState(crypto, entries.length).load(entries);
    this.snapshot = new SnapshotFetch({ shard, ownHeight: known(), validators }, { hasher: crypto, checkHeader, consumed, rootOf });
    step.log({ level: 'info', event: 'snapshot.started', fields: { height: known(), target: this.target } });
  }

  /** Does the next step towards a snapshot. */
  private askSnapshot(fetch: SnapshotFetch): void {
    const { requests, step } = this.modules;
    const next = fetch.next();
    if (next.kind === 'ask') {
      const effect = requests.askPeer({ chain: this.options.shard, validator: next.to }, next.request);
      if (effect !== undefined) step.push(effect);
      return;
    }
    this.snapshot = undefined;
    if (next.kind === 'failed') {
      this.snapshotFailed = true;
      step.log({ level: 'warn', event: 'snapshot.failed', fields: { reason: next.reason } });
      this.ask();
      return;
    }
    const { snapshot, missing } = next;
    const fields = { height: snapshot.block.header.height, entries: snapshot.entries.length, older: snapshot.older.length, missing: missing.join(',') };
    step.log({ level: 'info', event: 'snapshot.verified', fields });
    step.push({ kind: 'persist', request: requests.number(), record: { kind: 'snapshot', snapshot } });
  }

  /** Asks for whatever comes next, known to exist or not. */
  ask(): void {
    const { requests, step, known } = this.modules;
    if (this.snapshot !== undefined) return this.askSnapshot(this.snapshot);
    const effect = requests.ask(this.options.shard, { kind: 'blocks', fromHeight: (known() + 1) as Height });
    if (effect !== undefined) step.push(effect);
  }

  /** Answers a request for blocks or for a snapshot. A `reject` is the answering validator's fault. */
  answered(kind: WireRequest['kind'], items: readonly Uint8Array[] | undefined): Verdict {
    if (this.snapshot !== undefined) return this.snapshotAnswered(this.snapshot, kind, items);
    const before = this.modules.known();
    let verdict: Verdict = ACCEPT;
    for (const item of items ?? []) {
      verdict = this.take(item);
      if (verdict.kind !== 'accept') break;
    }
    if (this.modules.known() > before) {
      this.failures = 0;
      // An answer is cut at its bound: there may be more.
      this.ask();
    } else if (this.active) {
      this.modules.requests.rotate(this.options.shard);
      this.failures++;
      this.arm();
    }
    return verdict;
  }

  private snapshotAnswered(fetch: SnapshotFetch, kind: WireRequest['kind'], items: readonly Uint8Array[] | undefined): Verdict {
    const asked = fetch.next();
    // An answer that crossed the decision to fetch a snapshot is to no question of it.
    const fault = asked.kind === 'ask' && asked.request.kind === kind ? fetch.answer(items) : undefined;
    this.askSnapshot(fetch);
    return fault === undefined ? ACCEPT : reject(fault.reason);
  }

  private take(item: Uint8Array): Verdict {
    const { crypto, headers } = this.modules;
    const block = decodeBlock(item.slice());
    const { header, certificate, body } = block;
    if (header.shard !== this.options.shard) return reject('blocks-foreign');
    const hash = headerHash(crypto, header);
    const verdict = headers.check(header, certificate, bytesKey(hash));
    if (verdict !== undefined) {
      if (verdict.kind === 'ignore' && verdict.reason === 'epoch-unknown') this.modules.askEpochs(this.options.shard);
      return verdict;
    }
    // The certificate is about the header: whoever answers could have changed the rest.
    const wrong = checkBlockParts(crypto, block);
    if (wrong !== undefined) return reject(wrong);
    return this.modules.take({ header, hash, certificate, input: body }) ? ACCEPT : ignore('blocks-order');
  }

  private arm(): void {
    if (this.armed) return;
    this.armed = true;
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(this.failures, 8));
    this.modules.step.push({ kind: 'set-timer', timer: 'sync', delayMs });
  }

  /** The timer `sync` has fired. */
  timer(): void {
    this.armed = false;
    const probing = this.probing;
    this.probing = false;
    if (!this.active && !probing) return;
    // Who said so may have lied, or be gone: the target is believed for a few rounds.
    if (this.failures > TARGET_ROUNDS) this.target = 0;
    else this.ask();
  }
}
