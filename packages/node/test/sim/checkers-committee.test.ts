import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  BEACON,
  type Block,
  buildCertificate,
  encodeBlockEvents,
  genesisHash,
  type Hash32,
  type Height,
  type QuorumCertificate,
  type ShardId,
  voteMessage,
  ZERO_HASH,
} from '@shardlab/crosslink';
import type { ExecutedBlock, PersistRecord, Snapshot } from '@shardlab/shard';
import type { NodeName } from '../../src/ports.ts';
import { shardGenesis } from '../../src/runtime/assemble.ts';
import { CertificateJudge } from '../../src/sim/checkers/certificate-judge.ts';
import { NetworkCheckers } from '../../src/sim/checkers/network-checkers.ts';
import { firstDifference } from '../../src/sim/checkers/same-data.ts';
import type { ShardBlockRecord } from '../../src/sim/checkers/violations.ts';
import { spreadLoad } from './load.ts';
import { testNetwork, type TestNetwork, testSecret } from './network-kit.ts';
import { Scenario } from './scenario.ts';

interface Stored {
  readonly node: NodeName;
  readonly record: PersistRecord;
}

type BeaconRecord = Extract<PersistRecord, { kind: 'beacon-block' }>;

/** Long enough that roots are hashed anew on the way. */
const RUN_MS = 45_000;
/** The block that snapshots are of. */
const SNAPSHOT_HEIGHT = 12;

let network: TestNetwork;
let history: Stored[];

/** A real run of committees of four, whose records the tests then doctor. */
before(async () => {
  network = await testNetwork({ shards: 2, accounts: 8, validators: 4 });
  const scenario = new Scenario({ network, seed: 9 });
  history = [];
  const observe = scenario.checkers.observe.bind(scenario.checkers);
  scenario.checkers.observe = (node, record) => {
    history.push({ node, record });
    observe(node, record);
  };
  spreadLoad(scenario, { seed: 9, count: 40, fromMs: 300, toMs: 3_000 });
  scenario.runFor(RUN_MS);
  scenario.runUntil(() => scenario.settled, 10_000);
  assert.ok(scenario.outcomes()['cross/1']! > 3 && scenario.blocks.get('shard-0')! > 40);
});

function judged(records: readonly Stored[], heal = false): NetworkCheckers {
  const checkers = new NetworkCheckers({ genesis: network.genesis }, { crypto: network.crypto });
  if (heal) checkers.healed(0);
  for (const { node, record } of records) checkers.observe(node, record);
  return checkers;
}

function isShardBlock(record: PersistRecord): record is ShardBlockRecord {
  return record.kind === 'shard-block';
}

function isOf(stored: Stored, chain: number, validator: number, height: number): boolean {
  const { node, record } = stored;
  const own = isShardBlock(record) || (record.kind === 'beacon-block' && chain === BEACON);
  return own && node.chain === chain && node.validator === validator && record.block.header.height === height;
}

function where(chain: number, validator: number, height: number): number {
  const index = history.findIndex((stored) => isOf(stored, chain, validator, height));
  assert.ok(index >= 0, 'the history has the block');
  return index;
}

function shardRecord(chain: number, validator: number, height: number): ShardBlockRecord {
  const { record } = history[where(chain, validator, height)]!;
  assert.ok(isShardBlock(record));
  return record;
}

function changed(index: number, record: PersistRecord): Stored[] {
  return history.map((stored, at) => (at === index ? { node: stored.node, record } : stored));
}

/** The validator of shard 0 that stores block `height` last: nobody's blocks depend on its. */
function lastOf(height: number): number {
  return history.findLast(({ node, record }) => isShardBlock(record) && node.chain === 0 && record.block.header.height === height)!.node.validator;
}

/** One block changed on the last validator of shard 0 to store it. */
function blockChanged(height: number, change: (record: ShardBlockRecord) => Partial<ExecutedBlock>): Stored[] {
  const validator = lastOf(height);
  const record = shardRecord(0, validator, height);
  return changed(where(0, validator, height), { ...record, block: { ...record.block, ...change(record) } });
}

function certificateChanged(height: number, change: (certificate: QuorumCertificate) => QuorumCertificate): Stored[] {
  const validator = lastOf(height);
  const record = shardRecord(0, validator, height);
  return changed(where(0, validator, height), { ...record, certificate: change(record.certificate) });
}

