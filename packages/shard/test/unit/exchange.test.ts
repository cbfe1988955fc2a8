import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BEACON, decodeRequest, encodeHeader, bytesKey, type Height, type ShardId } from '@shardlab/crosslink';
import { Epochs } from '../../src/exchange/epochs.ts';
import { HeaderCheck } from '../../src/exchange/header-check.ts';
import { Outbox } from '../../src/exchange/outbox.ts';
import { Requests } from '../../src/exchange/requests.ts';
import { committeeIntervalMs, proposalDelayMs } from '../../src/production/schedule.ts';
import { StepContext } from '../../src/step-context.ts';
import { testCrypto } from '../support/crypto.ts';
import { testGenesis } from '../support/genesis.ts';
import { certifiedHeader, epochAfter } from '../support/headers.ts';
import { CHAIN_ID } from '../support/transactions.ts';

const crypto = testCrypto();
const network = { crypto, ...testGenesis(crypto, { shards: 2, accounts: 1 }) };
const other = { crypto, ...testGenesis(crypto, { shards: 3, accounts: 1 }) };
const [A, B] = [0 as ShardId, 1 as ShardId];

function fresh(): Epochs {
  return new Epochs(crypto, network.hash, network.genesis.beaconValidators);
}

test('epochs: taken in order and verified, anything else is refused with its reason', () => {
  const epochs = fresh();
  const zero = epochAfter(network);
  const one = epochAfter(network, zero);
  const two = epochAfter(network, one);
  assert.equal(epochs.validators(A, 0), undefined);
  assert.equal(epochs.add(one), 'epoch-gap');
  assert.equal(epochs.add(epochAfter(other)), 'epoch-foreign');
  assert.equal(epochs.add({ ...zero, certificate: { ...zero.certificate, signatures: [new Uint8Array(64)] } }), 'certificate-signature');
  assert.equal(epochs.add(zero), undefined);
  assert.equal(epochs.add(zero), undefined, 'known already');
  assert.equal(epochs.add(two), 'epoch-gap');
  assert.equal(epochs.add({ ...one, assignment: { ...one.assignment, previousHash: network.hash } }), 'epoch-chain');
  assert.equal(epochs.add(one), undefined);
  assert.equal(epochs.latest?.assignment.epoch, 1);
  assert.deepEqual(epochs.validators(B, 0), network.genesis.shardValidators[1]);
  assert.deepEqual(epochs.validators(BEACON, 1), network.genesis.beaconValidators);
  assert.equal(epochs.validators(5 as ShardId, 1), undefined);
});

test('epochs: what a database gives back is whole or named as damaged', () => {
  const zero = epochAfter(network);
  const epochs = fresh();
  epochs.restore([zero, epochAfter(network, zero)]);
  assert.equal(epochs.latest?.assignment.epoch, 1);
  assert.throws(() => fresh().restore([epochAfter(network, zero)]), { code: 'epoch/damaged' });
});

test('headers: certified by this network, this epoch, this committee, or refused', () => {
  const zero = epochAfter(network);
  const epochs = fresh();
  const check = new HeaderCheck(crypto, network.hash, CHAIN_ID, epochs);
  const judge = ({ header, certificate }: ReturnType<typeof certifiedHeader>): unknown =>
    check.check(header, certificate, bytesKey(crypto.sha256(encodeHeader(header))));
  const good = certifiedHeader(network, A, {}, zero);
  assert.deepEqual(judge(good), { kind: 'ignore', reason: 'epoch-unknown' });
  epochs.add(zero);
  assert.equal(judge(good), undefined);
  const bad = { ...good.certificate, signatures: [new Uint8Array(64)] };
  assert.deepEqual(judge({ ...good, certificate: bad }), { kind: 'reject', reason: 'certificate-signature' }, 'though the header is known');
  assert.equal(judge(good), undefined);
  assert.deepEqual(judge({ ...good, header: { ...good.header, height: 2 as Height } }), { kind: 'reject', reason: 'certificate-signature' });
  assert.deepEqual(judge(certifiedHeader(network, A, { shard: 9 as ShardId }, zero)), { kind: 'reject', reason: 'header-shard' });
  assert.deepEqual(judge(certifiedHeader(network, A, { chainId: 1 }, zero)), { kind: 'reject', reason: 'header-foreign' });
  assert.deepEqual(judge(certifiedHeader(network, A, { shard: B }, zero)), { kind: 'reject', reason: 'certificate-signature' }, "one shard's key does not speak for another");
});

