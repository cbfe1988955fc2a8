import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  accountOwner,
  ACCOUNTS,
  BEACON,
  type CrossShardMessage,
  decodeMessage,
  encodeFlatKey,
  encodeMessage,
  equalBytes,
  NAMESPACE_BYTES,
  type ShardId,
  type TransactionReceipt,
  ZERO_HASH,
} from '@shardlab/crosslink';
import type { ExecutedBlock, PersistRecord } from '@shardlab/shard';
import type { NodeName } from '../../src/ports.ts';
import { NetworkCheckers } from '../../src/sim/checkers/network-checkers.ts';
import type { ShardBlockRecord } from '../../src/sim/checkers/violations.ts';
import { SwitchedFaults } from './faults.ts';
import { spreadLoad } from './load.ts';
import { testNetwork, type TestNetwork } from './network-kit.ts';
import { Scenario } from './scenario.ts';

/** One record as one node has stored it. */
interface Stored {
  readonly node: NodeName;
  readonly record: PersistRecord;
}

let network: TestNetwork;
let history: Stored[];

/** A real run with commits and aborts, whose records the tests then doctor: what a checker does not notice, it does not check. */
before(async () => {
  network = await testNetwork({ shards: 3, accounts: 18, parameters: { deadlineMs: 1_000 } });
  const faults = new SwitchedFaults();
  const scenario = new Scenario({ network, seed: 71, faults: { network: faults } });
  history = [];
  const { checkers } = scenario;
  const observe = checkers.observe.bind(checkers);
  checkers.observe = (node, record) => {
    history.push({ node, record });
    observe(node, record);
  };
  spreadLoad(scenario, { seed: 71, count: 60, fromMs: 300, toMs: 3_000 });
  scenario.at(1_000, () => (faults.faults = { linked: (from, to) => from.chain + to.chain !== 1, copies: () => [0] }));
  scenario.at(3_000, () => (faults.faults = undefined));
  scenario.settle(30_000);
  assert.ok((scenario.outcomes()['cross/0'] ?? 0) > 0 && (scenario.outcomes()['cross/1'] ?? 0) > 0);
});

function judge(records: readonly Stored[], atRest = false): string[] {
  const checkers = new NetworkCheckers({ genesis: network.genesis }, { crypto: network.crypto });
  for (const { node, record } of records) checkers.observe(node, record);
  if (atRest) checkers.atRest();
  return checkers.violations.found;
}

function isShardBlock(record: PersistRecord): record is ShardBlockRecord {
  return record.kind === 'shard-block';
}

/** The history with the first shard block that `change` has something to say about changed by it. */
function doctored(change: (block: ExecutedBlock) => Partial<ExecutedBlock> | undefined): Stored[] {
  const records = [...history];
  for (const [index, { node, record }] of records.entries()) {
    if (!isShardBlock(record)) continue;
    const patch = change(record.block);
    if (patch === undefined) continue;
    records[index] = { node, record: { ...record, block: { ...record.block, ...patch } } };
    return records;
  }
  return assert.fail('no block to doctor');
}

/** Replaces the first message of a kind, where it is sent (`out`), where it is consumed (`in`), or in both places. */
function replaced(where: 'out' | 'in' | 'both', change: (message: CrossShardMessage) => CrossShardMessage | undefined): Stored[] {
  let from: Uint8Array | undefined;
  const swap = (bytes: Uint8Array): Uint8Array => {
    const message = decodeMessage(bytes);
    const next = change(message);
    if (from === undefined && next !== undefined) from = bytes;
    return from !== undefined && next !== undefined && equalBytes(from, bytes) ? encodeMessage(next) : bytes;
  };
  return history.map(({ node, record }) => {
    if (!isShardBlock(record)) return { node, record };
    const { body, outgoing } = record.block;
    const out = where === 'in' ? outgoing : outgoing.map((each) => ({ ...each, messages: each.messages.map(swap) }));
    const inbox = where === 'out' ? body.inbox : body.inbox.map((each) => ({ ...each, messages: each.messages.map(swap) }));
    return { node, record: { ...record, block: { ...record.block, outgoing: out, body: { ...body, inbox } } } };
  });
}

