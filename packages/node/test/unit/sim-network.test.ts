import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ACCEPT, ascii, BEACON, bytesKey, Prng, reject, shardId, toHex } from '@shardlab/crosslink';
import fc from 'fast-check';

import type { NodeName } from '../../src/ports.ts';
import { drawLatencyUs, type LatencyModel } from '../../src/sim/latency.ts';
import type { MessageInfo, NetworkFaults } from '../../src/sim/network-faults.ts';
import { SIM_NETWORK_LIMITS } from '../../src/sim/network.ts';
import { SeenCache } from '../../src/sim/seen-cache.ts';
import { type SimNode, SimWorld } from '../../src/sim/world.ts';

const A: NodeName = { chain: shardId(0), validator: 0 };
const B: NodeName = { chain: shardId(1), validator: 0 };
const C: NodeName = { chain: BEACON, validator: 0 };
const EVENTS = { eventsMax: 100_000 };

function worldOf(names: readonly NodeName[], faults: Partial<NetworkFaults> = {}, seed = 1): { world: SimWorld; nodes: SimNode[] } {
  const network: NetworkFaults = { linked: () => true, copies: () => [0], ...faults };
  const world = new SimWorld({ seed }, { network });
  return { world, nodes: names.map((name) => world.boot(name)) };
}

function hear(node: SimNode, topic: string): string[] {
  const heard: string[] = [];
  node.network.subscribe(topic, (data, _from, verdict) => {
    heard.push(bytesKey(data));
    verdict(ACCEPT);
  });
  return heard;
}

function ask(from: SimNode, to: NodeName, body = 'q', timeoutMs = 100): { outcome: string } {
  const asked = { outcome: 'pending' };
  from.network.request(to, ascii(body), timeoutMs, (result) => {
    assert.equal(asked.outcome, 'pending', 'called back twice');
    asked.outcome = result.ok ? bytesKey(result.value) : result.error.code;
  });
  return asked;
}

describe('simulated network: crashes', () => {
  test('a message that has left arrives though its sender has died', () => {
    const { world, nodes } = worldOf([A, B]);
    const heard = nodes.map((node) => hear(node, 't'));
    nodes[0]!.network.publish('t', ascii('will'));
    world.crash(A);
    world.scheduler.run(EVENTS);
    assert.deepEqual(heard, [[], ['will']]);
    const { gossipSent, gossipLost } = world.network.counters;
    assert.deepEqual([gossipSent, gossipLost], [1, 0], 'the publisher is no receiver');
  });

  test('a message to a life that has ended is not delivered to the next', () => {
    const { world, nodes } = worldOf([A, B]);
    const first = hear(nodes[1]!, 't');
    nodes[0]!.network.publish('t', ascii('x'));
    const asked = ask(nodes[0]!, B);
    world.crash(B);
    const again = world.boot(B);
    const second = hear(again, 't');
    again.network.serve((_body, _from, reply) => reply(ascii('second life')));
    world.scheduler.run(EVENTS);
    assert.deepEqual([first, second, asked.outcome], [[], [], 'network/unreachable']);
    nodes[0]!.network.publish('t', ascii('y'));
    const next = ask(nodes[0]!, B);
    world.scheduler.run(EVENTS);
    assert.deepEqual([second, next.outcome], [['y'], 'second life']);
  });

  test('a node that dies while it serves breaks the request, before the timeout', () => {
    const { world, nodes } = worldOf([A, B]);
    let served = false;
    let replyLate: () => void = () => undefined;
    nodes[1]!.network.serve((_body, _from, reply) => {
      served = true;
      replyLate = () => reply(ascii('ghost'));
    });
    const asked = ask(nodes[0]!, B, 'q', 10_000);
    world.scheduler.run({ ...EVENTS, until: () => served });
    const startMs = world.scheduler.nowMs();
    world.crash(B);
    replyLate();
    world.scheduler.run(EVENTS);
    assert.equal(asked.outcome, 'network/unreachable');
    assert.ok(world.scheduler.nowMs() - startMs <= 10, 'it took as long as a timeout');
  });

  test('a dead requester hears nothing, and a dead node does nothing', () => {
    const { world, nodes } = worldOf([A, B]);
    const heard = hear(nodes[1]!, 't');
    nodes[1]!.network.serve((body, _from, reply) => reply(body));
    const asked = ask(nodes[0]!, B);
    world.crash(A);
    const after = ask(nodes[0]!, B);
    nodes[0]!.network.publish('t', ascii('ghost'));
    nodes[0]!.network.penalise('sim-shard-1', 'ghost');
    world.scheduler.run(EVENTS);
    assert.deepEqual([asked.outcome, after.outcome, heard], ['pending', 'pending', []]);
    assert.deepEqual(nodes[0]!.network.connected(), []);
    assert.deepEqual(nodes[1]!.network.connected(), []);
    assert.equal(world.network.counters.penalties, 0);
    assert.equal(world.scheduler.pending, 0);
  });

  test('a name can be up once', () => {
    const { world } = worldOf([A]);
    assert.throws(() => world.boot(A), { code: 'invariant' });
    assert.throws(() => world.crash(B), { code: 'invariant' });
    assert.ok(world.running(A)?.incarnation.alive);
  });
});

