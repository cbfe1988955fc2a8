import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ascii, CHUNK_BYTES_MAX, type InboxSegment, type PairTable, Prng, type ReceiptBatch, type ShardId } from '@shardlab/crosslink';
import { Epochs } from '../../src/exchange/epochs.ts';
import { HeaderCheck } from '../../src/exchange/header-check.ts';
import { Inbox, type InboxOptions } from '../../src/exchange/inbox.ts';
import { testCrypto } from '../support/crypto.ts';
import { testGenesis } from '../support/genesis.ts';
import { certifiedHeader, epochAfter, testBatches } from '../support/headers.ts';
import { CHAIN_ID } from '../support/transactions.ts';

const crypto = testCrypto();
const network = { crypto, ...testGenesis(crypto, { shards: 3, accounts: 1 }) };
const epoch = epochAfter(network);
const OWN = 2 as ShardId;
const [A, B] = [0 as ShardId, 1 as ShardId];

function makeInbox(options: Partial<InboxOptions> = {}, consumed: [ShardId, number][] = [[B, 0], [A, 0]]): { inbox: Inbox; epochs: Epochs } {
  const epochs = new Epochs(crypto, network.hash, network.genesis.beaconValidators);
  epochs.add(epoch);
  const headers = new HeaderCheck(crypto, network.hash, CHAIN_ID, epochs);
  const bounds = { shard: OWN, shards: 3, windowMessages: 1_000, windowBytes: 4 << 20, ...options };
  const inbox = new Inbox(bounds, { crypto, headers }, new Map(consumed));
  consumption.set(inbox, new Map(consumed));
  return { inbox, epochs };
}

/** What blocks have consumed of each inbox. */
const consumption = new WeakMap<Inbox, Map<ShardId, number>>();

function pairsOf(inbox: Inbox): PairTable {
  const none = { sentSequence: 0, sentValue: 0n, receivedValue: 0n };
  return [...inbox.others()].sort((a, b) => a - b).map((shard) => ({ ...none, shard, consumedSequence: consumption.get(inbox)!.get(shard) ?? 0 }));
}

/** Consumes what a block would, and makes it final. */
function take(inbox: Inbox, bytesMax: number): InboxSegment[] {
  const segments = inbox.select(pairsOf(inbox), bytesMax);
  for (const { source, firstSequence, messages } of segments) consumption.get(inbox)!.set(source, firstSequence + messages.length - 1);
  inbox.settle(pairsOf(inbox));
  return segments;
}

function words(count: number, prefix = 'm'): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => ascii(`${prefix}${index}`));
}

/** The one chunk of a block of `count` short messages. */
function chunk(source: ShardId, height: number, firstSequence: number, count: number, destination = OWN): ReceiptBatch {
  return testBatches(network, source, destination, { height, firstSequence, messages: words(count) }, epoch)[0]!;
}

/** A block with messages of 60,000 bytes: more than one chunk. */
function large(source: ShardId, height: number, firstSequence: number, count: number): ReceiptBatch[] {
  const messages = Array.from({ length: count }, (_, index) => new Uint8Array(60_000).fill(index + height));
  return testBatches(network, source, OWN, { height, firstSequence, messages }, epoch);
}

test('a good batch is taken once, and consumed once', () => {
  const { inbox } = makeInbox();
  const batch = chunk(A, 1, 1, 3);
  assert.deepEqual(inbox.offer(batch), { kind: 'accept' });
  assert.deepEqual([inbox.size, inbox.ready(pairsOf(inbox))], [3, true]);
  assert.deepEqual(inbox.offer(batch), { kind: 'ignore', reason: 'batch-known' });
  const [segment] = take(inbox, 1e6);
  assert.deepEqual(segment, {
    source: A,
    sourceHeight: 1,
    sourceHash: segment!.sourceHash,
    sourceTimestampMs: batch.header.timestampMs,
    firstSequence: 1,
    messages: batch.messages,
  });
  assert.deepEqual([inbox.size, inbox.ready(pairsOf(inbox))], [0, false]);
  assert.deepEqual(inbox.offer(batch), { kind: 'ignore', reason: 'batch-known' });
  assert.deepEqual(take(inbox, 1e6), []);
});