test('headers: good ones are remembered, and the oldest forgotten', () => {
  const zero = epochAfter(network);
  const epochs = fresh();
  epochs.add(zero);
  let verified = 0;
  const counting = { ...crypto, verify: (...args: Parameters<typeof crypto.verify>) => (verified++, crypto.verify(...args)) };
  const check = new HeaderCheck(counting, network.hash, CHAIN_ID, epochs);
  const judge = (height: number): void => {
    const { header, certificate } = certifiedHeader(network, A, { height: height as Height }, zero);
    assert.equal(check.check(header, certificate, bytesKey(crypto.sha256(encodeHeader(header)))), undefined);
  };
  for (let height = 1; height <= 300; height++) judge(height);
  judge(300);
  assert.equal(verified, 300, 'remembered');
  judge(1);
  assert.equal(verified, 301, 'forgotten');
});

test('outbox: entries by sequence until they are consumed', () => {
  const outbox = new Outbox();
  const bytes = (count: number): Uint8Array[] => Array.from({ length: count }, () => new Uint8Array(1));
  outbox.add(1 as Height, [{ destination: A, firstSequence: 1, messages: bytes(3) }, { destination: B, firstSequence: 1, messages: bytes(1) }]);
  outbox.add(2 as Height, [{ destination: A, firstSequence: 4, messages: bytes(1) }]);
  outbox.add(4 as Height, [{ destination: A, firstSequence: 5, messages: bytes(2) }]);
  assert.equal(outbox.size, 7);
  const heights = (sequence: number, max = 9): number[] => outbox.from(A, sequence, max).map(({ height }) => height);
  assert.deepEqual([heights(1), heights(3), heights(4), heights(6), heights(7)], [[1, 2, 4], [1, 2, 4], [2, 4], [4], []]);
  assert.deepEqual(heights(1, 2), [1, 2]);
  assert.deepEqual(outbox.from(7 as ShardId, 1, 9), []);
  assert.deepEqual(outbox.consumed(A, 3), [{ destination: A, firstSequence: 1 }]);
  assert.deepEqual(outbox.consumed(A, 5), [{ destination: A, firstSequence: 4 }], 'a part of an entry is not the entry');
  assert.deepEqual(outbox.consumed(A, 5), []);
  assert.deepEqual([heights(1), outbox.size], [[4], 3]);
  assert.deepEqual(outbox.consumed(9 as ShardId, 5), []);
});

test('requests: one of a kind to a chain, closed once', () => {
  const requests = new Requests({ own: { chain: 5 as ShardId, validator: 2 }, size: () => 4, timeoutMs: 500 }, new StepContext());
  const ask = (to: ShardId, fromHeight = 1): ReturnType<Requests['ask']> => requests.ask(to, { kind: 'headers', fromHeight: fromHeight as Height });
  const first = ask(A);
  assert.ok(first?.kind === 'request');
  assert.deepEqual([first.to, first.timeoutMs, decodeRequest(first.body)], [{ chain: A, validator: 2 }, 500, { kind: 'headers', fromHeight: 1 }]);
  assert.equal(ask(A, 2), undefined);
  const second = ask(B);
  assert.ok(second?.kind === 'request');
  assert.notEqual(second.request, first.request);
  assert.ok(requests.ask(A, { kind: 'beacon-blocks', fromHeight: 1 as Height }));
  assert.deepEqual(requests.close(first.request)?.request, { kind: 'headers', fromHeight: 1 });
  assert.equal(requests.close(first.request), undefined);
  requests.rotate(A);
  const third = ask(A, 3);
  assert.deepEqual(third?.kind === 'request' ? third.to : undefined, { chain: A, validator: 3 }, 'who has not helped is not asked next');
  const own = Array.from({ length: 4 }, () => {
    const effect = ask(5 as ShardId);
    assert.ok(effect?.kind === 'request');
    requests.close(effect.request);
    requests.rotate(5 as ShardId);
    return effect.to.validator;
  });
  assert.deepEqual(own, [3, 0, 1, 3], 'nobody asks itself');
  const alone = new Requests({ own: { chain: A, validator: 0 }, size: () => 1, timeoutMs: 500 }, new StepContext());
  assert.equal(alone.ask(A, { kind: 'headers', fromHeight: 1 as Height }), undefined);
});

