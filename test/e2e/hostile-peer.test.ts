/** A validator that has gone bad, and strangers, against running nodes: what they send is refused, counted and costs them; the books stay clean. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  buildBatches,
  buildCertificate,
  decodeBlock,
  encodeAnnouncement,
  encodeBatch,
  encodeHeader,
  fromHex,
  outRoot,
  Prng,
  type ReceiptBatch,
  type ShardId,
  TOPICS,
  voteMessage,
} from '@shardlab/crosslink';
import { createCrypto } from '@shardlab/node';
import { type LoadAnswer, startNetwork, type TestNetwork } from '../support/e2e-network.ts';
import { metric, startPeer, type TestPeer, validatorSecretOf } from '../support/e2e-peer.ts';

const SEED = 20_260_801;
const VERDICTS = 'shardlab_network_gossip_verdicts_total';
const HELLO = 'shardlab_network_hello_total';
const PENALTIES = 'shardlab_network_penalties_total';
const SHARD_0 = 0 as ShardId;
const RECEIPTS_0 = TOPICS.receipts(SHARD_0);

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

/** A batch that shard 1 has sent to shard 0, made again from its block. */
async function genuineBatch(network: TestNetwork, peer: Pick<TestPeer, 'crypto'>): Promise<ReceiptBatch> {
  const { blocks } = await network.call<{ blocks: string[] }>('shard_getBlocks', [1, 100], '/shard/1');
  for (const encoded of blocks) {
    const { header, certificate, outgoing } = decodeBlock(fromHex(encoded));
    const [batch] = buildBatches(peer.crypto, header, certificate, outgoing, SHARD_0);
    if (batch !== undefined) return batch;
  }
  return assert.fail('shard 1 has sent nothing to shard 0');
}

/** Ways to forge a batch whose sequences have not been consumed, each with the reason for which it must be refused. */
function forgeries(batch: ReceiptBatch, { crypto, genesisHash }: TestPeer): readonly (readonly [string, ReceiptBatch, string])[] {
  const { certificate, messages, entry } = batch;
  const firstSequence = batch.firstSequence + 1_000;
  const ahead = { ...batch, firstSequence, entry: { ...entry, firstSequence, lastSequence: firstSequence + messages.length - 1 } };
  // A block that nobody has made, in itself consistent: every root and branch is right.
  const outgoing = [{ destination: SHARD_0, firstSequence, messages }];
  const header = { ...batch.header, height: (batch.header.height + 100) as typeof batch.header.height, outRoot: outRoot(crypto, outgoing) };
  const invented = buildBatches(crypto, header, certificate, outgoing, SHARD_0)[0]!;
  const subject = { genesisHash, chain: header.shard, epoch: header.epoch, height: header.height, phase: 'commit', blockHash: crypto.sha256(encodeHeader(header)) } as const;
  const stranger = crypto.sign(bytes(1), voteMessage(subject, 0));
  return [
    ['sequences ahead, under a root that does not hold them', ahead, 'batch-entry-branch'],
    ['another message under the same root', { ...invented, messages: [flipped(messages[0]!, messages[0]!.length - 1), ...messages.slice(1)] }, 'batch-chunk-branch'],
    ['an invented block with the certificate of another', invented, 'certificate-signature'],
    ['an invented block that a stranger has signed', { ...invented, certificate: buildCertificate(crypto.scheme, 0, 1, new Map([[0, stranger]])) }, 'certificate-signature'],
    ['a signer who is not in the committee', { ...invented, certificate: { ...certificate, bitmap: Uint8Array.of(2) } }, 'certificate-bitmap'],
    ['a source that does not exist', { ...ahead, header: { ...header, shard: 7 as ShardId } }, 'batch-source'],
  ];
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
    ...{ node: { chain: SHARD_0, validator: 0 }, validatorSecret: validatorSecretOf(network, 'shard-0'), transportSeed: bytes(3), genesisHash: bytes(9) },
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
    const batch = await genuineBatch(network, { crypto: await createCrypto() });
    assert.equal((await network.run('kill', 'shard-1')).code, 0);
    const secret = validatorSecretOf(network, 'shard-1');
    const peer = await startPeer(sub, network, { node: { chain: 1 as ShardId, validator: 0 }, validatorSecret: secret, transportSeed: bytes(4) });
    await network.until('the liar is connected', () => peer.host.connected().some(({ chain }) => chain === 0));
    const url = network.node('shard-0').rpcUrl;
    const penalties = await metric(url, PENALTIES);

    // Nine refusals: ten would have shard 1 blocked for a minute, by name, and the honest one with it.
    const prng = new Prng(SEED);
    await assertRefused(network, peer, RECEIPTS_0, prng.bytes(300), /^decode\//);
    await assertRefused(network, peer, TOPICS.headers, prng.bytes(40), /^decode\//);
    for (const [what, forged, reason] of forgeries(batch, peer)) {
      await sub.test(what, () => assertRefused(network, peer, RECEIPTS_0, encodeBatch(forged), new RegExp(`^${reason}$`)));
    }
    await assertRefused(network, peer, TOPICS.headers, encodeAnnouncement({ ...batch, pairs: [] }), /^announcement-(?:pairs|old)$/);
    // Replayed as it was: gossipsub knows the bytes and counts no verdict; that nothing was applied twice, the audit shows.
    peer.host.publish(RECEIPTS_0, encodeBatch(batch));
    assert.ok((await metric(url, PENALTIES)) >= penalties + 8, 'the sender pays with its score');
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
