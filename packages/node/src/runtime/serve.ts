import { BEACON, buildBatches, decodeBlock, decodeBlockHead, encodeAnnouncement, encodeBatch, type ShardId, type WireRequest } from '@shardlab/crosslink';
import type { Outbox } from '@shardlab/shard';
import type { Hasher } from '@shardlab/crosslink';
import type { Storage } from '../ports.ts';
import { BEACON_BLOCKS, BLOCKS } from '../storage/key-space.ts';
import type { ServeRequest } from './node-runtime.ts';

/** Bytes of one answer: well under the transport's bound. */
const ANSWER_BYTES_MAX = 4 << 20;
/** Blocks that one answer is made from. */
const ANSWER_BLOCKS_MAX = 256;

/** What a server reads. */
export interface ServeModules {
  readonly storage: Storage;
  readonly hasher: Hasher;
  /** Where messages stand that are not consumed yet; undefined on a beacon. */
  readonly outbox: Outbox | undefined;
  /** Answers what comes from wallets and loaders by way of another node. */
  readonly forwarded: (request: Extract<WireRequest, { kind: 'rpc' | 'submit' }>, done: (items: readonly Uint8Array[] | undefined) => void) => void;
}

/** Answers other nodes from what is stored, and so final (R2). `chain` is the chain of this node. */
export function serveFrom(chain: ShardId, modules: ServeModules): ServeRequest {
  const { storage, hasher, outbox } = modules;

  /** Stored values of a family of heights from `fromHeight` on, as far as an answer goes. */
  function heights(family: typeof BLOCKS, fromHeight: number, done: (values: Uint8Array[] | undefined) => void): void {
    const range = family.from(Math.max(1, fromHeight) as never);
    storage.range({ ...range, entriesMax: ANSWER_BLOCKS_MAX, bytesMax: ANSWER_BYTES_MAX }, (result) => {
      done(result.ok ? result.value.map((entry) => entry.value) : undefined);
    });
  }

  function batches(destination: ShardId, fromSequence: number, done: (items: Uint8Array[] | undefined) => void): void {
    const entries = outbox?.from(destination, fromSequence, ANSWER_BLOCKS_MAX) ?? [];
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
