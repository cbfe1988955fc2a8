import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BEACON, ShardlabError, type ShardId, toHex } from '@shardlab/crosslink';
import type { NodeName } from '../../src/ports.ts';
import { Committees } from '../../src/rpc/committees.ts';
import type { NodeHandle } from '../../src/rpc/node-handle.ts';
import { accountsOf, addressOf, ManualClock, testGenesis, transfer } from './chain-store-support.ts';
import { TestNetwork } from './rpc-support.ts';

const REQUEST = { kind: 'rpc', json: new Uint8Array([1]) } as const;
const SHARD = 1 as ShardId;

/** A node whose peers answer by their index, hang, or are gone. */
class Asker {
  readonly clock = new ManualClock();
  readonly asked: [validator: number, timeoutMs: number][] = [];
  readonly gone = new Set<number>();
  readonly hanging = new Set<number>();
  readonly unconnected = new Set<number>();
  readonly committees: Committees;

  constructor(name: NodeName, size: number) {
    const genesis = testGenesis(2, 1);
    const committee = Array.from({ length: size }, () => genesis.shardValidators[0]![0]!);
    const handle: Pick<NodeHandle, 'genesis' | 'name' | 'clock' | 'connected' | 'ask'> = {
      genesis: { ...genesis, shardValidators: [committee, committee], beaconValidators: committee },
      name,
      clock: this.clock,
      connected: () => committee.flatMap((_, validator) => (this.unconnected.has(validator) ? [] : [{ chain: SHARD, validator }])),
      ask: (to, _request, timeoutMs, done) => {
        assert.equal(to.chain, SHARD);
        this.asked.push([to.validator, timeoutMs]);
        if (this.hanging.has(to.validator)) this.clock.advance(timeoutMs);
        const failed = this.hanging.has(to.validator) ? 'network/timeout' : this.gone.has(to.validator) ? 'network/unreachable' : undefined;
        if (failed !== undefined) done({ ok: false, error: new ShardlabError(failed, 'no') });
        else done({ ok: true, value: [new TextEncoder().encode(`v${to.validator}`)] });
      },
    };
    this.committees = new Committees(handle as NodeHandle);
  }

  async ask(timeoutMs = 10_000): Promise<string> {
    const { text, repeated } = await this.committees.ask(SHARD, REQUEST, timeoutMs);
    return repeated ? `${text} repeated` : text;
  }
}

test('a committee is asked at the validator with the own index, and stays with who answered', async () => {
  const asker = new Asker({ chain: 0 as ShardId, validator: 2 }, 4);
  assert.deepEqual([await asker.ask(), await asker.ask()], ['v2', 'v2']);
  asker.gone.add(2).add(3);
  assert.equal(await asker.ask(), 'v0 repeated');
  asker.gone.clear();
  assert.equal(await asker.ask(), 'v0', 'who answered last is asked first');
});

test('connected validators come first, the others still get a chance, this node itself none', async () => {
  const asker = new Asker({ chain: SHARD, validator: 0 }, 4);
  asker.unconnected.add(1).add(2);
  assert.equal(await asker.ask(), 'v3');
  asker.gone.add(3);
  asker.gone.add(1);
  assert.equal(await asker.ask(), 'v2 repeated');
  assert.deepEqual(asker.asked.map(([validator]) => validator), [3, 3, 1, 2]);
});

test('a validator that hangs leaves time for the others; nobody is asked twice, or after the time is over', async () => {
  const asker = new Asker({ chain: BEACON, validator: 0 }, 4);
  asker.hanging.add(0).add(1);
  assert.equal(await asker.ask(28_000), 'v2 repeated');
  assert.deepEqual(asker.asked, [[0, 23_000], [1, 2_500], [2, 1_250]]);
  asker.asked.length = 0;
  asker.hanging.add(2).add(3);
  await assert.rejects(asker.ask(), { rpcCode: -32_002, message: 'shard 1 cannot be reached (network/timeout)' });
  assert.deepEqual(asker.asked.map(([validator]) => validator), [2, 3, 0, 1]);
  assert.ok(asker.asked.reduce((sum, [, timeoutMs]) => sum + timeoutMs, 0) <= 10_000);
});

test('an answer of one validator alone is never replaced: askOne asks one', async () => {
  const asker = new Asker({ chain: 0 as ShardId, validator: 0 }, 4);
  asker.gone.add(1);
  await assert.rejects(asker.committees.askOne({ chain: SHARD, validator: 1 }, REQUEST, 100), { code: 'network/unreachable' });
  assert.deepEqual(asker.asked, [[1, 100]]);
});

test('a transaction that a validator took without answering is taken: the next one knows it already, and that is success', async (t) => {
  const net = await new TestNetwork().start();
  t.after(() => net.stop());
  const { handle } = net.node(0);
  const [key] = net.genesis.shardValidators[1]!;
  const genesis = { ...net.genesis, shardValidators: [[key!], [key!, key!, key!, key!]] };
  // All four of shard 1 share one pool; the first to be asked does its work and is not heard.
  const { ask } = handle;
  let silent = true;
  const first: NodeHandle['ask'] = (to, request, timeoutMs, done) =>
    ask({ ...to, validator: 0 }, request, timeoutMs, (result) => {
      done(silent ? { ok: false, error: new ShardlabError('network/timeout', 'no answer in time') } : result);
      silent = false;
    });
  Object.assign(handle, { genesis, ask: first });
  const [sender] = accountsOf(net.genesis, 1, 1) as [number];
  const raw = toHex(transfer(sender, addressOf(sender), 0));
  const hash = await net.result(net.node(0), 'network', 'eth_sendRawTransaction', raw);
  assert.equal(hash, toHex(handle.crypto.keccak256(transfer(sender, addressOf(sender), 0))));
  const again = await net.call(net.node(0), 'network', 'eth_sendRawTransaction', raw);
  assert.equal(again.error?.message, 'already known', 'whoever sends twice is told so');
});
