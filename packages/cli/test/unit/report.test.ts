import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { toHex } from '@shardlab/crosslink';
import fc from 'fast-check';
import { LoadBook } from '../../src/load/book.ts';
import { readLedger, writeLedger } from '../../src/report/ledger.ts';
import { buildReport } from '../../src/report/load-report.ts';
import { percentile, summarize } from '../../src/report/percentiles.ts';
import { ProgressView } from '../../src/report/progress.ts';
import { reportLines, wantsColour } from '../../src/report/table.ts';
import { TextFile } from '../../src/report/text-file.ts';
import { CSV_HEADER, writeTransactionsCsv } from '../../src/report/transactions-csv.ts';
import type { SignedLoad } from '../../src/workload/signed-load.ts';

const START_MS = 1_700_000_000_000;

/** Five offered of six: committed within and across, aborted, rejected, pending. */
function finishedBook(): LoadBook {
  const hashes = Uint8Array.from({ length: 6 * 32 }, (_, at) => Math.floor(at / 32) + 1);
  const load: SignedLoad = {
    count: 6,
    shards: 2,
    sender: Uint32Array.of(0, 1, 2, 3, 4, 5),
    senders: 6,
    fromShard: Uint16Array.of(0, 0, 1, 1, 0, 0),
    toShard: Uint16Array.of(0, 1, 0, 1, 0, 0),
    hashes,
    frame: () => hashes,
  };
  const book = new LoadBook(load, { startMs: START_MS, ratePerSecond: 10 });
  for (let i = 0; i < 5; i++) book.offer();
  book.accepted(0, START_MS + 5);
  book.phase('applied', 0, START_MS + 200, START_MS + 250);
  book.settle(0, 'committed', '', START_MS + 250);
  book.phase('acked', 1, START_MS + 800, START_MS + 1100);
  book.settle(1, 'committed', '', START_MS + 1100);
  book.settle(2, 'aborted', 'deadline', START_MS + 900);
  book.settle(3, 'rejected', 'bad,code', START_MS + 900);
  return book;
}

const RESULT = { lagMaxMs: 3.14, resubmitted: 2, cpuSeconds: 0.5, elapsedMs: 2000 };

describe('percentiles', () => {
  test('nearest rank: a share of the values is at most it, and one of them is it', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 100 }), (values, percent) => {
        const sorted = Float64Array.from(values).sort();
        const found = percentile(sorted, percent / 100)!;
        assert.ok(values.includes(found));
        assert.ok(values.filter((value) => value <= found).length * 100 >= percent * values.length);
        assert.ok(values.filter((value) => value < found).length * 100 < percent * values.length);
      }),
    );
  });

  test('of nothing there is none', () => {
    assert.deepEqual(summarize(new Float64Array(0)), { p50: null, p95: null, p99: null, max: null });
    assert.deepEqual(summarize(Float64Array.from([3, 1, 2])), { p50: 2, p95: 3, p99: 3, max: 3 });
  });
});

