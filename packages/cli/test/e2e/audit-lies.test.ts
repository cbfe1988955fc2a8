import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCrypto } from '@shardlab/node';
import { CHECKS } from '../../src/audit/findings.ts';
import type { AuditReport } from '../../src/audit/report.ts';
import { runAudit } from '../../src/audit/run-audit.ts';
import { FakeChain, honestLedger } from './audit-fake-chain.ts';
import { FakeNode } from './audit-fake-node.ts';
import { type Lie, LIES } from './audit-lies.ts';

async function auditOf(lie: Lie): Promise<AuditReport> {
  const chain = await FakeChain.make({}, lie.chain?.());
  lie.stored?.(chain);
  const node = await FakeNode.start(chain, lie.node?.(chain));
  try {
    const ledger = lie.ledger?.(honestLedger(chain));
    return await runAudit({ rpcUrl: node.url, ...(ledger === undefined ? {} : { ledger }) }, { crypto: await createCrypto() });
  } finally {
    await node.stop();
  }
}

describe('the audit catches', () => {
  for (const lie of LIES) {
    test(lie.check, async () => {
      const report = await auditOf(lie);
      assert.equal(report.ok, false);
      assert.ok((report.checks[lie.check] ?? 0) > 0, `not caught; found instead: ${JSON.stringify(report.checks)}`);
      assert.ok(report.findings.some((finding) => finding.check === lie.check));
    });
  }

  test('something with every check that it has', () => {
    // What is wrong with contracts is for audit-contracts.test.ts: no contract of a workload is on this chain.
    const own = Object.entries(CHECKS).filter(([, area]) => area !== 'contracts').map(([check]) => check);
    assert.deepEqual([...new Set(LIES.map((lie) => lie.check))].sort(), own.sort());
  });
});
