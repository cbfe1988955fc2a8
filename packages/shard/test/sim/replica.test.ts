import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BEACON, type ShardId, toHex } from '@shardlab/crosslink';
import { testCrypto } from '../support/crypto.ts';
import { GENESIS_MS } from '../support/genesis.ts';
import { MiniNetwork, type MiniOptions } from './mini-network.ts';

const crypto = testCrypto();

/** Loads a network, lets everything end, and checks what must hold at rest. */
function runToRest(options: MiniOptions, transfers: number, disturb: (network: MiniNetwork) => void = () => undefined): MiniNetwork {
  const network = new MiniNetwork(crypto, options);
  network.startAll();
  const { queue } = network;
  for (let i = 0; i < transfers; i++) queue.after(500 + 20 * i, () => network.sendRandom());
  disturb(network);
  const lastMs = queue.nowMs + 500 + 20 * transfers;
  queue.run(lastMs);
  const what = `seed ${options.seed}, crash at ${options.crashAtEffect ?? 'none'}`;
  assert.ok(queue.run(queue.nowMs + 120_000, () => network.settled()), `everything ends: ${what}`);
  const resting = (): boolean => network.books().openMessages === 0 && network.books().escrow === 0n;
  assert.ok(queue.run(queue.nowMs + 30_000, resting), `all messages are consumed: ${what}`);
  // What was offered once more at the very end gets its reply.
  queue.run(queue.nowMs + 100);
  assert.equal(network.books().sum, network.supply, what);
  for (const chain of network.chains()) {
    const { protocol, replica, waiting } = network.nodes.get(chain)!;
    const { coordinating, participating, locksHeld } = protocol.counts();
    assert.deepEqual({ coordinating, participating, locksHeld, waiting: waiting.size, pool: replica?.mempool.size ?? 0, inbox: replica?.inbox.size ?? 0 }, { coordinating: 0, participating: 0, locksHeld: 0, waiting: 0, pool: 0, inbox: 0 }, what);
  }
  // Before its first epoch certificate a node can only say that it is busy.
  assert.deepEqual(network.rejections.filter((code) => code !== 'busy'), []);
  return network;
}

/** Beacon blocks crosslink every shard block once, in order. */
function checkCrosslinks(network: MiniNetwork): void {
  const heights = new Map<ShardId, number>();
  for (const { crosslinks } of network.disk(BEACON).beaconBlocks) {
    for (const { header } of crosslinks) {
      assert.equal(header.height, (heights.get(header.shard) ?? 0) + 1);
      heights.set(header.shard, header.height);
    }
  }
  assert.equal(heights.size, network.genesis.shards);
  for (const [shard, height] of heights) assert.ok(height >= network.disk(shard).blocks.length - 60, `shard ${shard}: ${height} of ${network.disk(shard).blocks.length} crosslinked`);
}

test('a healthy network settles local and cross-shard transfers, and every block is crosslinked once', () => {
  const network = runToRest({ seed: 1, shards: 3 }, 150);
  const outcomes = [...network.receipts().values()];
  assert.ok(outcomes.filter((each) => each === 'cross/1').length > 60);
  assert.ok(outcomes.filter((each) => each === 'local/1').length > 20);
  assert.equal(outcomes.filter((each) => each.endsWith('/0')).length, 0);
  checkCrosslinks(network);
  for (const shard of [0, 1, 2]) {
    const { batchesPull, batchesGossip } = network.shard(shard).replica!.counters;
    assert.ok(batchesPull * 10 < batchesGossip, `${batchesPull} batches by pull, ${batchesGossip} by gossip`);
  }
});

test('with half of all gossip and requests lost, pulls bring the rest', () => {
  let pulled = 0;
  for (const seed of [2, 3]) {
    const network = runToRest({ seed, shards: 3, loss: 0.5, parameters: { deadlineMs: 60_000 } }, 80);
    for (const shard of [0, 1, 2]) pulled += network.shard(shard).replica!.counters.batchesPull;
  }
  assert.ok(pulled > 10, `${pulled} batches pulled`);
});

test('each node away for a while under load: open transactions end, and the beacon catches up', () => {
  const network = runToRest({ seed: 4, shards: 2, parameters: { deadlineMs: 5_000 } }, 60, (made) => {
    made.queue.after(900, () => made.crash(1 as ShardId));
    made.queue.after(1_700, () => made.crash(0 as ShardId));
    made.queue.after(2_500, () => made.crash(BEACON));
  });
  assert.equal(network.crashes, 3);
  checkCrosslinks(network);
});

test('with the beacon dead the shards go on within their epoch', () => {
  const network = runToRest({ seed: 12, shards: 3, loss: 0.1 }, 60, (made) => {
    made.queue.after(400, () => {
      made.nodes.get(BEACON)!.alive = false;
    });
  });
  assert.ok([...network.receipts().values()].filter((each) => each === 'cross/1').length > 20);
  assert.ok(network.disk(BEACON).beaconBlocks.length < 10);
});