test('requests: a chain of which nobody has helped rests, longer each time, and what helps ends it', () => {
  const step = new StepContext();
  const requests = new Requests({ own: { chain: 5 as ShardId, validator: 2 }, size: () => 4, timeoutMs: 500 }, step);
  const start = 1_000_000;
  /** Asks at every millisecond, as waiting blocks do, of somebody who fails at once; when it was asked. */
  const hammer = (chain: ShardId, fromMs: number, toMs: number): number[] => {
    const asked: number[] = [];
    for (let nowMs = fromMs; nowMs < toMs; nowMs++) {
      step.begin(start + nowMs);
      const effect = requests.ask(chain, { kind: 'headers', fromHeight: 1 as Height });
      if (effect?.kind !== 'request') continue;
      asked.push(nowMs);
      requests.close(effect.request);
      requests.failed('headers', chain);
    }
    return asked;
  };
  assert.deepEqual(hammer(A, 0, 1_000), [0, 1, 2, 3, 203, 204, 205, 206, 606, 607, 608, 609], 'all four, and then a rest');
  const later = hammer(A, 1_000, 60_000);
  assert.ok(later.length < (4 * 59) / 3 + 8, `${later.length} in 59 s`);
  assert.equal(hammer(5 as ShardId, 60_000, 60_150).length, 3, 'of its own chain, the three others');
  step.begin(start + 60_001);
  assert.equal(requests.ask(A, { kind: 'headers', fromHeight: 1 as Height }), undefined);
  assert.ok(requests.ask(A, { kind: 'beacon-blocks', fromHeight: 1 as Height }), 'other questions do not rest');
  requests.helped('headers', A);
  assert.deepEqual(hammer(A, 60_002, 60_010), [60_002, 60_003, 60_004, 60_005]);
});

test('schedule: at the interval with work, at the heartbeat without, at a deadline in between, never later than a heartbeat', () => {
  const options = { blockIntervalMs: 100, heartbeatMs: 1_000 };
  const delay = (nowMs: number, hasWork: boolean, dueMs?: number): number => proposalDelayMs(options, 10_000, nowMs, hasWork, dueMs);
  assert.equal(delay(10_000, true), 100);
  assert.equal(delay(10_100, true), 0);
  assert.equal(delay(10_030, false), 970);
  assert.equal(delay(99_999, false), 0);
  assert.equal(delay(10_000, false, 10_400), 401);
  assert.equal(delay(10_000, false, 9_000), 100, 'a deadline that has passed is work');
  assert.equal(delay(10_401, false, 10_400), 0);
  assert.equal(delay(10_000, false, 99_000), 1_000);
  assert.equal(delay(1_000, true), 1_000, 'the clock jumped back');
});

test('schedule: the slower a committee agrees, the further apart its blocks, up to twice the interval', () => {
  assert.deepEqual([0, 100, 166, 200, 333.4, 5_000].map((agreementMs) => committeeIntervalMs(500, agreementMs)), [500, 500, 500, 600, 1_000, 1_000]);
});
