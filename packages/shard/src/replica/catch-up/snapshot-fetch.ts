import {
  type Block,
  bytesKey,
  compareBytes,
  decodeBlock,
  DecodeError,
  decodeSnapshotHead,
  decodeSnapshotPage,
  equalBytes,
  type Hash32,
  headerHash,
  invariant,
  ShardlabError,
  type ShardId,
  type WireRequest,
} from '@shardlab/crosslink';
import type { Snapshot } from '../../effects.ts';
import type { FlatEntry } from '../../state/flat-account.ts';
import { checkBlockParts, provenParts } from './block-parts.ts';
import { type BlockJudges, OlderBlocks, type OlderLimits, type Taken } from './older-blocks.ts';

/** What a snapshot may take: it is held in memory and stored in one write. */
export interface SnapshotLimits {
  readonly entriesMax: number;
  /** Bytes of keys and values. */
  readonly entryBytesMax: number;
  readonly older: OlderLimits;
  /** How often a request that fails is repeated before its validator is left. */
  readonly retriesMax: number;
}

/** About 1.7 million accounts; with the older blocks below the bound of what a store takes in one write. */
export const DEFAULT_SNAPSHOT_LIMITS: SnapshotLimits = {
  entriesMax: 1 << 22,
  entryBytesMax: 160 << 20,
  older: { blocksMax: 4_096, bytesMax: 48 << 20 },
  retriesMax: 2,
};

/** Who fetches, and from whom. */
export interface SnapshotFetchOptions {
  readonly shard: ShardId;
  /** Height of the own head: only what is above it is of use. */
  readonly ownHeight: number;
  /** Other validators of the shard, in the order in which they are asked. */
  readonly validators: readonly number[];
  readonly limits?: SnapshotLimits;
}

/** What everything is checked with. */
export interface SnapshotFetchModules extends BlockJudges {
  /** The root of the state that has exactly these flat entries: `ShardState.load` of an empty one. Throws a `ShardlabError` on what is no state. */
  readonly rootOf: (entries: readonly FlatEntry[]) => Hash32;
}

/** What to do now. */
export type SnapshotStep =
  | { readonly kind: 'ask'; readonly to: number; readonly request: WireRequest }
  /** `missing`: destinations with messages in blocks below the oldest, which nobody handed out, or which are beyond the limits. */
  | { readonly kind: 'done'; readonly snapshot: Snapshot; readonly missing: readonly ShardId[] }
  /** No validator had a snapshot of use; `reason` is the last one's, a stable label. */
  | { readonly kind: 'failed'; readonly reason: string };

/** A validator that has sent what is provably wrong. */
export interface SnapshotFault {
  readonly validator: number;
  /** A stable metric label. */
  readonly reason: string;
}

interface Verified {
  readonly block: Block;
  readonly hash: Hash32;
  readonly sizeBytes: number;
  readonly messagesFrom: number;
}

type Stage =
  | { readonly kind: 'head' }
  | { readonly kind: 'pages'; readonly head: Verified; readonly entries: FlatEntry[]; bytes: number; cursor: Uint8Array }
  | { readonly kind: 'older'; readonly head: Verified; readonly entries: readonly FlatEntry[]; readonly older: OlderBlocks; left: number };

const FROM_START = new Uint8Array(0);
const TAKEN: Taken = { kind: 'taken' };
const LACKING: Taken = { kind: 'lacking' };

/**
 * Fetches a state from one validator of the own shard, and proves it: a certified block, all flat entries under its state root, and the blocks below that hold messages
 * to other shards which are not consumed. A validator that lies, or is gone, costs its part, and the next one is asked. No clock: the caller asks, and hands in the
 * answer or its failure.
 */
export class SnapshotFetch {
  private readonly options: SnapshotFetchOptions;
  private readonly modules: SnapshotFetchModules;
  private readonly limits: SnapshotLimits;
  private stage: Stage = { kind: 'head' };
  /** Validators that were left. */
  private turn = 0;
  private failures = 0;
  private reason = 'snapshot-none';

  constructor(options: SnapshotFetchOptions, modules: SnapshotFetchModules) {
    this.options = options;
    this.modules = modules;
    this.limits = options.limits ?? DEFAULT_SNAPSHOT_LIMITS;
  }

  /** Flat entries that are here: for status. */
  get entryCount(): number {
    return this.stage.kind === 'head' ? 0 : this.stage.entries.length;
  }

  /** What to do now; the same until {@link answer} is called. */
  next(): SnapshotStep {
    const { stage } = this;
    if (stage.kind === 'older') {
      const { block, hash } = stage.head;
      if (!stage.older.done && stage.left > 0) return { kind: 'ask', to: this.asked(), request: stage.older.request() };
      const snapshot = { block: provenParts(block), hash, entries: stage.entries, older: stage.older.blocks };
      return { kind: 'done', snapshot, missing: stage.older.missing };
    }
    if (this.turn >= this.options.validators.length) return { kind: 'failed', reason: this.reason };
    const to = this.asked();
    if (stage.kind === 'head') return { kind: 'ask', to, request: { kind: 'snapshot-head' } };
    return { kind: 'ask', to, request: { kind: 'snapshot-page', height: stage.head.block.header.height, cursor: stage.cursor } };
  }

