import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BEACON, decodeRequest, encodeAnnouncement, Prng, type ShardId, TOPICS, type Verdict } from '@shardlab/crosslink';
import type { Effect, Input } from '../../src/effects.ts';
import { genesisEntries } from '../../src/state/genesis-state.ts';
import { testCrypto } from '../support/crypto.ts';
import { testAnnouncement } from '../support/headers.ts';
import { MiniDisk } from './mini-disk.ts';
import { MiniNetwork } from './mini-network.ts';
import { MiniNode } from './mini-node.ts';

const crypto = testCrypto();

/** A network that has done some work, to forge from. */
function worked(): MiniNetwork {
  const network = new MiniNetwork(crypto, { seed: 21, shards: 2, accounts: 10 });
  network.startAll();
  const { queue } = network;
  for (let i = 0; i < 30; i++) queue.after(400 + 20 * i, () => network.sendRandom());
  queue.run(queue.nowMs + 1_500);
  assert.ok(queue.run(queue.nowMs + 20_000, () => network.settled()));
  return network;
}

const network = worked();

/** Virtual time of the cores below: nobody runs the network any more. */
let nowMs = network.queue.nowMs;

/** A core on what a disk holds, whose effects the test sees and nobody carries out. */
function coreOf(chain: ShardId, disk = network.disk(chain)): { step: (input: Input) => readonly Effect[]; node: MiniNode } {
  const idle = (): never => {
    throw new Error('nobody carries effects out here');
  };
  const { genesis, genesisHash } = network;
  const ports = { nowMs: () => nowMs, after: idle, publish: idle, request: idle, effect: idle, latencyMs: idle };
  const node = new MiniNode({ chain, genesis, genesisHash }, disk, crypto, ports);
  return { step: (input) => node.core.step(nowMs, input), node };
}

/** The disk of a node that has made no block, and knows the first `beaconBlocks` of the beacon's. */
function young(chain: ShardId, beaconBlocks: number): MiniDisk {
  const disk = new MiniDisk(crypto, chain === BEACON ? [] : genesisEntries(crypto, network.genesis, chain));
  disk.beaconBlocks.push(...network.disk(BEACON).beaconBlocks.slice(0, beaconBlocks));
  return disk;
}

let tokens = 0;

/** Exactly one verdict, with the message's own token. */
function judge(step: ReturnType<typeof coreOf>['step'], topic: string, data: Uint8Array): { verdict: Verdict; effects: readonly Effect[] } {
  const token = ++tokens;
  const effects = step({ kind: 'gossip', token, topic, data });
  const verdicts = effects.filter((effect) => effect.kind === 'verdict');
  assert.equal(verdicts.length, 1);
  assert.equal(verdicts[0]!.token, token);
  return { verdict: verdicts[0]!.verdict, effects };
}

function mutate(prng: Prng, data: Uint8Array): Uint8Array {
  const out = data.slice(0, prng.below(4) === 0 ? prng.below(data.length + 1) : data.length);
  for (let flips = 1 + prng.below(3); flips > 0 && out.length > 0; flips--) out[prng.below(out.length)]! ^= 1 << prng.below(8);
  return prng.below(10) === 0 ? Uint8Array.from([...out, ...prng.bytes(1 + prng.below(40))]) : out;
}

test('thousands of mutated messages: one verdict each, nothing thrown, nothing of them kept', () => {
  const prng = new Prng(99);
  for (const chain of [0, 1, BEACON] as ShardId[]) {
    const { step, node } = coreOf(chain, young(chain, 1));
    step({ kind: 'start' });
    const kinds = new Map<string, number>();
    for (let i = 0; i < 2_000; i++) {
      const { topic, data } = network.published[prng.below(network.published.length)]!;
      const forged = mutate(prng, data);
      const { verdict } = judge(step, prng.below(20) === 0 ? TOPICS.headers : topic, forged);
      kinds.set(verdict.kind, (kinds.get(verdict.kind) ?? 0) + 1);
      // Only bytes outside every hash can differ in what is taken: the time at which a beacon block was made, or an old header's pairs.
      assert.equal(node.replica?.inbox.size ?? 0, 0);
    }
    assert.ok((kinds.get('reject') ?? 0) > 500, JSON.stringify([...kinds]));
  }
});

test('answers that nobody asked for, that are empty, failed, late, twice or garbage, change nothing', () => {
  for (const chain of [0, BEACON] as ShardId[]) {
    const { step } = coreOf(chain);
    const asked = [...step({ kind: 'start' }), ...step({ kind: 'timer', timer: 'follow' })].filter((effect) => effect.kind === 'request');
    assert.ok(asked.length > 0);
    assert.deepEqual(step({ kind: 'answer', request: 12_345, items: [new Uint8Array(3)] }).filter(({ kind }) => kind !== 'set-timer'), []);
    const [first, ...rest] = asked;
    const effects = step({ kind: 'answer', request: first!.request, items: [new Uint8Array(3), new Uint8Array(4)] });
    assert.deepEqual(effects.filter(({ kind }) => kind === 'penalise').length, 1, 'a bad answer costs its sender, once');
    assert.deepEqual(step({ kind: 'answer', request: first!.request, items: [new Uint8Array(3)] }).filter(({ kind }) => kind === 'penalise'), []);
    for (const { request } of rest) assert.deepEqual(step({ kind: 'answer', request, items: undefined }).filter(({ kind }) => kind === 'request'), []);
    nowMs += 3_000;
    const again = step({ kind: 'timer', timer: 'follow' }).filter((effect) => effect.kind === 'request');
    assert.equal(again.length, asked.length, 'a failed question is asked again with the next timer');
  }
});

