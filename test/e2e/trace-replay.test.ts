/** A day's slice of the main network, replayed with real signatures: every row ends, what is left out is counted. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type LoadAnswer, startNetwork } from '../support/e2e-network.ts';

/** Beside the repository, where it is there at all. */
const TRACE = fileURLToPath(new URL('../../../shared/data/mainnet/transactions.csv.gz', import.meta.url));
const skip = existsSync(TRACE) ? false : 'no trace beside the repository (../shared/data/mainnet/transactions.csv.gz)';

test('a trace of the main network is replayed, and the books balance', { skip }, async (t) => {
  const network = await startNetwork(t, { shards: 4, trace: TRACE });
  const report = await network.json<LoadAnswer>('load', '--trace', TRACE, '--rate', '1000');
  const { submitted, committed, aborted, rejected, pending, crossShard } = report;
  assert.ok(submitted > 1_000, `only ${submitted} rows`);
  assert.deepEqual([pending, rejected, aborted, committed], [0, 0, 0, submitted], JSON.stringify(report));
  // By hash, three of four recipients live elsewhere.
  assert.ok(crossShard.ratio > 0.5 && crossShard.ratio < 0.9, `cross-shard ratio ${crossShard.ratio}`);
  assert.deepEqual(Object.keys(report.leftOut ?? {}).sort(), ['creation', 'type3']);
  network.assertBalanced(report.audit);

  const wrong = await network.run('load', '--rate', '10', '--count', '1');
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /^shardlab: this network funds the senders of a trace \(sha-256 [0-9a-f]{64}\): give that file by --trace\n$/);
});
