import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BeaconBlock, beaconHash, type Crosslink, encodeHeader, type Height, type ShardId } from '@shardlab/crosslink';
import { CrosslinkQueue } from '../../src/beacon/crosslink-queue.ts';
import { BeaconFollower } from '../../src/beacon/follower.ts';
import { Epochs } from '../../src/exchange/epochs.ts';
import { HeaderCheck } from '../../src/exchange/header-check.ts';
import { testCrypto } from '../support/crypto.ts';
import { testGenesis } from '../support/genesis.ts';
import { certifiedHeader, epochAfter, testBeaconBlock } from '../support/headers.ts';
import { CHAIN_ID } from '../support/transactions.ts';

const crypto = testCrypto();
const network = { crypto, ...testGenesis(crypto, { shards: 2, accounts: 1, parameters: { epochLength: 3 } }) };
const zero = epochAfter(network);
const one = epochAfter(network, zero);
const [A, B] = [0 as ShardId, 1 as ShardId];

function makeFollower(): { follower: BeaconFollower; epochs: Epochs } {
  const epochs = new Epochs(crypto, network.hash, network.genesis.beaconValidators);
  const headers = new HeaderCheck(crypto, network.hash, CHAIN_ID, epochs);
  const options = { genesisHash: network.hash, chainId: CHAIN_ID, genesisValidators: network.genesis.beaconValidators, epochLength: 3 };
  return { follower: new BeaconFollower(options, { crypto, epochs, headers }, undefined), epochs };
}

const tipOf = (block: BeaconBlock): { height: number; hash: ReturnType<typeof beaconHash> } => ({ height: block.header.height, hash: beaconHash(crypto, block.header) });

function refusal(outcome: ReturnType<BeaconFollower['offer']>): string {
  return outcome.kind === 'taken' || outcome.verdict.kind === 'accept' ? outcome.kind : `${outcome.verdict.kind} ${outcome.verdict.reason}`;
}

test('the follower takes blocks in order and adopts epochs exactly where they begin', () => {
  const { follower, epochs } = makeFollower();
  const first = testBeaconBlock(network, undefined, zero, { epochCertificate: zero });
  const second = testBeaconBlock(network, tipOf(first), zero);
  const third = testBeaconBlock(network, tipOf(second), zero, { epochCertificate: one });
  const fourth = testBeaconBlock(network, tipOf(third), one, { crosslinks: [certifiedHeader(network, A, {}, zero)] });
  assert.equal(refusal(follower.offer(second)), 'ignore beacon-gap');
  assert.equal(refusal(follower.offer({ ...first, epochCertificate: undefined })), 'reject beacon-epoch-certificate', 'a relay left the epoch out');
  for (const block of [first, second]) assert.equal(refusal(follower.offer(block)), 'taken');
  assert.equal(refusal(follower.offer(first)), 'ignore beacon-known');
  assert.equal(refusal(follower.offer({ ...third, epochCertificate: undefined })), 'reject beacon-epoch-certificate');
  assert.equal(refusal(follower.offer({ ...third, epochCertificate: zero })), 'reject epoch-gap', 'a relay put an old one in its place');
  assert.equal(epochs.latest?.assignment.epoch, 0);
  assert.equal(refusal(follower.offer(third)), 'taken');
  assert.equal(epochs.latest?.assignment.epoch, 1);
  assert.equal(refusal(follower.offer({ ...fourth, epochCertificate: epochAfter(network, one) })), 'reject beacon-epoch-certificate');
  assert.equal(refusal(follower.offer(testBeaconBlock(network, tipOf(third), zero))), 'reject beacon-epoch', 'an epoch that has ended');
  assert.equal(refusal(follower.offer(fourth)), 'taken');
  assert.deepEqual(follower.tip, tipOf(fourth));
});

