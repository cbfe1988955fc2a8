import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RPC } from '@chainsafe/libp2p-gossipsub/message';
import type { Stream } from '@libp2p/interface';
import fc from 'fast-check';

import { Dialler, type DialTarget } from '../../src/network/dialler.ts';
import { frame, FrameReader } from '../../src/network/frame.ts';
import { guarded, type GuardHooks } from '../../src/network/gossip-guard.ts';
import { DEFAULT_NETWORK_LIMITS } from '../../src/network/options.ts';
import { Scores } from '../../src/network/scores.ts';
import type { Clock } from '../../src/ports.ts';

/** Virtual time: `run` fires what is due, in order. */
class VirtualClock implements Clock {
  private time = 0;
  private timers: { atMs: number; task: () => void }[] = [];

  nowMs(): number {
    return this.time;
  }

  schedule(delayMs: number, task: () => void): () => void {
    const timer = { atMs: this.time + delayMs, task };
    this.timers.push(timer);
    return () => (this.timers = this.timers.filter((each) => each !== timer));
  }

  /** Lets time pass, and with each timer also what promises do. */
  async run(untilMs: number): Promise<void> {
    for (;;) {
      const next = this.timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.timers = this.timers.filter((each) => each !== next);
      this.time = next.atMs;
      next.task();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.time = untilMs;
  }
}

/** A stream whose source gives these chunks; `cut` as when the connection dies. */
function streamOf(chunks: readonly Uint8Array[], cut = false): Stream {
  // eslint-disable-next-line typescript/require-await -- a source is asynchronous
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* chunks;
  }
  return { source: source(), timeline: { open: 0, ...(cut ? { closeWrite: 1 } : {}) } } as unknown as Stream;
}

/** Cuts bytes at random places. */
function cutUp(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

test('frames survive any cutting of the stream', async () => {
  const arbitrary = fc.tuple(fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 5 }), fc.array(fc.nat(), { maxLength: 20 }));
  await fc.assert(
    fc.asyncProperty(arbitrary, async ([bodies, cuts]) => {
      const all = Buffer.concat(bodies.map(frame));
      const reader = new FrameReader(streamOf(cutUp(all, cuts)));
      for (const body of bodies) assert.deepEqual(await reader.frame(200), Uint8Array.from(body));
      await assert.rejects(reader.frame(200), { code: 'decode/truncated' });
    }),
    { numRuns: 60 },
  );
});

test('a frame that is too long is refused before its body; a reservation may be refused; a cut is no offence', async () => {
  await assert.rejects(new FrameReader(streamOf([Uint8Array.of(0, 0, 1, 0)])).frame(255), { code: 'decode/bound' });
  let asked = 0;
  const refusing = new FrameReader(streamOf([Uint8Array.of(0, 0, 0, 9)]));
  assert.equal(await refusing.frame(10, (length) => ((asked = length), false)), undefined);
  assert.equal(asked, 9);
  await assert.rejects(new FrameReader(streamOf([Uint8Array.of(0, 0)], true)).frame(9), /the stream was cut/);
});

test('the guard lets all that is in order through unchanged, however it is cut', async () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 500 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fc.tuple(messages, fc.array(fc.nat(), { maxLength: 20 })), async ([bodies, cuts]) => {
      const all = Buffer.concat(bodies.map((data) => prefixed(RPC.encode({ subscriptions: [], messages: [{ topic: '/n/votes', data }] }))));
      const out: Uint8Array[] = [];
      const violations: string[] = [];
      for await (const chunk of guarded(streamOf(cutUp(all, cuts)).source, hooks(violations))) out.push(chunk.subarray());
      assert.deepEqual(violations, []);
      assert.equal(out.length, bodies.length, 'one buffer a frame');
      assert.deepEqual(Buffer.concat(out), all);
    }),
    { numRuns: 60 },
  );
});

test('the guard never throws on random bytes, and never lets a frame through that it does not understand', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), async (chunks) => {
      for await (const chunk of guarded(streamOf(chunks).source, hooks([]))) {
        const bytes = chunk.subarray();
        RPC.decode(bytes.subarray(bytes.findIndex((byte) => byte < 0x80) + 1));
      }
    }),
    { numRuns: 300 },
  );
});

function hooks(violations: string[]): GuardHooks {
  return {
    gossipBytesMax: 1_000,
    topicPrefix: '/n/',
    topicLengthMax: 40,
    subscribed: (topic) => topic === '/n/votes',
    received: () => {},
    violated: (reason) => void violations.push(reason),
  };
}

function prefixed(body: Uint8Array): Uint8Array {
  const prefix = body.length < 128 ? [body.length] : [(body.length & 0x7f) | 0x80, body.length >> 7];
  return Uint8Array.of(...prefix, ...body);
}