function receiptChanged(wanted: (receipt: TransactionReceipt) => boolean, change: (receipt: TransactionReceipt) => readonly TransactionReceipt[]): Stored[] {
  return doctored(({ receipts }) => {
    const index = receipts.findIndex(wanted);
    return index < 0 ? undefined : { receipts: [...receipts.slice(0, index), ...change(receipts[index]!), ...receipts.slice(index + 1)] };
  });
}

function totalsChanged(part: 'balances' | 'escrow' | 'burned'): Stored[] {
  return doctored(({ header }) => ({ header: { ...header, totals: { ...header.totals, [part]: header.totals[part] + 1n } } }));
}

function without(index: number): Stored[] {
  assert.ok(index >= 0);
  return history.filter((_, at) => at !== index);
}

const indexOf = (wanted: (stored: Stored) => boolean): number => history.findIndex(wanted);
const beaconBlock = (wanted: (record: Extract<PersistRecord, { kind: 'beacon-block' }>) => boolean, own = true): number =>
  indexOf(({ node, record }) => record.kind === 'beacon-block' && (node.chain === BEACON) === own && wanted(record));

function crosslinksChanged(change: (crosslinks: readonly unknown[]) => readonly unknown[]): Stored[] {
  const index = beaconBlock(({ block }) => block.crosslinks.length > 0);
  const { node, record } = history[index]!;
  assert.ok(record.kind === 'beacon-block');
  const block = { ...record.block, crosslinks: change(record.block.crosslinks) as typeof record.block.crosslinks };
  return history.map((stored, at) => (at === index ? { node, record: { ...record, block } } : stored));
}