describe('simulated network: the seam for faults', () => {
  test('each message is asked about, and is lost, doubled or delayed as told', () => {
    const infos: MessageInfo[] = [];
    const plan: Record<string, readonly number[]> = { lost: [], twice: [0, 700_000], late: [500_000], plain: [0] };
    let next = 'plain';
    const copies = (info: MessageInfo): readonly number[] => {
      infos.push(info);
      return plan[next]!;
    };
    const { world, nodes } = worldOf([A, B], { copies });
    const heard = hear(nodes[1]!, 't');
    for (const text of ['lost', 'late', 'twice', 'plain']) {
      next = text;
      nodes[0]!.network.publish('t', ascii(text));
    }
    world.scheduler.run(EVENTS);
    assert.deepEqual(heard.slice(0, 2).sort(), ['plain', 'twice']);
    assert.deepEqual(heard.slice(2), ['late', 'twice']);
    assert.deepEqual({ ...infos[0]!, nowMs: 0 }, { kind: 'gossip', topic: 't', sizeBytes: 4, from: A, to: B, nowMs: 0 });
    const { gossipSent, gossipLost, gossipDelivered } = world.network.counters;
    assert.deepEqual([gossipSent, gossipLost, gossipDelivered], [3, 1, 4]);
    nodes[1]!.network.serve((body, _from, reply) => reply(body));
    infos.length = 0;
    next = 'lost';
    const lost = ask(nodes[0]!, B);
    next = 'twice';
    const doubled = ask(nodes[0]!, B, 'd');
    world.scheduler.run(EVENTS);
    assert.deepEqual([lost.outcome, doubled.outcome], ['network/timeout', 'd']);
    assert.deepEqual(infos.map((info) => info.kind), ['request', 'request', 'reply', 'reply']);
    assert.ok(world.network.counters.repliesLate > 0);
  });

  test('a cut link is neither connected nor reachable; what it cuts in one direction, it cuts in one', () => {
    let cut: (from: NodeName, to: NodeName) => boolean = (from) => from.chain === A.chain;
    const { world, nodes } = worldOf([A, B], { linked: (from, to) => !cut(from, to) });
    const heard = nodes.map((node) => hear(node, 't'));
    for (const node of nodes) node.network.serve((body, _from, reply) => reply(body));
    for (const [index, node] of nodes.entries()) node.network.publish('t', ascii(`${index}`));
    const asked = [ask(nodes[0]!, B), ask(nodes[1]!, A)];
    assert.deepEqual(nodes.map((node) => node.network.connected().length), [0, 0]);
    world.scheduler.run(EVENTS);
    // B's request arrives, A's answer does not.
    assert.deepEqual(asked.map(({ outcome }) => outcome), ['network/unreachable', 'network/timeout']);
    assert.deepEqual(heard, [['1'], []]);
    cut = () => false;
    const healed = ask(nodes[0]!, B);
    world.scheduler.run(EVENTS);
    assert.equal(healed.outcome, 'q');
    assert.deepEqual(nodes.map((node) => node.network.connected()), [[B], [A]]);
  });
});

