import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ACCEPT, ascii, bytesKey, ignore, reject, type Verdict } from '@shardlab/crosslink';

import { nodeLabel } from '../../src/network/names.ts';
import type { Network, NodeName, Sender } from '../../src/ports.ts';
import { Calls, type Drive } from './drive.ts';

/** Nodes of one network with what makes messages move. */
export interface NetworkUnderTest {
  readonly nodes: readonly { readonly name: NodeName; readonly network: Network }[];
  /** A node of the same network that is not running. */
  readonly absent: NodeName;
  readonly drive: Drive;
  /** Ends a node's life as a crash does; what it returns begins the next one. */
  crash(index: number): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

/** Long for a message between two processes, short for a test. */
const TIMEOUT_MS = 5000;
/** Fits the gossip of a receipt batch's chunk (R14). */
const LARGE_BYTES = 512 * 1024;
/** Attempts to get gossip through while a mesh still forms. */
const ATTEMPTS_MAX = 200;

function bytesOf(length: number, seed: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 31 + (i >> 8) + seed) & 0xff);
}

interface Received {
  readonly data: string;
  readonly from: Sender;
}

/** Subscribes and keeps what comes; every message gets `verdict`. */
function listen(network: Network, topic: string, verdict: Verdict = ACCEPT): Received[] {
  const received: Received[] = [];
  network.subscribe(topic, (data, from, judge) => {
    if (!bytesKey(data.subarray(0, 6)).startsWith('warm-')) received.push({ data: bytesKey(data.subarray(0, 64)), from });
    judge(verdict);
  });
  return received;
}

class Session {
  readonly calls: Calls;
  private readonly world: NetworkUnderTest;
  private warmed = 0;

  constructor(world: NetworkUnderTest) {
    this.world = world;
    this.calls = new Calls(world.drive);
  }

  node(index: number): Network {
    return this.world.nodes[index]!.network;
  }

  name(index: number): NodeName {
    return this.world.nodes[index]!.name;
  }

  /** Waits until all nodes are connected to all. */
  async connected(): Promise<void> {
    const { nodes, drive } = this.world;
    await drive.until(() => nodes.every((node) => node.network.connected().length === nodes.length - 1), 'connection of all nodes');
  }

  /** Subscribes `receivers` and gossips until a message of each publisher has reached each of them: real meshes take a while to form. */
  async mesh(topic: string, publishers: readonly number[], receivers: readonly number[]): Promise<void> {
    const reached = new Set<string>();
    const wanted = new Set<string>();
    for (const receiver of receivers) {
      this.node(receiver).subscribe(topic, (data, _from, verdict) => {
        reached.add(`${bytesKey(data).split(':')[1]}>${receiver}`);
        verdict(ACCEPT);
      });
      for (const publisher of publishers) if (publisher !== receiver) wanted.add(`${publisher}>${receiver}`);
    }
    const all = (): boolean => [...wanted].every((pair) => reached.has(pair));
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      for (const publisher of publishers) this.node(publisher).publish(topic, ascii(`warm-${this.warmed++}:${publisher}`));
      if (await this.world.drive.within(50, all)) return;
    }
    assert.fail(`gossip on ${topic} never got from all of ${publishers.join()} to all of ${receivers.join()}, only ${[...reached].join()}`);
  }

  async answer(from: number, to: NodeName, body: Uint8Array): Promise<Uint8Array> {
    return this.calls.value<Uint8Array>('request', (done) => this.node(from).request(to, body, TIMEOUT_MS, done));
  }

  async failure(from: number, to: NodeName, body: Uint8Array, timeoutMs = TIMEOUT_MS): Promise<string> {
    return (await this.calls.error<Uint8Array>('request', (done) => this.node(from).request(to, body, timeoutMs, done))).code;
  }
}

type Check = (title: string, count: number, body: (session: Session, world: NetworkUnderTest) => Promise<void>) => void;

