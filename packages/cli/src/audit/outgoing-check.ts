import {
  type Block,
  checkBatchProof,
  type Crypto,
  equalBytes,
  type Hash32,
  listBranch,
  listRoot,
  type OutEntry,
  type Outgoing,
  splitChunks,
  Writer,
} from '@shardlab/crosslink';
import type { Findings, Place } from './findings.ts';

/** SHA-256 of (u64 sequence, message), for messages that are contiguous in sequence: their leaves under `outRoot` (R14), and what both sides are compared by. */
export function messageHashes(crypto: Crypto, firstSequence: number, messages: readonly Uint8Array[]): Hash32[] {
  let scratch = new Uint8Array(512);
  return messages.map((message, index) => {
    const end = 8 + message.length;
    if (end > scratch.length) scratch = new Uint8Array(2 * end);
    new DataView(scratch.buffer).setBigUint64(0, BigInt(firstSequence + index));
    scratch.set(message, 8);
    return crypto.sha256(scratch.subarray(0, end));
  });
}

/** The messages of one block to one shard, hashed up to their line under `outRoot`. */
interface HashedOutgoing {
  readonly outgoing: Outgoing;
  readonly hashes: readonly Hash32[];
  readonly chunks: readonly Uint8Array[][];
  readonly chunkRoots: readonly Hash32[];
  readonly entry: OutEntry;
  readonly leaf: Hash32;
}

function hashed(crypto: Crypto, outgoing: Outgoing): HashedOutgoing {
  const { destination, firstSequence, messages } = outgoing;
  const hashes = messageHashes(crypto, firstSequence, messages);
  const chunks = splitChunks(messages);
  let at = 0;
  const chunkRoots = chunks.map((chunk) => listRoot(crypto, hashes.slice(at, (at += chunk.length))));
  const lastSequence = firstSequence + messages.length - 1;
  const entry = { destination, firstSequence, lastSequence, root: listRoot(crypto, chunkRoots) };
  const writer = new Writer(64).u8(1).u16(destination).u64(firstSequence).u64(Math.max(0, lastSequence)).fixed(entry.root, 32);
  return { outgoing, hashes, chunks, chunkRoots, entry, leaf: crypto.sha256(writer.finish()) };
}

/** What the outgoing messages of one block came to. */
export interface OutgoingResult {
  readonly checked: number;
  readonly bad: number;
  /** {@link messageHashes} of each of the block's outgoing runs, in order. */
  readonly hashes: readonly (readonly Hash32[])[];
}

/**
 * Rebuilds `outRoot` from the messages, by R14's definition rather than by the code that nodes use; then makes every receipt batch that the block's receivers are
 * to believe, and verifies it as they do. `uncertified` is why the header's certificate does not hold; undefined = it does.
 */
export function checkOutgoing(crypto: Crypto, block: Block, uncertified: string | undefined, place: Place, findings: Findings): OutgoingResult {
  const { header, certificate } = block;
  const all = block.outgoing.map((outgoing) => hashed(crypto, outgoing));
  const leaves = all.map((each) => each.leaf);
  if (!equalBytes(header.outRoot, listRoot(crypto, leaves))) findings.add('out-root', 'the outgoing messages are not those of the header', place);
  let checked = 0;
  let bad = 0;
  all.forEach(({ outgoing, chunks, chunkRoots, entry }, index) => {
    const entryBranch = listBranch(crypto, leaves, index);
    let { firstSequence } = outgoing;
    chunks.forEach((messages, at) => {
      const batch = { header, certificate, entry, entryBranch, chunkBranch: listBranch(crypto, chunkRoots, at), firstSequence, messages };
      const reason = checkBatchProof(crypto, batch) ?? uncertified;
      checked++;
      if (reason !== undefined) {
        bad++;
        findings.add('batch-proof', `the batch of message ${firstSequence} to shard ${outgoing.destination} does not verify: ${reason}`, place);
      }
      firstSequence += messages.length;
    });
  });
  return { checked, bad, hashes: all.map((each) => each.hashes) };
}