test('every reason to refuse a batch', () => {
  const { inbox } = makeInbox();
  const good = chunk(A, 1, 1, 2);
  const forged = { ...good.certificate, signatures: [new Uint8Array(64).fill(1)] };
  const foreign = certifiedHeader(network, A, { chainId: 7, outRoot: good.header.outRoot }, epoch);
  const unknown = certifiedHeader(network, A, { epoch: 5, outRoot: good.header.outRoot }, epoch);
  const wrongEpoch = certifiedHeader(network, A, { epochCertificateHash: crypto.sha256(ascii('x')), outRoot: good.header.outRoot }, epoch);
  const late = chunk(A, 9, 1_002, 1);
  const cases: [string, ReceiptBatch, string][] = [
    ['own', { ...good, header: { ...good.header, shard: OWN } }, 'reject batch-source'],
    ['no shard', { ...good, header: { ...good.header, shard: 77 as ShardId } }, 'reject batch-source'],
    ['destination', chunk(A, 1, 1, 2, B), 'reject batch-destination'],
    ['window', late, 'ignore batch-window'],
    ['empty', { ...good, messages: [] }, 'reject batch-empty'],
    ['sequence', { ...good, firstSequence: 2 }, 'reject batch-sequence'],
    ['entry', { ...good, entry: { ...good.entry, lastSequence: 3 } }, 'reject batch-entry-branch'],
    ['message', { ...good, messages: words(2, 'x') }, 'reject batch-chunk-branch'],
    ['signature', { ...good, certificate: forged }, 'reject certificate-signature'],
    ['network', { ...good, ...foreign }, 'reject header-foreign'],
    ['future', { ...good, ...unknown }, 'ignore epoch-unknown'],
    ['epoch hash', { ...good, ...wrongEpoch }, 'reject header-epoch'],
  ];
  for (const [name, batch, expected] of cases) {
    const verdict = inbox.offer(batch);
    assert.equal(verdict.kind === 'accept' ? 'accept' : `${verdict.kind} ${verdict.reason}`, expected, name);
    assert.equal(inbox.size, 0);
  }
  assert.equal(inbox.offer(good).kind, 'accept');
});

test('a header that was found good does not make another certificate good', () => {
  const { inbox } = makeInbox();
  const [first, second] = large(A, 1, 1, 12) as [ReceiptBatch, ReceiptBatch];
  assert.equal(inbox.offer(first).kind, 'accept');
  const forged = { ...second, certificate: { ...second.certificate, signatures: [new Uint8Array(64)] } };
  assert.deepEqual(inbox.offer(forged), { kind: 'reject', reason: 'certificate-signature' });
  assert.equal(inbox.offer(second).kind, 'accept');
});

test('chunks in any order: missing() names the first gap, blocks consume what is contiguous', () => {
  const { inbox } = makeInbox();
  const chunks = [chunk(A, 1, 1, 2), chunk(A, 2, 3, 1), chunk(A, 3, 4, 4), chunk(A, 4, 8, 1)];
  assert.equal(inbox.missing(A), undefined);
  inbox.announce(A, 8);
  assert.equal(inbox.missing(A), 1);
  inbox.offer(chunks[3]!);
  inbox.offer(chunks[1]!);
  assert.deepEqual([inbox.missing(A), inbox.ready(pairsOf(inbox)), inbox.incomplete()], [1, false, [A]]);
  inbox.offer(chunks[0]!);
  assert.deepEqual([inbox.missing(A), inbox.ready(pairsOf(inbox))], [4, true]);
  assert.deepEqual(take(inbox, 1e6).map(({ firstSequence }) => firstSequence), [1, 3]);
  inbox.offer(chunks[2]!);
  assert.deepEqual([inbox.missing(A), inbox.incomplete()], [undefined, []]);
  assert.deepEqual(take(inbox, 1e6).map(({ firstSequence }) => firstSequence), [4, 8]);
  inbox.announce(A, 9);
  inbox.announce(A, 5);
  assert.deepEqual([inbox.missing(A), inbox.missing(B), inbox.missing(9 as ShardId)], [9, undefined, undefined]);
});

test('what a restart has consumed is known', () => {
  const { inbox } = makeInbox({}, [[A, 2], [B, 0]]);
  assert.deepEqual(inbox.offer(chunk(A, 1, 1, 2)), { kind: 'ignore', reason: 'batch-known' });
  inbox.announce(A, 3);
  assert.equal(inbox.missing(A), 3);
});