  /** Takes the answer to what {@link next} asks, `undefined` = none came. Returns whom it has shown to lie, if anybody. */
  answer(items: readonly Uint8Array[] | undefined): SnapshotFault | undefined {
    invariant(this.next().kind === 'ask', 'an answer comes to a question');
    if (items === undefined) {
      this.failures++;
      if (this.failures > this.limits.retriesMax) this.leave('snapshot-unanswered');
      return undefined;
    }
    this.failures = 0;
    const taken = this.take(items);
    if (taken.kind === 'taken') return undefined;
    const fault = taken.kind === 'fault' ? { validator: this.asked(), reason: taken.reason } : undefined;
    this.leave(fault?.reason ?? 'snapshot-lacking');
    return fault;
  }

  private asked(): number {
    const { validators } = this.options;
    return validators[this.turn % validators.length]!;
  }

  /** Goes on with the next validator: from the start, unless what is here is proven and any of them can help. */
  private leave(reason: string): void {
    this.reason = reason;
    this.failures = 0;
    this.turn++;
    if (this.stage.kind === 'older') this.stage.left--;
    else this.stage = { kind: 'head' };
  }

  private take(items: readonly Uint8Array[]): Taken {
    const { stage } = this;
    if (stage.kind === 'older') return stage.older.take(items);
    if (items.length === 0) return LACKING;
    try {
      return stage.kind === 'head' ? this.takeHead(items) : this.takePage(stage, items);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return fault(error.code);
    }
  }

  private takeHead(items: readonly Uint8Array[]): Taken {
    const [item] = items;
    if (items.length !== 1 || item === undefined) return fault('snapshot-items');
    const { block: encoded, messagesFrom } = decodeSnapshotHead(item);
    const block = decodeBlock(encoded);
    const { header } = block;
    if (header.shard !== this.options.shard || messagesFrom > header.height) return fault('snapshot-head');
    if (header.height <= this.options.ownHeight) return LACKING;
    const hash = headerHash(this.modules.hasher, header);
    const verdict = this.modules.checkHeader(header, block.certificate, bytesKey(hash));
    if (verdict !== undefined) return verdict.kind === 'reject' ? fault(verdict.reason) : LACKING;
    const wrong = checkBlockParts(this.modules.hasher, block);
    if (wrong !== undefined) return fault(wrong);
    const head = { block, hash, sizeBytes: encoded.length, messagesFrom };
    this.stage = { kind: 'pages', head, entries: [], bytes: 0, cursor: FROM_START };
    return TAKEN;
  }

  private takePage(stage: Extract<Stage, { kind: 'pages' }>, items: readonly Uint8Array[]): Taken {
    const [cursor, page] = items;
    if (items.length !== 2 || cursor === undefined || page === undefined) return fault('snapshot-items');
    const entries = decodeSnapshotPage(page);
    const last = entries.at(-1);
    const first = entries[0];
    if (first !== undefined && compareBytes(stage.cursor, first.key) >= 0) return fault('snapshot-order');
    // The cursor is the last key that was sent: so pages move on, and nothing can be skipped between them.
    if (cursor.length > 0 && (last === undefined || !equalBytes(cursor, last.key))) return fault('snapshot-cursor');
    for (const entry of entries) {
      stage.entries.push(entry);
      stage.bytes += entry.key.length + entry.value.length;
    }
    if (stage.entries.length > this.limits.entriesMax || stage.bytes > this.limits.entryBytesMax) return fault('snapshot-size');
    stage.cursor = cursor;
    return cursor.length > 0 ? TAKEN : this.checkState(stage);
  }

  private checkState({ head, entries }: Extract<Stage, { kind: 'pages' }>): Taken {
    let root: Hash32;
    try {
      // Takes what a commit writes and nothing else, so that the root says all of what will be stored.
      root = this.modules.rootOf(entries);
    } catch (error) {
      // Whatever a state refuses, it was the sender who put it there.
      if (!(error instanceof ShardlabError)) throw error;
      return fault('snapshot-entries');
    }
    if (!equalBytes(root, head.block.header.stateRoot)) return fault('snapshot-root');
    const older = new OlderBlocks(this.modules, this.limits.older, head.block, head.sizeBytes, head.messagesFrom);
    this.stage = { kind: 'older', head, entries, older, left: this.options.validators.length };
    return TAKEN;
  }
}

function fault(reason: string): Taken {
  return { kind: 'fault', reason };
}
