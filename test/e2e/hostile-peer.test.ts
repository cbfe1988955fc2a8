/** A validator that has gone bad, and strangers, against running nodes: what they send is refused, counted and costs them; the books stay clean. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { concatBytes, decodeBatch, encodeAnnouncement, encodeBatch, Prng, type ReceiptBatch, type ShardId, TOPICS } from '@shardlab/crosslink';
import { privateKeyToAccount } from 'viem/accounts';
import { type LoadAnswer, startNetwork, type TestNetwork } from '../support/e2e-network.ts';
import { metric, startPeer, type TestPeer, validatorSecretOf } from '../support/e2e-peer.ts';

const SEED = 20_260_801;
const VERDICTS = 'shardlab_network_gossip_verdicts_total';
const HELLO = 'shardlab_network_hello_total';
const RECEIPTS_0 = TOPICS.receipts(0 as ShardId);

const bytes = (value: number): Uint8Array => new Uint8Array(32).fill(value);

function flipped(data: Uint8Array, at: number): Uint8Array {
  const copy = data.slice();
  copy[at]! ^= 1;
  return copy;
}

/** Publishes, and waits until shard 0 has counted a verdict with one of `reasons`. */
async function assertRefused(network: TestNetwork, peer: TestPeer, topic: string, data: Uint8Array, reasons: RegExp): Promise<void> {
  const url = network.node('shard-0').rpcUrl;
  const counted = async (): Promise<number> => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${VERDICTS}{`) && reasons.test(/reason="([^"]*)"/.exec(line)?.[1] ?? ''))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  };
  const before = await counted();
  peer.host.publish(topic, data);
  await network.until(`${topic} is refused for ${reasons.source}`, async () => (await counted()) > before);
}

/** Every way to forge a genuine batch, with the reasons for which it may be refused. */
function forgeries(batch: ReceiptBatch, peer: TestPeer, rogueSecret: Uint8Array): readonly (readonly [string, ReceiptBatch, RegExp])[] {
  const { header, certificate, messages, firstSequence, entry } = batch;
  const ahead = firstSequence + 1_000;
  const moved = { ...batch, firstSequence: ahead, entry: { ...entry, firstSequence: ahead, lastSequence: ahead + messages.length - 1 } };
  const own = { ...header, height: (header.height + 100) as typeof header.height, outRoot: flipped(header.outRoot, 3) as typeof header.outRoot };
  const signed = peer.crypto.sign(rogueSecret, concatBytes(header.outRoot, bytes(1)));
  return [
    ['other messages under the true root', { ...moved, messages: [flipped(messages[0]!, messages[0]!.length - 1), ...messages.slice(1)] }, /^batch-/],
    ['a sequence ahead under the true root', moved, /^batch-/],
    ['another header', { ...moved, header: own }, /^batch-|certificate|signature/],
    ['another source', { ...moved, header: { ...header, shard: 7 as ShardId } }, /^batch-source$/],
    ['a signature of somebody else', { ...moved, certificate: { ...certificate, signatures: [signed] } } as ReceiptBatch, /^batch-|certificate|signature/],
  ];
}

/** A cross-shard transfer to shard 1, which is down: shard 0 keeps the message for it. */
async function sendToTheDead(network: TestNetwork): Promise<void> {
  const { rpcUrl } = network.node('shard-0');
  const [from, to] = [network.accountsOn(0, 1)[0]!, network.accountsOn(1, 1)[0]!];
  const account = privateKeyToAccount(from.secretKey);
  const nonce = Number(await network.call<string>('eth_getTransactionCount', [from.address, 'pending'], '/', rpcUrl));
  const fees = { maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n, gas: 30_000n };
  const raw = await account.signTransaction({ type: 'eip1559', chainId: network.network.chainId, nonce, to: to.address, value: 1n, ...fees });
  await network.call<string>('eth_sendRawTransaction', [raw], '/', rpcUrl);
  const kept = async (): Promise<number> => (await network.call<{ outbox: { messages: number } }>('shard_status', [], '/shard/0', rpcUrl)).outbox.messages;
  await network.until('shard 0 has prepared', async () => (await kept()) > 0);
}

async function assertAlive(network: TestNetwork): Promise<void> {
  const { nodes } = await network.status();
  for (const node of nodes) assert.ok(node.healthy, `${node.id}: ${node.reason ?? 'not healthy'}`);
}

async function strangers(t: TestContext, network: TestNetwork): Promise<void> {
  const { rpcUrl } = network.node('beacon');
  // A name that is in genesis, and a key that is not the one there.
  const before = await metric(rpcUrl, HELLO, { outcome: 'forged' });
  await startPeer(t, network, { node: { chain: 1 as ShardId, validator: 0 }, validatorSecret: bytes(1), transportSeed: bytes(2) }).then(
    async ({ host }) => {
      await network.until('the forged name is refused', async () => (await metric(rpcUrl, HELLO, { outcome: 'forged' })) > before);
      assert.deepEqual(host.connected(), []);
    },
    // The host may refuse its own identity before anybody else has to.
    (error: Error & { code?: string }) => assert.match(error.code ?? '', /^network\//),
  );
  // Another network's node: it finds no protocol to speak, and never gets a name here.
  const foreign = await startPeer(t, network, {
    ...{ node: { chain: 0 as ShardId, validator: 0 }, validatorSecret: validatorSecretOf(network, 'shard-0'), transportSeed: bytes(3), genesisHash: bytes(9) },
  });
  assert.deepEqual(foreign.host.connected(), []);
  await assertAlive(network);
}

test('peers that send what they should not', async (t) => {
  const network = await startNetwork(t);
  const load = await network.json<LoadAnswer>('load', '--rate', '100', '--duration', '3', '--cross-shard', '0.6');
  assert.equal(load.pending, 0);

  await t.test('strangers are not let in', (sub) => strangers(sub, network));

  await t.test('a validator that lies: forged, replayed and broken messages are refused, counted, and cost it', async (sub) => {
    assert.equal((await network.run('kill', 'shard-1')).code, 0);
    await sendToTheDead(network);
    const secret = validatorSecretOf(network, 'shard-1');
    const peer = await startPeer(sub, network, { node: { chain: 1 as ShardId, validator: 0 }, validatorSecret: secret, transportSeed: bytes(4) });
    await network.until('the liar is connected', () => peer.host.connected().some(({ chain }) => chain === 0));
    const url = network.node('shard-0').rpcUrl;
    const penalties = await metric(url, 'shardlab_network_penalties_total');

    const prng = new Prng(SEED);
    await assertRefused(network, peer, RECEIPTS_0, prng.bytes(300), /^decode\/|^malformed/);
    await assertRefused(network, peer, TOPICS.headers, prng.bytes(40), /^decode\/|^malformed/);
    const [sent] = await peer.ask(0, { kind: 'batches', destination: 1 as ShardId, fromSequence: 1 });
    assert.ok(sent !== undefined, 'shard 0 keeps what shard 1 has not consumed');
    const batch = decodeBatch(sent);
    // Replayed as it was: gossipsub knows the bytes, so no verdict is counted; that nothing is applied twice, the audit shows.
    peer.host.publish(RECEIPTS_0, sent);
    await assertRefused(network, peer, RECEIPTS_0, sent.subarray(0, sent.length - 5), /^decode\//);
    for (const [what, forged, reasons] of forgeries(batch, peer, secret)) {
      await sub.test(what, () => assertRefused(network, peer, RECEIPTS_0, encodeBatch(forged), reasons));
    }
    const announcement = encodeAnnouncement({ header: { ...batch.header, shard: 1 as ShardId }, certificate: batch.certificate, pairs: [] });
    await assertRefused(network, peer, TOPICS.headers, announcement, /^announcement-pairs$|certificate|signature/);
    assert.ok((await metric(url, 'shardlab_network_penalties_total')) > penalties, 'the sender pays with its score');
    await assertAliveExcept(network, 'shard-1');
  });

  await t.test('the honest validator comes back, and the books are clean', async () => {
    assert.equal((await network.run('kill', 'shard-1', '--restart')).code, 0);
    const again = await network.json<LoadAnswer>('load', '--rate', '60', '--duration', '3', '--cross-shard', '0.6', '--seed', '2');
    assert.equal(again.pending, 0, JSON.stringify(again));
    network.assertBalanced(again.audit);
  });
});

async function assertAliveExcept(network: TestNetwork, id: string): Promise<void> {
  const { out } = await network.run('status', '--json');
  const { nodes } = JSON.parse(out) as { nodes: { id: string; healthy: boolean; pid: number | null }[] };
  for (const node of nodes) if (node.id !== id) assert.ok(node.pid !== null, `${node.id} has died`);
}
