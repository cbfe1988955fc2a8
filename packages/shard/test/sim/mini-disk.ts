import {
  type BeaconBlock,
  buildBatches,
  bytesKey,
  type Crypto,
  encodeAnnouncement,
  encodeBatch,
  encodeBeaconBlock,
  encodeEpochCertificate,
  encodeHeader,
  type ShardId,
  type WireRequest,
} from '@shardlab/crosslink';
import type { CrosslinkTip } from '../../src/beacon/crosslink-queue.ts';
import type { PersistRecord } from '../../src/effects.ts';
import { Outbox } from '../../src/exchange/outbox.ts';
import type { FlatEntry } from '../../src/state/flat-account.ts';

type ShardRecord = Extract<PersistRecord, { kind: 'shard-block' }>;

/** What a node's disk holds after a crash: the records that were written, and what follows from them. */
export class MiniDisk {
  readonly blocks: ShardRecord[] = [];
  readonly beaconBlocks: BeaconBlock[] = [];
  readonly flat = new Map<string, FlatEntry>();
  private readonly dropped = new Set<string>();
  private readonly crypto: Crypto;

  constructor(crypto: Crypto, genesis: Iterable<FlatEntry>) {
    this.crypto = crypto;
    for (const entry of genesis) this.flat.set(bytesKey(entry.key), entry);
  }

  /** One atomic write. Throws if it does not follow on what is there. */
  write(record: PersistRecord): void {
    if (record.kind === 'beacon-block') {
      if (record.block.header.height !== this.beaconBlocks.length + 1) throw new Error(`beacon block ${record.block.header.height} written out of order`);
      this.beaconBlocks.push(record.block);
      return;
    }
    if (record.kind !== 'shard-block') throw new Error(`a chain of one validator stores no ${record.kind}`);
    if (record.block.header.height !== this.blocks.length + 1) throw new Error(`block ${record.block.header.height} written out of order`);
    this.blocks.push(record);
    for (const { key, value } of record.block.delta.changes) {
      if (value === undefined) this.flat.delete(bytesKey(key));
      else this.flat.set(bytesKey(key), { key, value });
    }
    for (const { destination, firstSequence } of record.consumed) this.dropped.add(`${destination}/${firstSequence}`);
  }

  /** Encoded epoch certificates, in order. */
  epochs(): Uint8Array[] {
    return this.beaconBlocks.flatMap(({ epochCertificate }) => (epochCertificate === undefined ? [] : [encodeEpochCertificate(epochCertificate)]));
  }

  /** The beacon's crosslinked heights. */
  crosslinks(): Map<ShardId, CrosslinkTip> {
    const tips = new Map<ShardId, CrosslinkTip>();
    for (const { crosslinks } of this.beaconBlocks) {
      for (const { header } of crosslinks) tips.set(header.shard, { height: header.height, hash: this.crypto.sha256(encodeHeader(header)) });
    }
    return tips;
  }

  /** Messages that are not known to be consumed. */
  outbox(): Outbox {
    const outbox = new Outbox();
    for (const { block } of this.blocks) {
      const kept = block.outgoing.filter(({ destination, firstSequence }) => !this.dropped.has(`${destination}/${firstSequence}`));
      outbox.add(block.header.height, kept);
    }
    return outbox;
  }

  /** Answers another node from what is written. */
  serve(request: WireRequest): Uint8Array[] {
    if (request.kind === 'beacon-blocks') return this.beaconBlocks.slice(request.fromHeight - 1, request.fromHeight + 7).map(encodeBeaconBlock);
    if (request.kind === 'headers') {
      return this.blocks
        .slice(request.fromHeight - 1, request.fromHeight + 7)
        .map(({ block, certificate }) => encodeAnnouncement({ header: block.header, certificate, pairs: [] }));
    }
    if (request.kind !== 'batches') return [];
    const { destination, fromSequence } = request;
    const entries = this.outbox().from(destination, fromSequence, 4);
    return entries.flatMap(({ height }) => {
      const { block, certificate } = this.blocks[height - 1]!;
      const batches = buildBatches(this.crypto, block.header, certificate, block.outgoing, destination);
      return batches.filter((batch) => batch.firstSequence + batch.messages.length > fromSequence).map(encodeBatch);
    });
  }
}
