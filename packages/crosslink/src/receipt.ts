import { Reader } from './codec/reader.ts';
import { Writer } from './codec/writer.ts';
import { checkCertificate, type QuorumCertificate, readCertificate, writeCertificate } from './certificate.ts';
import type { Crypto, Hasher } from './crypto.ts';
import { encodeHeader, readHeader, type ShardHeader, writeHeader } from './header.ts';
import { listBranch, listRoot, type ListBranch, readListBranch, verifyListBranch, writeListBranch } from './merkle/list.ts';
import type { Hash32, ShardId } from './primitives.ts';
import { MESSAGE_BYTES_MAX } from './xtx/messages.ts';

/** Most bytes of messages in one chunk of a receipt batch (R14). */
export const CHUNK_BYTES_MAX = 512 * 1024;
/** Most messages in one chunk; 512 KB of the smallest message. */
export const CHUNK_MESSAGES_MAX = 16_384;

/** The messages that one block sends to one other shard, in order; sequence numbers are contiguous from `firstSequence`. */
export interface Outgoing {
  readonly destination: ShardId;
  readonly firstSequence: number;
  /** Encoded messages, at least one. */
  readonly messages: readonly Uint8Array[];
}

/** One line of the list that `outRoot` commits to. */
export interface OutEntry {
  readonly destination: ShardId;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Root of the list of chunk roots. */
  readonly root: Hash32;
}

/**
 * One chunk of the messages of one block to one shard, with everything that proves it: header, certificate, the branch of its entry under `outRoot`, and
 * the branch of the chunk under the entry's root. Believed for its proof, not for its sender.
 */
export interface ReceiptBatch {
  readonly header: ShardHeader;
  readonly certificate: QuorumCertificate;
  readonly entry: OutEntry;
  readonly entryBranch: ListBranch;
  readonly chunkBranch: ListBranch;
  /** Sequence of the chunk's first message. */
  readonly firstSequence: number;
  readonly messages: readonly Uint8Array[];
}

/** Splits messages into chunks, greedily: the split is a function of the messages alone, so that every validator computes the same root. */
export function splitChunks(messages: readonly Uint8Array[]): Uint8Array[][] {
  const chunks: Uint8Array[][] = [];
  let chunk: Uint8Array[] = [];
  let size = 0;
  for (const message of messages) {
    const bytes = message.length + 4;
    if (chunk.length > 0 && (size + bytes > CHUNK_BYTES_MAX || chunk.length === CHUNK_MESSAGES_MAX)) {
      chunks.push(chunk);
      chunk = [];
      size = 0;
    }
    chunk.push(message);
    size += bytes;
  }
  if (chunk.length > 0) chunks.push(chunk);
  return chunks;
}

/** Root over first sequence and messages of one chunk: the sequence stands in each leaf, so a chunk can not be shifted. */
function chunkRoot(hasher: Hasher, firstSequence: number, messages: readonly Uint8Array[]): Hash32 {
  const leaves = messages.map((message, index) => {
    const writer = new Writer(message.length + 8).u64(firstSequence + index).fixed(message, message.length);
    return hasher.sha256(writer.finish());
  });
  return listRoot(hasher, leaves);
}

function entryLeaf(hasher: Hasher, entry: OutEntry): Hash32 {
  const writer = new Writer(64).u8(1).u16(entry.destination).u64(entry.firstSequence).u64(entry.lastSequence).fixed(entry.root, 32);
  return hasher.sha256(writer.finish());
}

/** One destination's messages, cut into chunks, with the roots that prove them. */
interface Chunked {
  readonly entry: OutEntry;
  readonly chunks: readonly Uint8Array[][];
  /** One for each chunk. */
  readonly roots: readonly Hash32[];
}

function chunked(hasher: Hasher, { destination, firstSequence, messages }: Outgoing): Chunked {
  const chunks = splitChunks(messages);
  let sequence = firstSequence;
  const roots = chunks.map((chunk) => {
    const root = chunkRoot(hasher, sequence, chunk);
    sequence += chunk.length;
    return root;
  });
  const entry = { destination, firstSequence, lastSequence: firstSequence + messages.length - 1, root: listRoot(hasher, roots) };
  return { entry, chunks, roots };
}

