import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { ShardId } from '@shardlab/crosslink';
import type { ExecutedBlock, PersistRecord } from '@shardlab/shard';
import type { NodeName } from '../../src/ports.ts';
import { DependencyGraph } from '../../src/sim/checkers/dependency-graph.ts';
import { NetworkCheckers } from '../../src/sim/checkers/network-checkers.ts';
import type { ShardBlockRecord } from '../../src/sim/checkers/violations.ts';
import { spreadLoad } from './load.ts';
import { testNetwork, type TestNetwork } from './network-kit.ts';
import { Scenario } from './scenario.ts';

interface Stored {
  readonly node: NodeName;
  readonly record: PersistRecord;
}

let network: TestNetwork;
let history: Stored[];

before(async () => {
  network = await testNetwork({ shards: 2, accounts: 8, validators: 4 });
  const scenario = new Scenario({ network, seed: 5 });
  history = [];
  const observe = scenario.checkers.observe.bind(scenario.checkers);
  scenario.checkers.observe = (node, record) => {
    history.push({ node, record });
    observe(node, record);
  };
  spreadLoad(scenario, { seed: 5, count: 40, fromMs: 300, toMs: 2_000 });
  scenario.runUntil(() => scenario.settled, 30_000);
  assert.ok(scenario.outcomes()['cross/1']! > 3 && scenario.outcomes()['local/1']! > 3);
});

function judge(records: readonly Stored[]): string[] {
  const checkers = new NetworkCheckers({ genesis: network.genesis }, { crypto: network.crypto });
  for (const { node, record } of records) checkers.observe(node, record);
  checkers.serial.atRest();
  checkers.serializability.atRest();
  return checkers.violations.found.filter((found) => /^(?:serial|serializability|nodes)/.test(found));
}

/** The history with one block changed alike on every validator that stores it. */
function doctored(change: (block: ExecutedBlock) => Partial<ExecutedBlock> | undefined): Stored[] {
  let target: ExecutedBlock | undefined;
  let patched: ExecutedBlock | undefined;
  return history.map(({ node, record }) => {
    if (record.kind !== 'shard-block') return { node, record };
    const same = target !== undefined && record.block.header.shard === target.header.shard && record.block.header.height === target.header.height;
    const patch = target === undefined ? change(record.block) : undefined;
    if (patch !== undefined) {
      target = record.block;
      patched = { ...record.block, ...patch };
    }
    return patch !== undefined || same ? { node, record: { ...record, block: patched! } satisfies ShardBlockRecord } : { node, record };
  });
}

test('the true history has nothing to complain of', () => {
  assert.deepEqual(judge(history), []);
});

const CASES: readonly { readonly what: string; readonly finds: RegExp; readonly records: () => Stored[] }[] = [
  {
    what: 'a transfer that its receipt calls failed, and that moved its value all the same',
    finds: /^serial: .*has status 0, and was applied/,
    records: () =>
      doctored(({ receipts }) => {
        const index = receipts.findIndex((receipt) => receipt.crossShard && receipt.status === 1);
        return index < 0 ? undefined : { receipts: receipts.map((receipt, at) => (at === index ? { ...receipt, status: 0 } : receipt)) };
      }),
  },
  {
    what: 'a fee that nobody charged',
    finds: /^serial: /,
    records: () => doctored(({ receipts }) => (receipts.length === 0 ? undefined : { receipts: receipts.map((receipt) => ({ ...receipt, gasUsed: receipt.gasUsed - 1 })) })),
  },
  {
    what: 'a credit that no block has stored',
    finds: /^serial: .*(?:is stored with|not in what is stored)/,
    records: () =>
      doctored(({ events, header, delta }) =>
        events.some(({ phase, peer, outcome }) => phase === 'applied' && outcome === 'commit' && peer !== header.shard) ? { delta: { ...delta, changes: [] } } : undefined,
      ),
  },
  {
    what: 'a credit of what nobody has escrowed',
    finds: /^serial: .*nobody has escrowed/,
    records: () =>
      doctored(({ events, header }) => {
        const event = events.find(({ phase, peer }) => phase === 'applied' && peer === header.shard);
        return event === undefined ? undefined : { events: [...events, { ...event, outcome: 'commit', peer: (1 - header.shard) as ShardId }] };
      }),
  },
  {
    what: 'a credit that comes twice',
    finds: /^serial: .*is applied twice/,
    records: () =>
      doctored(({ events, header }) => {
        const event = events.find(({ phase, peer, outcome }) => phase === 'applied' && outcome === 'commit' && peer !== header.shard);
        return event === undefined ? undefined : { events: [...events, event] };
      }),
  },
  {
    what: 'a local transfer that its receipt calls failed, and that moved its value all the same',
    finds: /^serial: .* is stored with/,
    records: () =>
      doctored(({ receipts }) => {
        const index = receipts.findIndex((receipt) => !receipt.crossShard);
        return index < 0 ? undefined : { receipts: receipts.map((receipt, at) => (at === index ? { ...receipt, status: 0 } : receipt)) };
      }),
  },
  {
    what: 'a fee beyond the gas limit',
    finds: /^serial: .*more than its gas limit/,
    records: () => doctored(({ receipts }) => (receipts.length === 0 ? undefined : { receipts: receipts.map((receipt) => ({ ...receipt, gasUsed: receipt.gasUsed + 1 })) })),
  },
  ...(['balances', 'escrow', 'burned'] as const).map((part) => ({
    what: `a header with a wei of ${part} too much`,
    finds: new RegExp(`^serial: .*says \\d+ wei of ${part}`),
    records: () => doctored(({ header }) => ({ header: { ...header, totals: { ...header.totals, [part]: header.totals[part] + 1n } } })),
  })),
  {
    what: 'a Decision that nobody sent',
    finds: /^serial: .*is applied, but it was not decided/,
    records: () => doctored(({ events }) => (events.some(({ phase }) => phase === 'decided') ? { events: events.filter(({ phase }) => phase !== 'decided') } : undefined)),
  },
  {
    what: 'a transaction that runs twice',
    finds: /^serial(?:izability)?: .*nonce/,
    records: () => doctored(({ transactions }) => (transactions.length === 0 ? undefined : { transactions: [...transactions, transactions[0]!] })),
  },
];

