import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Prng, toHex } from '@shardlab/crosslink';
import fc from 'fast-check';

import { EventHeap, type ScheduledEvent } from '../../src/event-heap.ts';
import { SystemClock } from '../../src/process/clock.ts';
import { constantSkew, SimClock } from '../../src/sim/clock.ts';
import { Incarnation } from '../../src/sim/incarnation.ts';
import { DELAY_MAX_US, Scheduler, SIM_START_MS } from '../../src/sim/scheduler.ts';
import { TraceHash } from '../../src/sim/trace-hash.ts';

function scheduler(options: { startMs?: number; queueMax?: number } = {}): Scheduler {
  return new Scheduler(options, { trace: new TraceHash() });
}

describe('event heap', () => {
  test('comes out in the order of a sort, whatever is cancelled on the way', () => {
    const operation = fc.oneof(
      fc.record({ kind: fc.constant('push' as const), at: fc.integer({ min: 0, max: 50 }) }),
      fc.record({ kind: fc.constant('cancel' as const), at: fc.nat() }),
      fc.record({ kind: fc.constant('pop' as const), at: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 300 }), (operations) => {
        const heap = new EventHeap();
        const all: ScheduledEvent[] = [];
        let model: ScheduledEvent[] = [];
        for (const { kind, at } of operations) {
          if (kind === 'push') {
            const event: ScheduledEvent = { at, order: all.length, task: () => undefined };
            all.push(event);
            model.push(event);
            heap.push(event);
          } else if (kind === 'cancel') {
            const event = all[at % Math.max(1, all.length)];
            if (event === undefined) continue;
            heap.cancel(event);
            model = model.filter((other) => other !== event);
          } else {
            model.sort((a, b) => a.at - b.at || a.order - b.order);
            const popped = heap.pop();
            assert.equal(popped, model.shift());
            if (popped !== undefined) popped.task = undefined;
          }
          assert.equal(heap.live, model.length);
        }
      }),
    );
  });

  test('a majority of cancelled events is swept, and the order stays', () => {
    const heap = new EventHeap();
    const prng = new Prng(7);
    const events = Array.from({ length: 5000 }, (_, order): ScheduledEvent => ({ at: prng.below(1000), order, task: () => undefined }));
    for (const event of events) heap.push(event);
    const kept = events.filter((event) => event.order % 9 === 0);
    for (const event of events) if (event.order % 9 !== 0) heap.cancel(event);
    assert.equal(heap.live, kept.length);
    kept.sort((a, b) => a.at - b.at || a.order - b.order);
    for (const event of kept) assert.equal(heap.pop(), event);
    assert.equal(heap.pop(), undefined);
  });
});

describe('scheduler', () => {
  test('time stands still between events and jumps to each', () => {
    const sim = scheduler({ startMs: 5000 });
    const seen: number[] = [];
    sim.schedule(1500, () => seen.push(sim.nowUs(), sim.nowMs()));
    sim.schedule(1_000_000, () => seen.push(sim.nowMs()));
    assert.equal(sim.nowMs(), 5000);
    assert.equal(sim.pending, 2);
    assert.equal(sim.run({ eventsMax: 10 }), 'idle');
    assert.deepEqual(seen, [1500, 5001, 6000]);
    assert.equal(sim.events, 2);
    assert.equal(scheduler().nowMs(), SIM_START_MS);
  });

  test('a run ends where it was told to', () => {
    const sim = scheduler({ startMs: 0 });
    let ticks = 0;
    const tick = (): void => {
      ticks++;
      sim.schedule(1000, tick);
    };
    sim.schedule(1000, tick);
    assert.equal(sim.run({ eventsMax: 3 }), 'events');
    assert.equal(ticks, 3);
    assert.equal(sim.run({ eventsMax: 100, untilMs: 10 }), 'time');
    assert.deepEqual([ticks, sim.nowMs()], [10, 10]);
    assert.equal(sim.run({ eventsMax: 100, until: () => ticks === 12 }), 'until');
    assert.equal(ticks, 12);
    assert.equal(sim.run({ eventsMax: 0, until: () => true }), 'until');
    assert.equal(sim.run({ eventsMax: 0 }), 'events');
    assert.equal(sim.run({ eventsMax: 5, untilMs: 3 }), 'time');
    assert.equal(sim.nowMs(), 12, 'time went backwards');
    const idle = scheduler({ startMs: 0 });
    assert.equal(idle.run({ eventsMax: 1, untilMs: 99 }), 'idle');
    assert.equal(idle.nowMs(), 99);
    assert.equal(idle.step(), false);
  });

  test('an error in a task leaves the queue as it should be', () => {
    const sim = scheduler();
    let after = false;
    sim.schedule(1, () => {
      throw new Error('task');
    });
    sim.schedule(2, () => (after = true));
    assert.throws(() => sim.run({ eventsMax: 10 }), /task/);
    assert.equal(sim.run({ eventsMax: 10 }), 'idle');
    assert.equal(after, true);
  });

  test('misuse is refused: a full queue, no delay, a run inside a task', () => {
    const sim = scheduler({ queueMax: 2 });
    sim.schedule(0, () => sim.step());
    const cancel = sim.schedule(1, () => undefined);
    assert.throws(() => sim.schedule(1, () => undefined), { code: 'sim/queue-full' });
    cancel();
    sim.schedule(1, () => undefined);
    assert.throws(() => sim.run({ eventsMax: 10 }), { code: 'invariant' });
    for (const delayUs of [-1, 0.5, Number.NaN, DELAY_MAX_US + 1]) assert.throws(() => sim.schedule(delayUs, () => undefined), { code: 'invariant' });
    assert.throws(() => sim.run({ eventsMax: 1, untilMs: 0.5 }), { code: 'invariant' });
  });

  test('the trace tells runs apart by what they did and when', () => {
    const run = (delays: readonly number[]): string => {
      const sim = scheduler();
      for (const delayUs of delays) sim.schedule(delayUs, () => undefined);
      sim.run({ eventsMax: 100 });
      return toHex(sim.trace.digest());
    };
    assert.equal(run([5, 9]), run([5, 9]));
    assert.notEqual(run([5, 9]), run([5, 8]));
    assert.notEqual(run([5, 9]), run([9, 5]));
    assert.notEqual(run([5, 9]), run([5]));
  });
});

