import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { after, afterEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ACCEPT, ignore, reject } from '@shardlab/crosslink';

import { nodeLabel, protocolNames } from '../../src/network/names.ts';
import type { Streams } from '../../src/network/streams.ts';
import { ask, BEACON_NODE, buildNode, meshed, seedOf, shard, startNode, stopAll, TestClock, type TestNode, until } from './network-kit.ts';

const rejections: unknown[] = [];
const onRejection = (reason: unknown): void => void rejections.push(reason);
process.on('unhandledRejection', onRejection);
after(() => {
  process.off('unhandledRejection', onRejection);
  assert.deepEqual(rejections, [], 'no rejection is left unhandled');
});

afterEach(stopAll);

async function startMesh(count: number): Promise<TestNode[]> {
  const beacon = await startNode(BEACON_NODE);
  const bootstrap = beacon.network.addresses;
  const shards = await Promise.all(Array.from({ length: count - 1 }, (_, index) => startNode(shard(index), { bootstrap })));
  const nodes = [beacon, ...shards];
  await until('all are connected to all', () => meshed(nodes), nodes);
  return nodes;
}

test('five nodes find each other through one, and gossip reaches all subscribers', async () => {
  const nodes = await startMesh(5);
  const heard = new Map<string, string[]>();
  for (const { network, node } of nodes) {
    const list: string[] = [];
    heard.set(nodeLabel(node), list);
    network.subscribe('receipts/3', (data, from, verdict) => {
      list.push(`${Buffer.from(data).toString()} from ${from.node === undefined ? '?' : nodeLabel(from.node)}`);
      verdict(ACCEPT);
    });
  }
  const [, publisher, ...others] = nodes as [TestNode, TestNode, ...TestNode[]];
  let sent = 0;
  await until(
    'a message reaches all four others',
    () => {
      // Subscriptions travel too: what is published before they arrive is for nobody.
      publisher.network.publish('receipts/3', Buffer.from(`message ${sent++}`));
      return [...heard].every(([label, list]) => label === nodeLabel(publisher.node) || list.length > 0);
    },
    nodes,
  );
  assert.deepEqual(heard.get(nodeLabel(publisher.node)), [], 'a node does not hear itself');
  const big = Buffer.alloc(1 << 20, 7);
  publisher.network.publish('receipts/3', big);
  await until('1 MiB reaches all', () => [...heard.values()].filter((list) => list.some((line) => line.length > 1 << 20)).length === 4, nodes);
  publisher.network.publish('receipts/3', Buffer.alloc((1 << 20) + 1));
  assert.equal(publisher.metrics.total('shardlab_network_gossip_messages_total', { outcome: 'oversized' }), 1);
  assert.ok(others.every(({ metrics }) => metrics.total('shardlab_network_penalties_total') === 0), 'nobody was penalised');
});

test('verdicts: accepted goes on, ignored and rejected do not, rejected costs the sender', async () => {
  const nodes = await startMesh(3);
  const [beacon, left, right] = nodes as [TestNode, TestNode, TestNode];
  const seen: string[] = [];
  beacon.network.subscribe('votes', (data, _from, verdict) => {
    const text = Buffer.from(data).toString();
    seen.push(text);
    verdict(text.startsWith('good') ? ACCEPT : text.startsWith('late') ? ignore('late') : reject('wrong'));
  });
  let n = 0;
  await until('a good one arrives', () => (left.network.publish('votes', Buffer.from(`good ${n++}`)), seen.length > 0), nodes);
  left.network.publish('votes', Buffer.from('late'));
  await until('the late one arrives', () => seen.includes('late'), nodes);
  assert.equal(beacon.network.score(left.network.peer), 0);
  left.network.publish('votes', Buffer.from('bad'));
  await until('the bad one arrives', () => seen.includes('bad'), nodes);
  assert.ok(beacon.network.score(left.network.peer) < -9, 'the score of the sender fell');
  assert.equal(beacon.network.score(right.network.peer), 0);
  assert.equal(beacon.metrics.total('shardlab_network_gossip_verdicts_total', { family: 'votes', reason: 'wrong' }), 1);
});

