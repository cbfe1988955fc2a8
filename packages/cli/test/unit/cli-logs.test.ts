import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatLogEntry, logMatcher, parseLogLine } from '../../src/output/log-entry.ts';
import { followLogs, readLogs } from '../../src/output/log-files.ts';
import { LiveLine } from '../../src/output/live-line.ts';
import { PLAIN_STYLE, printable } from '../../src/output/style.ts';
import { tableLines } from '../../src/output/table.ts';
import { memoryOutput } from '../e2e/cli-harness.ts';

const SOURCE = { id: 'shard-1', shard: 1, logFile: '/nowhere' };

async function inDirectory<T>(task: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'shardlab-logs-'));
  try {
    return await task(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function collect(sources: Parameters<typeof readLogs>[0]): Promise<string[]> {
  const raws: string[] = [];
  for await (const entry of readLogs(sources)) raws.push(entry.raw);
  return raws;
}

test('a merge of logs is a stable sort by time, whatever the lengths', async () => {
  const oneLog = fc.array(fc.nat(50), { maxLength: 40 }).map((times) => times.sort((a, b) => a - b));
  await fc.assert(
    fc.asyncProperty(fc.array(oneLog, { maxLength: 4 }), (logs) =>
      inDirectory(async (directory) => {
        const sources = logs.map((times, at) => {
          const logFile = join(directory, `${at}.log`);
          writeFileSync(logFile, times.map((time, line) => `${JSON.stringify({ time, at, line })}\n`).join(''));
          return { id: `n${at}`, shard: at, logFile };
        });
        const expected = logs.flatMap((times, at) => times.map((time, line) => ({ time, at, line })));
        expected.sort((a, b) => a.time - b.time || a.at - b.at || a.line - b.line);
        const raws = await collect(sources);
        const times = raws.map((raw) => (JSON.parse(raw) as { time: number }).time);
        assert.deepEqual(times, expected.map((entry) => entry.time));
        assert.deepEqual(raws.toSorted(), expected.map((entry) => JSON.stringify(entry)).toSorted());
      }),
    ),
    { numRuns: 40 },
  );
});

test('long lines, unfinished last lines, other text and missing files are kept or skipped, never an error', () =>
  inDirectory(async (directory) => {
    const logFile = join(directory, 'a.log');
    const long = `{"time":1,"event":"long","x":"${'y'.repeat(700_000)}"}`;
    writeFileSync(logFile, `${long}\nsegmentation fault\n\n{"time":3,"event":"cut`);
    const raws = await collect([{ ...SOURCE, logFile }, { ...SOURCE, logFile: join(directory, 'missing.log') }]);
    assert.deepEqual(raws, [long, 'segmentation fault', '{"time":3,"event":"cut']);
  }));

test('following sees what is appended, and starts over when a file was truncated', () =>
  inDirectory(async (directory) => {
    const logFile = join(directory, 'a.log');
    writeFileSync(logFile, '{"time":1,"event":"first"}\n');
    const stop = new AbortController();
    const events: string[] = [];
    const scheduled = ['{"time":2,"event":"second, and longer than what follows"}\n', '{"time":3,"event":"third"}\n'];
    for await (const entry of followLogs([{ ...SOURCE, logFile }], stop.signal)) {
      events.push(entry.event);
      const next = scheduled.shift();
      if (next === undefined) stop.abort();
      else if (scheduled.length === 0) writeFileSync(logFile, next);
      else appendFileSync(logFile, next);
    }
    assert.deepEqual(events, ['first', 'second, and longer than what follows', 'third']);
  }));

test('filters: level by name or number, shard of the file, glob, hash in any field', () => {
  const entry = parseLogLine('{"level":"warn","time":"2026-01-01T00:00:00.000Z","event":"block.final","deep":{"tx":"0xAbC1"}}', SOURCE, 5);
  assert.deepEqual([entry.level, entry.timeMs, entry.shard], [40, Date.UTC(2026, 0, 1), 1]);
  for (const [filter, expected] of [
    [{}, true],
    [{ level: 'warn' }, true],
    [{ level: 'error' }, false],
    [{ shard: 1 }, true],
    [{ shard: 0 }, false],
    [{ event: 'block.*' }, true],
    [{ event: 'block?final' }, true],
    [{ event: 'block' }, false],
    [{ event: 'blockxfinal' }, false],
    [{ event: '*' }, true],
    [{ tx: '0xabc1' }, true],
    [{ tx: '0xabc2' }, false],
  ] as const) {
    assert.equal(logMatcher(filter)(entry), expected, JSON.stringify(filter));
  }
  assert.equal(logMatcher({ event: 'block.final' })(parseLogLine('{"event":"blockXfinal"}', SOURCE, 0)), false, 'a dot is a dot');
  assert.equal(parseLogLine('{"event":"no time"}', SOURCE, 77).timeMs, 77);
});

test('what a log says cannot drive the terminal', () => {
  const line = formatLogEntry(parseLogLine('{"level":50,"time":0,"event":"\\u001b[2J","msg":"a\\nb","x":"\\u009b1m"}', SOURCE, 0), PLAIN_STYLE);
  assert.equal(line, '00:00:00.000 error shard-1   ?[2J a b x=?1m');
  assert.equal(printable('a\tb\r\nc\u0007'), 'a b c?');
});

test('progress: rewritten on a terminal, thinned out in a pipe, silent without an output', () => {
  const terminal = memoryOutput(true);
  const live = new LiveLine(terminal, () => 0);
  live.update('one');
  live.update('two');
  live.clear();
  live.clear();
  assert.equal(terminal.text(), '\r\u001b[2Kone\r\u001b[2Ktwo\r\u001b[2K');
  const pipe = memoryOutput();
  let nowMs = 0;
  const plain = new LiveLine(pipe, () => nowMs);
  for (nowMs = 0; nowMs < 7_000; nowMs += 500) plain.update(`at ${nowMs}`);
  assert.equal(pipe.text(), 'at 0\nat 3000\nat 6000\n');
  new LiveLine(undefined).update('nothing');
});

test('a table is as wide as its widest cells', () => {
  const lines = tableLines([{ title: 'a' }, { title: 'count', align: 'right' }], [['long cell', '1'], ['x', '12345678']], (text) => text);
  assert.deepEqual(lines, ['a             count', 'long cell         1', 'x          12345678']);
});