for (const { what, finds, records } of CASES) {
  test(`the checkers find ${what}`, () => assert.match(judge(records()).join('\n'), new RegExp(finds.source, 'm')));
}

test('an answer that came before what it rests on was submitted closes a cycle', () => {
  const checkers = new NetworkCheckers({ genesis: network.genesis }, { crypto: network.crypto });
  for (const { node, record } of history) checkers.observe(node, record);
  const all = history.flatMap(({ record }) => (record.kind === 'shard-block' ? record.block.transactions : []));
  const second = all.find(({ nonce }) => nonce === 1)!;
  const first = all.find(({ nonce, senderKey }) => nonce === 0 && senderKey === second.senderKey)!;
  const { serializability, violations } = checkers;
  serializability.submitted(second.hashKey, 1);
  serializability.answered(second.hashKey, 2);
  serializability.submitted(first.hashKey, 3);
  serializability.atRest();
  assert.match(violations.found.join(), /^serializability: a cycle: (?=.*nonce \S+@\d).*answered, before the other was submitted/);
});

test('what is stored at rest and what is open is compared with the serial history', () => {
  const begun = history.findIndex(({ record }) => record.kind === 'shard-block' && record.block.events.some(({ phase }) => phase === 'prepared'));
  assert.match(judge(history.slice(0, begun + 1)).join('\n'), /^serial: \d+ transactions are escrowed for ever$/m);
});

test('one validator that stores another block than the rest is found', () => {
  const index = history.findLastIndex(({ node, record }) => record.kind === 'shard-block' && node.validator === 2);
  const { node, record } = history[index]!;
  assert.ok(record.kind === 'shard-block');
  const other = { ...record, block: { ...record.block, hash: network.crypto.sha256(record.block.hash) } };
  assert.match(judge(history.map((stored, at) => (at === index ? { node, record: other } : stored))).join('\n'), /^nodes: shard-\d\S* stores another block/m);
});

test('cycles: each kind of dependency closes one, and what commutes does not', () => {
  const make = (build: (graph: DependencyGraph) => void): string | undefined => {
    const graph = new DependencyGraph();
    build(graph);
    return graph.cycle();
  };
  const rw = (graph: DependencyGraph, transaction: string, key: string, version: number): void => {
    graph.read({ transaction, key, version });
    graph.write({ transaction, key, version: version + 1 });
  };
  assert.equal(make((graph) => { rw(graph, 'a', 'x', 0); rw(graph, 'b', 'x', 1); rw(graph, 'a', 'y', 0); rw(graph, 'b', 'y', 1); }), undefined);
  assert.match(make((graph) => { rw(graph, 'a', 'x', 0); rw(graph, 'b', 'x', 1); rw(graph, 'b', 'y', 0); rw(graph, 'a', 'y', 1); })!, /ww|wr|rw/);
  const skew = make((graph) => {
    graph.read({ transaction: 'a', key: 'x', version: 0 });
    graph.write({ transaction: 'b', key: 'x', version: 1 });
    graph.read({ transaction: 'b', key: 'y', version: 0 });
    graph.write({ transaction: 'a', key: 'y', version: 1 });
  });
  assert.match(skew!, /rw x@0.*rw y@0|rw y@0.*rw x@0/, 'write skew');
  const late = make((graph) => {
    rw(graph, 'a', 'x', 1);
    rw(graph, 'b', 'x', 0);
    graph.submit('a', 1);
    graph.answer('a', 2);
    graph.submit('b', 3);
  });
  assert.match(late!, /answered.*submitted|submitted.*answered/, 'real time');
  assert.equal(new DependencyGraph().write({ transaction: 'a', key: 'x', version: 1 }), true);
});

test('cycles: a version that nobody is known to have made hides nothing, and a long way round is cut short', () => {
  const graph = new DependencyGraph();
  graph.write({ transaction: 'a', key: 'x', version: 1 });
  graph.write({ transaction: 'b', key: 'x', version: 3 });
  graph.write({ transaction: 'b', key: 'y', version: 1 });
  graph.read({ transaction: 'a', key: 'y', version: 1 });
  assert.match(graph.cycle()!, /^(?:a -\(ww x@1\)-> b, b -\(wr y@1\)-> a|b -\(wr y@1\)-> a, a -\(ww x@1\)-> b)$/);
  const ring = new DependencyGraph();
  for (let i = 0; i < 20; i++) {
    ring.write({ transaction: `t${i}`, key: `k${i}`, version: 1 });
    ring.read({ transaction: `t${(i + 1) % 20}`, key: `k${i}`, version: 1 });
  }
  assert.match(ring.cycle()!, /^(?:t\d+ -\(wr k\d+@1\)-> t\d+, ){12}and 8 steps back$/);
});

test('a history of a hundred thousand transactions is judged in one pass', () => {
  const graph = new DependencyGraph();
  for (let i = 0; i < 100_000; i++) {
    const key = `k${i % 100}`;
    const version = Math.floor(i / 100);
    graph.read({ transaction: `t${i}`, key, version });
    graph.write({ transaction: `t${i}`, key, version: version + 1 });
    graph.submit(`t${i}`, i);
    graph.answer(`t${i}`, i + 50);
  }
  assert.equal(graph.cycle(), undefined);
});
