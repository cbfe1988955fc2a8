import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { BEACON, type ShardId } from '@shardlab/crosslink';
import type { Effect } from '@shardlab/shard';
import { nodeLabel } from '../../src/network/names.ts';
import type { NodeName } from '../../src/ports.ts';
import { SwitchedFaults } from './faults.ts';
import { spreadLoad } from './load.ts';
import { testNetwork, type TestNetwork } from './network-kit.ts';
import { Scenario } from './scenario.ts';

/** Default settings promise a new view within this time after a leader's death. */
const VIEW_CHANGE_MS = 2_000;

let four: TestNetwork;
let seven: TestNetwork;

before(async () => {
  four = await testNetwork({ shards: 2, accounts: 16, validators: 4 });
  seven = await testNetwork({ shards: 1, accounts: 4, validators: 7 });
});

/** A scenario that keeps the log lines of some events, as `node event`. */
function logged(network: TestNetwork, seed: number, faults = new SwitchedFaults()): { readonly scenario: Scenario; readonly faults: SwitchedFaults; readonly lines: string[] } {
  const lines: string[] = [];
  const beforeEffect = (name: NodeName, effect: Effect): boolean => {
    if (effect.kind === 'log') lines.push(`${nodeLabel(name)} ${effect.line.event}`);
    return true;
  };
  return { scenario: new Scenario({ network, seed, faults: { network: faults }, hooks: { beforeEffect } }), faults, lines };
}

function member(chain: number, validator: number): NodeName {
  return { chain: chain as ShardId, validator };
}

function headOf(scenario: Scenario, name: NodeName): number {
  const node = scenario.cluster.node(name);
  return node?.shard?.replica.head.header.height ?? node?.beacon?.head?.height ?? 0;
}

function evenly(scenario: Scenario): boolean {
  const names = scenario.cluster.names();
  return names.every((name) => headOf(scenario, name) === headOf(scenario, { ...name, validator: 0 }));
}

/** Ends the load, waits until all validators of a chain are at one head, and asks the checkers. */
function settle(scenario: Scenario, maxMs = 60_000): void {
  scenario.runUntil(() => scenario.settled, maxMs);
  scenario.runUntil(() => evenly(scenario), maxMs);
  scenario.check();
}

test('committees of four agree, and every validator has every block', () => {
  const { scenario, lines } = logged(four, 1);
  spreadLoad(scenario, { seed: 1, count: 40, fromMs: 300, toMs: 4_000 });
  settle(scenario);
  assert.deepEqual(lines.filter((line) => line.includes('consensus.')), [], 'nothing that a healthy network has to say of agreement');
  assert.ok(scenario.outcomes()['cross/1']! > 5);
});

test('any f validators of every committee can be dead from the start', () => {
  for (const victim of [0, 3]) {
    const { scenario } = logged(four, 2 + victim);
    for (const chain of [BEACON, 0, 1]) scenario.crash(member(chain, victim), 30_000);
    spreadLoad(scenario, { seed: 2, count: 30, fromMs: 300, toMs: 4_000 });
    scenario.runUntil(() => scenario.receipts.size === 30, 25_000);
    settle(scenario);
  }
  const { scenario } = logged(seven, 3);
  for (const validator of [1, 4]) scenario.crash(member(0, validator), 30_000);
  spreadLoad(scenario, { seed: 3, count: 20, fromMs: 300, toMs: 3_000 });
  scenario.runUntil(() => scenario.receipts.size === 20, 25_000);
  settle(scenario);
});

/** Has shard 0's leader struck once the shard makes blocks under load; virtual milliseconds from then to three more blocks: what it had proposed may still be decided. */
function withoutLeader(scenario: Scenario, seed: number, strike: (leader: number) => void): number {
  spreadLoad(scenario, { seed, count: 200, fromMs: 300, toMs: 8_000 });
  scenario.runUntil(() => headOf(scenario, member(0, 1)) >= 5, 10_000);
  const { leader } = scenario.cluster.shard(0 as ShardId).replica.consensus;
  const witness = member(0, (leader + 1) % 4);
  const height = headOf(scenario, witness);
  const startMs = scenario.nowMs;
  strike(leader);
  scenario.runUntil(() => headOf(scenario, witness) >= height + 3, 10_000);
  return scenario.nowMs - startMs;
}

test('a dead leader costs less than two seconds at default settings', (t) => {
  for (let seed = 1; seed <= 5; seed++) {
    const { scenario, lines } = logged(four, seed);
    const tookMs = withoutLeader(scenario, seed, (leader) => scenario.crash(member(0, leader), 5_000));
    t.diagnostic(`seed ${seed}: ${tookMs} virtual ms from the kill to three more blocks`);
    assert.ok(tookMs < VIEW_CHANGE_MS + 3 * four.genesis.parameters.blockIntervalMs, `${tookMs} ms`);
    assert.ok(lines.some((line) => line.endsWith('consensus.suspected')));
    settle(scenario);
  }
});