test('a full window never shuts out the chunk that the next block waits for', () => {
  const { inbox } = makeInbox({ windowBytes: 2 * CHUNK_BYTES_MAX });
  const [first, ...rest] = large(A, 1, 1, 40) as [ReceiptBatch, ...ReceiptBatch[]];
  const verdicts = rest.map((batch) => inbox.offer(batch));
  assert.deepEqual(verdicts.map(({ kind }) => kind), ['accept', 'accept', 'ignore', 'ignore']);
  assert.deepEqual(inbox.incomplete(), [A], 'the first one is asked for, though the window is full');
  assert.equal(inbox.offer(first).kind, 'accept');
  assert.deepEqual(inbox.incomplete(), [], 'the later ones are not, until there is room');
  assert.equal(take(inbox, 1e9).length, 3);
  assert.deepEqual(inbox.incomplete(), [A]);
  for (const batch of rest.slice(2)) assert.equal(inbox.offer(batch).kind, 'accept');
  assert.equal(take(inbox, 1e9).length, 2);
  assert.equal(inbox.missing(A), undefined);
});

test('a block takes about its share of every source, in order of (source, sequence), and sources take turns', () => {
  const { inbox } = makeInbox();
  for (const source of [A, B]) for (const batch of large(source, 1, 1, 24)) assert.equal(inbox.offer(batch).kind, 'accept');
  const counts: number[][] = [];
  for (let block = 0; block < 3; block++) {
    const taken = take(inbox, CHUNK_BYTES_MAX / 2);
    for (let i = 1; i < taken.length; i++) assert.ok(taken[i - 1]!.source < taken[i]!.source || taken[i - 1]!.firstSequence < taken[i]!.firstSequence);
    counts.push([A, B].map((source) => taken.filter((segment) => segment.source === source).length));
  }
  // A chunk is more than a block's bytes: one source is served at a time, then the other.
  assert.deepEqual(counts, [[1, 0], [0, 1], [1, 0]]);
});

test('random arrival, loss, repetition and blocks: each sequence comes out once, in order, and size is right', () => {
  for (let seed = 0; seed < 20; seed++) {
    const prng = new Prng(seed);
    const { inbox } = makeInbox({ windowMessages: 40 });
    const chunks: ReceiptBatch[] = [];
    for (let sequence = 1, height = 1; height <= 25; height++) {
      const count = 1 + prng.below(5);
      chunks.push(chunk(A, height, sequence, count));
      sequence += count;
    }
    const last = chunks.at(-1)!.entry.lastSequence;
    inbox.announce(A, last);
    let consumed = 0;
    let waiting = 0;
    for (let round = 0; consumed < last; round++) {
      assert.ok(round < 5_000);
      const wanted = inbox.missing(A);
      // Now what is missing, as a pull would bring it, now anything.
      const batch = prng.below(4) === 0 && wanted !== undefined ? chunks.find((each) => each.entry.lastSequence >= wanted)! : chunks[prng.below(chunks.length)]!;
      if (inbox.offer(batch).kind === 'accept') waiting += batch.messages.length;
      assert.equal(inbox.size, waiting);
      if (prng.below(3) > 0) continue;
      for (const segment of take(inbox, 1 + prng.below(30))) {
        assert.equal(segment.firstSequence, consumed + 1);
        consumed += segment.messages.length;
        waiting -= segment.messages.length;
      }
    }
    assert.equal(inbox.size, 0, `seed ${seed}`);
  }
});

test('what is selected stays until a block that consumed it is final, and can be compared with what others say', () => {
  const { inbox } = makeInbox();
  inbox.offer(chunk(A, 1, 1, 2));
  inbox.offer(chunk(A, 2, 3, 1));
  const [first] = inbox.select(pairsOf(inbox), 1e6);
  assert.deepEqual(inbox.select(pairsOf(inbox), 1e6).length, 2, 'a block that was not decided has consumed nothing');
  assert.equal(inbox.holds(first!), 'yes');
  assert.equal(inbox.holds({ ...first!, messages: words(2, 'x') }), 'differs');
  assert.equal(inbox.holds({ ...first!, sourceTimestampMs: 1 }), 'differs');
  assert.equal(inbox.holds({ ...first!, messages: first!.messages.slice(1) }), 'differs');
  assert.equal(inbox.holds({ ...first!, firstSequence: 4 }), 'missing');
  const after = pairsOf(inbox).map((pair) => (pair.shard === A ? { ...pair, consumedSequence: 2 } : pair));
  assert.deepEqual(inbox.select(after, 1e6).map(({ firstSequence }) => firstSequence), [3], 'the next block goes on where one that is not final ends');
  inbox.settle(after);
  assert.deepEqual([inbox.size, inbox.ready(after), inbox.ready(pairsOf(inbox))], [1, true, false]);
});
