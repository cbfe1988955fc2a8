import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { decodeTransaction } from '@shardlab/shard';
import { readBatchFile } from '../../src/commands/batch-file.ts';
import { systemModules } from '../../src/commands/modules.ts';

const TO = `0x${'cd'.repeat(20)}`;

function fileOf(t: TestContext): (text: string) => string {
  const directory = mkdtempSync(join(tmpdir(), 'shardlab-batch-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return (text) => {
    const file = join(directory, 'calls.json');
    writeFileSync(file, text);
    return file;
  };
}

test('a batch file is read: what is left out is zero, empty, or to be estimated', (t) => {
  const write = fileOf(t);
  const calls = readBatchFile(write(JSON.stringify([{ to: TO }, { to: TO, value: '18', data: '0x0102', gas: 50_000 }, { to: TO, value: 3 }])));
  assert.deepEqual(calls, [
    { to: TO, value: 0n, data: new Uint8Array(0), gas: undefined },
    { to: TO, value: 18n, data: Uint8Array.of(1, 2), gas: 50_000 },
    { to: TO, value: 3n, data: new Uint8Array(0), gas: undefined },
  ]);
});

test('bad batch files get one line that names the call', (t) => {
  const write = fileOf(t);
  const cases: readonly (readonly [unknown, RegExp])[] = [
    ['not json', /is not JSON/],
    [{}, /JSON list of 1 to 16 calls/],
    [[], /JSON list of 1 to 16 calls/],
    [Array.from({ length: 17 }, () => ({ to: TO })), /JSON list of 1 to 16 calls/],
    [[{ to: TO }, 5], /call 1 must be an object/],
    [[null], /call 0 must be an object/],
    [[{}], /call 0 needs "to"/],
    [[{ to: '0x12' }], /call 0 needs "to"/],
    [[{ to: null }], /call 0 needs "to".*no contracts/],
    [[{ to: TO, value: '1.5' }], /call 0 needs a "value"/],
    [[{ to: TO, value: -1 }], /call 0 needs a "value"/],
    [[{ to: TO, value: String(2n ** 128n) }], /call 0 needs a "value"/],
    [[{ to: TO, data: '0x1' }], /call 0 needs "data"/],
    [[{ to: TO, data: 7 }], /call 0 needs "data"/],
    [[{ to: TO, gas: '21000' }], /call 0 needs "gas"/],
    [[{ to: TO, gasLimit: 21_000 }], /call 0 has the field "gasLimit"/],
  ];
  for (const [value, pattern] of cases) {
    const file = write(typeof value === 'string' ? value : JSON.stringify(value));
    assert.throws(() => readBatchFile(file), (error: Error & { code?: string }) => error.code === 'cli/batch' && pattern.test(error.message) && !error.message.includes('\n'));
  }
  assert.throws(() => readBatchFile(write(' '.repeat((1 << 20) + 1))), /characters/);
});

test('a batch is signed with the gas that its calls and it itself need', async () => {
  const to = new Uint8Array(20).fill(0xcd);
  const calls = [1, 2].map((value) => ({ to, value: BigInt(value), gasLimit: 30_000, data: new Uint8Array(0) }));
  const terms = { chainId: 1337, nonce: 4, maxFeePerGas: 9n, maxPriorityFeePerGas: 1n };
  const { fields } = decodeTransaction((await systemModules.signBatch({ ...terms, calls }, new Uint8Array(32).fill(1))).raw);
  assert.deepEqual(fields, { ...terms, type: 0x70, calls, gasLimit: 60_000 + 21_000 + 2_600 });
});