test('the follower refuses what the beacon did not certify', () => {
  const { follower } = makeFollower();
  const first = testBeaconBlock(network, undefined, zero, { epochCertificate: zero });
  const forged = { ...first.certificate, signatures: [new Uint8Array(64)] };
  const crosslink = certifiedHeader(network, A, {}, zero);
  assert.equal(refusal(follower.offer({ ...first, certificate: forged })), 'reject certificate-signature');
  assert.equal(refusal(follower.offer({ ...first, header: { ...first.header, chainId: 1 } })), 'reject beacon-foreign');
  assert.equal(refusal(follower.offer({ ...first, crosslinks: [crosslink] })), 'reject beacon-crosslink-root');
  assert.equal(refusal(follower.offer({ ...first, epochCertificate: { ...zero, certificate: forged } })), 'reject certificate-signature');
  assert.equal(follower.tip, undefined);
  assert.equal(refusal(follower.offer(first)), 'taken');
  assert.equal(refusal(follower.offer(testBeaconBlock(network, { height: 1, hash: crypto.sha256(new Uint8Array(1)) }, zero))), 'reject beacon-parent');
  // The header commits to crosslinked headers, not to their certificates.
  const second = testBeaconBlock(network, tipOf(first), zero, { crosslinks: [crosslink] });
  assert.equal(refusal(follower.offer({ ...second, crosslinks: [{ ...crosslink, certificate: forged }] })), 'reject certificate-signature');
  assert.equal(refusal(follower.offer(second)), 'taken');
});

function chainOf(shard: ShardId, count: number): Crosslink[] {
  const chain: Crosslink[] = [];
  for (let height = 1; height <= count; height++) {
    const last = chain.at(-1)?.header;
    const parent = last === undefined ? {} : { parentHash: crypto.sha256(encodeHeader(last)) };
    chain.push(certifiedHeader(network, shard, { height: height as Height, ...parent }, zero));
  }
  return chain;
}

test('crosslinks: in order, none left out, none twice, while a block is stored too', () => {
  const queue = new CrosslinkQueue(2, crypto, new Map());
  const [a, b] = [chainOf(A, 5), chainOf(B, 2)];
  assert.deepEqual(queue.add(a[1]!), { kind: 'ignore', reason: 'header-order' });
  for (const each of [b[0]!, a[0]!, a[1]!]) assert.equal(queue.add(each).kind, 'accept');
  assert.deepEqual(queue.add(a[1]!), { kind: 'ignore', reason: 'header-order' });
  const taken = queue.select();
  assert.deepEqual(taken, [a[0], a[1], b[0]]);
  assert.deepEqual(queue.select(), taken, 'a block that was not decided has taken nothing');
  assert.equal(queue.fault(taken), undefined);
  assert.deepEqual([[b[0]!, a[0]!], [a[1]!], [a[0]!, a[0]!]].map((list) => queue.fault(list)), ['crosslink-shard', 'crosslink-height', 'crosslink-height']);
  assert.equal(queue.fault([a[0]!, certifiedHeader(network, A, { height: 2 as Height }, zero)]), 'crosslink-parent');
  assert.equal(queue.tip(A), undefined, 'not stored yet');
  assert.deepEqual([queue.next(A), queue.next(B)], [3, 2]);
  assert.equal(queue.add(a[1]!).kind, 'ignore', 'it is in the block under way');
  const fork = certifiedHeader(network, A, { height: 3 as Height }, zero);
  assert.deepEqual(queue.add(fork), { kind: 'reject', reason: 'header-parent' });
  assert.equal(queue.add(a[2]!).kind, 'accept');
  queue.settle(taken);
  assert.deepEqual([queue.tip(A)?.height, queue.tip(B)?.height], [2, 1]);
  assert.deepEqual(queue.select(), [a[2]]);
  queue.settle([a[2]!, a[3]!]);
  assert.deepEqual([queue.ready, queue.next(A)], [false, 5], 'a block of others can be ahead of what has come here');
  const restarted = new CrosslinkQueue(2, crypto, new Map([[A, queue.tip(A)!]]));
  assert.equal(restarted.next(A), 5);
  assert.equal(restarted.add(a[4]!).kind, 'accept');
});

test('crosslinks: bounded in waiting and in a block, and no shard is left out of one', () => {
  const queue = new CrosslinkQueue(2, crypto, new Map());
  const a = chainOf(A, 513);
  for (const [index, each] of a.entries()) assert.deepEqual(queue.add(each), index < 512 ? { kind: 'accept' } : { kind: 'ignore', reason: 'header-queue' });
  queue.add(chainOf(B, 1)[0]!);
  const block = queue.select();
  assert.deepEqual([block.length, block.at(-1)?.header.shard], [501, B]);
  queue.settle(block);
  assert.equal(queue.select().length, 12);
  assert.equal(queue.add(a[512]!).kind, 'accept');
});
