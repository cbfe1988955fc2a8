import assert from 'node:assert/strict';
import { before, beforeEach, test } from 'node:test';
import {
  BEACON,
  buildBatches,
  buildCertificate,
  concatBytes,
  decodeAnnouncement,
  decodeBatch,
  decodeBeaconBlock,
  encodeAnnouncement,
  encodeBatch,
  encodeBeaconBlock,
  encodeHeader,
  encodeRequest,
  type Height,
  outRoot,
  type QuorumCertificate,
  type ReceiptBatch,
  type ShardHeader,
  type ShardId,
  TOPICS,
  type VoteSubject,
  voteMessage,
} from '@shardlab/crosslink';
import type { Effect } from '@shardlab/shard';
import type { Network, Result } from '../../src/ports.ts';
import { testNetwork, type TestNetwork, testSecret, transfer } from './network-kit.ts';
import { Scenario, shardNode } from './scenario.ts';

const TARGET = 1 as ShardId;
let network: TestNetwork;
let scenario: Scenario;
/** The hostile station: a peer that the others talk to, and that is no node of this network. */
let hostile: Network;
/** What honest nodes publish, by topic: what a hostile peer has to work with. */
let heard: Map<string, Uint8Array[]>;

before(async () => {
  network = await testNetwork({ shards: 2, accounts: 8 });
});

beforeEach(() => {
  heard = new Map();
  const listen = (effect: Effect): boolean => {
    if (effect.kind === 'publish') heard.set(effect.topic, [...(heard.get(effect.topic) ?? []), effect.data]);
    return true;
  };
  scenario = new Scenario({ network, seed: 61, hooks: { beforeEffect: (_node, effect) => listen(effect) } });
  hostile = scenario.cluster.world.boot({ chain: 7 as ShardId, validator: 3 }).network;
  const [sender, recipient] = [accountOf(0), accountOf(1)];
  scenario.at(300, () => [1n, 2n, 3n].forEach((value) => scenario.send(sender, recipient, value)));
  scenario.settle(30_000);
});

function accountOf(shard: number): number {
  return network.accounts.findIndex(({ home }) => home === shard);
}

/** A certificate with the signature of whoever has `secret`: on a shard of one validator, one is enough. */
function signed(header: ShardHeader, secret: Uint8Array, genesisHash = scenario.cluster.genesisHash): QuorumCertificate {
  const { crypto } = network;
  const subject: VoteSubject = {
    genesisHash,
    chain: header.shard,
    epoch: header.epoch,
    height: header.height,
    phase: 'commit',
    blockHash: crypto.sha256(encodeHeader(header)),
  };
  return buildCertificate(crypto.scheme, 0, 1, new Map([[0, crypto.sign(secret, voteMessage(subject, 0))]]));
}

/** A well-formed batch from shard 0 to the target with the next sequences and an honest message in it, under a header and a certificate of the test's choosing. */
function forge(change: (header: ShardHeader) => ShardHeader, certify: (header: ShardHeader) => QuorumCertificate): ReceiptBatch {
  const honest = decodeBatch(heard.get(TOPICS.receipts(TARGET))!.at(-1)!);
  const outgoing = [{ destination: TARGET, firstSequence: honest.entry.lastSequence + 1, messages: honest.messages }];
  const header = change({ ...honest.header, height: (honest.header.height + 1) as Height, outRoot: outRoot(network.crypto, outgoing) });
  return buildBatches(network.crypto, header, certify(header), outgoing, TARGET)[0]!;
}

const honestSecret = (shard: number): Uint8Array => testSecret(network.crypto, shardNode(shard));
const same = (header: ShardHeader): ShardHeader => header;

/** Gossips `data`, lets it arrive, and returns by which reasons the target refused something meanwhile. Nothing may have been taken. */
function refusals(topic: string, data: Uint8Array): string[] {
  const replica = (): ReturnType<Scenario['cluster']['shard']>['replica'] => scenario.cluster.shard(TARGET).replica;
  const before = new Map(replica().counters.refused);
  const taken = replica().counters.batchesGossip;
  const { balances } = replica().head.header.totals;
  hostile.publish(topic, data);
  scenario.runFor(1_200);
  assert.equal(replica().counters.batchesGossip, taken, 'a batch was taken');
  assert.equal(replica().head.header.totals.balances, balances);
  scenario.check();
  const reasons = [...replica().counters.refused].filter(([reason, count]) => count > (before.get(reason) ?? 0)).map(([reason]) => reason);
  // Honest nodes gossip all the while, and doubles of theirs are ignored by these names.
  return reasons.filter((reason) => !['own', 'announcement-old', 'beacon-known', 'beacon-gap'].includes(reason));
}

