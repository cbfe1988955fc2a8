import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeSnapshotHead, decodeSnapshotPage, encodeBlock, encodeSnapshotHead, encodeSnapshotPage, equalBytes, headerHash, type Height, isStorageKey, Prng, type ShardId } from '@shardlab/crosslink';
import { DEFAULT_SNAPSHOT_LIMITS } from '../../src/replica/catch-up/snapshot-fetch.ts';
import { altered, type Answerer, bent, FOREIGN, FORKED, HEIGHT, honest, MODULES, type Outcome, run, sameEntries, TRUE } from './catch-up-support.ts';

const NOTHING = new Uint8Array(0);
const none: Answerer = () => undefined;

/** The outcome is the true state, proven, with the blocks from `olderFrom` on. */
function assertTrue({ end }: Outcome, olderFrom: number): void {
  assert.equal(end.kind, 'done');
  if (end.kind !== 'done') return;
  const { snapshot } = end;
  assert.deepEqual(snapshot.block.header, TRUE.blocks[HEIGHT - 1]!.header);
  assert.deepEqual(snapshot.block.certificate, TRUE.blocks[HEIGHT - 1]!.certificate);
  assert.ok(sameEntries(snapshot.entries, TRUE.entries));
  assert.deepEqual(
    snapshot.older.map(({ header, outgoing, certificate, body }) => ({ header, outgoing, certificate, body })),
    TRUE.blocks.slice(olderFrom - 1, HEIGHT - 1).map(({ header, outgoing, certificate, body }) => ({ header, outgoing, certificate, body })),
  );
  for (const block of [snapshot.block, ...snapshot.older]) {
    assert.equal(block.events.length, 0, 'what no root covers is not taken over');
    assert.equal(block.wallMs, block.header.timestampMs);
  }
}

test('an honest validator is asked for head, pages and older blocks, and no more', () => {
  const outcome = run([honest()], { consumed: (destination) => (destination === 1 ? 8 : 3) });
  assertTrue(outcome, 9);
  assert.deepEqual(outcome.end.kind === 'done' && outcome.end.missing, []);
  assert.deepEqual(outcome.faults, []);
  const pages = Math.ceil(TRUE.entries.length / 7);
  assert.ok(pages > 3);
  assert.deepEqual(outcome.asked, ['10 snapshot-head', ...Array<string>(pages).fill('10 snapshot-page'), '10 blocks']);
  assert.equal(outcome.fetch.entryCount, TRUE.entries.length);
  assert.deepEqual(outcome.fetch.next(), outcome.end, 'the end stays');
  assert.throws(() => outcome.fetch.answer([]), { code: 'invariant' });
});

test('older blocks reach down to what is known to be consumed, else to what the sender says', () => {
  assertTrue(run([honest()], { consumed: () => HEIGHT }), HEIGHT);
  // Shard 2 got the messages of the first three blocks, and has consumed two.
  assertTrue(run([honest()], { consumed: (destination) => (destination === 1 ? 11 : 2) }), 3);
  assertTrue(run([honest({ messagesFrom: 6 })]), 6);
  assertTrue(run([honest({ messagesFrom: HEIGHT })]), HEIGHT);
  assertTrue(run([honest({ messagesFrom: 0 })]), 1);
  // A sender that says that all is consumed is not believed about what is known here.
  assertTrue(run([honest({ messagesFrom: HEIGHT })], { consumed: (destination) => (destination === 1 ? 5 : undefined) }), 6);
});

test('answers that are cut short are asked for in smaller steps', () => {
  for (const blocksMax of [1, 2, 3, 5]) {
    const outcome = run([honest({ blocksMax })]);
    assertTrue(outcome, 1);
    assert.deepEqual(outcome.faults, []);
  }
});

test('lost answers are asked for again, and then of the next validator', () => {
  let turn = 0;
  const lossy: Answerer = (request) => (turn++ % 3 === 2 ? honest()(request) : undefined);
  const outcome = run([lossy]);
  assertTrue(outcome, 1);
  assert.deepEqual(outcome.faults, []);
  const left = run([none, honest()]);
  assertTrue(left, 1);
  assert.deepEqual(left.asked.slice(0, 4), ['10 snapshot-head', '10 snapshot-head', '10 snapshot-head', '11 snapshot-head']);
});