test('two runs of one seed have the same effects, another seed has others', () => {
  const run = (seed: number): string => {
    const network = runToRest({ seed, shards: 2, loss: 0.2, crashAtEffect: 250 }, 40);
    assert.equal(network.crashes, 1);
    return toHex(network.trace);
  };
  const first = run(5);
  assert.equal(run(5), first);
  assert.notEqual(run(6), first);
});

test('epochs of two beacon blocks change under load, and restarts go on in them', () => {
  const network = runToRest({ seed: 7, shards: 2, loss: 0.1, parameters: { epochLength: 2 } }, 80, (made) => {
    for (const chain of made.chains()) made.queue.after(1_000 + 100 * (chain % 7), () => made.crash(chain));
  });
  const epochs = new Set(network.disk(0).blocks.map(({ block }) => block.header.epoch));
  assert.ok(epochs.size > 5, `${epochs.size} epochs in the blocks`);
  for (const shard of [0, 1]) {
    const headers = network.disk(shard).blocks.map(({ block }) => block.header.epoch);
    assert.deepEqual(headers, [...headers].sort((a, b) => a - b), 'epochs never go back');
  }
});

test('a node that is killed at any of many effects goes on: nothing lost, nothing twice', () => {
  const healthy = runToRest({ seed: 8, shards: 2, accounts: 6 }, 12);
  let crashes = 0;
  // The effects of the load and of what it sets off; one in three of them, to keep this test short.
  const last = Math.min(healthy.effects, 700);
  for (let effect = 1; effect < last; effect += 3) crashes += runToRest({ seed: 8, shards: 2, accounts: 6, crashAtEffect: effect }, 12).crashes;
  assert.equal(crashes, Math.ceil((last - 1) / 3));
});

test('an idle network makes heartbeats and nothing else', () => {
  const network = new MiniNetwork(crypto, { seed: 9, shards: 2 });
  network.startAll();
  network.queue.run(GENESIS_MS + 5_000 + 60_000);
  for (const shard of [0, 1]) {
    const count = network.disk(shard).blocks.length;
    assert.ok(count >= 50 && count <= 62, `${count} blocks in 60 s of heartbeats of 1 s`);
  }
  // The beacon has headers to record.
  const beacon = network.disk(BEACON).beaconBlocks.length;
  assert.ok(beacon >= 50 && beacon <= 180, `${beacon} beacon blocks`);
  assert.ok(network.effects < 60 * 60, `${network.effects} effects in 60 s`);
});

test('after the machine has slept for an hour the chains go on at once, and open transactions end', () => {
  const network = runToRest({ seed: 10, shards: 2 }, 40, (made) => {
    made.queue.after(900, () => {
      made.queue.sleep(3_600_000);
      const blocks = [0, 1].map((shard) => made.disk(shard).blocks.length);
      made.queue.after(250, () => [0, 1].forEach((shard) => assert.ok(made.disk(shard).blocks.length > blocks[shard]!)));
    });
  });
  const times = network.disk(0).blocks.map(({ block }) => block.header.timestampMs);
  assert.ok(times.some((time, index) => index > 0 && time - times[index - 1]! > 3_500_000), 'no blocks are made up for the time asleep');
  assert.ok(times.length < 200);
});

test('a shard that does not answer keeps nobody out: local transfers go on, the others end when it is back', () => {
  const network = new MiniNetwork(crypto, { seed: 11, shards: 2, accounts: 30, parameters: { openPreparesMax: 4, blockGasLimit: 12 * 21_000, deadlineMs: 3_000, attemptsMax: 2 } });
  network.startAll();
  const { queue, accounts } = network;
  queue.run(queue.nowMs + 1_000);
  network.nodes.get(1 as ShardId)!.alive = false;
  const here = accounts.filter(({ home }) => home === 0);
  const there = accounts.filter(({ home }) => home === 1);
  assert.ok(here.length > 8 && there.length > 4);
  // Far more than budget and block can take, before any local transfer.
  for (const from of here.slice(0, -2)) for (let i = 0; i < 4; i++) network.send(from, there[i % there.length]!.address, 1n);
  queue.run(queue.nowMs + 500);
  const [payer, payee] = here.slice(-2) as [(typeof here)[0], (typeof here)[0]];
  const start = queue.nowMs;
  for (let i = 0; i < 10; i++) network.send(payer, payee.address, 1n);
  const locals = (): number => [...network.receipts().values()].filter((each) => each === 'local/1').length;
  assert.ok(queue.run(start + 5_000, () => locals() === 10), `${locals()} of 10 local transfers while the other shard is away`);
  const blocks = network.disk(0).blocks.length;
  queue.run(queue.nowMs + 60_000);
  assert.ok(network.disk(0).blocks.length - blocks < 120, `${network.disk(0).blocks.length - blocks} blocks in 60 s with nothing to do but wait`);
  network.boot(1 as ShardId);
  assert.ok(queue.run(queue.nowMs + 120_000, () => network.settled()), 'everything ends');
});