test('messages beyond the waiting queue are ignored and counted; a judge that never answers frees its place', async () => {
  const beacon = await startNode(BEACON_NODE, { limits: { gossipWaitingMax: 4, verdictTimeoutMs: 300 } });
  const left = await startNode(shard(0), { bootstrap: beacon.network.addresses });
  const nodes = [beacon, left];
  let judged = 0;
  beacon.network.subscribe('slow', () => void judged++);
  let n = 0;
  await until('one is judged', () => (left.network.publish('slow', Buffer.from(`${n++}`)), judged > 0), nodes);
  const outcome = (reason: string): number => beacon.metrics.total('shardlab_network_gossip_verdicts_total', { family: 'slow', reason });
  await until('some overflow', () => (left.network.publish('slow', Buffer.from(`${n++}`)), outcome('overload') > 0), nodes);
  await until('the waiting ones time out', () => outcome('verdict_timeout') >= 4, nodes);
  assert.equal(beacon.network.score(left.network.peer), 0, 'none of it is the sender\'s fault');
});

test('requests: roundtrip of all sizes, timeout, refused, oversized, unreachable', async () => {
  const nodes = await startMesh(3);
  const [beacon, left, right] = nodes as [TestNode, TestNode, TestNode];
  const kept: (() => void)[] = [];
  beacon.network.serve((body, from, reply) => {
    assert.equal(from.node === undefined ? '' : nodeLabel(from.node), 'shard-0');
    const text = Buffer.from(body.subarray(0, 16)).toString();
    if (text.startsWith('never')) kept.push(() => reply(body));
    else if (text.startsWith('refuse')) reply(undefined);
    else if (text.startsWith('throw')) throw new Error('handler');
    else if (text.startsWith('huge')) reply(new Uint8Array((8 << 20) + 1));
    else if (text.startsWith('large')) reply(new Uint8Array(8 << 20).fill(9));
    else reply(body);
  });
  for (const size of [0, 1, 300, 70_000, 4 << 20]) {
    const body = new Uint8Array(size).fill(size & 0x3f);
    assert.deepEqual(await ask(left, BEACON_NODE, body), body, `${size} bytes`);
  }
  const large = await ask(left, BEACON_NODE, Buffer.from('large'));
  assert.equal(large.length, 8 << 20);
  assert.equal(await ask(left, BEACON_NODE, Buffer.from('refuse')), 'network/refused');
  assert.equal(await ask(left, BEACON_NODE, Buffer.from('throw')), 'network/refused');
  assert.equal(await ask(left, BEACON_NODE, Buffer.from('huge')), 'network/refused');
  assert.equal(await ask(left, BEACON_NODE, new Uint8Array((4 << 20) + 1)), 'network/refused');
  assert.equal(await ask(left, BEACON_NODE, Buffer.from('never'), 100), 'network/timeout');
  assert.equal(await ask(left, shard(9), Buffer.from('x')), 'network/unreachable');
  assert.equal(await ask(beacon, shard(1), Buffer.from('nobody serves there')), 'network/refused');
  // A reply that comes too late, or twice, has no effect.
  for (const late of kept) late();
  for (const late of kept) late();
  const open = Array.from({ length: 40 }, () => ask(left, BEACON_NODE, Buffer.from('never'), 300));
  const codes = await Promise.all(open);
  assert.equal(codes.filter((code) => code === 'network/refused').length, 8, 'more than 32 at once are refused');
  assert.equal(codes.filter((code) => code === 'network/timeout').length, 32);
  const echo = Buffer.from('free');
  assert.deepEqual(await ask(left, BEACON_NODE, echo), new Uint8Array(echo), 'places of abandoned requests are free');
  assert.equal(beacon.metrics.total('shardlab_network_requests_total', { side: 'server', outcome: 'abandoned' }), 32);
  assert.equal(beacon.network.score(left.network.peer), 0);
  const dying = ask(right, BEACON_NODE, Buffer.from('x'));
  await beacon.network.stop();
  assert.equal(await dying, 'network/unreachable', 'the connection went away under it');
  assert.equal(await ask(left, BEACON_NODE, Buffer.from('x')), 'network/unreachable');
});