describe('trace hash', () => {
  test('depends on the items and on nothing else', () => {
    const large = new Uint8Array(100_000).fill(3);
    const digest = (fold: (trace: TraceHash) => void): string => {
      const trace = new TraceHash();
      fold(trace);
      return toHex(trace.digest());
    };
    const whole = digest((trace) => trace.text('ab').bytes(large).integer(2 ** 40));
    const asked = digest((trace) => {
      trace.text('ab').digest();
      trace.bytes(large).digest();
      trace.integer(2 ** 40);
    });
    assert.equal(whole, asked, 'asking changes the hash');
    assert.notEqual(digest((trace) => trace.text('ab').text('c')), digest((trace) => trace.text('a').text('bc')));
    assert.notEqual(whole, digest((trace) => trace.text('ab').bytes(large).integer(2 ** 40 + 1)));
    assert.throws(() => new TraceHash().integer(-1), { code: 'invariant' });
  });
});

describe('incarnation', () => {
  test('a kill silences every timer of that life, in the middle of one too, and no timer of the next', () => {
    const sim = scheduler();
    const ran: string[] = [];
    const first = new Incarnation('n#1', sim);
    const clock = new SimClock({}, { scheduler: sim, incarnation: first });
    clock.schedule(5, () => ran.push('before'));
    clock.schedule(10, () => {
      ran.push('killer');
      first.kill();
      // The dead code is still on the stack.
      clock.schedule(0, () => ran.push('ghost'));
    });
    clock.schedule(10, () => ran.push('ghost'));
    clock.schedule(50, () => ran.push('ghost'));
    assert.equal(sim.run({ eventsMax: 2 }), 'idle', 'timers of the dead wait');
    const second = new Incarnation('n#2', sim);
    new SimClock({}, { scheduler: sim, incarnation: second }).schedule(1, () => ran.push('next'));
    assert.equal(sim.run({ eventsMax: 10 }), 'idle');
    assert.deepEqual(ran, ['before', 'killer', 'next']);
    assert.deepEqual([first.alive, second.alive], [false, true]);
  });

  test('whoever listens for the end hears it once', () => {
    const life = new Incarnation('n#1', scheduler());
    const heard: number[] = [];
    life.onKill(() => heard.push(1));
    life.onKill(() => {
      heard.push(2);
      life.kill();
    });
    life.kill();
    life.kill();
    assert.deepEqual(heard, [1, 2]);
    assert.throws(() => life.onKill(() => undefined), { code: 'invariant' });
  });
});

describe('clocks', () => {
  test('a skewed clock is wrong by its skew and ticks as the others do', () => {
    const sim = scheduler({ startMs: 100_000 });
    const clock = new SimClock({ faults: constantSkew(-250) }, { scheduler: sim, incarnation: new Incarnation('n#1', sim) });
    let at = 0;
    clock.schedule(40, () => (at = sim.nowMs()));
    assert.equal(clock.nowMs(), 99_750);
    sim.run({ eventsMax: 1 });
    assert.equal(at, 100_040);
    clock.schedule(0.0001, () => undefined);
    const beforeUs = sim.nowUs();
    sim.run({ eventsMax: 1 });
    assert.equal(sim.nowUs(), beforeUs + 1, 'part of a microsecond is rounded up');
    assert.throws(() => constantSkew(0.5), { code: 'clock/skew' });
  });

  test('the system clock is bounded, and cancelled timers do not count', () => {
    const clock = new SystemClock({ timersMax: 2 });
    const cancels = [clock.schedule(60_000, () => undefined), clock.schedule(60_000, () => undefined)];
    assert.throws(() => clock.schedule(1, () => undefined), { code: 'clock/overload' });
    cancels[0]!();
    cancels.push(clock.schedule(60_000, () => undefined));
    for (const cancel of cancels) cancel();
    // A handle that stays would keep this test's process from ending.
    assert.equal(clock.pending, 0);
  });
});