/** `outRoot` of a block whose outgoing messages are `outgoing`, in ascending order of destination. */
export function outRoot(hasher: Hasher, outgoing: readonly Outgoing[]): Hash32 {
  return listRoot(
    hasher,
    outgoing.map((each) => entryLeaf(hasher, chunked(hasher, each).entry)),
  );
}

/** Makes the batches of one certified block, for all its destinations in their order: every root is computed once. */
export function buildAllBatches(hasher: Hasher, header: ShardHeader, certificate: QuorumCertificate, outgoing: readonly Outgoing[]): ReceiptBatch[] {
  const all = outgoing.map((each) => chunked(hasher, each));
  const leaves = all.map(({ entry }) => entryLeaf(hasher, entry));
  return all.flatMap(({ entry, chunks, roots }, at) => {
    const entryBranch = listBranch(hasher, leaves, at);
    let firstSequence = entry.firstSequence;
    return chunks.map((messages, index): ReceiptBatch => {
      const batch = { header, certificate, entry, entryBranch, chunkBranch: listBranch(hasher, roots, index), firstSequence, messages };
      firstSequence += messages.length;
      return batch;
    });
  });
}

/** Those of {@link buildAllBatches} for one destination; empty when the block sends it nothing. */
export function buildBatches(
  hasher: Hasher,
  header: ShardHeader,
  certificate: QuorumCertificate,
  outgoing: readonly Outgoing[],
  destination: ShardId,
): ReceiptBatch[] {
  return buildAllBatches(hasher, header, certificate, outgoing).filter(({ entry }) => entry.destination === destination);
}

/**
 * The independent check of a batch's proof up to the header's `outRoot`. Returns undefined when it holds, else a stable reason. Whether the header itself
 * is certified is {@link checkHeaderCertificate}.
 */
export function checkBatchProof(hasher: Hasher, batch: ReceiptBatch): string | undefined {
  const { entry, messages, firstSequence } = batch;
  if (messages.length === 0) return 'batch-empty';
  if (firstSequence < entry.firstSequence || firstSequence + messages.length - 1 > entry.lastSequence) return 'batch-sequence';
  if (!verifyListBranch(hasher, batch.header.outRoot, entryLeaf(hasher, entry), batch.entryBranch)) return 'batch-entry-branch';
  if (!verifyListBranch(hasher, entry.root, chunkRoot(hasher, firstSequence, messages), batch.chunkBranch)) return 'batch-chunk-branch';
  return undefined;
}

/** Whether a committee certified a shard header. Returns undefined when it did, else a stable reason. */
export function checkHeaderCertificate(
  crypto: Crypto,
  genesisHash: Hash32,
  validators: readonly Uint8Array[],
  header: ShardHeader,
  certificate: QuorumCertificate,
): string | undefined {
  const { shard: chain, epoch, height } = header;
  const blockHash = crypto.sha256(encodeHeader(header));
  return checkCertificate(crypto, validators, { genesisHash, chain, epoch, height, phase: 'commit', blockHash }, certificate);
}

/** Canonical bytes of a batch, under 1 MiB: fit for one gossip message. */
export function encodeBatch(batch: ReceiptBatch): Uint8Array {
  const writer = new Writer(4096).u8(1);
  writeHeader(writer, batch.header);
  writeCertificate(writer, batch.certificate);
  const { entry } = batch;
  writer.u16(entry.destination).u64(entry.firstSequence).u64(entry.lastSequence).fixed(entry.root, 32);
  writeListBranch(writer, batch.entryBranch);
  writeListBranch(writer, batch.chunkBranch);
  writer.u64(batch.firstSequence).list(batch.messages, CHUNK_MESSAGES_MAX, (out, message) => out.bytes(message, MESSAGE_BYTES_MAX));
  return writer.finish();
}

/** The inverse of {@link encodeBatch}; byte fields are views of `data`. Throws {@link DecodeError}. */
export function decodeBatch(data: Uint8Array): ReceiptBatch {
  const reader = new Reader(data);
  reader.version(1);
  const batch = {
    header: readHeader(reader),
    certificate: readCertificate(reader),
    entry: { destination: reader.shard(), firstSequence: reader.u64(), lastSequence: reader.u64(), root: reader.hash() },
    entryBranch: readListBranch(reader),
    chunkBranch: readListBranch(reader),
    firstSequence: reader.u64(),
    messages: reader.list(CHUNK_MESSAGES_MAX, (input) => input.bytes(MESSAGE_BYTES_MAX)),
  };
  reader.end();
  return batch;
}
