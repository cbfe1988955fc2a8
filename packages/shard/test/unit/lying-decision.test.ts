import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeMessage, type Hash32, type Height, type InboxSegment, type ShardId, ZERO_HASH } from '@shardlab/crosslink';
import { testCrypto } from '../support/crypto.ts';
import { GENESIS_MS, testGenesis } from '../support/genesis.ts';
import { HandShard } from '../support/hand-shard.ts';

const crypto = testCrypto();

function decisions(values: readonly bigint[]): InboxSegment {
  const messages = values.map((value, index) => {
    const id = crypto.sha256(Uint8Array.of(index)) as Hash32;
    return encodeMessage({ kind: 'decision', id, attempt: 0, commit: true, value });
  });
  return { source: 1 as ShardId, sourceHeight: 1 as Height, sourceHash: ZERO_HASH, sourceTimestampMs: GENESIS_MS, firstSequence: 1, messages };
}

test('a shard that claims to have sent more wei than can exist is not believed, and breaks nothing', () => {
  const { genesis } = testGenesis(crypto, { shards: 2 });
  const shard = new HandShard(crypto, genesis, 0 as ShardId);
  const before = shard.executor.head.header.totals;
  const huge = (1n << 128n) - 1n;
  const block = shard.execute(shard.proposal([], GENESIS_MS + 100, [decisions([huge, 5n, huge])]));
  const { totals } = block.header;
  assert.deepEqual([totals.balances, totals.escrow], [before.balances, before.escrow]);
  assert.equal(totals.burned, before.burned + 5n, 'wei that can exist, and belong to nobody here, are burned');
  assert.equal(block.body.pairs[0]!.receivedValue, 5n);
  assert.equal(block.body.pairs[0]!.consumedSequence, 3);
  assert.equal(shard.protocol.counts().ignoredMessages, 3);
});