const FORGERIES: readonly { readonly name: string; readonly reason: string; readonly data: () => Uint8Array }[] = [
  {
    name: 'a batch signed by somebody else',
    reason: 'certificate-signature',
    data: () => encodeBatch(forge(same, (header) => signed(header, network.crypto.sha256(Uint8Array.of(1))))),
  },
  {
    name: 'a batch of shard 0 signed by the validator of shard 1',
    reason: 'certificate-signature',
    data: () => encodeBatch(forge(same, (header) => signed(header, honestSecret(1)))),
  },
  {
    name: 'a batch signed by the right validator for another network',
    reason: 'certificate-signature',
    data: () => encodeBatch(forge(same, (header) => signed(header, honestSecret(0), network.crypto.sha256(Uint8Array.of(2))))),
  },
  {
    name: 'a batch without a signature',
    reason: 'certificate-quorum',
    data: () => encodeBatch(forge(same, (header) => ({ ...signed(header, honestSecret(0)), bitmap: Uint8Array.of(0), signatures: [] }))),
  },
  {
    name: 'a batch of another chain id',
    reason: 'header-foreign',
    data: () => encodeBatch(forge((header) => ({ ...header, chainId: 1 }), (header) => signed(header, honestSecret(0)))),
  },
  {
    name: 'a batch under another epoch certificate',
    reason: 'header-epoch',
    data: () => {
      const epochCertificateHash = network.crypto.sha256(Uint8Array.of(3));
      return encodeBatch(forge((header) => ({ ...header, epochCertificateHash }), (header) => signed(header, honestSecret(0))));
    },
  },
  {
    name: 'a batch that claims to come from the receiver itself',
    reason: 'batch-source',
    data: () => encodeBatch(forge((header) => ({ ...header, shard: TARGET }), (header) => signed(header, honestSecret(1)))),
  },
  {
    name: 'a batch whose messages were changed',
    reason: 'batch-chunk-branch',
    data: () => {
      const batch = forge(same, (header) => signed(header, honestSecret(0)));
      const messages = batch.messages.map((message) => message.slice());
      messages[0]![messages[0]!.length - 1]! ^= 1;
      return encodeBatch({ ...batch, messages });
    },
  },
  {
    name: 'a batch whose sequence was shifted',
    reason: 'batch-sequence',
    data: () => {
      const batch = forge(same, (header) => signed(header, honestSecret(0)));
      return encodeBatch({ ...batch, firstSequence: batch.firstSequence + 1 });
    },
  },
  {
    name: 'a replayed batch, made to look new by another certificate view',
    reason: 'batch-known',
    data: () => {
      const batch = decodeBatch(heard.get(TOPICS.receipts(TARGET))![0]!);
      return encodeBatch({ ...batch, certificate: { ...batch.certificate, view: 1 } });
    },
  },
  { name: 'garbage', reason: 'decode/version', data: () => Uint8Array.of(9, 9, 9) },
  { name: 'half a batch', reason: 'decode/truncated', data: () => heard.get(TOPICS.receipts(TARGET))![0]!.subarray(0, 700) },
  { name: 'a batch with a tail', reason: 'decode/trailing', data: () => concatBytes(heard.get(TOPICS.receipts(TARGET))![0]!, Uint8Array.of(0)) },
];

for (const { name, reason, data } of FORGERIES) {
  test(`${name} is refused as ${reason}, and changes nothing`, () => {
    assert.deepEqual(refusals(TOPICS.receipts(TARGET), data()), [reason]);
  });
}

test('announcements with a changed pair table, or nobody’s signature, are refused', () => {
  const honest = heard.get(TOPICS.headers)!.map(decodeAnnouncement).findLast(({ header }) => header.shard === 0)!;
  const pairs = honest.pairs.map((pair) => ({ ...pair, sentSequence: pair.sentSequence + 100 }));
  const header = { ...honest.header, height: (honest.header.height + 10) as Height };
  const certificate = signed(header, honestSecret(0));
  assert.deepEqual(refusals(TOPICS.headers, encodeAnnouncement({ header, certificate, pairs })), ['announcement-pairs']);
  const forged = signed(header, honestSecret(1));
  assert.deepEqual(refusals(TOPICS.headers, encodeAnnouncement({ header, certificate: forged, pairs: honest.pairs })), ['certificate-signature']);
});

