import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Patience } from '../../src/consensus/patience.ts';

const LEAST_MS = 1_000;

/** Lets a block take `tookMs`, under leaders that are deposed when they are too slow; returns how many were. The machine alone is slow: a new view takes as long. */
function block(patience: Patience, at: { nowMs: number; height: number }, tookMs: number): number {
  let deposed = 0;
  const dueMs = at.nowMs;
  for (;;) {
    const deadlineMs = patience.deadline(at.nowMs, dueMs, at.height)!;
    if (deadlineMs >= at.nowMs + tookMs) break;
    at.nowMs = deadlineMs;
    patience.lost(at.nowMs);
    deposed++;
  }
  at.nowMs += tookMs;
  patience.decided(at.nowMs);
  at.height++;
  return deposed;
}

test('a machine that has become slow costs its leaders one change of view or two, not one a block', () => {
  for (const tookMs of [1_500, 2_500, 6_000]) {
    const patience = new Patience(LEAST_MS);
    const at = { nowMs: 0, height: 1 };
    for (let i = 0; i < 20; i++) assert.equal(block(patience, at, 300), 0);
    const deposed = Array.from({ length: 20 }, () => block(patience, at, tookMs));
    assert.ok(deposed[0]! >= 1, 'nobody could know');
    assert.deepEqual(deposed.slice(1), Array(19).fill(0), `blocks of ${tookMs} ms`);
    for (let i = 0; i < 40; i++) block(patience, at, 200);
    assert.ok(patience.calmMs < LEAST_MS * 1.1, 'and it is forgotten when the machine is quick again');
  }
});

test('a leader that died does not make the next ones be waited for longer', () => {
  const patience = new Patience(LEAST_MS);
  const at = { nowMs: 0, height: 1 };
  for (let i = 0; i < 20; i++) block(patience, at, 200);
  patience.deadline(at.nowMs, at.nowMs, at.height);
  at.nowMs += LEAST_MS;
  patience.lost(at.nowMs);
  patience.deadline(at.nowMs, at.nowMs - LEAST_MS, at.height);
  at.nowMs += 400;
  patience.decided(at.nowMs);
  assert.equal(patience.calmMs, LEAST_MS);
});
