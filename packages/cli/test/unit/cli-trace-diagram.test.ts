import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COLOUR_STYLE, PLAIN_STYLE, visibleLength } from '../../src/output/style.ts';
import { traceDiagram } from '../../src/output/trace-diagram.ts';
import { parseTrace, type TransactionTrace } from '../../src/output/transaction-trace.ts';

const HASH = `0x${'5c'.repeat(32)}`;
const T0 = Date.UTC(2026, 0, 1);

function trace(change: object = {}): TransactionTrace {
  const parsed = parseTrace({
    ...{ hash: HASH, id: `0x${'00'.repeat(32)}`, kind: 'crossShard', outcome: 'committed', coordinator: 1, participants: [0, 3], attempt: 1 },
    phases: [
      { phase: 'acked', shard: 1, height: 16, timeMs: T0 + 1_010 },
      { phase: 'prepared', shard: 1, height: 12, timeMs: T0 },
      { phase: 'voted', shard: 0, height: 9, timeMs: T0 + 240 },
      { phase: 'voted', shard: 3, height: 20, timeMs: T0 + 260 },
      { phase: 'decided', shard: 1, height: 14, timeMs: T0 + 500 },
      { phase: 'applied', shard: 0, height: 11, timeMs: T0 + 745 },
      { phase: 'applied', shard: 3, height: 22, timeMs: T0 + 760 },
    ],
    ...change,
  });
  return parsed!;
}

test('a cross-shard transaction as a sequence diagram', () => {
  assert.deepEqual(traceDiagram(trace(), 100, PLAIN_STYLE), [
    `${HASH}  cross-shard, committed, 1010 ms from 2026-01-01T00:00:00.000Z`,
    '',
    '            shard 1 (coordinator)        shard 0                      shard 3',
    '     +0 ms  ● prepared #12               │                            │',
    '            ├── Prepare ─────────────────▶                            │',
    '            ├── Prepare ──────────────────────────────────────────────▶',
    '   +240 ms  │                            ● voted #9                   │',
    '            ◀──────────────────── Vote ──┤                            │',
    '   +260 ms  │                            │                            ● voted #20',
    '            ◀───────────────────────────────────────────────── Vote ──┤',
    '   +500 ms  ● decided #14                │                            │',
    '            ├── Decision: commit ────────▶                            │',
    '            ├── Decision: commit ─────────────────────────────────────▶',
    '   +745 ms  │                            ● applied #11                │',
    '            ◀───────────────────── Ack ──┤                            │',
    '   +760 ms  │                            │                            ● applied #22',
    '            ◀────────────────────────────────────────────────── Ack ──┤',
    '  +1010 ms  ● acked #16                  │                            │',
  ]);
});

test('an intra-shard transaction has one lane and no arrows', () => {
  const local = trace({ kind: 'intraShard', coordinator: 2, participants: [], phases: [{ phase: 'applied', shard: 2, height: 4, timeMs: T0 }] });
  assert.deepEqual(traceDiagram(local, 80, PLAIN_STYLE), [
    `${HASH}  intra-shard, committed, 0 ms from 2026-01-01T00:00:00.000Z`,
    '',
    '            shard 2',
    '     +0 ms  ● applied #4',
  ]);
});

test('an abort says why, and attempts are counted', () => {
  const [heading] = traceDiagram(trace({ outcome: 'aborted', reason: 'conflict', attempt: 3 }), 100, PLAIN_STYLE);
  assert.equal(heading, `${HASH}  cross-shard, aborted (conflict), 3 attempts, 1010 ms from 2026-01-01T00:00:00.000Z`);
});

test('what does not fit beside each other becomes a list', () => {
  for (const lines of [traceDiagram(trace(), 60, PLAIN_STYLE), traceDiagram(trace({ participants: [0, 2, 3, 4, 5, 6, 7] }), 400, PLAIN_STYLE)]) {
    assert.match(lines[1]!, /^phase +shard +height +time$/);
    assert.equal(lines.length, 9);
    assert.match(lines[2]!, /^prepared +shard 1 +12 +2026-01-01T00:00:00\.000Z$/);
  }
});

test('colour changes no column', () => {
  const plain = traceDiagram(trace(), 100, PLAIN_STYLE);
  assert.deepEqual(traceDiagram(trace(), 100, COLOUR_STYLE).map(visibleLength), plain.map((line) => line.length));
});

test('an answer that is no trace is refused with its field', () => {
  assert.equal(parseTrace(null), undefined);
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [7, /is not an object/],
    [{}, /has no "hash"/],
    [{ ...trace(), phases: undefined }, /has no list "phases"/],
    [{ ...trace(), kind: 'both' }, /has no "kind" of intraShard, crossShard/],
    [{ ...trace(), outcome: undefined }, /has no "outcome"/],
    [{ ...trace(), phases: [{ phase: 'voted', shard: -1, height: 1, timeMs: 1 }] }, /has no number "shard"/],
    [{ ...trace(), phases: [{ phase: 'guessed', shard: 1, height: 1, timeMs: 1 }] }, /has no "phase" of submitted/],
  ];
  for (const [value, pattern] of cases) assert.throws(() => parseTrace(value), pattern);
});