function blockOf({ block, certificate, wallMs }: ShardBlockRecord): Block {
  const { header, body, outgoing, receipts, events } = block;
  return { header, certificate, body, outgoing, receipts, events: encodeBlockEvents(events), wallMs };
}

/** What validator 3 of shard 0 would start from, if it took a snapshot of block {@link SNAPSHOT_HEIGHT} instead of the blocks from `after` on. */
function snapshotOf(): Snapshot {
  const entries = new Map(shardGenesis(network.crypto, network.genesis, 0 as ShardId).entries.map((entry) => [entry.key.toString(), entry]));
  for (let height = 1; height <= SNAPSHOT_HEIGHT; height++) {
    for (const { key, value } of shardRecord(0, 0, height).block.delta.changes) {
      if (value === undefined) entries.delete(key.toString());
      else entries.set(key.toString(), { key, value });
    }
  }
  const record = shardRecord(0, 0, SNAPSHOT_HEIGHT);
  const older = [SNAPSHOT_HEIGHT - 2, SNAPSHOT_HEIGHT - 1].map((height) => blockOf(shardRecord(0, 0, height)));
  return { block: blockOf(record), hash: record.block.hash, entries: [...entries.values()], older };
}

/** Validator 3 of shard 0 stores its first two blocks, then a snapshot in place of the rest up to its height. */
function withSnapshot(snapshot: Snapshot, from = 3): Stored[] {
  const at = where(0, 3, SNAPSHOT_HEIGHT);
  return history.flatMap((stored, index) => {
    if (index === at) return [{ node: stored.node, record: { kind: 'snapshot', snapshot } as const }];
    const { node, record } = stored;
    const skipped = isShardBlock(record) && node.chain === 0 && node.validator === 3 && record.block.header.height >= from && record.block.header.height <= SNAPSHOT_HEIGHT;
    return skipped ? [] : [stored];
  });
}

test('the true history is clean, at rest too, and so is one with a snapshot', () => {
  const checkers = judged(history, true);
  assert.ok(checkers.quiet && checkers.committees.votes > 100);
  checkers.atRest();
  assert.deepEqual(checkers.violations.found, []);
  assert.ok(checkers.locks.longestMs > 0 && checkers.locks.longestMs < 10_000, `${checkers.locks.longestMs} ms`);
  const started = judged(withSnapshot(snapshotOf()));
  started.atRest();
  assert.deepEqual(started.violations.found, []);
  assert.equal(started.committees.snapshots, 1);
});

test('validators may differ in the certificate that they gathered and in their wall time, in nothing else', () => {
  const validator = lastOf(5);
  const record = shardRecord(0, validator, 5);
  const { crypto, genesis } = network;
  const { epoch, height } = record.block.header;
  const message = voteMessage({ genesisHash: genesisHash(crypto, genesis), chain: 0 as ShardId, epoch, height, phase: 'commit', blockHash: record.block.hash }, 7);
  const votes = new Map([0, 1, 3].map((index) => [index, crypto.sign(testSecret(crypto, { chain: 0 as ShardId, validator: index }), message)]));
  const certificate = buildCertificate(crypto.scheme, 7, 4, votes);
  const checkers = judged(changed(where(0, validator, 5), { ...record, certificate, wallMs: record.wallMs + 1 }));
  assert.deepEqual(checkers.violations.found, []);
});

