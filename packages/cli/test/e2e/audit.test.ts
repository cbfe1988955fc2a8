import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { toHex } from '@shardlab/crosslink';
import { createCrypto, type NodeCrypto } from '@shardlab/node';
import { runAudit } from '../../src/audit/run-audit.ts';
import { FakeChain } from './audit-fake-chain.ts';
import { FakeNode } from './audit-fake-node.ts';

describe('the audit of an honest network', () => {
  let chain: FakeChain;
  let node: FakeNode;
  let crypto: NodeCrypto;
  before(async () => {
    crypto = await createCrypto();
    chain = await FakeChain.make();
    node = await FakeNode.start(chain);
  });
  after(() => node.stop());

  test('finds nothing wrong, and has seen everything', async () => {
    const report = await runAudit({ rpcUrl: node.url }, { crypto });
    console.log(JSON.stringify(report, undefined, 1));
    assert.deepEqual(report.findings, []);
    assert.equal(report.ok, true);
  });
});
void toHex;
