/** The links between validators of one committee, between real hosts. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { ACCEPT, reject } from '@shardlab/crosslink';

import { FaultShim } from '../../src/network/shim/fault-shim.ts';
import { committeeShard, meshed, startNode, stopAll, TestClock, TestLog, TestMetrics, type TestNode, until } from './network-kit.ts';

afterEach(stopAll);

const TOPIC = 'consensus/60';

interface Listener extends TestNode {
  readonly heard: string[];
}

/** Four validators of shard 60, and one of shard 0. */
async function startCommittee(wrapFirst?: Parameters<typeof startNode>[1]): Promise<{ readonly committee: Listener[]; readonly stranger: Listener }> {
  const nodes: Listener[] = [];
  for (const node of [...[0, 1, 2, 3].map((validator) => committeeShard(60, validator)), committeeShard(0, 0)]) {
    const bootstrap = nodes[0]?.network.addresses ?? [];
    const made = await startNode(node, { bootstrap, ...(nodes.length === 0 ? wrapFirst : {}) });
    const heard: string[] = [];
    made.network.subscribe(TOPIC, (data, from, verdict) => {
      heard.push(`${Buffer.from(data.subarray(0, 20)).toString()} from ${from.node?.validator}`);
      verdict(data[0] === 0x21 ? reject('test') : ACCEPT);
    });
    nodes.push(Object.assign(made, { heard }));
  }
  await until('all are connected to all', () => meshed(nodes), nodes);
  return { committee: nodes.slice(0, 4), stranger: nodes[4]! };
}

test('a committee hears what its validators say, once and in order, and nobody else does', async () => {
  const { committee, stranger } = await startCommittee();
  const [first, ...others] = committee as [Listener, ...Listener[]];
  const said = Array.from({ length: 50 }, (_, n) => `vote ${n}`);
  // Before the streams stand it waits: nothing here is said twice until somebody hears it.
  for (const text of said) first.network.publish(TOPIC, Buffer.from(text));
  await until('all have heard all', () => others.every(({ heard }) => heard.length >= said.length), committee);
  for (const { heard } of others) assert.deepEqual(heard, said.map((text) => `${text} from 0`));
  assert.deepEqual([first.heard, stranger.heard], [[], []]);
  const large = Buffer.alloc(1 << 20, 'x');
  others[0]!.network.publish(TOPIC, large);
  await until('1 MiB arrives', () => first.heard.length === 1, committee);
  first.network.publish(TOPIC, Buffer.alloc((1 << 20) + 1));
  assert.equal(first.metrics.total('shardlab_network_gossip_messages_total', { family: 'consensus', outcome: 'oversized' }), 1);
  for (const { metrics } of [...committee, stranger]) assert.equal(metrics.total('shardlab_network_penalties_total'), 0);
});

test('a validator that says what is rejected loses score, and one that comes back is heard again', async () => {
  const { committee } = await startCommittee();
  const [first, second, third] = committee as [Listener, Listener, Listener];
  second.network.publish(TOPIC, Buffer.from('!'));
  await until('it costs the sender', () => first.network.score(second.network.peer) < -9, committee);
  assert.equal(first.network.score(third.network.peer), 0);
  await third.network.stop();
  await until('it is gone', () => first.network.connected().length === 3, committee);
  const back = await startNode(third.node, { bootstrap: first.network.addresses });
  const heard: string[] = [];
  back.network.subscribe(TOPIC, (data, _from, verdict) => {
    heard.push(Buffer.from(data).toString());
    verdict(ACCEPT);
  });
  await until('it is back', () => first.network.connected().length === 4, committee);
  first.network.publish(TOPIC, Buffer.from('welcome'));
  await until('it hears', () => heard.includes('welcome'), committee);
});

test('what the committee says passes the fault shim: lost in a cut, whole again after it', async () => {
  const metrics = new TestMetrics();
  const shim = new FaultShim({ clock: new TestClock(), log: new TestLog(), metrics });
  const { committee } = await startCommittee({ wrapStreams: (streams, labels) => shim.wrap(streams, labels) });
  const [first, second, third] = committee as [Listener, Listener, Listener];
  first.network.publish(TOPIC, Buffer.from('before'));
  await until('both hear', () => second.heard.length === 1 && third.heard.length === 1, committee);
  shim.set({ session: 'cut', seed: 1, ttlMs: 60_000, links: new Map([['shard-60.1', { cut: true, delay: undefined, loss: 0, bytesPerSecond: undefined }]]) });
  first.network.publish(TOPIC, Buffer.from('never'));
  await until('it is lost, to one', () => third.heard.length === 2 && metrics.total('shardlab_chaos_messages_total', { kind: 'committee', outcome: 'lost' }) === 1, committee);
  shim.clear('test');
  first.network.publish(TOPIC, Buffer.from('after'));
  await until('it is heard again', () => second.heard.length === 2, committee);
  assert.deepEqual(second.heard, ['before from 0', 'after from 0']);
});