const CASES: readonly { readonly what: string; readonly finds: RegExp; readonly records: () => Stored[] }[] = [
  {
    what: 'a validator that leaves out a block that its committee has',
    finds: /^nodes: shard-0\S* stores block 6 after its block 4$/,
    records: () => history.filter((stored) => !isOf(stored, 0, lastOf(5), 5)),
  },
  {
    what: 'a validator that stores a block twice',
    finds: /^nodes: shard-0\S* stores block 5 after its block 5$/,
    records: () => {
      const at = where(0, lastOf(5), 5);
      return [...history.slice(0, at), history[at]!, ...history.slice(at)];
    },
  },
  {
    what: 'a block that only a validator that died at once has stored, and that its committee then decides otherwise',
    finds: /^nodes: shard-0\S* stores another block 5 than the rest/,
    records: () => {
      const first = history.findIndex(({ node, record }) => isShardBlock(record) && node.chain === 0 && record.block.header.height === 5);
      const { record } = history[first]!;
      assert.ok(isShardBlock(record));
      return changed(first, { ...record, block: { ...record.block, hash: network.crypto.sha256(record.block.hash) } });
    },
  },
  {
    what: 'a validator of the beacon that leaves out a block',
    finds: /^nodes: beacon\.2 stores block 6 after its block 4$/,
    records: () => history.filter((stored) => !isOf(stored, BEACON, 2, 5)),
  },
  {
    what: 'a validator of the beacon with other crosslinks under the same hash',
    finds: /^nodes: beacon\S* stores block \d+ with another content/,
    records: () => {
      const full = history.findLastIndex(({ node, record }) => node.chain === BEACON && record.kind === 'beacon-block' && record.block.crosslinks.length > 0);
      const record = history[full]!.record as BeaconRecord;
      return changed(full, { ...record, block: { ...record.block, crosslinks: record.block.crosslinks.slice(1) } });
    },
  },
  {
    what: 'a validator of the beacon without a quorum',
    finds: /^nodes: beacon\S* stores block 5 with a certificate that has 0 signers, 3 make a quorum/,
    records: () => {
      const at = where(BEACON, 2, 5);
      const record = history[at]!.record as BeaconRecord;
      return changed(at, { ...record, block: { ...record.block, certificate: { ...record.block.certificate, bitmap: new Uint8Array(1), signatures: [] } } });
    },
  },
  {
    what: 'a certificate that a quorum has not signed, though another validator has a good one',
    finds: /^nodes: shard-0\S* stores block 5 with a certificate that has 2 signers, 3 make a quorum/,
    records: () =>
      certificateChanged(5, (certificate) => {
        const { bitmap, signatures } = certificate;
        const lowest = bitmap[0]! & -bitmap[0]!;
        return { ...certificate, bitmap: Uint8Array.of((bitmap[0]! & ~lowest) | 0), signatures: signatures.slice(signatures.length - 2) };
      }),
  },
  {
    what: 'a signature that is not good',
    finds: /^nodes: shard-0\S* stores block 5 with a certificate that has no good signature of validator \d/,
    records: () => certificateChanged(5, (certificate) => ({ ...certificate, signatures: certificate.signatures.map((each) => each.map((byte, at) => (at === 0 ? byte ^ 1 : byte))) })),
  },
  {
    what: 'a certificate of another view than was signed',
    finds: /^nodes: .*no good signature/,
    records: () => certificateChanged(5, (certificate) => ({ ...certificate, view: certificate.view + 1 })),
  },
  {
    what: 'a certificate of another block',
    finds: /^nodes: .*no good signature/,
    records: () => certificateChanged(5, () => shardRecord(0, 0, 6).certificate),
  },
  {
    what: 'signatures that nobody stands for',
    finds: /^nodes: .*more signatures than signers/,
    records: () => certificateChanged(5, (certificate) => ({ ...certificate, signatures: [...certificate.signatures, certificate.signatures[0]!] })),
  },
  {
    what: 'a signer that the committee does not have',
    finds: /^nodes: .*names validator 7 of a committee of 4/,
    records: () =>
      certificateChanged(5, (certificate) => ({ ...certificate, bitmap: Uint8Array.of(certificate.bitmap[0]! | 0x80), signatures: [...certificate.signatures, certificate.signatures[0]!] })),
  },
  {
    what: 'a validator that changes its state otherwise than its committee',
    finds: /^nodes: shard-0\S* stores block \d+ with another delta\.changes\.length than its committee/,
    records: () => {
      const height = heightWith(({ delta }) => delta.changes.length > 0);
      return blockChanged(height, ({ block }) => ({ delta: { ...block.delta, changes: block.delta.changes.slice(1) } }));
    },
  },
  {
    what: 'a validator with another receipt than its committee',
    finds: /^nodes: shard-0\S* stores block \d+ with another receipts\.0\.gasUsed than its committee/,
    records: () => {
      const height = heightWith(({ receipts }) => receipts.length > 0);
      return blockChanged(height, ({ block }) => ({ receipts: block.receipts.map((receipt) => ({ ...receipt, gasUsed: receipt.gasUsed + 1 })) }));
    },
  },
  {
    what: 'a validator with another header under the same hash',
    finds: /^nodes: shard-0\S* stores block 5 with another header\.stateRoot than its committee/,
    records: () => blockChanged(5, ({ block }) => ({ header: { ...block.header, stateRoot: ZERO_HASH } })),
  },
  {
    what: 'a validator that the network does not have',
    finds: /^nodes: shard-0\.4 stores blocks, and is no validator/,
    records: () => [...history, { node: { chain: 0 as ShardId, validator: 4 }, record: shardRecord(0, 0, 5) }],
  },
  {
    what: 'a snapshot of another state',
    finds: /^nodes: shard-0\.3 takes a snapshot of block 12 whose state is not the block's/,
    records: () => {
      const snapshot = snapshotOf();
      return withSnapshot({ ...snapshot, entries: snapshot.entries.slice(1) });
    },
  },
  {
    what: 'a snapshot that can not be read',
    finds: /^nodes: shard-0\.3 takes a snapshot of block 12 whose state is not the block's/,
    records: () => {
      const snapshot = snapshotOf();
      return withSnapshot({ ...snapshot, entries: [...snapshot.entries, { key: new Uint8Array(64).fill(255), value: new Uint8Array(3) }] });
    },
  },
  {
    what: 'a snapshot of a block that is not the chain\'s',
    finds: /^nodes: shard-0\.3 takes a snapshot with a block 12 that is not its chain's/,
    records: () => {
      const snapshot = snapshotOf();
      return withSnapshot({ ...snapshot, hash: network.crypto.sha256(snapshot.hash) });
    },
  },
  {
    what: 'a snapshot with older blocks that are not the chain\'s',
    finds: /^nodes: shard-0\.3 takes a snapshot with a block 11 that is not its chain's/,
    records: () => {
      const snapshot = snapshotOf();
      const [first, second] = snapshot.older;
      return withSnapshot({ ...snapshot, older: [first!, { ...second!, header: { ...second!.header, gasUsed: 1 } }] });
    },
  },
  {
    what: 'a snapshot with a certificate that is not good',
    finds: /^nodes: shard-0\.3 stores block 12 with a certificate that/,
    records: () => {
      const snapshot = snapshotOf();
      return withSnapshot({ ...snapshot, block: { ...snapshot.block, certificate: { ...snapshot.block.certificate, view: 99 } } });
    },
  },
  {
    what: 'a snapshot that takes a validator back',
    finds: /^nodes: shard-0\.3 takes a snapshot of block 12, and has 12 already/,
    records: () => {
      const at = where(0, 3, SNAPSHOT_HEIGHT);
      return [...history.slice(0, at + 1), { node: history[at]!.node, record: { kind: 'snapshot', snapshot: snapshotOf() } }, ...history.slice(at + 1)];
    },
  },
  {
    what: 'a gap after a snapshot',
    finds: /^nodes: shard-0\.3 stores block 14 after its block 12$/,
    records: () => withSnapshot(snapshotOf()).filter((stored) => !isOf(stored, 0, 3, SNAPSHOT_HEIGHT + 1)),
  },
  {
    what: 'a state root that was wrong for a while',
    finds: /^state: block \d+ of shard 0 has a state root that is not that of its state/,
    records: () =>
      history.map(({ node, record }) => {
        if (!isShardBlock(record) || node.chain !== 0) return { node, record };
        return { node, record: { ...record, block: { ...record.block, header: { ...record.block.header, stateRoot: ZERO_HASH } } } };
      }),
  },
  {
    what: 'an epoch that goes back',
    finds: /^chain: .*earlier epoch than its parent/,
    records: () =>
      history.map(({ node, record }) => {
        if (!isShardBlock(record) || node.chain !== 0 || record.block.header.height !== 5) return { node, record };
        return { node, record: { ...record, block: { ...record.block, header: { ...record.block.header, epoch: 3 } } } };
      }),
  },
];