test('stale completions are dropped', () => {
  const { step, node } = coreOf(0 as ShardId);
  const { head } = node.replica!;
  step({ kind: 'start' });
  const { block } = network.disk(0).blocks.at(-1)!;
  for (const input of [{ kind: 'executed', request: 999, outcome: { block } }, { kind: 'persisted', request: 999 }, { kind: 'senders', request: 999, batch: undefined }] as const) {
    const effects = step(input).filter(({ kind }) => kind !== 'set-timer' && kind !== 'execute-block');
    assert.deepEqual(effects, []);
  }
  assert.equal(node.replica!.head, head);
});

test('a submission is answered once: when recovery is full, when it fails, when nothing is in it', () => {
  const { step } = coreOf(0 as ShardId);
  const recovering = (effects: readonly Effect[]): number => effects.filter((effect) => effect.kind === 'recover-senders')[0]!.request;
  const replies = (effects: readonly Effect[]): string[] =>
    effects.filter((effect) => effect.kind === 'reply').map(({ token, results }) => `${token}: ${results.map(({ rejection }) => rejection?.code ?? 'in').join()}`);
  const many = Array.from({ length: 65_535 }, () => new Uint8Array(1));
  const first = step({ kind: 'submit', token: 1, raws: many });
  assert.deepEqual(replies(first), []);
  assert.deepEqual(replies(step({ kind: 'submit', token: 2, raws: [new Uint8Array(1), new Uint8Array(1)] })), ['2: busy,busy']);
  const third = step({ kind: 'submit', token: 3, raws: [] });
  assert.deepEqual(replies(step({ kind: 'senders', request: recovering(third), batch: undefined })), ['3: ']);
  const failed = step({ kind: 'senders', request: recovering(first), batch: undefined });
  assert.equal(replies(failed).length, 1);
  assert.ok(replies(failed)[0]!.startsWith('1: busy,busy'));
  assert.deepEqual(replies(step({ kind: 'senders', request: recovering(first), batch: undefined })), []);
  assert.equal(recovering(step({ kind: 'submit', token: 4, raws: [new Uint8Array(1)] })) > 0, true, 'room again');
});

test('the beacon: a header that is offered again while its block is written is not recorded twice', () => {
  const { step } = coreOf(BEACON, young(BEACON, 1));
  const { block, certificate } = network.disk(0).blocks[0]!;
  const data = encodeAnnouncement({ header: block.header, certificate, pairs: block.body.pairs });
  const persists = (effects: readonly Effect[]): Extract<Effect, { kind: 'persist' }>[] => effects.filter((effect) => effect.kind === 'persist');
  const offered = judge(step, TOPICS.crosslinks, data);
  assert.equal(offered.verdict.kind, 'accept');
  const [first] = persists(offered.effects);
  assert.ok(first?.record.kind === 'beacon-block');
  assert.deepEqual(first.record.block.crosslinks.map(({ header }) => header.height), [1]);
  assert.deepEqual(judge(step, TOPICS.crosslinks, data).verdict, { kind: 'ignore', reason: 'header-known' });
  const after = step({ kind: 'persisted', request: first.request });
  assert.deepEqual(persists(after), []);
  assert.equal(after.filter((effect) => effect.kind === 'publish').length, 1);
  assert.deepEqual(judge(step, TOPICS.crosslinks, data).verdict, { kind: 'ignore', reason: 'header-known' });
});

test('a pull is asked again only after a while when it brings nothing, and at once when its source is heard of', () => {
  const { step } = coreOf(0 as ShardId);
  step({ kind: 'start' });
  const height = network.disk(1).blocks.length;
  // An announcement by which shard 1 has sent more than shard 0 has: forged with the validator's own key.
  const { announcement, next } = ahead(height);
  judge(step, TOPICS.headers, announcement);
  const pulls = (effects: readonly Effect[]): Extract<Effect, { kind: 'request' }>[] =>
    effects.filter((effect) => effect.kind === 'request').filter(({ body }) => decodeRequest(body).kind === 'batches');
  const fire = (): Extract<Effect, { kind: 'request' }>[] => pulls(step({ kind: 'timer', timer: 'pull' }));
  const [asked] = fire();
  assert.ok(asked !== undefined);
  assert.deepEqual(fire(), [], 'one question at a time');
  step({ kind: 'answer', request: asked.request, items: [] });
  assert.deepEqual(fire(), [], 'it is left alone for a while');
  judge(step, TOPICS.headers, next);
  const [again] = fire();
  assert.ok(again !== undefined, 'it lives: asked at once');
  step({ kind: 'answer', request: again.request, items: undefined });
  nowMs += 10_000;
  assert.equal(fire().length, 1, 'and after a while in any case');
});

/** Two announcements of shard 1 in which it has sent a message more than it has. */
function ahead(height: number): { announcement: Uint8Array; next: Uint8Array } {
  const { block } = network.disk(1).blocks[height - 1]!;
  const pairs = block.body.pairs.map((pair) => ({ ...pair, sentSequence: pair.sentSequence + 1 }));
  const epoch = network.disk(BEACON).beaconBlocks[0]!.epochCertificate!;
  const { genesis, genesisHash: hash } = network;
  const [announcement, next] = [1, 2].map((more) => encodeAnnouncement(testAnnouncement({ crypto, genesis, hash }, 1 as ShardId, height + more, pairs, epoch)));
  return { announcement: announcement!, next: next! };
}
