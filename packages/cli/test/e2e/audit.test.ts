import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { decodeMessage, toHex } from '@shardlab/crosslink';
import { createCrypto, type NodeCrypto } from '@shardlab/node';
import type { LedgerEntry } from '../../src/audit/ledger.ts';
import { runAudit } from '../../src/audit/run-audit.ts';
import { FakeChain, honestLedger } from './audit-fake-chain.ts';
import { FakeNode } from './audit-fake-node.ts';

describe('the audit of an honest network', () => {
  let crypto: NodeCrypto;
  let chain: FakeChain;
  let node: FakeNode;
  before(async () => {
    crypto = await createCrypto();
    chain = await FakeChain.make();
  });
  // Each test has its own node: heads, reachability and pins are its own.
  const withNode = (name: string, run: () => Promise<void>): void =>
    void test(name, async () => {
      node = await FakeNode.start(chain);
      try {
        await run();
      } finally {
        await node.stop();
      }
    });

  withNode('finds nothing wrong where there is everything to see', async () => {
    const lines: string[] = [];
    const ledger = honestLedger(chain);
    const report = await runAudit({ rpcUrl: node.url, ledger, onProgress: (line) => lines.push(line) }, { crypto });
    assert.deepEqual(report.findings, []);
    assert.equal(report.ok, true);
    assert.equal(report.supply.genesis, String(60n * 10n ** 24n));
    assert.equal(report.supply.difference, '0');
    const receipts = chain.shards.flatMap((shard) => shard.sealed.flatMap((block) => block.receipts));
    assert.equal(report.supply.burned, String(receipts.reduce((sum, each) => sum + BigInt(each.gasUsed) * each.effectiveGasPrice, 0n)));
    assert.equal(report.transactions, receipts.length);
    assert.equal(report.blocks, 72);
    assert.deepEqual(report.cut, { 0: 24, 1: 24, 2: 24 });
    assert.deepEqual(report.ledger, { checked: receipts.length, violations: 0 });
    assert.equal(node.pins.size, 0, 'all pins are let go');
    assert.ok(lines.length > 5);
    // What makes this a test: the network holds every state in which money and transactions can be.
    assert.ok(BigInt(report.supply.escrow) > 0n && BigInt(report.supply.inFlight) > 0n && report.locks.held > 0);
    assert.ok(receipts.some((each) => each.reason === 'deadline') && receipts.some((each) => each.crossShard && each.status === 1));
    const messages = chain.shards.flatMap((shard) => shard.sealed.flatMap((block) => block.outgoing.flatMap((each) => each.messages.map(decodeMessage))));
    assert.ok(messages.some((each) => each.kind === 'decision' && each.commit && each.attempt > 0), 'some commit at a later attempt');
    assert.ok(report.atomicity.checked > 50 && report.proofs.batchesChecked > 100);
  });

  withNode('lowers heights to a consistent cut, and still recounts what is above it', async () => {
    node.heads[1] = 20;
    const report = await runAudit({ rpcUrl: node.url, ledger: honestLedger(chain, node.heads) }, { crypto });
    assert.deepEqual(report.findings, []);
    assert.equal(report.cut['1'], 20);
    assert.ok(report.cut['0']! < 24 && report.cut['0']! >= 20, 'shard 0 had consumed what shard 1 sent later');
    const committed = honestLedger(chain, node.heads).filter((entry) => entry.outcome === 'committed' || entry.outcome === 'aborted');
    assert.equal(report.ledger.checked, committed.length);
    assert.ok(committed.length > report.transactions);
  });

  withNode('takes a network that has no blocks yet', async () => {
    node.heads.fill(0);
    const report = await runAudit({ rpcUrl: node.url }, { crypto });
    assert.equal(report.ok, true);
    assert.equal(report.supply.balances, report.supply.genesis);
    assert.deepEqual(report.cut, { 0: 0, 1: 0, 2: 0 });
  });

  withNode('says in one line which shard it cannot reach, and reaches it by its own URL', async () => {
    node.unreachable.add(2);
    await assert.rejects(runAudit({ rpcUrl: node.url, timeoutMs: 5_000 }, { crypto }), { code: 'audit/unreachable', message: /^shard 2 cannot be reached: [^\n]*$/ });
    const own = await FakeNode.start(chain);
    try {
      const report = await runAudit({ rpcUrl: node.url, shardUrls: new Map([[2, `${own.url}/`]]) }, { crypto });
      assert.equal(report.ok, true);
      assert.equal(own.pins.size, 0);
    } finally {
      await own.stop();
    }
  });

  withNode('goes through a shard node when the node that was named is dead', async () => {
    const dead = await FakeNode.start(chain);
    await dead.stop();
    const shardUrls = new Map([0, 1, 2].map((shard) => [shard, node.url]));
    assert.equal((await runAudit({ rpcUrl: dead.url, shardUrls }, { crypto })).ok, true);
    await assert.rejects(runAudit({ rpcUrl: dead.url }, { crypto }), { code: 'audit/unreachable', message: /connection refused/ });
  });

  test('compares the validators of each chain, one of which is a block behind', async () => {
    node = await FakeNode.start(chain, { validators: 4 });
    try {
      const report = await runAudit({ rpcUrl: node.url }, { crypto });
      assert.deepEqual([report.ok, report.validators], [true, { compared: 16, forks: 0 }]);
    } finally {
      await node.stop();
    }
  });

  test('compares only who is there: another node at its URL, or none, is left out', async () => {
    node = await FakeNode.start(chain, { validators: 4, answer: (method, shard, _params, result) => (method === 'shard_status' && shard === undefined ? swapped(result) : undefined) });
    const swapped = (result: unknown): object => {
      const { nodes, ...rest } = result as { nodes: { id: string; rpcUrl: string }[] };
      // Two nodes at each other's URLs, one at nobody's.
      const [first, second, third, ...others] = nodes;
      return { ...rest, nodes: [{ ...first!, rpcUrl: second!.rpcUrl }, { ...second!, rpcUrl: first!.rpcUrl }, { ...third!, rpcUrl: 'http://127.0.0.1:1' }, ...others] };
    };
    try {
      const report = await runAudit({ rpcUrl: node.url }, { crypto });
      assert.deepEqual([report.ok, report.validators], [true, { compared: 12, forks: 0 }], 'of shard 0 only one is left, which is compared with nobody');
    } finally {
      await node.stop();
    }
  });

  withNode('stops when it is called off', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const run = runAudit({ rpcUrl: node.url, signal: controller.signal, onProgress: (line) => line.startsWith('walking') || line.includes('state of shard 1') ? controller.abort(reason) : undefined }, { crypto });
    await assert.rejects(run, reason);
  });

  test('refuses what is no URL', async () => {
    await assert.rejects(runAudit({ rpcUrl: 'localhost' }, { crypto }), { code: 'audit/url' });
  });

  describe('with ledgers in files', () => {
    let folder: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'audit-'));
    });
    after(() => rm(folder, { recursive: true }));
    const text = (entries: readonly LedgerEntry[], hash = toHex(chain.genesisHash)): string =>
      [JSON.stringify({ formatVersion: 1, genesisHash: hash, startMs: 1, count: entries.length }), ...entries.map((entry) => JSON.stringify([entry.hash, entry.outcome])), ''].join('\n');
    const audited = async (content: string): ReturnType<typeof runAudit> => {
      const file = join(folder, 'ledger.ndjson');
      await writeFile(file, content);
      return runAudit({ rpcUrl: node.url, ledgerFiles: [file] }, { crypto });
    };

    withNode('recounts them, and finds a lie', async () => {
      const honest = honestLedger(chain);
      assert.equal((await audited(text(honest))).ok, true);
      const lie = honest.map((entry): LedgerEntry => (entry.outcome === 'pending' ? { ...entry, outcome: 'committed' } : entry));
      const report = await audited(text(lie));
      assert.equal(report.ok, false);
      assert.equal(report.ledger.violations, honest.filter((entry) => entry.outcome === 'pending').length);
    });

    withNode('refuses one of another network, a cut one, and one that is none', async () => {
      const honest = honestLedger(chain);
      for (const content of [text(honest, toHex(new Uint8Array(32))), text(honest).slice(0, -100), text(honest).replace('committed', 'comitted'), 'x', '']) {
        await assert.rejects(audited(content), { code: 'audit/ledger' });
      }
    });
  });
});
