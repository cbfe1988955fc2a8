import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { type CheckName, Findings, FINDINGS_MAX } from '../../src/audit/findings.ts';
import { MessageLog } from '../../src/audit/message-log.ts';
import { renderAudit } from '../../src/audit/render.ts';
import { makeReport } from '../../src/audit/report.ts';
import { bytesOf, callRpc } from '../../src/audit/rpc.ts';
import { flatEntries } from '../../src/audit/state-leaves.ts';

const SUMS = { genesis: 1_000n, balances: 900n, escrow: 50n, inFlight: 20n, burned: 30n };
const COUNTS = {
  crossShard: 7,
  locks: { held: 2, stuck: 0 },
  sequences: { gaps: 0, duplicates: 0 },
  proofs: { batchesChecked: 9, bad: 0 },
  ledger: { checked: 0, violations: 0 },
  contracts: { runs: 0, invariants: {}, violations: 0 },
  reverted: 0,
  validators: { compared: 8, forks: 0 },
  blocks: 1_234_567,
  transactions: 12,
  beaconBlocks: 3,
  cut: { 0: 5, 1: 6 },
};

describe('findings', () => {
  test('are all counted, but listed within bounds', () => {
    const findings = new Findings();
    for (let i = 0; i < 5_000; i++) findings.add('burned', 'x', { shard: 1, height: i });
    const checks: CheckName[] = ['certificate', 'tx-root', 'out-root', 'pair-root', 'receipts', 'timestamp', 'epoch', 'supply', 'crosslink', 'state-root', 'lock-stuck'];
    for (const check of checks) for (let i = 0; i < 20; i++) findings.add(check, 'y', { hash: new Uint8Array([1, 2]) });
    assert.equal(findings.total, 5_000 + 20 * checks.length);
    assert.equal(findings.count('burned'), 5_000);
    assert.equal(findings.area('supply'), 5_040);
    assert.equal(findings.listed.length, FINDINGS_MAX);
    assert.deepEqual(findings.listed[10], { check: 'certificate', message: 'y', hash: '0x0102' });
  });
});

describe('the report', () => {
  test('has the fields of the interface, and is ok when nothing was found', () => {
    const report = makeReport(SUMS, COUNTS, new Findings());
    assert.equal(report.ok, true);
    assert.deepEqual(report.supply, { genesis: '1000', balances: '900', escrow: '50', inFlight: '20', burned: '30', difference: '0' });
    assert.deepEqual(Object.keys(report).slice(0, 6), ['ok', 'supply', 'atomicity', 'locks', 'sequences', 'proofs']);
    assert.deepEqual(report.atomicity, { checked: 7, violations: 0 });
  });

  test('is not ok when one wei is missing, and says where in plain lines', () => {
    const findings = new Findings();
    findings.add('state-root', 'evil \u001b[2J text', { shard: 1, height: 2, hash: new Uint8Array([0xab]) });
    const report = makeReport({ ...SUMS, balances: 899n }, COUNTS, findings);
    assert.equal(report.ok, false);
    assert.equal(report.supply.difference, '-1');
    assert.deepEqual(report.checks, { 'state-root': 1, supply: 1 });
    const plain = renderAudit(report);
    assert.equal(plain[0], 'audit: 2 violations');
    assert.ok(plain.every((line) => /^[\x20-\x7e]*$/.test(line)), 'no control characters without colour');
    assert.ok(plain.some((line) => line.includes('state-root: evil ?[2J text (shard 1, block 2, 0xab)')));
    assert.ok(plain.some((line) => line.includes('1,234,567 shard blocks')));
    assert.ok(renderAudit(report, { colour: true })[0]!.startsWith('\u001b[31m'));
    assert.equal(renderAudit(makeReport(SUMS, COUNTS, new Findings()))[0], 'audit: the books balance');
  });
});

describe('the message log', () => {
  const origin = { height: 3, hash: new Uint8Array(32), timestampMs: 5 };
  const message = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

  test('counts gaps and repetitions, of whole runs and of parts', () => {
    const log = new MessageLog();
    assert.equal(log.append(1, [message(1), message(2)], origin, 1), 'good');
    assert.equal(log.append(5, [message(5), message(6)], origin, 1), 'gap');
    assert.equal(log.gaps, 2);
    assert.equal(log.append(6, [message(6), message(7)], origin, 1), 'duplicate');
    assert.equal(log.duplicates, 1);
    assert.equal(log.append(8, [message(8)], origin, 1), 'good');
  });

  test('compares across the borders of runs, which need not be the same on both sides', () => {
    const [sent, consumed] = [new MessageLog(), new MessageLog()];
    sent.append(1, Array.from({ length: 100 }, (_, index) => message(index)), origin, 3);
    consumed.append(1, Array.from({ length: 60 }, (_, index) => message(index)), origin, 4);
    consumed.append(61, Array.from({ length: 40 }, (_, index) => message(60 + index)), origin, 5);
    const good = new Findings();
    sent.compare(consumed, { source: 0, destination: 1 }, good);
    assert.equal(good.total, 0);
    consumed.append(101, [message(1)], origin, 6);
    const bad = new Findings();
    sent.compare(consumed, { source: 0, destination: 1 }, bad);
    assert.deepEqual(bad.byCheck(), { 'message-unknown': 1 });
  });
});

describe('pages of state', () => {
  test('are taken apart, and refused when they end in an entry', () => {
    const page = new Uint8Array([0, 1, 7, 0, 2, 8, 9, 0, 1, 5, 0, 0]);
    assert.deepEqual([...flatEntries(page)].map(({ key, value }) => [[...key], [...value]]), [[[7], [8, 9]], [[5], []]]);
    for (let length = 1; length < page.length; length++) {
      if (length === 7) continue;
      assert.throws(() => [...flatEntries(page.subarray(0, length))], { code: 'audit/bad-answer' }, `length ${length}`);
    }
  });
});

describe('the RPC client', () => {
  const options = { timeoutMs: 300, signal: undefined };
  const served = async (listener: RequestListener, run: (url: string) => Promise<void>): Promise<void> => {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  };

  test('tells a refusal, an unreachable chain, nonsense and silence apart', async () => {
    const answers: [string, string][] = [
      ['{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no"}}', 'audit/rpc'],
      ['{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"gone"}}', 'audit/unreachable'],
      ['{"jsonrpc":"2.0","id":1}', 'audit/bad-answer'],
      ['[]', 'audit/bad-answer'],
      ['<html>', 'audit/bad-answer'],
    ];
    for (const [body, code] of answers) {
      await served((_, response) => response.end(body), (url) => assert.rejects(callRpc(url, 'm', [], options), { code }));
    }
    await served(() => undefined, (url) => assert.rejects(callRpc(url, 'm', [], { ...options, timeoutMs: 50 }), { code: 'audit/unreachable', message: /no answer in time/ }));
  });

  test('tries again when a connection breaks', async () => {
    let calls = 0;
    await served(
      (request, response) => (++calls < 3 ? void request.socket.destroy() : void response.end('{"jsonrpc":"2.0","id":1,"result":[5]}')),
      async (url) => assert.deepEqual(await callRpc(url, 'm', [], options), [5]),
    );
  });

  test('takes only whole hex', () => {
    assert.deepEqual([...bytesOf('0x0aFF', 'm')], [10, 255]);
    for (const bad of ['0a', '0x0', '0x0g', '0xzz', 5, null]) assert.throws(() => bytesOf(bad, 'm'), { code: 'audit/bad-answer' });
  });
});