test('a validator without a snapshot of use costs nothing, and the next is asked', () => {
  const useless: Answerer[] = [none, () => [], bent('snapshot-page', (_items, _request, count) => (count < 2 ? _items : [])), bent('snapshot-page', () => undefined)];
  for (const answerer of useless) {
    const outcome = run([answerer, honest()]);
    assertTrue(outcome, 1);
    assert.deepEqual(outcome.faults, []);
  }
  const low = run([honest()], { ownHeight: HEIGHT });
  assert.deepEqual(low.end, { kind: 'failed', reason: 'snapshot-lacking' });
  assert.deepEqual(low.faults, []);
  assert.deepEqual(run([]).end, { kind: 'failed', reason: 'snapshot-none' });
  assert.deepEqual(run([none]).end, { kind: 'failed', reason: 'snapshot-unanswered' });
});

const head = (change: Parameters<typeof altered>[1]): Answerer =>
  bent('snapshot-head', ([item]) => [encodeSnapshotHead({ ...decodeSnapshotHead(item!), block: altered(decodeSnapshotHead(item!).block, change) })]);
const offers = (block: Uint8Array, messagesFrom = 1): Answerer => bent('snapshot-head', () => [encodeSnapshotHead({ block, messagesFrom: messagesFrom as Height })]);
const pages = (change: (entries: ReturnType<typeof decodeSnapshotPage>, count: number) => Uint8Array): Answerer =>
  bent('snapshot-page', ([cursor, page], _request, count) => [cursor!, change(decodeSnapshotPage(page!), count)]);
const older = (change: (items: readonly Uint8Array[], first: number) => readonly Uint8Array[]): Answerer => bent('blocks', (items, { fromHeight }) => change(items, fromHeight));
const oneOlder = (change: Parameters<typeof altered>[1]): Answerer => older((items) => items.map((item, at) => (at === 4 ? altered(item, change) : item)));
const swap = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));
const key = (at: number): Uint8Array => Uint8Array.of(255, at >> 8, at & 255);