test('scores fall with penalties, halve with time, block for a while and start half way down', () => {
  const scores = new Scores({ penalty: 10, banScore: -30, banMs: 1_000, scoreHalfLifeMs: 100 });
  assert.equal(scores.value('a', 0), 0);
  assert.equal(scores.penalise('a', 0), false);
  assert.equal(scores.value('a', 0), -10);
  assert.equal(scores.value('a', 100), -5);
  assert.equal(scores.value('a', 1_000), 0, 'small scores are forgotten');
  assert.deepEqual([scores.penalise('b', 0), scores.penalise('b', 0), scores.penalise('b', 0)], [false, false, true]);
  assert.ok(scores.banned('b', 999) && !scores.banned('b', 1_000));
  assert.equal(scores.penalise('b', 500), false, 'blocked once is enough');
  assert.equal(scores.value('b', 1_000), -15);
  assert.equal(scores.bannedUntilMs('b'), 1_000);
});

test('scores stay bounded in number, and forget the blocked last', () => {
  const scores = new Scores({ penalty: 10, banScore: -10, banMs: 1e9, scoreHalfLifeMs: 1e9 });
  const mild = new Scores({ penalty: 10, banScore: -1_000, banMs: 1e9, scoreHalfLifeMs: 1e9 });
  scores.penalise('blocked', 0);
  for (let i = 0; i < 4_095; i++) scores.penalise(`p${i}`, 0);
  for (let i = 0; i < 10_000; i++) mild.penalise(`p${i}`, 0);
  assert.ok(scores.banned('blocked', 1));
  assert.equal([...Array(10_000).keys()].filter((i) => mild.value(`p${i}`, 0) < 0).length, 4_096);
});

test('dialling backs off within bounds, the same way for the same seed, and starts anew when a node is lost', async () => {
  const dials = async (seed: number): Promise<number[]> => {
    const clock = new VirtualClock();
    const dialler = new Dialler(DEFAULT_NETWORK_LIMITS, seed, clock);
    const times: number[] = [];
    dialler.add(targetOf('x', { dial: () => (times.push(clock.nowMs()), Promise.reject(new Error('refused'))) }));
    await clock.run(120_000);
    dialler.stop();
    await clock.run(240_000);
    return times;
  };
  const first = await dials(1);
  assert.deepEqual(await dials(1), first);
  assert.notDeepEqual(await dials(2), first);
  assert.equal(first[0], 0);
  const gaps = first.slice(1).map((time, index) => time - first[index]!);
  assert.ok(gaps[0]! <= 400 && gaps[0]! >= 200, String(gaps));
  assert.ok(gaps.slice(8).every((gap) => gap >= 4_000 && gap <= 8_001), String(gaps));
  assert.ok(first.at(-1)! <= 120_000, 'stopped');
});

test('dialling rests while connected, waits out a block, and gives up only what makes no sense', async () => {
  const clock = new VirtualClock();
  const dialler = new Dialler(DEFAULT_NETWORK_LIMITS, 3, clock);
  let connected = false;
  const log: string[] = [];
  dialler.add(
    targetOf('x', {
      connected: () => connected,
      dial: () => {
        log.push(`x ${clock.nowMs()}`);
        connected = true;
        return Promise.resolve(true);
      },
    }),
  );
  dialler.add(targetOf('blocked', { notBeforeMs: () => 9_000, dial: () => (log.push(`blocked ${clock.nowMs()}`), Promise.resolve('never' as const)) }));
  await clock.run(60_000);
  assert.deepEqual(log, ['x 0', 'blocked 9000']);
  connected = false;
  dialler.lost('x');
  dialler.lost('blocked');
  await clock.run(70_000);
  assert.equal(log.length, 3);
  dialler.stop();
});

test('at most 16 dials run at once', async () => {
  const clock = new VirtualClock();
  const dialler = new Dialler(DEFAULT_NETWORK_LIMITS, 4, clock);
  let running = 0;
  let done = 0;
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  for (let i = 0; i < 50; i++) {
    let up = false;
    const dial = async (): Promise<boolean> => {
      running++;
      await released;
      assert.ok(running-- <= 16);
      done++;
      up = true;
      return true;
    };
    dialler.add(targetOf(`n${i}`, { dial, connected: () => up }));
  }
  await clock.run(1_000);
  assert.equal(running, 16);
  release();
  for (let turns = 0; done < 50 && turns < 1_000; turns++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(done, 50);
  dialler.stop();
});

function targetOf(key: string, over: Partial<DialTarget>): DialTarget {
  return { key, yieldMs: 0, connected: () => false, notBeforeMs: () => 0, dial: () => Promise.resolve(false), ...over };
}