const DOCTORED: readonly { readonly what: string; readonly finds: RegExp; readonly records: () => Stored[] }[] = [
  {
    what: 'a missing block',
    finds: /^chain: block 3 .* follows height 1/,
    records: () => without(indexOf(({ record }) => isShardBlock(record) && record.block.header.height === 2)),
  },
  {
    what: 'a block stored twice',
    finds: /^nodes: shard-\d stores block \d+ after its block/,
    records: () => [...history.slice(0, 20), history.slice(0, 20).findLast(({ record }) => isShardBlock(record))!, ...history.slice(20)],
  },
  {
    what: 'another parent',
    finds: /^chain: .*parent/,
    records: () => doctored(({ header }) => (header.height < 2 ? undefined : { header: { ...header, parentHash: ZERO_HASH } })),
  },
  {
    what: 'a header that its certificate does not cover',
    finds: /^chain: .*certificate-signature/,
    records: () => doctored(({ header }) => ({ header: { ...header, gasUsed: header.gasUsed + 1 } })),
  },
  {
    what: 'time that stands',
    finds: /^chain: .*later than its parent/,
    records: () => doctored(({ header }) => (header.height < 2 ? undefined : { header: { ...header, timestampMs: 1 } })),
  },
  {
    what: 'another body',
    finds: /^chain: .*body/,
    records: () =>
      doctored(({ body }) => {
        if (body.transactions.length < 2) return undefined;
        return { body: { ...body, transactions: [...body.transactions].reverse() } };
      }),
  },
  {
    what: 'an account of another shard',
    finds: /^state: .*stores account .*which shard \d owns/,
    records: () =>
      doctored(({ header, delta }) => {
        const change = delta.changes.find(({ key }) => equalBytes(key.subarray(0, NAMESPACE_BYTES), ACCOUNTS));
        const foreign = network.accounts.find(({ home }) => home !== header.shard)!;
        if (change === undefined) return undefined;
        const key = encodeFlatKey({ owner: accountOwner(foreign.address), treeIndex: 0n });
        return { delta: { ...delta, changes: [...delta.changes, { ...change, key }], undo: [...delta.undo, { key, value: undefined }] } };
      }),
  },
  { what: 'one wei of balances too much', finds: /^state: .*of balances/, records: () => totalsChanged('balances') },
  { what: 'one wei of escrow too much', finds: /^state: .*of escrow/, records: () => totalsChanged('escrow') },
  { what: 'one wei burned too much', finds: /^state: .*burned/, records: () => totalsChanged('burned') },
  { what: 'one wei that nobody had', finds: /^supply: after block .* holds/, records: () => totalsChanged('balances') },
  {
    what: 'a change of state that was left out',
    finds: /^state: .*says/,
    records: () =>
      doctored(({ delta }) => {
        const at = delta.changes.findIndex(({ key }) => equalBytes(key.subarray(0, NAMESPACE_BYTES), ACCOUNTS));
        if (at < 0) return undefined;
        return { delta: { ...delta, changes: delta.changes.toSpliced(at, 1), undo: delta.undo.toSpliced(at, 1) } };
      }),
  },
  {
    what: 'an undo record that does not undo',
    finds: /^state: .*undo it/,
    records: () =>
      doctored(({ delta }) => {
        if (delta.undo.every(({ value }) => value === undefined)) return undefined;
        return { delta: { ...delta, undo: delta.undo.map((each) => ({ ...each, value: undefined })) } };
      }),
  },
  {
    what: 'a message with other bytes',
    finds: /^sequences: .*other bytes/,
    records: () => replaced('in', (message) => (message.kind === 'vote' ? { ...message, gasUsed: message.gasUsed + 1 } : undefined)),
  },
  {
    what: 'a message consumed twice',
    finds: /^sequences: .*consumed after/,
    records: () => doctored(({ body }) => (body.inbox.length === 0 ? undefined : { body: { ...body, inbox: [body.inbox[0]!, ...body.inbox] } })),
  },
  {
    what: 'a message consumed that was never sent',
    finds: /^sequences: .*nobody holds it as sent/,
    records: () => doctored(({ outgoing }) => (outgoing.length === 0 ? undefined : { outgoing: outgoing.slice(1) })),
  },
  {
    what: 'a sequence left out',
    finds: /^sequences: .*was sent after/,
    records: () =>
      doctored(({ outgoing }) => {
        if (outgoing.length === 0) return undefined;
        return { outgoing: outgoing.map((each) => ({ ...each, firstSequence: each.firstSequence + 1 })) };
      }),
  },
  {
    what: 'a pair table that counts wrong',
    finds: /^sequences: .*does not count its messages/,
    records: () =>
      doctored(({ body }) => ({ body: { ...body, pairs: body.pairs.map((pair) => ({ ...pair, consumedSequence: pair.consumedSequence + 1 })) } })),
  },
  {
    what: 'a pair table with a wei too much',
    finds: /^sequences: .*does not count the wei/,
    records: () => doctored(({ body }) => ({ body: { ...body, pairs: body.pairs.map((pair) => ({ ...pair, sentValue: pair.sentValue + 1n })) } })),
  },
  {
    what: 'sources out of order',
    finds: /^sequences: .*sources out of order/,
    records: () =>
      doctored(({ body }) => {
        if (new Set(body.inbox.map(({ source }) => source)).size < 2) return undefined;
        return { body: { ...body, inbox: [...body.inbox].reverse() } };
      }),
  },
  {
    what: 'a commit though a vote was no',
    finds: /^atomicity: .*no yes of shard/,
    records: () =>
      replaced('both', (message) => (message.kind === 'vote' && message.answer.kind === 'yes' ? { ...message, answer: { kind: 'conflict' } } : undefined)),
  },
  {
    what: 'an abort of what is then listed as committed',
    finds: /^atomicity: .*has status 1 against/,
    records: () =>
      replaced('both', (message) => (message.kind === 'decision' && message.commit ? { ...message, commit: false, value: 0n } : undefined)),
  },
  {
    what: 'a Decision that carries another value',
    finds: /^atomicity: .*carries/,
    records: () =>
      replaced('both', (message) => (message.kind === 'decision' && message.commit ? { ...message, value: message.value + 1n } : undefined)),
  },
  {
    what: 'an Ack of the other outcome',
    finds: /^atomicity: .*acknowledges what it was not told/,
    records: () => replaced('out', (message) => (message.kind === 'ack' ? { ...message, commit: !message.commit } : undefined)),
  },
  {
    what: 'a Prepare of another attempt',
    finds: /^atomicity: .*prepared, but|^atomicity: .*not the one before/,
    records: () => replaced('both', (message) => (message.kind === 'prepare' ? { ...message, attempt: 1 } : undefined)),
  },
  {
    what: 'a receipt with the other status',
    finds: /^atomicity: .*has status 0 against/,
    records: () => receiptChanged(({ crossShard, status }) => crossShard && status === 1, (receipt) => [{ ...receipt, status: 0 }]),
  },
  { what: 'two receipts', finds: /^atomicity: .*two receipts/, records: () => receiptChanged(() => true, (receipt) => [receipt, receipt]) },
  {
    what: 'a local transaction without a receipt',
    finds: /^atomicity: .*neither begun nor ended/,
    records: () => receiptChanged(({ crossShard }) => !crossShard, () => []),
  },
  {
    what: 'a receipt that names another body',
    finds: /^atomicity: .*names another body/,
    records: () => receiptChanged(({ crossShard }) => crossShard, (receipt) => [{ ...receipt, bodyIndex: receipt.bodyIndex + 1 }]),
  },
  {
    what: 'a missing beacon block',
    finds: /^beacon: .*follows height/,
    records: () => without(beaconBlock(({ block }) => block.header.height === 2)),
  },
  { what: 'a crosslink left out', finds: /^beacon: .*crosslinks height/, records: () => crosslinksChanged((crosslinks) => crosslinks.slice(1)) },
  {
    what: 'a crosslink twice',
    finds: /^beacon: .*crosslinks height/,
    records: () => crosslinksChanged((crosslinks) => [crosslinks[0], ...crosslinks]),
  },
  {
    what: 'crosslinks that the beacon has not signed',
    finds: /^beacon: .*beacon-crosslink-root/,
    records: () => crosslinksChanged((crosslinks) => crosslinks.slice(0, -1)),
  },
  {
    what: 'a crosslink to what the shard has not stored yet',
    finds: /^beacon: .*not stored there/,
    records: () => without(indexOf(({ record }) => isShardBlock(record) && record.block.header.height === 1)),
  },
  {
    what: 'a follower that misses a block',
    finds: /^beacon: .*was stored by shard-\d after height/,
    records: () => without(beaconBlock(({ block }) => block.header.height === 2, false)),
  },
  {
    what: 'a follower with another block',
    finds: /^beacon: .*is not the beacon's/,
    records: () =>
      history.map((stored, at) => {
        if (at !== beaconBlock(() => true, false) || stored.record.kind !== 'beacon-block') return stored;
        return { ...stored, record: { ...stored.record, hash: ZERO_HASH } };
      }),
  },
  {
    what: 'a block on the wrong node',
    finds: /^nodes: shard-\d stores a block of shard/,
    records: () =>
      history.map((stored) => (isShardBlock(stored.record) ? { ...stored, node: { chain: ((stored.node.chain + 1) % 3) as ShardId, validator: 0 } } : stored)),
  },
];