const LIARS: readonly (readonly [name: string, liar: Answerer, reason: string])[] = [
  ['two heads', bent('snapshot-head', (items) => [...items, ...items]), 'snapshot-items'],
  ['a head that is cut off', bent('snapshot-head', ([item]) => [item!.subarray(0, 900)]), 'decode/truncated'],
  ["another shard's block", offers(encodeBlock(FOREIGN.blocks[HEIGHT - 1]!)), 'snapshot-head'],
  ['messages from above the head', offers(encodeBlock(TRUE.blocks[HEIGHT - 1]!), HEIGHT + 1), 'snapshot-head'],
  ["another block's certificate", head(() => ({ certificate: TRUE.blocks[3]!.certificate })), 'certificate-signature'],
  ['no certificate', head(() => ({ certificate: { view: 0, scheme: 0xff, bitmap: Uint8Array.of(0), signatures: [] } })), 'certificate-quorum'],
  ['a header that nobody certified', head(({ header }) => ({ header: { ...header, stateRoot: header.txRoot } })), 'certificate-signature'],
  ['another pair table', head(({ body }) => ({ body: { ...body, pairs: body.pairs.map((pair) => ({ ...pair, consumedSequence: 9 })) } })), 'block-pair-root'],
  ['messages left out', head(() => ({ outgoing: [] })), 'block-out-root'],
  ['receipts left out', head(() => ({ receipts: [] })), 'block-receipt-root'],
  ['transactions left out', head(({ body }) => ({ body: { ...body, transactions: [] } })), 'block-tx-root'],
  ['a page too few items', bent('snapshot-page', ([, page]) => [page!]), 'snapshot-items'],
  ['a page too many items', bent('snapshot-page', (items) => [...items, NOTHING]), 'snapshot-items'],
  ['a page that is cut off', bent('snapshot-page', ([cursor, page]) => [cursor!, page!.subarray(0, page!.length - 1)]), 'decode/truncated'],
  ['keys in disorder', bent('snapshot-page', ([cursor, page]) => [cursor!, disordered(page!)]), 'decode/range'],
  ['the first page again', again(), 'snapshot-order'],
  ['a cursor that leaves out keys', bent('snapshot-page', ([cursor, page]) => [cursor!.length === 0 ? cursor! : swap(cursor!, cursor!.length - 1), page!]), 'snapshot-cursor'],
  ['a cursor, and no entries', bent('snapshot-page', () => [key(1), encodeSnapshotPage([])]), 'snapshot-cursor'],
  ['pages without end', bent('snapshot-page', (_items, _request, count) => [key(count), encodeSnapshotPage([{ key: key(count), value: new Uint8Array(1_000) }])]), 'snapshot-size'],
  ['fewer pages', bent('snapshot-page', ([, page]) => [NOTHING, page!]), 'snapshot-root'],
  ['an account left out', pages((entries, count) => encodeSnapshotPage(count === 1 ? [...entries.slice(0, 2), ...entries.slice(3)] : entries)), 'snapshot-root'],
  ['a richer account', pages((entries, count) => encodeSnapshotPage(entries.map(({ key: of, value }, at) => ({ key: of, value: count === 0 && at === 0 ? swap(value, value.length - 1) : value })))), 'snapshot-root'],
  ['a code size that no root covers', pages((entries, count) => encodeSnapshotPage(entries.map(({ key: of, value }, at) => ({ key: of, value: count === 0 && at === 0 ? swap(value, 10) : value })))), 'snapshot-entries'],
  ['other code', pages((entries) => encodeSnapshotPage(entries.map(({ key: of, value }) => ({ key: of, value: value.length > 4_000 ? swap(value, value.length - 1) : value })))), 'snapshot-entries'],
  ['code left out', pages((entries) => encodeSnapshotPage(entries.filter(({ key: of, value }) => of.length === 33 || value.length < 4_000))), 'snapshot-entries'],
  ['storage left out', pages((entries) => encodeSnapshotPage(entries.filter(({ key: of }, at) => at === entries.length - 1 || !isStorageKey(of)))), 'snapshot-root'],
  ['other storage', pages((entries) => encodeSnapshotPage(entries.map(({ key: of, value }) => ({ key: of, value: of.length === 64 ? swap(value, value.length - 1) : value })))), 'snapshot-root'],
  ['no state at all', pages(([first, ...rest]) => encodeSnapshotPage([{ key: first!.key, value: Uint8Array.of(9) }, ...rest])), 'snapshot-entries'],
  ['no blocks but junk', older((items) => items.map((item) => item.subarray(0, 1_000))), 'decode/truncated'],
  ['a gap in the blocks', older((items) => [...items.slice(0, 4), ...items.slice(5), items[0]!]), 'snapshot-chain'],
  ['blocks of another history', older((items, first) => items.map((_, at) => encodeBlock(FORKED.blocks[first - 1 + at]!))), 'snapshot-chain'],
  ["another shard's blocks", older((items, first) => items.map((_, at) => encodeBlock(FOREIGN.blocks[first - 1 + at]!))), 'snapshot-chain'],
  ['one block of another history', older((items, first) => items.map((item, at) => (at === 4 ? encodeBlock(FORKED.blocks[first - 1 + at]!) : item))), 'snapshot-chain'],
  ['an older block with other messages', oneOlder(({ outgoing }) => ({ outgoing: outgoing.map((each) => ({ ...each, messages: each.messages.map((message) => swap(message, 3)) })) })), 'block-out-root'],
  ['an older block with another certificate', oneOlder(() => ({ certificate: TRUE.blocks[0]!.certificate })), 'certificate-signature'],
  ['an older block with another pair table', oneOlder(({ body }) => ({ body: { ...body, pairs: [] } })), 'block-pair-root'],
];

function again(): Answerer {
  let first: Uint8Array | undefined;
  return bent('snapshot-page', ([cursor, page]) => [cursor!, (first ??= page!)]);
}

/** The page's first two entries, exchanged. */
function disordered(page: Uint8Array): Uint8Array {
  const out = page.slice();
  const lengthOf = (at: number): number => 3 + page[at]! + ((page[at + 1 + page[at]!]! << 8) | page[at + 2 + page[at]!]!);
  const [first, second] = [lengthOf(3), lengthOf(3 + lengthOf(3))];
  out.set(page.subarray(3 + first, 3 + first + second), 3);
  out.set(page.subarray(3, 3 + first), 3 + second);
  return out;
}

