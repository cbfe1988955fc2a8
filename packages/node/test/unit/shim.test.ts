import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { RPC } from '@chainsafe/libp2p-gossipsub/message';
import { BEACON, type Hash32, Prng, ShardlabError } from '@shardlab/crosslink';
import fc from 'fast-check';
import { FaultControl } from '../../src/network/shim/control.ts';
import { type Faults, type LinkFaults, parseFaults, parseNodeLabel } from '../../src/network/shim/faults.ts';
import { FaultShim } from '../../src/network/shim/fault-shim.ts';
import { stripMessages } from '../../src/network/shim/gossip-frame.ts';
import { assignRegions, formatLatencyModel, parseLatencyModel, parseLatencySpec, REGIONS, wanLatency } from '../../src/network/shim/latency-spec.ts';
import { Link } from '../../src/network/shim/link.ts';
import { type Chunk, ShapedSource, type StreamKind } from '../../src/network/shim/shaped-source.ts';
import { drawLatencyUs } from '../../src/sim/latency.ts';
import { TestLog, TestMetrics } from '../e2e/network-kit.ts';
import { ManualClock } from './chain-store-support.ts';

const HEALTHY: LinkFaults = { cut: false, delay: undefined, loss: 0, bytesPerSecond: undefined };
const code = (wanted: string, pattern: RegExp) => (error: unknown): boolean => error instanceof ShardlabError && error.code === wanted && pattern.test(error.message);
/** Lets everything that is ready run. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test('latency models read back as they are written; everything else gets one line', () => {
  for (const text of ['constant:20ms', 'constant:0ms', 'uniform:1ms..5ms', 'uniform:0.25ms..0.5ms', 'normal:50ms±10ms', 'normal:0.5ms±0.025ms']) {
    assert.equal(formatLatencyModel(parseLatencyModel(text)), text);
  }
  assert.deepEqual(parseLatencyModel('normal:50ms+-10ms'), { kind: 'normal', meanMs: 50, deviationMs: 10, minMs: 10 });
  assert.deepEqual(parseLatencySpec('wan'), { kind: 'wan' });
  assert.deepEqual(parseLatencySpec('lan'), { kind: 'same', model: { kind: 'uniform', minMs: 0.1, maxMs: 1 } });
  assert.equal(parseLatencySpec('none'), undefined);
  for (const text of ['', '20ms', 'constant:20', 'constant:-1ms', 'constant:60001ms', 'uniform:5ms..1ms', 'normal:5ms', 'pareto:1ms', 'constant:1e3ms']) {
    assert.throws(() => parseLatencySpec(text), code('latency/model', /^no latency model: [^\n]*\(give none, lan, wan, constant:20ms/), text);
  }
});

test('regions: dealt evenly and by seed, the matrix is symmetric and every entry reads back', () => {
  const nodes = Array.from({ length: 20 }, (_, index) => `shard-${index}`);
  const regions = assignRegions(nodes, 7);
  assert.deepEqual([...regions], [...assignRegions(nodes, 7)]);
  assert.notDeepEqual([...regions], [...assignRegions(nodes, 8)]);
  for (const region of REGIONS) assert.equal([...regions.values()].filter((other) => other === region).length, 4);
  for (const from of REGIONS) {
    for (const to of REGIONS) {
      assert.deepEqual(wanLatency(from, to), wanLatency(to, from));
      assert.deepEqual(parseLatencyModel(formatLatencyModel(wanLatency(from, to))), wanLatency(from, to));
    }
  }
  const prng = new Prng(1);
  const mean = Array.from({ length: 1_000 }, () => drawLatencyUs(wanLatency('us-east', 'eu-west'), prng)).reduce((sum, us) => sum + us, 0) / 1e6;
  assert.ok(Math.abs(mean - 36) < 0.5, `mean ${mean} ms`);
});

test('node labels: with and without the index of validator 0', () => {
  assert.deepEqual(parseNodeLabel('beacon'), { chain: BEACON, validator: 0 });
  assert.deepEqual(parseNodeLabel('shard-2.0'), parseNodeLabel('shard-2'));
  assert.deepEqual(parseNodeLabel('shard-2.3'), { chain: 2, validator: 3 });
  for (const text of ['', 'shard', 'shard-256', 'shard--1', 'beacon.', 'shard-1.2.3', 'Beacon']) assert.equal(parseNodeLabel(text), undefined, text);
});

const SET = { session: 's', seed: 1, ttlMs: 1_000 };

test('a set of faults is read whole or refused with one line', () => {
  const exists = (node: { chain: number }): boolean => node.chain === BEACON || node.chain < 2;
  const good = parseFaults({ ...SET, links: [{ to: ['beacon', 'shard-1'], delay: 'constant:20ms', loss: 0.5 }, { to: ['shard-0.0'], cut: true, bytesPerSecond: 10 }] }, exists);
  assert.deepEqual([...good.links.keys()], ['beacon', 'shard-1', 'shard-0']);
  assert.deepEqual(good.links.get('shard-0'), { cut: true, delay: undefined, loss: 0, bytesPerSecond: 10 });
  const bad: [value: unknown, pattern: RegExp][] = [
    [null, /the set must be an object/],
    [[], /the set must be an object/],
    [{ ...SET, links: [], extra: 1 }, /has no field "extra"/],
    [{ ...SET, session: '', links: [] }, /"session" must be text/],
    [{ ...SET, seed: 1.5, links: [] }, /"seed" must be a whole number/],
    [{ ...SET, ttlMs: 0, links: [] }, /"ttlMs" must be a whole number from 1 to 600000/],
    [{ ...SET, ttlMs: 600_001, links: [] }, /"ttlMs"/],
    [{ ...SET, links: {} }, /"links" must be a list/],
    [{ ...SET, links: [{}] }, /"to" must be a list/],
    [{ ...SET, links: [{ to: ['shard-2'] }] }, /no other node shard-2/],
    [{ ...SET, links: [{ to: ['\u001b[31m'] }] }, /^faults: there is no other node \?\?31m$/],
    [{ ...SET, links: [{ to: ['shard-0', 'shard-0.0'] }] }, /shard-0 is named twice/],
    [{ ...SET, links: [{ to: [], loss: 1.1 }] }, /"loss" must be a number from 0 to 1/],
    [{ ...SET, links: [{ to: [], loss: Number.NaN }] }, /"loss"/],
    [{ ...SET, links: [{ to: [], cut: 1 }] }, /"cut" must be true or false/],
    [{ ...SET, links: [{ to: [], bytesPerSecond: 0 }] }, /"bytesPerSecond"/],
    [{ ...SET, links: [{ to: [], delay: 20 }] }, /"delay" must be a latency model/],
  ];
  for (const [value, pattern] of bad) assert.throws(() => parseFaults(value, exists), code('chaos/faults', pattern), JSON.stringify(value));
  assert.throws(() => parseFaults({ ...SET, links: [{ to: [], delay: 'slow' }] }, exists), code('latency/model', /no latency model: slow/));
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    try {
      parseFaults(value, () => true);
    } catch (error) {
      assert.ok(error instanceof ShardlabError && !error.message.includes('\n'));
    }
  }));
});

/** A gossip frame as gossipsub writes it. */
function gossip(text: string, subscription?: string): Uint8Array {
  const messages = text === '' ? [] : [{ topic: 't', data: Buffer.from(text) }];
  const body = RPC.encode({ subscriptions: subscription === undefined ? [] : [{ topic: subscription, subscribe: true }], messages });
  assert.ok(body.length < 16_384);
  return Uint8Array.from(body.length < 128 ? [body.length, ...body] : [(body.length & 0x7f) | 0x80, body.length >> 7, ...body]);
}

