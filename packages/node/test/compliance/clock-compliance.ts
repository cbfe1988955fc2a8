import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Clock } from '../../src/ports.ts';
import type { Drive } from './drive.ts';

/** One clock with what makes its time pass. */
export interface ClockUnderTest {
  readonly clock: Clock;
  readonly drive: Drive;
  stop(): Promise<void>;
}

/** What every {@link Clock} does. */
export function clockCompliance(name: string, factory: () => Promise<ClockUnderTest>): void {
  const check = (title: string, body: (world: ClockUnderTest) => Promise<void>): void => {
    test(title, async () => {
      const world = await factory();
      try {
        await body(world);
      } finally {
        await world.stop();
      }
    });
  };

  describe(`clock compliance: ${name}`, () => {
    check('time is a whole number of milliseconds since 1970', async ({ clock }) => {
      const nowMs = clock.nowMs();
      assert.ok(Number.isSafeInteger(nowMs), `${nowMs}`);
      assert.ok(nowMs > Date.UTC(2024, 0, 1), 'the Unix epoch');
    });

    check('timers run in the order in which they are due, and as set when due together', async ({ clock, drive }) => {
      const ran: string[] = [];
      for (const [label, delayMs] of [['c', 30], ['a', 5], ['b1', 15], ['b2', 15], ['b3', 15], ['now1', 0], ['now2', 0]] as const) {
        clock.schedule(delayMs, () => ran.push(label));
      }
      assert.deepEqual(ran, [], 'a timer ran before schedule had returned');
      await drive.until(() => ran.length >= 7, 'all timers');
      assert.deepEqual(ran, ['now1', 'now2', 'a', 'b1', 'b2', 'b3', 'c']);
    });

    check('a timer is never early, whatever was done while it was set', async ({ clock, drive }) => {
      const early: string[] = [];
      let left = 0;
      for (const delayMs of [0, 1, 2, 3, 7.5, 20, 41]) {
        left++;
        const startMs = clock.nowMs();
        clock.schedule(delayMs, () => {
          left--;
          const tookMs = clock.nowMs() - startMs;
          if (tookMs < Math.floor(delayMs)) early.push(`${delayMs} ms came after ${tookMs} ms`);
        });
        // Work between the timers: real event loops count a timer from the start of their turn.
        for (let sum = 0, i = 0; i < 300_000; i++) sum += i;
      }
      await drive.until(() => left === 0, 'all timers');
      assert.deepEqual(early, []);
    });

    check('a timer that was cancelled does not run, and one that ran cannot be cancelled', async ({ clock, drive }) => {
      const ran: string[] = [];
      const cancelEarly = clock.schedule(5, () => ran.push('cancelled'));
      const cancelSibling = clock.schedule(10, () => ran.push('sibling'));
      const cancelSelf = clock.schedule(3, () => {
        ran.push('first');
        cancelSelf();
        cancelSibling();
      });
      cancelEarly();
      cancelEarly();
      const cancelLast = clock.schedule(20, () => ran.push('last'));
      await drive.until(() => ran.includes('last'), 'the last timer');
      cancelLast();
      assert.deepEqual(ran, ['first', 'last']);
    });

    check('a timer may set timers, and those of 0 ms let others run', async ({ clock, drive }) => {
      let chain = 0;
      let other = false;
      const again = (): void => {
        chain++;
        if (!other) clock.schedule(0, again);
      };
      clock.schedule(0, again);
      const cancel = clock.schedule(0, () => clock.schedule(0, () => (other = true)));
      await drive.until(() => other, 'the other timer');
      cancel();
      assert.ok(chain >= 2, `${chain}`);
    });

    check('each timer runs once', async ({ clock, drive }) => {
      const runs = Array.from({ length: 200 }, () => 0);
      for (let i = 0; i < runs.length; i++) clock.schedule(i % 17, () => runs[i]!++);
      let end = false;
      clock.schedule(40, () => (end = true));
      await drive.until(() => end, 'the last timer');
      assert.ok(runs.every((count) => count === 1), runs.join());
    });

    check('a delay below 0 is over, and what is no delay is refused', async ({ clock, drive }) => {
      let ran = false;
      clock.schedule(-5, () => (ran = true));
      assert.equal(ran, false);
      await drive.until(() => ran, 'the overdue timer');
      for (const delayMs of [Number.NaN, Number.POSITIVE_INFINITY, 1e15]) {
        assert.throws(() => clock.schedule(delayMs, () => undefined), { code: 'clock/delay' }, `${delayMs}`);
      }
    });

    check('a long timer does not fire at once', async ({ clock, drive }) => {
      let fired = false;
      // Above 2^31 - 1 ms, where setTimeout overflows.
      const cancel = clock.schedule(2 ** 31 + 5, () => (fired = true));
      let end = false;
      clock.schedule(10, () => (end = true));
      await drive.until(() => end, 'the short timer');
      assert.equal(fired, false);
      cancel();
    });
  });
}