test('the undoctored history is clean, also at rest', () => {
  assert.deepEqual(judge(history, true), []);
});

for (const { what, finds, records } of DOCTORED) {
  test(`the checkers find ${what}`, () => {
    const found = judge(records());
    assert.ok(found.some((violation) => finds.test(violation)), `not among: ${found.slice(0, 6).join(' | ')}`);
  });
}

test('what has not ended is found at rest, by each of its traces', () => {
  const isDecision = (bytes: Uint8Array): boolean => decodeMessage(bytes).kind === 'decision';
  const begun = indexOf(({ record }) => isShardBlock(record) && record.block.outgoing.some(({ messages }) => messages.some(isDecision)));
  const found = judge(history.slice(0, begun + 1), true).join('\n');
  assert.match(found, /^atomicity: .*never ended$/m);
  assert.match(found, /^sequences: .*never consumed$/m);
  assert.match(found, /^state: .*with their locks at rest$/m);
  assert.match(found, /^supply: .*in flight at rest$/m);
  assert.match(found, /^chain: .*escrow at rest$/m);
  assert.deepEqual(judge(history.slice(0, begun + 1)), [], 'under way is not wrong');
});

test('a node whose final block is not the one that it has stored is found', () => {
  const checkers = new NetworkCheckers({ genesis: network.genesis }, { crypto: network.crypto });
  for (const { node, record } of history) checkers.observe(node, record);
  checkers.finalHead({ chain: 0 as ShardId, validator: 0 }, 7, ZERO_HASH);
  assert.match(checkers.violations.found.join(), /^nodes: shard-0 calls block 7 final/);
});

test('checkers keep a bounded list of what they found', () => {
  const checkers = new NetworkCheckers({ genesis: network.genesis }, { crypto: network.crypto });
  for (let i = 0; i < 1_000; i++) checkers.finalHead({ chain: 0 as ShardId, validator: 0 }, 7, ZERO_HASH);
  assert.equal(checkers.violations.found.length, 100);
  assert.equal(checkers.violations.count, 1_000);
});