/** What every {@link Network} does. `factory` makes `count` nodes that know of each other. */
export function networkCompliance(name: string, factory: (count: number) => Promise<NetworkUnderTest>): void {
  const check: Check = (title, count, body) => {
    test(title, async () => {
      const world = await factory(count);
      try {
        const session = new Session(world);
        await session.connected();
        await body(session, world);
        await session.calls.verify();
      } finally {
        await world.stop();
      }
    });
  };
  describe(`network compliance: ${name}`, () => {
    connections(check);
    gossip(check);
    requests(check);
  });
}

function connections(check: Check): void {
  check('connected names all others that are up, and not oneself', 3, async (session, { nodes }) => {
    for (const [index, { name, network }] of nodes.entries()) {
      const key = (node: NodeName): string => `${node.chain}.${node.validator}`;
      const others = nodes.filter((_, other) => other !== index).map((node) => key(node.name)).sort();
      assert.deepEqual(network.connected().map(key).sort(), others, key(name));
    }
  });

  check('a node that is gone is told of once to each other, and once when it is back', 3, async (session, { drive, crash }) => {
    const told: string[][] = [0, 1].map((index) => {
      const lines: string[] = [];
      session.node(index).watch((node, connected) => lines.push(`${nodeLabel(node)} ${connected ? 'back' : 'gone'}`));
      return lines;
    });
    const label = nodeLabel(session.name(2));
    const restart = await crash(2);
    await drive.until(() => told.every((lines) => lines.length > 0), 'both others hear that it is gone');
    assert.deepEqual(told, [[`${label} gone`], [`${label} gone`]]);
    await restart();
    await drive.until(() => told.every((lines) => lines.length > 1), 'both others hear that it is back');
    assert.deepEqual(told, Array(2).fill([`${label} gone`, `${label} back`]));
  });
}