describe('simulated network: bounds and scores', () => {
  test('what is too large is not sent', () => {
    const { world, nodes } = worldOf([A, B]);
    const heard = hear(nodes[1]!, 't');
    nodes[1]!.network.serve((_body, _from, reply) => reply(new Uint8Array(SIM_NETWORK_LIMITS.replyBytesMax + 1)));
    nodes[0]!.network.publish('t', new Uint8Array(SIM_NETWORK_LIMITS.bytesMax + 1));
    const codes: string[] = [];
    nodes[0]!.network.request(B, new Uint8Array(SIM_NETWORK_LIMITS.requestBytesMax + 1), 100, (result) => codes.push(result.ok ? 'ok' : result.error.code));
    nodes[0]!.network.request(B, new Uint8Array(1), 100, (result) => codes.push(result.ok ? 'ok' : result.error.code));
    assert.deepEqual(codes, []);
    world.scheduler.run(EVENTS);
    assert.deepEqual([heard, codes], [[], ['network/refused', 'network/refused']]);
    assert.equal(world.network.counters.gossipOversize, 1);
  });

  test('what waits for a verdict, or for an answer, is bounded', () => {
    const { world, nodes } = worldOf([A, B]);
    const verdicts: (() => void)[] = [];
    nodes[1]!.network.subscribe('t', (_data, _from, verdict) => verdicts.push(() => verdict(ACCEPT)));
    const extra = 5;
    for (let i = 0; i < SIM_NETWORK_LIMITS.judgingMax + extra; i++) nodes[0]!.network.publish('t', ascii(`${i}`));
    world.scheduler.run(EVENTS);
    assert.equal(world.network.counters.gossipOverload, extra);
    for (const verdict of verdicts.splice(0)) verdict();
    assert.equal(world.network.counters.gossipAccepted, SIM_NETWORK_LIMITS.judgingMax);
    nodes[0]!.network.publish('t', ascii('after'));
    world.scheduler.run(EVENTS);
    assert.equal(verdicts.length, 1, 'messages that were judged hold their places');
    nodes[1]!.network.serve(() => undefined);
    const asked = Array.from({ length: SIM_NETWORK_LIMITS.servingMax + extra }, () => ask(nodes[0]!, B, 'q', 50));
    world.scheduler.run(EVENTS);
    assert.ok(asked.every(({ outcome }) => outcome !== 'pending'));
    assert.ok(asked.filter(({ outcome }) => outcome === 'network/refused').length >= extra);
    nodes[1]!.network.serve((body, _from, reply) => reply(body));
    const after = ask(nodes[0]!, B);
    world.scheduler.run(EVENTS);
    assert.equal(after.outcome, 'q', 'requests that were given up hold their places');
  });

  test('a peer that is rejected or penalised too often is cut off for a while', () => {
    const { world, nodes } = worldOf([A, B, C]);
    const told: string[] = [];
    nodes.forEach((node, index) => node.network.watch(({ chain, validator }, connected) => told.push(`${index}: ${chain}.${validator} ${connected ? 'back' : 'gone'}`)));
    const soon = () => world.scheduler.run({ ...EVENTS, untilMs: world.scheduler.nowMs() + 1_000 });
    let judged = 0;
    nodes[1]!.network.subscribe('t', (_data, from, verdict) => {
      judged++;
      if (judged > 5) nodes[1]!.network.penalise(from.peer, 'test');
      verdict(judged > 5 ? ACCEPT : reject('test'));
    });
    for (let i = 0; i < SIM_NETWORK_LIMITS.penaltiesMax; i++) nodes[0]!.network.publish('t', ascii(`${i}`));
    soon();
    assert.equal(world.network.counters.penalties, SIM_NETWORK_LIMITS.penaltiesMax);
    assert.deepEqual(nodes.map((node) => node.network.connected()), [[C], [C], [A, B]]);
    const cut = ask(nodes[0]!, B);
    nodes[0]!.network.publish('t', ascii('unheard'));
    soon();
    assert.deepEqual([cut.outcome, judged], ['network/unreachable', SIM_NETWORK_LIMITS.penaltiesMax]);
    assert.deepEqual(told.toSorted(), ['0: 1.0 gone', '1: 0.0 gone']);
    world.scheduler.run({ ...EVENTS, untilMs: world.scheduler.nowMs() + SIM_NETWORK_LIMITS.banMs });
    assert.deepEqual(nodes.map((node) => node.network.connected()), [[B, C], [A, C], [A, B]]);
    assert.deepEqual(told.slice(2).sort(), ['0: 1.0 back', '1: 0.0 back']);
  });

  test('a peer that is cut off while it is down is told of as back when the cut ends, not when it comes up', () => {
    const { world, nodes } = worldOf([A, B]);
    const told: string[] = [];
    nodes[0]!.network.watch(({ chain }, connected) => told.push(`${chain} ${connected ? 'back' : 'gone'}`));
    const run = (ms: number): void => void world.scheduler.run({ ...EVENTS, untilMs: world.scheduler.nowMs() + ms });
    world.crash(B);
    run(1_000);
    for (let i = 0; i < SIM_NETWORK_LIMITS.penaltiesMax; i++) nodes[0]!.network.penalise('sim-shard-1', 'late');
    world.boot(B);
    run(SIM_NETWORK_LIMITS.banMs / 2);
    assert.deepEqual(told, ['1 gone']);
    run(SIM_NETWORK_LIMITS.banMs);
    assert.deepEqual(told, ['1 gone', '1 back']);
    assert.equal(world.scheduler.pending, 0);
  });

  test('a connection that breaks is told of at both ends, to nobody else, and not before somebody listens', () => {
    let cut = false;
    const broken = (a: NodeName, b: NodeName): boolean => cut && a.chain !== C.chain && b.chain !== C.chain;
    const { world, nodes } = worldOf([A, B, C], { broken, linked: (from, to) => !broken(from, to) });
    const told: string[] = [];
    const set = (to: boolean): void => {
      cut = to;
      world.network.recheck(['shard-0', 'shard-1']);
      world.scheduler.run(EVENTS);
    };
    set(true);
    set(false);
    nodes.forEach((node, index) => node.network.watch(({ chain }, connected) => told.push(`${index}: ${chain} ${connected ? 'back' : 'gone'}`)));
    set(true);
    assert.deepEqual(told.toSorted(), ['0: 1 gone', '1: 0 gone']);
    set(true);
    set(false);
    assert.deepEqual(told.slice(2).toSorted(), ['0: 1 back', '1: 0 back']);
  });

  test('a second verdict or answer is a bug, and said so', () => {
    const { world, nodes } = worldOf([A, B]);
    nodes[1]!.network.subscribe('t', (_data, _from, verdict) => {
      verdict(ACCEPT);
      verdict(ACCEPT);
    });
    nodes[0]!.network.publish('t', ascii('x'));
    assert.throws(() => world.scheduler.run(EVENTS), { code: 'invariant' });
    nodes[1]!.network.serve((body, _from, reply) => {
      reply(body);
      reply(body);
    });
    ask(nodes[0]!, B);
    assert.throws(() => world.scheduler.run(EVENTS), { code: 'invariant' });
  });

  test('the seen cache forgets with time, oldest first', () => {
    const seen = new SeenCache(100);
    assert.deepEqual([seen.add('a', 0), seen.add('b', 50), seen.add('a', 99)], [true, true, false]);
    assert.deepEqual([seen.add('a', 100), seen.add('b', 100), seen.add('b', 150)], [true, false, true]);
  });
});

