import {
  ANSWER_ITEM_BYTES_MAX,
  BEACON,
  buildBatches,
  decodeBlock,
  decodeBlockHead,
  encodeAnnouncement,
  encodeBatch,
  type Hasher,
  type Height,
  type ShardId,
  type WireRequest,
} from '@shardlab/crosslink';
import type { Outbox, OutboxEntry } from '@shardlab/shard';
import type { Storage, StorageEntry } from '../ports.ts';
import { decodeProposal } from '../storage/chain-store-records.ts';
import { BEACON_BLOCKS, BLOCKS, type OrderedKeyFamily, PROPOSALS } from '../storage/key-space.ts';
import type { ServedSnapshots } from '../storage/served-snapshots.ts';
import type { ServeRequest } from './node-runtime.ts';

/** Bytes of one answer: well under the transport's bound. */
const ANSWER_BYTES_MAX = 4 << 20;
/** A range ends after the value that reaches the bound above: with it, an answer may get so long, and the transport carries it. */
const ANSWER_TOTAL_MAX = 7 << 20;
/** Blocks that one answer is made from. */
const ANSWER_BLOCKS_MAX = 256;

/** What a server reads. */
export interface ServeModules {
  readonly storage: Storage;
  readonly hasher: Hasher;
  /** Where messages stand that are not consumed yet; undefined on a beacon. */
  readonly outbox: Outbox | undefined;
  /** States for validators that start from one; undefined on a beacon. */
  readonly snapshots: ServedSnapshots | undefined;
  /** Answers what comes from wallets and loaders by way of another node. */
  readonly forwarded: (request: Extract<WireRequest, { kind: 'rpc' | 'submit' }>, done: (items: readonly Uint8Array[] | undefined) => void) => void;
}

/** Answers other nodes from what is stored, and so final (R2). `chain` is the chain of this node. */
export function serveFrom(chain: ShardId, modules: ServeModules): ServeRequest {
  const { storage, hasher, outbox, snapshots } = modules;

  /** Stored values of a family of heights from `fromHeight` on, as far as an answer goes. */
  function heights(family: OrderedKeyFamily<Height>, fromHeight: number, done: (values: Uint8Array[] | undefined) => void): void {
    const first = Math.max(1, fromHeight) as Height;
    storage.range({ ...family.from(first), entriesMax: ANSWER_BLOCKS_MAX, bytesMax: ANSWER_BYTES_MAX }, (result) => {
      done(result.ok ? unbroken(family, first, result.value) : undefined);
    });
  }

  function proposal(height: Height, done: (items: Uint8Array[] | undefined) => void): void {
    storage.get(PROPOSALS.key(height), (result) => {
      if (!result.ok) {
        done(undefined);
        return;
      }
      if (result.value === undefined) {
        done([]);
        return;
      }
      const { header, body } = decodeProposal(result.value);
      done([header, body]);
    });
  }

  function batches(destination: ShardId, fromSequence: number, done: (items: Uint8Array[] | undefined) => void): void {
    const entries = following(outbox?.from(destination, fromSequence, ANSWER_BLOCKS_MAX) ?? [], fromSequence);
    const items: Uint8Array[] = [];
    let bytes = 0;
    const next = (at: number): void => {
      const entry = entries[at];
      if (entry === undefined || bytes >= ANSWER_BYTES_MAX) {
        done(items);
        return;
      }
      storage.get(BLOCKS.key(entry.height), (result) => {
        if (!result.ok || result.value === undefined) {
          done(undefined);
          return;
        }
        const block = decodeBlock(result.value);
        for (const batch of buildBatches(hasher, block.header, block.certificate, block.outgoing, destination)) {
          if (batch.firstSequence + batch.messages.length <= fromSequence || bytes >= ANSWER_BYTES_MAX) continue;
          const encoded = encodeBatch(batch);
          bytes += encoded.length;
          items.push(encoded);
        }
        next(at + 1);
      });
    };
    next(0);
  }

  return (request, done) => {
    switch (request.kind) {
      case 'headers':
        heights(BLOCKS, request.fromHeight, (values) => {
          done(values?.map((value) => encodeAnnouncement({ ...decodeBlockHead(value), pairs: [] })));
        });
        break;
      case 'beacon-blocks':
        heights(chain === BEACON ? BLOCKS : BEACON_BLOCKS, request.fromHeight, done);
        break;
      case 'blocks':
        heights(BLOCKS, request.fromHeight, done);
        break;
      case 'proposal':
        proposal(request.height, done);
        break;
      case 'snapshot-head':
        if (snapshots === undefined) done([]);
        else snapshots.head(done);
        break;
      case 'snapshot-page':
        if (snapshots === undefined) done([]);
        else snapshots.page(request.height, request.cursor, done);
        break;
      case 'batches':
        batches(request.destination, request.fromSequence, done);
        break;
      case 'rpc':
      case 'submit':
        modules.forwarded(request, done);
        break;
    }
  };
}

/** Values of the heights from `first` on, as long as an answer may be, up to the first gap: a node that started from a snapshot lacks what was before. */
function unbroken(family: OrderedKeyFamily<Height>, first: Height, entries: readonly StorageEntry[]): Uint8Array[] {
  let bytes = 0;
  const gap = entries.findIndex(({ key, value }, index) => {
    bytes += value.length;
    return family.parse(key) !== first + index || value.length > ANSWER_ITEM_BYTES_MAX || bytes > ANSWER_TOTAL_MAX;
  });
  return entries.slice(0, gap < 0 ? entries.length : gap).map((entry) => entry.value);
}

/** Those entries that follow on `fromSequence` without a gap: for what is missing here, another validator is to be asked. */
function following(entries: readonly OutboxEntry[], fromSequence: number): readonly OutboxEntry[] {
  let next = fromSequence;
  const gap = entries.findIndex(({ firstSequence, lastSequence }) => {
    if (firstSequence > next) return true;
    next = lastSequence + 1;
    return false;
  });
  return gap < 0 ? entries : entries.slice(0, gap);
}