function gossip(check: Check): void {
  check('a message reaches all subscribers of its topic, but not its publisher', 4, async (session, { drive }) => {
    await session.mesh('receipts/1', [0], [0, 1, 2]);
    await session.mesh('other', [0], [3]);
    const received = [0, 1, 2].map((index) => listen(session.node(index), 'receipts/1'));
    const foreign = listen(session.node(3), 'other');
    session.node(0).publish('receipts/1', ascii('first'));
    session.node(0).publish('receipts/1', ascii('second'));
    await drive.until(() => received[1]!.length >= 2 && received[2]!.length >= 2, 'both messages at both subscribers');
    for (const index of [1, 2]) {
      assert.deepEqual(received[index]!.map((message) => message.data).sort(), ['first', 'second']);
    }
    assert.deepEqual(received[0], [], 'the publisher heard itself');
    assert.deepEqual(foreign, [], 'another topic was heard');
  });

  check('gossip comes from a node that has proven its name', 2, async (session, { drive }) => {
    await session.mesh('t', [0], [1]);
    const received = listen(session.node(1), 't');
    session.node(0).publish('t', ascii('x'));
    await drive.until(() => received.length > 0, 'the message');
    assert.deepEqual({ ...received[0]!.from.node }, { ...session.name(0) });
    assert.ok(received[0]!.from.peer.length > 0);
  });

  check('the same bytes are not delivered again', 2, async (session, { drive }) => {
    await session.mesh('t', [0, 1], [0, 1]);
    const received = [0, 1].map((index) => listen(session.node(index), 't'));
    session.node(0).publish('t', ascii('same'));
    await drive.until(() => received[1]!.length > 0, 'the message');
    session.node(0).publish('t', ascii('same'));
    session.node(1).publish('t', ascii('same'));
    session.node(0).publish('t', ascii('fence'));
    session.node(1).publish('t', ascii('fence-back'));
    await drive.until(() => received[1]!.length > 1 && received[0]!.length > 0, 'the messages after it');
    assert.deepEqual(received.map((messages) => messages.map((message) => message.data)), [['fence-back'], ['same', 'fence']]);
  });

  check('each receiver has its own verdict, at once or later', 4, async (session, { drive }) => {
    await session.mesh('t', [0], [1, 2, 3]);
    const rejecting = listen(session.node(1), 't', reject('test'));
    const ignoring = listen(session.node(2), 't', ignore('test'));
    const late: (() => void)[] = [];
    const accepted: string[] = [];
    session.node(3).subscribe('t', (data, _from, verdict) => {
      late.push(() => {
        accepted.push(bytesKey(data));
        verdict(ACCEPT);
      });
    });
    session.node(0).publish('t', ascii('one'));
    session.node(0).publish('t', ascii('two'));
    await drive.until(() => rejecting.length === 2 && ignoring.length === 2 && late.length === 2, 'both messages everywhere');
    for (const judge of late.splice(0)) judge();
    assert.deepEqual(accepted.sort(), ['one', 'two']);
    session.node(0).publish('t', ascii('three'));
    await drive.until(() => ignoring.length === 3 && late.length === 1, 'a message after the verdicts');
    for (const judge of late.splice(0)) judge();
  });

  check('gossip of no bytes and of 512 KB arrives as it was sent, and is the receiver\'s own', 3, async (session, { drive }) => {
    await session.mesh('t', [0], [1, 2]);
    const lengths = [0, 1, LARGE_BYTES];
    const bad: string[] = [];
    const heard = [1, 2].map((index) => {
      const seen: number[] = [];
      session.node(index).subscribe('t', (data, _from, verdict) => {
        if (Buffer.compare(data, bytesOf(data.length, 7)) !== 0) bad.push(`node ${index}: ${data.length} bytes are not what was sent`);
        data.fill(0xee);
        seen.push(data.length);
        verdict(ACCEPT);
      });
      return seen;
    });
    for (const length of lengths) session.node(0).publish('t', bytesOf(length, 7));
    await drive.until(() => heard.every((seen) => seen.length >= lengths.length), 'all lengths at both');
    assert.deepEqual(bad, []);
    for (const seen of heard) assert.deepEqual(seen.sort((a, b) => a - b), lengths);
  });

  check('a publisher may reuse its buffer as soon as publish has returned', 2, async (session, { drive }) => {
    await session.mesh('t', [0], [1]);
    const received = listen(session.node(1), 't');
    const mine = ascii('before');
    session.node(0).publish('t', mine);
    mine.fill(0x21);
    await drive.until(() => received.length > 0, 'the message');
    assert.equal(received[0]!.data, 'before');
  });

  check('a topic without subscribers takes messages, too large ones are dropped, and both go on', 2, async (session, { drive }) => {
    await session.mesh('t', [0], [1]);
    const received = listen(session.node(1), 't');
    session.node(0).publish('nobody', ascii('x'));
    session.node(0).publish('t', bytesOf(3 << 20, 1));
    session.node(0).publish('t', ascii('after'));
    await drive.until(() => received.length > 0, 'the message after it');
    assert.deepEqual(received.map((message) => message.data), ['after']);
  });

  check('a topic that is no topic is refused when it is named', 2, async (session) => {
    for (const topic of ['', 'Receipts', 'a//b', '/a', 'a/', 'a b', 'x'.repeat(65), 'peers']) {
      assert.throws(() => session.node(0).publish(topic, ascii('x')), { code: 'network/topic' }, topic);
      assert.throws(() => session.node(0).subscribe(topic, () => undefined), { code: 'network/topic' }, topic);
    }
  });
}