test('a beacon block that the beacon has not signed is refused, and the epoch stays', () => {
  const honest = decodeBeaconBlock(heard.get(TOPICS.beacon)!.at(-1)!);
  const tip = scenario.cluster.shard(TARGET).replica.beaconTip!;
  const header = { ...honest.header, height: (tip.height + 1) as Height, parentHash: tip.hash };
  const found = refusals(TOPICS.beacon, encodeBeaconBlock({ ...honest, header }));
  assert.ok(found.length === 1 && found[0]!.startsWith('certificate'), found.join());
  assert.equal(scenario.cluster.shard(TARGET).replica.epoch!.assignment.epoch, 0);
});

test('a peer that keeps on forging is cut off, and the network lives', () => {
  const { counters } = scenario.cluster.world.network;
  for (let i = 0; i < 20; i++) hostile.publish(TOPICS.receipts(TARGET), Uint8Array.of(9, i));
  scenario.runFor(500);
  assert.ok(counters.gossipRejected >= 10);
  assert.ok(!hostile.connected().some(({ chain }) => chain === TARGET), 'still connected');
  const refused = scenario.cluster.shard(TARGET).replica.counters.refused.get('decode/version') ?? 0;
  hostile.publish(TOPICS.receipts(TARGET), Uint8Array.of(9, 99));
  scenario.runFor(500);
  assert.equal(scenario.cluster.shard(TARGET).replica.counters.refused.get('decode/version') ?? 0, refused);
  scenario.send(accountOf(0), accountOf(1), 9n);
  scenario.settle(30_000);
  assert.equal(scenario.receipts.size, 4);
});

test('requests that are none are refused, and those that ask too much get what there is', () => {
  const answers: string[] = [];
  const ask = (name: string, chain: ShardId, body: Uint8Array): void => {
    hostile.request({ chain, validator: 0 }, body, 1_000, (result: Result<Uint8Array>) => answers.push(`${name} ${result.ok ? 'answered' : result.error.code}`));
  };
  ask('garbage', TARGET, Uint8Array.of(1, 200));
  scenario.runFor(200);
  ask('nothing', TARGET, new Uint8Array(0));
  scenario.runFor(200);
  ask('the future', TARGET, encodeRequest({ kind: 'headers', fromHeight: 2 ** 40 as Height }));
  scenario.runFor(200);
  ask('all headers', BEACON, encodeRequest({ kind: 'beacon-blocks', fromHeight: 0 as Height }));
  scenario.runFor(200);
  ask('no such shard', TARGET, encodeRequest({ kind: 'batches', destination: 99 as ShardId, fromSequence: 0 }));
  scenario.runFor(200);
  assert.deepEqual(answers, ['garbage network/refused', 'nothing network/refused', 'the future answered', 'all headers answered', 'no such shard answered']);
  scenario.check();
});

test('transactions that are forged, foreign or offered again are refused by code, and none of them runs', () => {
  const { accounts } = network;
  const [local, foreign] = [accounts[accountOf(0)]!, accounts[accountOf(1)]!];
  const offer = (raw: Uint8Array): string => {
    let code = 'no answer';
    scenario.cluster.submit({ chain: local.home, validator: 0 }, [raw], ([result]) => (code = result!.rejection?.code ?? 'taken'));
    scenario.runFor(20);
    return code;
  };
  const fresh = transfer(network, local, foreign.address, 3).raw;
  const tampered = fresh.slice();
  tampered[tampered.length - 1]! ^= 1;
  const codes = {
    garbage: offer(Uint8Array.of(1, 2, 3)),
    nothing: offer(new Uint8Array(0)),
    settled: offer(transfer(network, local, foreign.address, 0).raw),
    'of another shard': offer(transfer(network, foreign, local.address, 0).raw),
    'too far ahead': offer(transfer(network, local, foreign.address, 1_000_000).raw),
    'too dear': offer(transfer(network, local, foreign.address, 3, 10n ** 30n).raw),
    tampered: offer(tampered) === 'taken',
  };
  assert.deepEqual(codes, {
    garbage: 'malformed',
    nothing: 'malformed',
    settled: 'nonce-too-low',
    'of another shard': 'wrong-shard',
    'too far ahead': 'nonce-too-high',
    'too dear': 'insufficient-funds',
    tampered: false,
  });
  assert.equal(scenario.cluster.shard(local.home).replica.mempool.size, 0);
  assert.equal(offer(fresh), 'taken');
  assert.equal(offer(fresh), 'already-known');
});