const limits = { ...DEFAULT_SNAPSHOT_LIMITS, entriesMax: 10_000, entryBytesMax: 100_000 };

for (const [name, liar, reason] of LIARS) {
  test(`a liar with ${name} is found out, and the next validator helps`, () => {
    const outcome = run([liar, honest()], { limits });
    assert.deepEqual(outcome.faults, [{ validator: 10, reason }]);
    assertTrue(outcome, 1);
  });
}

test('a liar about older blocks costs no page again', () => {
  const [, liar] = LIARS.find(([name]) => name === 'a gap in the blocks')!;
  const { asked } = run([liar, honest()]);
  assert.ok(!asked.some((each) => each === '11 snapshot-head' || each === '11 snapshot-page'));
});

test('entries are bounded in number, too', () => {
  const outcome = run([honest()], { limits: { ...limits, entriesMax: 20 } });
  assert.deepEqual(outcome.faults, [{ validator: 10, reason: 'snapshot-size' }]);
  assert.deepEqual(outcome.end, { kind: 'failed', reason: 'snapshot-size' });
});

test('where only liars are, it fails with the last reason', () => {
  const outcome = run(LIARS.slice(0, 4).map(([, liar]) => liar));
  assert.deepEqual(outcome.end, { kind: 'failed', reason: 'snapshot-head' });
  assert.deepEqual(outcome.faults.map(({ validator }) => validator), [10, 11, 12, 13]);
});

test('blocks that nobody hands out, or that are beyond the limits, are named as missing', () => {
  const forgetful = bent('blocks', () => []);
  const nobody = run([forgetful, forgetful, bent('blocks', () => undefined)], { consumed: (destination) => (destination === 1 ? 2 : 3) });
  assertTrue(nobody, HEIGHT);
  assert.deepEqual(nobody.end.kind === 'done' && nobody.end.missing, [1]);
  assert.deepEqual(nobody.faults, []);
  const few = run([honest()], { limits: { ...limits, older: { blocksMax: 4, bytesMax: 1 << 20 } } });
  assertTrue(few, HEIGHT - 4);
  assert.deepEqual(few.end.kind === 'done' && few.end.missing, [1, 2] as ShardId[]);
  const small = run([honest()], { limits: { ...limits, older: { blocksMax: 100, bytesMax: 1 } } });
  assertTrue(small, HEIGHT - 1);
});

function flip(item: Uint8Array, random: Prng): Uint8Array {
  const out = item.slice();
  if (out.length > 0) out[random.below(out.length)]! ^= 1 << random.below(8);
  return out;
}

test('whatever bits are flipped, what comes out is the truth', () => {
  const random = new Prng(99);
  let found = 0;
  for (let round = 0; round < 250; round++) {
    let flips = 1 + random.below(2);
    const truth = honest();
    const flipping: Answerer = (request) => {
      const items = truth(request)!;
      if (flips === 0 || random.below(4) > 0) return items;
      flips--;
      const victim = random.below(items.length);
      return items.map((item, at) => (at === victim ? flip(item, random) : item));
    };
    const outcome = run([flipping, honest()]);
    assert.ok(outcome.faults.every(({ validator }) => validator === 10), 'nobody else is blamed');
    found += outcome.faults.length;
    assert.equal(outcome.end.kind, 'done');
    if (outcome.end.kind !== 'done') return;
    assert.ok(equalBytes(outcome.end.snapshot.hash, headerHash(MODULES.hasher, TRUE.blocks[HEIGHT - 1]!.header)));
    assert.ok(sameEntries(outcome.end.snapshot.entries, TRUE.entries));
    assert.deepEqual(outcome.end.snapshot.block.header, TRUE.blocks[HEIGHT - 1]!.header);
    for (const block of outcome.end.snapshot.older) assert.deepEqual(block.outgoing, TRUE.blocks[block.header.height - 1]!.outgoing);
  }
  assert.ok(found > 100, `${found} lies were found`);
});