describe('buildReport', () => {
  test('sums up: outcomes add up, latency counts from the intended time, reasons are broken down', () => {
    const report = buildReport({ book: finishedBook(), ...RESULT }, { shards: 2, validators: 1, trace: { rows: 8, replayed: 6, leftOut: { creation: 1, type3: 1 } } });
    assert.deepEqual(report, {
      ok: false,
      shards: 2,
      validators: 1,
      submitted: 5,
      committed: 2,
      reverted: 0,
      aborted: 1,
      rejected: 1,
      rejections: { 'bad,code': 1 },
      aborts: { deadline: 1 },
      pending: 1,
      crossShard: { count: 2, ratio: 0.4 },
      offeredTps: 10,
      committedTps: 1.8,
      latencyMs: { intraShard: { p50: 250, p95: 250, p99: 250, max: 250 }, crossShard: { p50: 1000, p95: 1000, p99: 1000, max: 1000 } },
      generator: { cores: 0.25, lagMaxMs: 3.1, resubmitted: 2 },
      workload: { name: 'transfer', calls: 5, invariants: {}, violations: [] },
      leftOut: { creation: 1, type3: 1 },
    });
  });

  test('a reverted call is committed and counted apart; a broken invariant makes the report bad, in JSON and for people', () => {
    const book = new LoadBook({ ...finishedBook().load, count: 2 }, { startMs: START_MS, ratePerSecond: 10 });
    book.settle(book.offer(), 'committed', '', START_MS + 100);
    book.settle(book.offer(), 'committed', 'reverted', START_MS + 200);
    const workload = { name: 'erc20', invariants: { 'token-supply': true }, violations: [] } as const;
    const good = buildReport({ book, ...RESULT }, { shards: 2, validators: 1, workload });
    assert.deepEqual([good.ok, good.committed, good.reverted, good.workload.calls], [true, 2, 1, 2]);
    const broken = { ...workload, invariants: { 'token-supply': false }, violations: [{ name: 'token-supply', shard: 1, message: 'a token too many' }] } as const;
    const bad = buildReport({ book, ...RESULT }, { shards: 2, validators: 1, workload: broken });
    assert.equal(bad.ok, false);
    const lines = reportLines(bad, false).join('\n');
    assert.match(lines, /of them reverted 1$/m);
    assert.match(lines, /^  BAD token-supply$/m);
    assert.match(lines, /shard 1: a token too many/);
  });

  test('lines for people: colour only where it is wanted', () => {
    const report = buildReport({ book: finishedBook(), ...RESULT }, { shards: 2, validators: 1 });
    const plain = reportLines(report, false).join('\n');
    assert.doesNotMatch(plain, /\u001b/);
    assert.match(plain, /^not ok {2}1\.8 TPS committed of 10 offered, 2 shards x 1$/m);
    assert.match(plain, /^rejected +1 \(bad,code 1\)$/m);
    assert.match(plain, /^cross-shard +1\.00 s +1\.00 s +1\.00 s +1\.00 s$/m);
    const coloured = reportLines(report, true).join('\n');
    assert.match(coloured, /\u001b\[31m/);
    assert.equal(coloured.replaceAll(/\u001b\[\d+m/g, ''), plain);
    assert.deepEqual([wantsColour({ isTTY: true }, {}), wantsColour({ isTTY: true }, { NO_COLOR: '1' }), wantsColour({}, {})], [true, false, false]);
  });
});

describe('files', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'shardlab-report-'));
  });
  after(() => rm(directory, { recursive: true }));

  test('one CSV row for each transaction offered, in order, absolute times, empty for never, codes without commas', async () => {
    const path = join(directory, 'out.csv');
    await writeTransactionsCsv(await TextFile.open(path), finishedBook());
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    assert.equal(lines[0], CSV_HEADER);
    assert.ok(CSV_HEADER.startsWith('hash,kind,fromShard,toShard,intendedMs,submittedMs,preparedMs,votedMs,decidedMs,appliedMs,ackedMs,outcome,reason'));
    assert.equal(lines.length, 6);
    assert.equal(lines[1], `0x${'01'.repeat(32)},intraShard,0,0,${START_MS}.0,${START_MS + 5}.0,,,,${START_MS + 250}.0,,committed,,,,,${START_MS + 200}.0,`);
    for (const line of lines) assert.equal(line.split(',').length, CSV_HEADER.split(',').length);
    assert.match(lines[4]!, /,rejected,bad_code,/);
    assert.match(lines[5]!, /,pending,,/);
  });

  test('a file that cannot be written is refused when it is opened', async () => {
    await assert.rejects(TextFile.open(join(directory, 'absent/out.csv')), { code: 'report/unwritable', message: /its folder does not exist/ });
    await assert.rejects(TextFile.open(directory), { code: 'report/unwritable', message: /it is a directory/ });
  });

  test('the ledger is read back as it was written; a cut or damaged one is refused', async () => {
    const book = finishedBook();
    const path = await writeLedger(directory, '0xab', book);
    assert.equal(path, join(directory, 'ledgers', `${START_MS}.ndjson`));
    const entries: [string, string][] = [];
    const header = await readLedger(path, ([hash, outcome]) => void entries.push([hash, outcome]));
    assert.deepEqual(header, { formatVersion: 1, genesisHash: '0xab', startMs: START_MS, count: 5 });
    assert.deepEqual(
      entries,
      ['committed', 'committed', 'aborted', 'rejected', 'pending'].map((outcome, i) => [toHex(book.load.hashes.subarray(32 * i, 32 * i + 32)), outcome]),
    );
    const text = await readFile(path, 'utf8');
    for (const [bad, line] of [
      [text.slice(0, text.lastIndexOf('[')), 6],
      [text.replace('"aborted"', '"lost"'), 4],
      [`${text}["0x${'0'.repeat(64)}","pending"]\n`, 7],
      [text.replace('"formatVersion":1', '"formatVersion":2'), 1],
      ['', 1],
    ] as const) {
      await writeFile(path, bad);
      await assert.rejects(readLedger(path, () => undefined), { code: 'report/ledger', message: new RegExp(`line ${line} `) });
    }
    await assert.rejects(readLedger(join(directory, 'none'), () => undefined), { code: 'report/ledger', message: /no such file/ });
  });
});

describe('ProgressView', () => {
  const totals = { submitted: 0, aborted: 0, rejected: 0, pending: 0, planned: 10_000, problems: new Map<number, string>() };

  function shown(isTTY: boolean): string[] {
    const written: string[] = [];
    let now = 0;
    const view = new ProgressView({ isTTY, columns: 60, write: (text) => written.push(text) }, { colour: false, nowMs: () => now });
    view.update({ stage: 'signing', done: 5, total: 1000 });
    for (now = 100; now <= 6200; now += 100) {
      view.update({ stage: 'sending', ...totals, submitted: now, committed: now / 2, elapsedMs: now });
    }
    view.end();
    return written;
  }

  test('a pipe gets a plain line at each stage and every three seconds', () => {
    const lines = shown(false);
    assert.equal(lines.length, 4);
    assert.equal(lines[0], 'signing 5 of 1,000\n');
    assert.match(lines[2]!, /^3 s {2}sent 3,100 of 10,000 {2}committed 1,550 \(500 TPS\) {2}open 0\n$/);
  });

  test('a terminal gets one line drawn again, cut to its width, and cleared at the end', () => {
    const draws = shown(true);
    assert.ok(draws.length > 20);
    assert.ok(draws.every((draw) => draw.startsWith('\r\u001b[K') && !draw.includes('\n') && draw.length <= 4 + 59));
    assert.equal(draws.at(-1), '\r\u001b[K');
  });
});
