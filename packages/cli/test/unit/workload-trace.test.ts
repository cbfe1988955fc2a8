import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { readTrace } from '../../src/workload/trace.ts';

const A = `0x${'a1'.repeat(20)}`;
const B = `0x${'B2'.repeat(20)}`;
const C = `0x${'c3'.repeat(20)}`;
const ETL = 'hash,from_address,to_address,value,transaction_type';
const DATA = process.env['SHARDLAB_DATA'] ?? join(import.meta.dirname, '../../../../../shared/data');
const MAINNET = join(DATA, 'mainnet/transactions.csv.gz');

describe('readTrace', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'shardlab-trace-'));
  });
  after(() => rm(directory, { recursive: true }));

  async function file(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(directory, name);
    await writeFile(path, content);
    return path;
  }

  async function refused(content: string | Uint8Array, code: string, message: RegExp): Promise<void> {
    const path = await file('bad.csv', content);
    await assert.rejects(readTrace(path), (error: { code: string; message: string }) => {
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  }

  test('finds ethereum-etl columns by name, counts what it leaves out, and drops nothing', async () => {
    const rows = [ETL, `h,${A},${B},5,2`, `h,${A},,7,0`, `h,${B.toLowerCase()},${A},${2n ** 127n},0`, `h,${C},${A},1,3`, `h,${C},${C},0,`];
    const trace = await readTrace(await file('etl.csv', rows.join('\n')));
    assert.deepEqual(trace.summary, { rows: 5, replayed: 3, leftOut: { creation: 1, type3: 1 } });
    assert.deepEqual(trace.addresses, [A, B.toLowerCase(), C]);
    assert.deepEqual([...trace.from], [0, 1, 2]);
    assert.deepEqual([...trace.to], [1, 0, 2]);
    assert.deepEqual([...trace.values], [0n, 5n, 2n ** 63n, 0n, 0n, 0n]);
  });

  test('gzip is told by its bytes, and the digest is that of the file as it lies there', async () => {
    const text = `${ETL}\nh,${A},${B},5,2\n`;
    const packed = gzipSync(text);
    const [plain, gzip] = [await readTrace(await file('x.csv', text)), await readTrace(await file('named-wrongly.csv', packed))];
    assert.equal(plain.digest, createHash('sha256').update(text).digest('hex'));
    assert.equal(gzip.digest, createHash('sha256').update(packed).digest('hex'));
    assert.deepEqual(plain.values, gzip.values);
  });

  for (const header of [true, false]) {
    test(`reads BlockEmulator's layout ${header ? 'with' : 'without'} a header; contract calls count as transfers`, async () => {
      const names = 'blockNumber,timestamp,transactionHash,from,to,toCreate,fromIsContract,toIsContract,value,gasLimit,gasPrice,gasUsed,callingFunction,isError,eip2718type,baseFeePerGas,maxFeePerGas,maxPriorityFeePerGas';
      const row = (to: string, flag: string, value: string, type = 'None'): string =>
        `1,2,0xh,${A},${to},None,0,${flag},${value},21000,1,21000,0x,None,${type},None,None,None`;
      const rows = [row(B, '0', '5'), row(C, '1', '6', '2'), row('None', '0', '7'), row(B, '0', '8', '3')];
      const trace = await readTrace(await file('be.csv', (header ? [names, ...rows] : rows).join('\r\n')));
      assert.equal(trace.layout, 'blockemulator');
      assert.deepEqual(trace.summary, { rows: 4, replayed: 2, leftOut: { creation: 1, type3: 1 } });
      assert.deepEqual([...trace.values], [0n, 5n, 0n, 6n]);
    });
  }

  test('names the line of a malformed row, what is wrong and what would be right', async () => {
    const good = `${ETL}\nh,${A},${B},5,2\n`;
    await refused(`${good}h,0x12,${B},5,2\n`, 'trace/malformed', /bad\.csv: line 3: the sender must be 0x and 40 hex digits, not "0x12"/);
    await refused(`${good}h,${A},0xzz,5,2\n`, 'trace/malformed', /line 3: the recipient must be/);
    await refused(`${good}h,${A},${B},1e18,2\n`, 'trace/malformed', /line 3: the value must be wei in decimal digits, not "1e18"/);
    await refused(`${good}h,${A},${B},${2n ** 128n},2\n`, 'trace/malformed', /line 3: the value must be below 2\^128/);
    await refused(`${good}h,${A},${B},5,two\n`, 'trace/malformed', /line 3: the transaction type/);
    await refused(`${good}h,${A}\n`, 'trace/malformed', /line 3: 5 columns expected, 2 found/);
    await refused(`${good}"h,${A}\n`, 'trace/malformed', /line 3: a quoted field is never closed/);
    await refused(`1,2,3,${A},${B},6,2,0,9,10,11,12,13,14,15,16,17,18\n`, 'trace/malformed', /line 1: column 6 .* must be 0 or 1, not "2"/);
  });

  test('refuses files that are no trace, empty, missing or damaged', async () => {
    await refused('a,b,c\n1,2,3\n', 'trace/layout', /line 1: not a trace: a header with from_address/);
    await refused('', 'trace/empty', /nothing to replay/);
    await refused(`${ETL}\nh,${A},,7,0\n`, 'trace/empty', /1 creations/);
    const packed = gzipSync(`${ETL}\n${`h,${A},${B},5,2\n`.repeat(1000)}`);
    await refused(packed.subarray(0, packed.length - 20), 'trace/unreadable', /damaged gzip data/);
    await assert.rejects(readTrace(join(directory, 'absent.csv')), { code: 'trace/unreadable', message: /absent\.csv: cannot be read: no such file/ });
    await assert.rejects(readTrace(directory), { code: 'trace/unreadable', message: /it is a directory/ });
  });

  const skip = existsSync(MAINNET) ? false : `${MAINNET} is not here: any ethereum-etl transactions.csv from risechain/pevm's data/ethereum/blocks will do`;
  test('replays 13,066 of 13,083 mainnet rows and names the other 17', { skip }, async () => {
    const trace = await readTrace(MAINNET);
    assert.deepEqual(trace.summary, { rows: 13_083, replayed: 13_066, leftOut: { creation: 12, type3: 5 } });
    assert.equal(trace.digest, createHash('sha256').update(await readFile(MAINNET)).digest('hex'));
    const bySender = new Map<number, number>();
    for (const sender of trace.from) bySender.set(sender, (bySender.get(sender) ?? 0) + 1);
    assert.equal(Math.max(...bySender.values()), 1408);
  });
});