test('a leader whose connections break with it is suspected at once, one that is cut off without a word after its time', (t) => {
  const gaps = ['killed', 'cut off'].map((how) => {
    const { scenario, faults } = logged(four, 7);
    const tookMs = withoutLeader(scenario, 7, (leader) => {
      const isLeader = (name: NodeName): boolean => name.chain === 0 && name.validator === leader;
      if (how === 'killed') scenario.crash(member(0, leader), 5_000);
      else faults.faults = { linked: (from, to) => !isLeader(from) && !isLeader(to), copies: () => [0] };
    });
    faults.faults = undefined;
    settle(scenario);
    return tookMs;
  });
  t.diagnostic(`virtual ms to three more blocks: ${gaps.join(', ')}`);
  assert.ok(gaps[0]! + 300 <= gaps[1]!, 'three quarters of a second, or what block intervals make of it');
});

test('connections to the leader that break for a moment cost no view, however slow the network is, nor does the crash of another shard\'s validator', () => {
  const { scenario, faults, lines } = logged(four, 8);
  spreadLoad(scenario, { seed: 8, count: 100, fromMs: 300, toMs: 12_000 });
  scenario.runUntil(() => headOf(scenario, member(0, 1)) >= 3, 10_000);
  const labels = [0, 1, 2, 3].map((validator) => nodeLabel(member(0, validator)));
  const leader = (): number => scenario.cluster.shard(0 as ShardId).replica.consensus.leader;
  let cut: number | undefined;
  const broken = (a: NodeName, b: NodeName): boolean => a.chain === 0 && b.chain === 0 && (a.validator === cut || b.validator === cut);
  // Two hops take longer than a quarter of the least timeout. What is said is not lost: it is the hint alone that is tried here.
  faults.faults = { linked: () => true, copies: () => [150_000], broken };
  for (let round = 0; round < 60; round++) {
    cut = leader();
    scenario.cluster.world.network.recheck(labels);
    scenario.runFor(30);
    cut = undefined;
    scenario.cluster.world.network.recheck(labels);
    scenario.runFor(70);
  }
  const height = headOf(scenario, member(0, 0));
  scenario.crash(member(1, leader()), 5_000);
  scenario.runUntil(() => headOf(scenario, member(0, 0)) >= height + 3, 10_000);
  assert.deepEqual(lines.filter((line) => /^shard-0(\.\d)? consensus\.suspected/.test(line)), []);
  settle(scenario);
});

test('with more than f gone a committee stops, says so, and goes on when they are back', () => {
  const { scenario, lines } = logged(four, 9);
  spreadLoad(scenario, { seed: 9, count: 60, fromMs: 300, toMs: 20_000 });
  scenario.runFor(2_000);
  for (const validator of [1, 2]) scenario.crash(member(0, validator), 15_000);
  scenario.runFor(3_000);
  const height = headOf(scenario, member(0, 0));
  const others = headOf(scenario, member(1, 0));
  scenario.runFor(10_000);
  assert.equal(headOf(scenario, member(0, 0)), height, 'two of four decide nothing');
  assert.ok(headOf(scenario, member(1, 0)) > others, 'the other shard goes on');
  assert.ok(lines.includes('shard-0.0 consensus.stalled') || lines.includes('shard-0 consensus.stalled'), 'and it is said why');
  const { voted, quorum } = scenario.cluster.shard(0 as ShardId).replica.consensus;
  assert.ok(voted.length < quorum);
  settle(scenario);
  assert.ok(lines.some((line) => line.endsWith('consensus.resumed')));
});

test('a validator that was cut off replays what it has missed, and votes again', () => {
  const { scenario, faults } = logged(four, 11);
  const cut = member(1, 2);
  const isCut = (name: NodeName): boolean => name.chain === cut.chain && name.validator === cut.validator;
  spreadLoad(scenario, { seed: 11, count: 80, fromMs: 300, toMs: 20_000 });
  scenario.runFor(2_000);
  faults.faults = { linked: (from, to) => !isCut(from) && !isCut(to), copies: () => [0] };
  scenario.runFor(8_000);
  assert.ok(headOf(scenario, cut) < headOf(scenario, member(1, 0)) - 5);
  faults.faults = undefined;
  scenario.runUntil(() => headOf(scenario, cut) >= headOf(scenario, member(1, 0)) - 1, 5_000);
  // Its vote is needed now.
  scenario.crash(member(1, 3), 20_000);
  settle(scenario);
});

test('an empty validator starts from a snapshot, serves what is not consumed, and its vote counts', () => {
  const { scenario, lines } = logged(four, 12);
  const empty = member(0, 1);
  scenario.crash(empty, 150_000);
  spreadLoad(scenario, { seed: 12, count: 900, fromMs: 300, toMs: 160_000 });
  scenario.runFor(149_000);
  assert.ok(headOf(scenario, member(0, 0)) > 540);
  assert.ok(scenario.cluster.world.disk(empty).counters.commits <= 1, 'it knows nothing but genesis');
  scenario.runUntil(() => headOf(scenario, empty) > 540, 10_000);
  assert.ok(lines.includes('shard-0.1 snapshot.verified'));
  scenario.crash(member(0, 2), 20_000);
  settle(scenario);
});

test('all nodes at once can be killed and started again', () => {
  for (let seed = 20; seed < 26; seed++) {
    const { scenario } = logged(four, seed);
    spreadLoad(scenario, { seed, count: 60, fromMs: 300, toMs: 8_000 });
    scenario.runFor(2_000 + 137 * seed);
    for (const name of scenario.cluster.names()) scenario.crash(name, 300 + 17 * name.validator);
    scenario.runFor(2_000);
    for (const name of scenario.cluster.names()) scenario.crash(name, 300);
    settle(scenario);
  }
});