test('callbacks never run inside the call that took them', async () => {
  const node = await startNode(BEACON_NODE);
  let inside = true;
  const answered = new Promise<boolean>((resolve) => node.network.request(shard(1), new Uint8Array(1), 100, () => resolve(inside)));
  inside = false;
  assert.equal(await answered, false);
});

test('a host restarts on another port and is found again; the beacon may be dead when records are persisted', async () => {
  const nodes = await startMesh(4);
  const [beacon, one, two, three] = nodes as [TestNode, TestNode, TestNode, TestNode];
  await until('all persisted all', () => nodes.every(({ records }) => records !== undefined), nodes);
  const before = one.network.addresses;
  await beacon.network.stop();
  await one.network.stop();
  await until('the rest notices', () => [two, three].every(({ network }) => network.connected().length === 1), nodes);
  const again = await startNode(shard(0), { records: one.records! });
  assert.notDeepEqual(again.network.addresses, before, 'the port is another one');
  const living = [again, two, three];
  await until('found again without the beacon', () => meshed(living), living);
  two.network.serve((body, _from, reply) => reply(body));
  assert.deepEqual(await ask(again, shard(1), Buffer.from('hello')), new Uint8Array(Buffer.from('hello')));
  await until('the new record replaced the old', () => two.network.records().find(({ node }) => node.chain === 0)?.addresses.toString() === again.network.records()[0]?.addresses.toString(), living);
  // All move at once, none at its old port, except for one that they all know.
  await Promise.all([again, three].map(({ network }) => network.stop()));
  const moved = await Promise.all([startNode(shard(0), { records: again.records! }), startNode(shard(2), { records: three.records! })]);
  const rest = [two, ...moved];
  await until('two that both moved find each other through the third', () => meshed(rest), rest);
});

test('a node whose disk was lost and whose clock was set back speaks up with a newer record', async () => {
  const beacon = await startNode(BEACON_NODE);
  const left = await startNode(shard(0), { bootstrap: beacon.network.addresses });
  await until('connected', () => meshed([beacon, left]), [beacon, left]);
  await left.network.stop();
  const clock = new TestClock();
  clock.offsetMs = -86_400_000;
  const back = await startNode(shard(0), { bootstrap: beacon.network.addresses, clock });
  await until('accepted again', () => meshed([beacon, back]), [beacon, back]);
  assert.ok(beacon.metrics.total('shardlab_network_hello_total', { outcome: 'stale' }) > 0, 'its first record was refused as stale');
});

test('a peer that falls too low is disconnected, blocked for a while, and let in again', async () => {
  const clock = new TestClock();
  const beacon = await startNode(BEACON_NODE, { clock, limits: { banMs: 1_500 } });
  const left = await startNode(shard(0), { bootstrap: beacon.network.addresses });
  await until('connected', () => meshed([beacon, left]), [beacon, left]);
  const { peer } = left.network;
  let penalties = 0;
  // The score decays a little from one to the next.
  for (; penalties < 12 && beacon.network.connected().length > 0; penalties++) beacon.network.penalise(peer, 'test');
  assert.ok(penalties >= 10 && beacon.network.connected().length === 0, `disconnected at once, after ${penalties}`);
  assert.equal(beacon.metrics.total('shardlab_network_bans_total'), 1);
  const blockedMs = performance.now();
  await until('let in again', () => meshed([beacon, left]), [beacon, left]);
  assert.ok(performance.now() - blockedMs > 1_000, 'not before the block ended');
});