function requests(check: Check): void {
  check('a request of no bytes and of 512 KB gets its answer', 2, async (session) => {
    let from: Sender | undefined;
    session.node(1).serve((body, sender, reply) => {
      from = sender;
      const answer = new Uint8Array(body.length + 1);
      answer.set(body);
      body.fill(0xee);
      reply(answer);
    });
    for (const length of [0, 1, 1000, LARGE_BYTES]) {
      const mine = bytesOf(length, 3);
      const answer = await session.answer(0, session.name(1), mine);
      assert.deepEqual(mine, bytesOf(length, 3), 'the server changed the requester\'s bytes');
      assert.equal(Buffer.compare(answer.subarray(0, length), bytesOf(length, 3)), 0, `${length} bytes changed on the way`);
      assert.equal(answer.length, length + 1);
    }
    assert.deepEqual({ ...from!.node }, { ...session.name(0) });
  });

  check('a requester and a server may reuse their buffers as soon as the call has returned', 2, async (session) => {
    session.node(1).serve((body, _from, reply) => {
      const answer = ascii(`to ${bytesKey(body)}`);
      reply(answer);
      answer.fill(0x21);
    });
    const mine = ascii('question');
    const started = session.calls.start<Uint8Array>('request', (done) => session.node(0).request(session.name(1), mine, TIMEOUT_MS, done));
    mine.fill(0x21);
    assert.equal(bytesKey(await session.calls.value('request', started)), 'to question');
  });

  check('an answer of no bytes is an answer', 2, async (session) => {
    session.node(1).serve((_body, _from, reply) => reply(new Uint8Array(0)));
    assert.equal((await session.answer(0, session.name(1), ascii('x'))).length, 0);
  });

  check('answers in another order find their requests', 3, async (session, { drive }) => {
    for (const index of [1, 2]) {
      const waiting: (() => void)[] = [];
      session.node(index).serve((body, _from, reply) => {
        waiting.push(() => reply(ascii(`${index}:${bytesKey(body)}`)));
        if (waiting.length < 8) return;
        for (const answer of waiting.splice(0).reverse()) answer();
      });
    }
    const results: string[] = [];
    for (let i = 0; i < 8; i++) {
      for (const to of [1, 2]) {
        session.calls.start<Uint8Array>(
          `request ${i}`,
          (done) => session.node(0).request(session.name(to), ascii(`${i}`), TIMEOUT_MS, done),
          (result) => results.push(result.ok ? `${bytesKey(result.value)}/${to}:${i}` : result.error.code),
        );
      }
    }
    await drive.until(() => results.length === 16, 'all answers');
    for (const result of results) assert.match(result, /^(\d:\d)\/\1$/);
  });

  check('a refusal says so, and so does a node that serves nothing', 3, async (session) => {
    session.node(1).serve((_body, _from, reply) => reply(undefined));
    assert.equal(await session.failure(0, session.name(1), ascii('x')), 'network/refused');
    assert.equal(await session.failure(0, session.name(2), ascii('x')), 'network/refused');
    session.node(1).serve((body, _from, reply) => reply(body));
    assert.deepEqual([...(await session.answer(0, session.name(1), ascii('y')))], [...ascii('y')], 'served after a refusal');
  });

  check('a request that nobody answers times out, and a late answer is dropped', 2, async (session, { drive }) => {
    const late: (() => void)[] = [];
    session.node(1).serve((body, _from, reply) => {
      if (bytesKey(body) === 'slow') late.push(() => reply(ascii('late')));
      else reply(ascii('prompt'));
    });
    assert.equal(await session.failure(0, session.name(1), ascii('slow'), 150), 'network/timeout');
    await drive.until(() => late.length === 1, 'the request');
    for (const answer of late) answer();
    assert.deepEqual(await session.answer(0, session.name(1), ascii('next')), ascii('prompt'));
  });

  check('a node that is not there is unreachable', 2, async (session, { absent }) => {
    assert.equal(await session.failure(0, absent, ascii('x')), 'network/unreachable');
    session.node(1).serve((body, _from, reply) => reply(body));
    assert.equal((await session.answer(0, session.name(1), ascii('x'))).length, 1);
  });
}