/** A height of shard 0 whose block is as wanted. */
function heightWith(wanted: (block: ExecutedBlock) => boolean): Height {
  const found = history.find(({ node, record }) => isShardBlock(record) && node.chain === 0 && wanted(record.block));
  assert.ok(found !== undefined && isShardBlock(found.record));
  return found.record.block.header.height;
}

for (const { what, finds, records } of CASES) {
  test(`the checkers find ${what}`, () => {
    const { found } = judged(records()).violations;
    assert.ok(found.some((violation) => finds.test(violation)), `not among: ${found.slice(0, 6).join(' | ')}`);
  });
}

test('a lock that is held for minutes after the heal is found, and before the heal it is not', () => {
  const begun = history.findIndex(({ record }) => isShardBlock(record) && record.block.events.some(({ phase }) => phase === 'prepared'));
  const late = history.map(({ node, record }, at): Stored => {
    if (!isShardBlock(record) || at <= begun) return { node, record };
    const { header } = record.block;
    return { node, record: { ...record, block: { ...record.block, header: { ...header, timestampMs: header.timestampMs + 600_000 } } } };
  });
  assert.match(judged(late, true).violations.found.join('\n'), /^locks: shard \d has held the locks of attempt 0 for 6\d\d{4} ms after the heal, at most 150000 are due$/m);
  assert.doesNotMatch(judged(late).violations.found.join('\n'), /^locks/m);
});

