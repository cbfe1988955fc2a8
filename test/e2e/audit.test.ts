/** The audit from outside: it catches a node that lies by one wei; and how receipts travel on a healthy network. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '@shardlab/crosslink';
import { type AuditAnswer, type LoadAnswer, startNetwork } from '../support/e2e-network.ts';
import { startProxy } from '../support/e2e-proxy.ts';

/** Bytes of an account's flat key: 12 zero bytes, the address, class 0. */
const ACCOUNT_KEY_BYTES = 33;

/**
 * Adds `wei` to the balance of the first plain account in a page of `shard_readState`, in place; its address, or undefined if there is none. The page is
 * read by hand, from the documented format: u16 length and key, u16 length and value; a value is version, count - 1, then suffix and 32 bytes of each leaf.
 */
function addToFirstBalance(page: Uint8Array, wei: bigint): string | undefined {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  for (let at = 0; at < page.length; ) {
    const keyAt = at + 2;
    const keyBytes = view.getUint16(at);
    const valueAt = keyAt + keyBytes + 2;
    const key = page.subarray(keyAt, keyAt + keyBytes);
    const isAccount = keyBytes === ACCOUNT_KEY_BYTES && key.subarray(0, 12).every((byte) => byte === 0) && page[valueAt + 2] === 0;
    if (isAccount) {
      // The balance's low 8 bytes, at the end of the first leaf.
      const lowAt = valueAt + 3 + 24;
      view.setBigUint64(lowAt, view.getBigUint64(lowAt) + wei);
      return toHex(key.subarray(12, 32));
    }
    at = valueAt + view.getUint16(valueAt - 2);
  }
  return undefined;
}

test('the audit catches one wei, and over half of the receipt batches come by gossip', async (t) => {
  const network = await startNetwork(t, { shards: 3 });
  const report = await network.json<LoadAnswer>('load', '--rate', '200', '--duration', '8', '--cross-shard', '0.5');
  network.assertBalanced(report.audit);

  await t.test('gossip brings most batches', async () => {
    const { nodes } = await network.status();
    for (const { id, role, receiptBatches: { gossip, pull } } of nodes) {
      if (role === 'shard') assert.ok(gossip > pull && gossip > 5, `${id}: ${gossip} by gossip, ${pull} by pull`);
    }
  });

  await t.test('one wei more in one account of one shard: exit code 1, and the shard is named', async (sub) => {
    let forged: string | undefined;
    const shardNode = network.node('shard-1');
    const own = network.cluster.nodes.map((node) => node.rpcUrl);
    const url = await startProxy(sub, shardNode.rpcUrl, own, ({ method, path, result }) => {
      if (method !== 'shard_readState' || path !== '/shard/1' || forged !== undefined) return result;
      const { entries, next } = result as { entries: string; next: unknown };
      const page = fromHex(entries);
      forged = addToFirstBalance(page, 1n);
      return { entries: toHex(page), next };
    });
    const ran = await network.runPlain('audit', '--json', '--rpc', url);
    assert.ok(forged !== undefined, `the audit has read no state through the proxy: ${ran.out}${ran.err}`);
    assert.equal(ran.code, 1, `${ran.out}${ran.err}`);
    const audit = JSON.parse(ran.out) as AuditAnswer;
    assert.equal(audit.ok, false);
    const { findings } = JSON.parse(ran.out) as { findings: readonly { readonly check: string; readonly shard: number }[] };
    assert.ok(findings.some(({ check, shard }) => check === 'state-root' && shard === 1), ran.out);
    assert.ok(findings.every(({ shard }) => shard !== 0 && shard !== 2), 'nobody else is accused');
    assert.equal(audit.supply.difference, '1');
    forged = undefined;
    const people = await network.runPlain('audit', '--rpc', url);
    assert.equal(people.code, 1);
    assert.match(people.out, /^audit: \d+ violations$/m);
    assert.match(people.out, /BAD supply +difference 1 wei/);
  });

  await t.test('the same through a proxy that changes nothing: clean', async (sub) => {
    const own = network.cluster.nodes.map((node) => node.rpcUrl);
    const url = await startProxy(sub, network.node('shard-1').rpcUrl, own, ({ result }) => result);
    const ran = await network.runPlain('audit', '--json', '--rpc', url);
    assert.equal(ran.code, 0, `${ran.out}${ran.err}`);
  });

  await t.test('a wei moved from one shard to another: the sum is right, both roots are wrong', async (sub) => {
    const own = network.cluster.nodes.map((node) => node.rpcUrl);
    const change = new Map([['/shard/0', 1n], ['/shard/2', -1n]]);
    const url = await startProxy(sub, network.node('shard-0').rpcUrl, own, ({ method, path, result }) => {
      const wei = change.get(path);
      if (method !== 'shard_readState' || wei === undefined) return result;
      change.delete(path);
      const { entries, next } = result as { entries: string; next: unknown };
      const page = fromHex(entries);
      addToFirstBalance(page, wei);
      return { entries: toHex(page), next };
    });
    const ran = await network.runPlain('audit', '--json', '--rpc', url);
    assert.equal(change.size, 0, 'two pages were changed');
    assert.equal(ran.code, 1, `${ran.out}${ran.err}`);
    assert.equal((JSON.parse(ran.out) as AuditAnswer).ok, false);
  });
  await network.audit();
});