describe('simulated network: determinism', () => {
  /** A few hundred messages, commits, timers, and a crash, all from the seed. */
  function chatter(seed: number): { digest: string; log: string; events: number } {
    const world = new SimWorld({ seed });
    const names = [A, B, C];
    const log: string[] = [];
    const script = new Prng(99);
    const start = (name: NodeName): void => {
      const { network, storage, clock } = world.boot(name);
      network.serve((body, _from, reply) => storage.commit({ puts: [{ key: body, value: body }], deletes: [] }, () => reply(body)));
      network.subscribe('t', (data, from, verdict) => {
        log.push(`${name.chain}<${from.peer}:${bytesKey(data)}@${clock.nowMs()}`);
        verdict(ACCEPT);
      });
      const tick = (left: number): void => {
        if (left === 0) return;
        network.publish('t', ascii(`${name.chain}/${left}`));
        network.request(names[script.below(3)]!, ascii(`r${left}`), 20, (result) => log.push(`${name.chain}?${result.ok}`));
        clock.schedule(script.below(4), () => tick(left - 1));
      };
      tick(30);
    };
    for (const name of names) start(name);
    world.scheduler.run({ eventsMax: 300 });
    world.crash(B);
    world.scheduler.run({ eventsMax: 100 });
    start(B);
    assert.equal(world.scheduler.run(EVENTS), 'idle');
    return { digest: toHex(world.scheduler.trace.digest()), log: log.join('\n'), events: world.scheduler.events };
  }

  test('one seed gives one run, another seed another', () => {
    const digests = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const first = chatter(seed);
      assert.deepEqual(chatter(seed), first, `seed ${seed}`);
      assert.ok(first.events > 500, `${first.events}`);
      digests.add(first.digest);
    }
    assert.equal(digests.size, 20);
  });

  test('the trace notices one byte', () => {
    const run = (text: string): string => {
      const { world, nodes } = worldOf([A, B]);
      hear(nodes[1]!, 't');
      nodes[0]!.network.publish('t', ascii(text));
      world.scheduler.run(EVENTS);
      return toHex(world.scheduler.trace.digest());
    };
    assert.equal(run('abc'), run('abc'));
    assert.notEqual(run('abc'), run('abd'));
  });

  test('latencies keep to their model', () => {
    const models: readonly LatencyModel[] = [
      { kind: 'constant', ms: 2.5 },
      { kind: 'uniform', minMs: 1, maxMs: 5 },
      { kind: 'normal', meanMs: 10, deviationMs: 2, minMs: 6 },
    ];
    const [constant, uniform, normal] = models.map((model) => {
      const prng = new Prng(5);
      return Array.from({ length: 20_000 }, () => drawLatencyUs(model, prng));
    });
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    assert.deepEqual(new Set(constant), new Set([2500]));
    assert.ok(uniform!.every((us) => us >= 1000 && us <= 5000) && Math.abs(mean(uniform!) - 3000) < 30);
    assert.ok(normal!.every((us) => us >= 6000) && Math.abs(mean(normal!) - 10_000) < 100);
    const deviation = Math.sqrt(mean(normal!.map((us) => (us - 10_000) ** 2)));
    assert.ok(deviation > 1800 && deviation < 2050, `${deviation}`);
    fc.assert(fc.property(fc.integer(), (seed) => drawLatencyUs({ kind: 'constant', ms: 0 }, new Prng(seed)) === 1));
  });
});