test('a validator that is behind its committee is not at rest', () => {
  const { committees, violations } = judged(history);
  const last = committees.level;
  assert.ok(last);
  const height = Math.max(...history.map(({ node, record }) => (isShardBlock(record) && node.chain === 1 ? record.block.header.height : 0)));
  const behind = judged(history.filter((stored) => !isOf(stored, 1, 2, height)));
  assert.ok(!behind.quiet);
  behind.atRest();
  assert.deepEqual(behind.violations.found, [`nodes: shard-1.2 rests at block ${height - 1}, its chain at ${height}`]);
  assert.deepEqual(violations.found, []);
});

test('each validator is asked for its own final block', () => {
  const name = (validator: number): NodeName => ({ chain: 0 as ShardId, validator });
  const checkers = judged(history.filter((stored) => !isShardBlock(stored.record) || stored.node.validator !== 2 || stored.record.block.header.height <= 4));
  const hashOf = (height: number): Hash32 => shardRecord(0, 0, height).block.hash;
  checkers.finalHead(name(2), 4, hashOf(4));
  assert.deepEqual(checkers.violations.found, []);
  checkers.finalHead(name(2), 5, hashOf(5));
  checkers.finalHead(name(2), 4, hashOf(5));
  checkers.finalHead(name(0), 4, hashOf(4));
  assert.equal(checkers.violations.count, 3);
  assert.match(checkers.violations.found[0]!, /^nodes: shard-0\.2 calls block 5 final, and has stored another last, of height 4$/);
});

test('a signer counts once, however many places in the committee it holds', () => {
  const { crypto, genesis } = network;
  const keys = genesis.shardValidators[0]!;
  const twice = { ...genesis, shardValidators: [[keys[0]!, keys[0]!, keys[0]!, keys[1]!], ...genesis.shardValidators.slice(1)] };
  const judge = new CertificateJudge({ genesis: twice, genesisHash: ZERO_HASH }, { crypto });
  const subject = { chain: 0 as ShardId, epoch: 0, height: 1, hash: ZERO_HASH };
  const message = voteMessage({ genesisHash: ZERO_HASH, chain: subject.chain, epoch: 0, height: 1 as Height, phase: 'commit', blockHash: ZERO_HASH }, 0);
  const signature = crypto.sign(testSecret(crypto, { chain: 0 as ShardId, validator: 0 }), message);
  const certificate = buildCertificate(crypto.scheme, 0, 4, new Map([0, 1, 2].map((index) => [index, signature])));
  assert.equal(judge.wrong(subject, certificate), 'has 1 signers, 3 make a quorum');
});

test('differences are told by their path', () => {
  assert.equal(firstDifference({ a: [1n, Uint8Array.of(1)] }, { a: [1n, Uint8Array.of(1)], b: undefined }), undefined);
  assert.equal(firstDifference({ a: [1n, Uint8Array.of(1)] }, { a: [1n, Uint8Array.of(2)] }), 'a.1');
  assert.equal(firstDifference({ a: [1] }, { a: [1, 2] }), 'a.length');
  assert.equal(firstDifference({ a: 1 }, { a: 1, b: 2 }), 'b');
  assert.equal(firstDifference({ a: 1, b: 2 }, { a: 1 }), 'b');
  assert.equal(firstDifference({ a: {} }, { a: [] }), 'a');
  assert.equal(firstDifference({ a: null }, { a: {} }), 'a');
});
