/** The fault shim between real hosts: what is set at one node is what its peers see. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { ACCEPT } from '@shardlab/crosslink';
import type { LinkFaults } from '../../src/network/shim/faults.ts';
import { FaultShim } from '../../src/network/shim/fault-shim.ts';
import { ask, BEACON_NODE, meshed, shard, startNode, stopAll, TestClock, TestLog, TestMetrics, type TestNode, until } from './network-kit.ts';

const shims: FaultShim[] = [];
afterEach(async () => {
  for (const shim of shims.splice(0)) shim.clear('test');
  await stopAll();
});

interface Shimmed extends TestNode {
  readonly shim: FaultShim;
  readonly shimMetrics: TestMetrics;
  readonly heard: string[];
}

async function startShimmed(...args: Parameters<typeof startNode>): Promise<Shimmed> {
  const shimMetrics = new TestMetrics();
  const shim = new FaultShim({ clock: new TestClock(), log: new TestLog(), metrics: shimMetrics });
  shims.push(shim);
  const made = await startNode(args[0], { ...args[1], wrapStreams: (streams, labels) => shim.wrap(streams, labels) });
  const heard: string[] = [];
  made.network.subscribe('blocks', (data, _from, verdict) => {
    heard.push(Buffer.from(data.subarray(0, 32)).toString());
    verdict(ACCEPT);
  });
  made.network.serve((body, _from, reply) => reply(body));
  return Object.assign(made, { shim, shimMetrics, heard });
}

async function startPair(): Promise<[Shimmed, Shimmed]> {
  const beacon = await startShimmed(BEACON_NODE);
  const left = await startShimmed(shard(0), { bootstrap: beacon.network.addresses });
  await until('both are connected', () => meshed([beacon, left]), [beacon, left]);
  let n = 0;
  await until('gossip flows both ways', () => {
    beacon.network.publish('blocks', Buffer.from(`warm ${n}`));
    left.network.publish('blocks', Buffer.from(`warm back ${n++}`));
    return beacon.heard.length > 0 && left.heard.length > 0;
  }, [beacon, left]);
  return [beacon, left];
}

let session = 0;
function setFaults({ shim }: Shimmed, to: string, faults: Partial<LinkFaults>, ttlMs = 60_000): void {
  shim.clear('test');
  shim.set({ session: `${session++}`, seed: 1, ttlMs, links: new Map([[to, { cut: false, delay: undefined, loss: 0, bytesPerSecond: undefined, ...faults }]]) });
}

async function roundTripMs(from: TestNode, body: Uint8Array = Uint8Array.of(1)): Promise<number> {
  const startedMs = performance.now();
  assert.deepEqual(await ask(from, BEACON_NODE, body), body);
  return performance.now() - startedMs;
}

test('a delay of one direction raises the round trip by itself, of both by their sum; gossip is late too', async () => {
  const [beacon, left] = await startPair();
  const before = await roundTripMs(left);
  assert.ok(before < 100, `${before} ms without faults`);
  setFaults(left, 'beacon', { delay: { kind: 'constant', ms: 150 } });
  const oneWay = await roundTripMs(left);
  assert.ok(oneWay >= 150 && oneWay < 290, `${oneWay} ms with one delay`);
  setFaults(beacon, 'shard-0', { delay: { kind: 'constant', ms: 150 } });
  const both = await roundTripMs(left);
  assert.ok(both >= 300, `${both} ms with two`);
  const startedMs = performance.now();
  left.network.publish('blocks', Buffer.from('late'));
  await until('it comes', () => beacon.heard.includes('late'));
  assert.ok(performance.now() - startedMs >= 150);
  left.shim.clear('test');
  beacon.shim.clear('test');
  assert.ok((await roundTripMs(left)) < 100, 'healed');
});

test('a one-way cut: nothing arrives from one side, the other is heard; its end lets requests through and brings no lost gossip back', async () => {
  const [beacon, left] = await startPair();
  setFaults(left, 'beacon', { cut: true });
  left.network.publish('blocks', Buffer.from('never'));
  assert.equal(await ask(left, BEACON_NODE, Uint8Array.of(7), 300), 'network/timeout');
  const held = ask(left, BEACON_NODE, Uint8Array.of(8), 10_000);
  beacon.network.publish('blocks', Buffer.from('heard'));
  await until('the other direction works', () => left.heard.includes('heard'));
  assert.equal(await ask(beacon, shard(0), Uint8Array.of(9), 300), 'network/timeout', 'the answer does not come back');
  assert.deepEqual(left.network.connected().length, 1, 'silence is no disconnection');
  left.shim.clear('test');
  assert.deepEqual(await held, Uint8Array.of(8), 'held until the end of the cut');
  left.network.publish('blocks', Buffer.from('after'));
  await until('gossip works again', () => beacon.heard.includes('after'));
  assert.ok(!beacon.heard.includes('never'));
  assert.ok(left.shimMetrics.total('shardlab_chaos_messages_total', { kind: 'gossip', outcome: 'lost' }) >= 1);
  for (const { metrics } of [beacon, left]) assert.equal(metrics.total('shardlab_network_penalties_total'), 0, 'faults are nobody\'s offence');
});

test('a cut heals by itself when its time is up', async () => {
  const [, left] = await startPair();
  setFaults(left, 'beacon', { cut: true }, 400);
  const tookMs = await roundTripMs(left);
  assert.ok(tookMs >= 350 && tookMs < 4_000, `${tookMs} ms`);
});

test('loss: some gossip and some requests fail, others do not', async () => {
  const [beacon, left] = await startPair();
  setFaults(left, 'beacon', { loss: 0.5 });
  const before = beacon.heard.length;
  for (let n = 0; n < 100; n++) left.network.publish('blocks', Buffer.from(`message ${n}`));
  const outcomes = await Promise.all(Array.from({ length: 30 }, (_, n) => ask(left, BEACON_NODE, Uint8Array.of(n), 5_000)));
  const lost = outcomes.filter((outcome) => outcome === 'network/unreachable').length;
  assert.ok(lost > 3 && lost < 27, `${lost} of 30 requests were lost`);
  assert.equal(outcomes.filter((outcome) => typeof outcome !== 'string').length, 30 - lost);
  left.shim.clear('test');
  left.network.publish('blocks', Buffer.from('last'));
  await until('the last one comes', () => beacon.heard.includes('last'));
  const arrived = beacon.heard.length - before - 1;
  assert.ok(arrived > 25 && arrived < 75, `${arrived} of 100 messages arrived`);
  // Hosts gossip among themselves too: records of peers.
  assert.ok(left.shimMetrics.total('shardlab_chaos_messages_total', { kind: 'gossip', outcome: 'lost' }) >= 100 - arrived);
});

test('bandwidth: 100 kB at 200 kB/s take half a second', async () => {
  const [, left] = await startPair();
  const body = new Uint8Array(100_000).fill(3);
  assert.ok((await roundTripMs(left, body)) < 300);
  setFaults(left, 'beacon', { bytesPerSecond: 200_000 });
  const tookMs = await roundTripMs(left, body);
  assert.ok(tookMs >= 480 && tookMs < 2_000, `${tookMs} ms`);
});

test('a node that restarts inside a partition does not get through, and is back when it ends', async () => {
  const beacon = await startShimmed(BEACON_NODE);
  const left = await startShimmed(shard(0), { bootstrap: beacon.network.addresses, limits: { helloTimeoutMs: 500 } });
  await until('both are connected', () => meshed([beacon, left]), [beacon, left]);
  await until('the records are persisted', () => left.records !== undefined);
  const records = left.records!;
  setFaults(beacon, 'shard-0', { cut: true });
  await left.network.stop();
  const again = await startShimmed(shard(0), { bootstrap: beacon.network.addresses, records, limits: { helloTimeoutMs: 500 } });
  await until('the handshake is tried, and runs out of time', () => again.metrics.total('shardlab_network_hello_total', { outcome: 'timeout' }) > 0, [beacon, again]);
  assert.deepEqual(again.network.connected(), []);
  beacon.shim.clear('test');
  await until('it is back', () => again.network.connected().length === 1, [beacon, again]);
});