test('a process that is killed in the middle of gossip and requests: noticed, and nothing is thrown at us', async () => {
  const node = await startNode(BEACON_NODE);
  const child = fork(fileURLToPath(new URL('../perf/network-gossip-child.ts', import.meta.url)), [node.network.addresses[0]!], { stdio: 'ignore' });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const published = (): number => node.metrics.total('shardlab_network_gossip_messages_total', { family: 'bench', outcome: 'published' });
  let n = 0;
  await until('gossip flows to the child', () => (node.network.publish('bench', Buffer.from(`${n++}`)), published() > 20), [node]);
  const large = new Uint8Array(1 << 20);
  for (let i = 0; i < 16; i++) node.network.publish('bench', Uint8Array.from(large.fill(i)));
  const asked = Array.from({ length: 8 }, () => ask(node, shard(0), large, 20_000));
  child.kill('SIGKILL');
  await exited;
  await until('the death is noticed', () => node.network.connected().length === 0, [node]);
  for (const outcome of await Promise.all(asked)) assert.ok(outcome === 'network/unreachable' || outcome.length === large.length, String(outcome));
  node.network.publish('bench', Buffer.from('to nobody'));
});

test('all that nodes say passes through the streams that may be wrapped', async () => {
  const seen = new Set<string>();
  const wrapStreams = (streams: Streams): Streams => ({
    ...streams,
    open: async (connection, protocols, timeoutMs) => {
      const stream = await streams.open(connection, protocols, timeoutMs);
      seen.add(`to ${stream.protocol}`);
      return stream;
    },
    handle: (protocol, perConnectionMax, handler) =>
      streams.handle(protocol, perConnectionMax, (stream, connection) => {
        seen.add(`from ${stream.protocol}`);
        handler(stream, connection);
      }),
  });
  const beacon = await startNode(BEACON_NODE, { wrapStreams });
  const left = await startNode(shard(0), { bootstrap: beacon.network.addresses, wrapStreams });
  await until('connected', () => meshed([beacon, left]), [beacon, left]);
  await ask(left, BEACON_NODE, new Uint8Array(1));
  const { hello, request } = protocolNames(seedOf('genesis'));
  const gossip = '/meshsub/1.2.0';
  const wanted = [hello, request, gossip].flatMap((protocol) => [`from ${protocol}`, `to ${protocol}`]);
  await until('gossip streams are open', () => seen.size >= wanted.length, [beacon, left]);
  assert.deepEqual([...seen].sort(), wanted.sort());
});

test('what is configured wrongly is refused by name', async () => {
  assert.throws(() => buildNode({ ...shard(0), validator: 7 }), { code: 'network/identity' });
  assert.throws(() => buildNode(shard(0), { bootstrap: ['nonsense'] }), { code: 'network/address' });
  assert.throws(() => buildNode(shard(0), { bootstrap: ['/ip4/127.0.0.1/udp/1/quic-v1'] }), { code: 'network/address' });
  assert.throws(() => buildNode(shard(0), { records: Buffer.from('damaged') }), { code: 'network/records' });
  const node = await startNode(shard(0));
  assert.throws(() => node.network.publish('Bad Topic', new Uint8Array()), { code: 'network/topic' });
  assert.throws(() => node.network.subscribe('peers', () => {}), { code: 'network/topic' });
  await until('persisted', () => node.records !== undefined, [node]);
  assert.throws(() => buildNode(shard(0), { records: node.records!, genesis: 'other' }), { code: 'network/records' });
  const taken = /\/tcp\/(\d+)/.exec(node.network.addresses[0]!)![1]!;
  await assert.rejects(startNode(shard(1), { listen: [] }), { code: 'network/listen' });
  await assert.rejects(startNode(shard(1), { listen: [`/ip4/127.0.0.1/tcp/${taken}`] }), { code: 'network/listen' });
});