test('messages are taken out of a frame, what the mesh rests on stays', () => {
  assert.deepEqual(stripMessages(gossip('hello')), { messages: 1, rest: undefined });
  assert.deepEqual(stripMessages(gossip('', 'topic')), { messages: 0, rest: gossip('', 'topic') });
  assert.deepEqual(stripMessages(gossip('hello'.repeat(100), 'topic')), { messages: 1, rest: gossip('', 'topic') });
  const many = RPC.encode({ subscriptions: Array.from({ length: 40 }, (_, index) => ({ topic: `topic ${index}`, subscribe: true })), messages: [] });
  const frame = Uint8Array.from([(many.length & 0x7f) | 0x80, many.length >> 7, ...many]);
  const withMessage = RPC.encode({ ...RPC.decode(many), messages: [{ topic: 't', data: new Uint8Array(300) }] });
  assert.deepEqual(stripMessages(Uint8Array.from([(withMessage.length & 0x7f) | 0x80, withMessage.length >> 7, ...withMessage])), { messages: 1, rest: frame });
  assert.deepEqual(stripMessages(Uint8Array.of(3, 255, 255, 255)), { messages: 0, rest: Uint8Array.of(3, 255, 255, 255) });
});

/** A stream through a link: what was given to the sink so far, by the clock. */
function through(kind: StreamKind, faults: LinkFaults | undefined, seed = 1) {
  const clock = new ManualClock();
  const link = new Link();
  link.set(faults, seed);
  const counts: Record<string, number> = {};
  const waiting: Chunk[] = [];
  let wake: () => void = () => undefined;
  let ended = false;
  async function* source(): AsyncGenerator<Chunk> {
    for (;;) {
      while (waiting.length > 0) yield waiting.shift()!;
      if (ended) return;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  const shaped = new ShapedSource(source(), kind, { link, clock, count: (_kind, outcome) => (counts[outcome] = (counts[outcome] ?? 0) + 1), abort: () => undefined });
  const out: Uint8Array[] = [];
  const done = (async () => {
    for await (const chunk of shaped) out.push(chunk.subarray());
  })();
  const push = (...chunks: Chunk[]): void => {
    waiting.push(...chunks);
    wake();
  };
  const end = (): void => {
    ended = true;
    wake();
  };
  return { clock, link, counts, out, shaped, done, push, end };
}

test('a healthy link passes chunks as they are, and a delay is in order and exact', async () => {
  const { clock, link, out, push, end, done } = through('gossip', undefined);
  const first = gossip('a');
  push(first);
  await settle();
  assert.equal(out[0]!.buffer, first.buffer, 'not even copied');
  link.set({ ...HEALTHY, delay: { kind: 'uniform', minMs: 10, maxMs: 50 } }, 3);
  const frames = Array.from({ length: 40 }, (_, index) => gossip(`message ${index}`));
  push(...frames);
  await settle();
  assert.equal(out.length, 1);
  clock.advance(9);
  await settle();
  assert.equal(out.length, 1, 'none is early');
  for (let ms = 9; ms < 52; ms++) {
    clock.advance(1);
    await settle();
  }
  assert.deepEqual(out.slice(1), frames, 'all, in order');
  end();
  await done;
});

test('bandwidth: bytes take their time, and a heal lets go what waits', async () => {
  const { clock, link, out, push, end, done } = through('request', { ...HEALTHY, bytesPerSecond: 1_000 });
  push(new Uint8Array(100), new Uint8Array(200), new Uint8Array(100_000));
  await settle();
  clock.advance(99);
  await settle();
  assert.equal(out.length, 0);
  clock.advance(1);
  await settle();
  assert.equal(out.length, 1);
  clock.advance(200);
  await settle();
  assert.equal(out.length, 2);
  link.set(undefined, 0);
  end();
  await done;
  assert.equal(out.length, 3);
});

test('a cut loses gossip, holds mesh control and requests, and its end delivers them', async () => {
  const cut = { ...HEALTHY, cut: true };
  const mesh = through('gossip', cut);
  mesh.push(gossip('lost'), gossip('lost too', 'topic'), gossip('', 'other'));
  const request = through('request', cut);
  request.push(Uint8Array.of(1, 2, 3));
  request.end();
  await settle();
  mesh.clock.advance(100_000);
  await settle();
  assert.deepEqual([mesh.out, request.out], [[], []]);
  assert.deepEqual([mesh.counts, request.counts], [{ lost: 2 }, { held: 1 }]);
  mesh.link.set(undefined, 0);
  request.link.set(undefined, 0);
  mesh.end();
  await Promise.all([mesh.done, request.done]);
  assert.deepEqual(mesh.out, [gossip('', 'topic'), gossip('', 'other')]);
  assert.deepEqual(request.out, [Uint8Array.of(1, 2, 3)]);
});

test('loss: the given share of gossip vanishes, by seed; a lost request breaks its stream, never in its middle', async () => {
  const survivors = async (seed: number): Promise<string> => {
    const { out, push, end, done, counts } = through('gossip', { ...HEALTHY, loss: 0.25 }, seed);
    push(...Array.from({ length: 1_000 }, (_, index) => gossip(`message ${index}`)));
    end();
    await done;
    assert.ok(out.length > 700 && out.length < 800, `${out.length} of 1000 pass`);
    assert.deepEqual(counts, { passed: out.length, lost: 1_000 - out.length });
    return createHash('sha256').update(Buffer.concat(out)).digest('hex');
  };
  assert.equal(await survivors(5), await survivors(5));
  assert.notEqual(await survivors(5), await survivors(6));
  let broken = 0;
  for (let seed = 0; seed < 200; seed++) {
    const { out, push, end, done } = through('request', { ...HEALTHY, loss: 0.5 }, seed);
    push(Uint8Array.of(1), Uint8Array.of(2));
    end();
    await done.then(
      () => assert.equal(out.length, 2),
      (error: unknown) => {
        broken++;
        assert.match((error as Error).message, /lost by the fault shim/);
        assert.equal(out.length, 0);
      },
    );
  }
  assert.ok(broken > 70 && broken < 130, `${broken} of 200 broke`);
});

test('a stream that is aborted while chunks are held ends at once, and its source is told', async () => {
  const clock = new ManualClock();
  const link = new Link();
  link.set({ ...HEALTHY, cut: true }, 0);
  let returned = false;
  const source: AsyncIterableIterator<Chunk> = {
    [Symbol.asyncIterator]: () => source,
    next: () => Promise.resolve({ done: false, value: new Uint8Array(1 << 20) }),
    return: () => {
      returned = true;
      return Promise.resolve({ done: true, value: undefined });
    },
  };
  const shaped = new ShapedSource(source, 'request', { link, clock, count: () => undefined, abort: () => undefined });
  const next = shaped.next();
  await settle();
  await shaped.return();
  assert.deepEqual(await next, { done: true, value: undefined });
  assert.ok(returned);
  assert.equal(clock.pending, 0, 'no timer is left');
});

function shimOf() {
  const clock = new ManualClock();
  const metrics = new TestMetrics();
  const shim = new FaultShim({ clock, log: new TestLog(), metrics });
  return { clock, metrics, shim };
}

test('faults expire, are renewed, and belong to one session at a time', () => {
  const { clock, metrics, shim } = shimOf();
  const faults = (session: string, links: Faults['links']): Faults => ({ session, seed: 1, ttlMs: 1_000, links });
  const cut = new Map([['shard-1', { ...HEALTHY, cut: true }]]);
  assert.equal(shim.set(faults('a', cut)), clock.nowMs() + 1_000);
  assert.throws(() => shim.set(faults('b', cut)), code('chaos/busy', /another chaos run are in force, for 1 s at most/));
  clock.advance(900);
  shim.set(faults('a', cut));
  clock.advance(900);
  assert.equal(shim.faults?.session, 'a', 'renewed');
  assert.equal(metrics.total('shardlab_chaos_faults_total', { kind: 'cut' }), 1, 'a renewal is no new fault');
  clock.advance(100);
  assert.equal(shim.faults, undefined);
  assert.equal(metrics.total('shardlab_chaos_faulted_links'), 0);
  shim.set(faults('b', cut));
  shim.set(faults('b', new Map()));
  shim.set(faults('c', cut));
  shim.clear('test');
  assert.equal(clock.pending, 0);
});

test('only the token sets faults; everything else is refused, counted, and changes nothing', () => {
  const { metrics, shim } = shimOf();
  const sha256 = (data: Uint8Array): Hash32 => new Uint8Array(createHash('sha256').update(data).digest()) as Hash32;
  const control = new FaultControl({ tokenHash: sha256(Buffer.from('secret')), exists: () => true }, { shim, hasher: { sha256 }, metrics });
  const value = { ...SET, links: [{ to: ['shard-1'], cut: true }] };
  for (const token of ['', 'Secret', 'secret ']) assert.throws(() => control.setFaults(token, value), code('chaos/token', /not the cluster's control token/));
  assert.equal(shim.faults, undefined);
  assert.throws(() => control.setFaults('secret', { ...value, seed: 'x' }), code('chaos/faults', /"seed"/));
  assert.equal(shim.faults, undefined);
  assert.equal(control.setFaults('secret', value).links, 1);
  assert.throws(() => control.setFaults('secret', { ...value, session: 'other' }), code('chaos/busy', /another/));
  const outcomes = ['refused', 'invalid', 'set', 'busy'].map((outcome) => metrics.total('shardlab_chaos_controls_total', { outcome }));
  assert.deepEqual(outcomes, [3, 1, 1, 1]);
});
