/** `npm run test:ethereum` itself: what it counts, what it says, and how it takes files that are no tests. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { FileOutcome } from './ethereum/outcome.ts';
import { runAll } from './ethereum/pool.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NO_LOGS = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347';
const SENDER = `0x${'aa'.repeat(20)}`;
const TO = `0x${'bb'.repeat(20)}`;

type Json = Record<string, unknown>;

/** One ether from one account to another; `post` by fork. */
function transfer(post: Json, changes: Json = {}): Json {
  const transaction = { data: ['0x', '0x00'], gasLimit: ['0x5208', '0x520c'], gasPrice: '0x0a', nonce: '0x00', sender: SENDER, to: TO, value: ['0x0de0b6b3a7640000'] };
  return {
    env: {
      currentCoinbase: `0x${'cc'.repeat(20)}`,
      currentGasLimit: '0x1c9c380',
      currentNumber: '0x01',
      currentTimestamp: '0x03e8',
      currentRandom: '0x00',
      currentBaseFee: '0x0a',
    },
    pre: { [SENDER]: { nonce: '0x00', balance: '0x1bc16d674ec80000', code: '0x', storage: {} } },
    transaction,
    post,
    ...changes,
  };
}

function expected(parts: Json): Json {
  return { hash: POST_ROOT, logs: NO_LOGS, indexes: { data: 0, gas: 0, value: 0 }, ...parts };
}

/** Root of the state before {@link transfer}, and after it. */
const PRE_ROOT = '0xda3d4ff69aa72cb380e0ab74e5cfa4e59b03fa59b42de57acc9375595308d67b';
const POST_ROOT = '0xf6a63edc10ea887d16ad0cce5b638e9f98899efe6811c30f0a12797121732fd1';
const REFUSED = { hash: PRE_ROOT, indexes: { data: 1, gas: 0, value: 0 }, expectException: 'TransactionException.INTRINSIC_GAS_TOO_LOW' };

interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function run(...args: readonly string[]): Promise<Run> {
  const child = spawn(process.execPath, [join(ROOT, 'scripts/test-ethereum.ts'), '--workers', '1', ...args], { cwd: ROOT });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const { promise, resolve } = Promise.withResolvers<number | null>();
  child.on('close', resolve);
  return { code: await promise, out, err };
}

/** A directory with these files; what is no string is written as JSON. */
function directory(t: TestContext, files: Readonly<Record<string, unknown>>): string {
  const dir = mkdtempSync(join(tmpdir(), 'shardlab-ethereum-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return dir;
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)!;
}

suite('test:ethereum', () => {
  test('counts what passes, and names other forks', async (t) => {
    const cases = [expected({}), expected({ indexes: { data: 0, gas: 1, value: 0 } }), expected(REFUSED)];
    const dir = directory(t, {
      'a/transfer.json': { transfer: transfer({ Cancun: cases, London: cases }) },
      'b/prague.json': { transfer: transfer({ Prague: cases }) },
      '.meta/index.json': '{"root": 1}',
      'README.md': 'no test',
    });
    const { code, out, err } = await run('--dir', dir);
    assert.deepEqual([code, lastLine(out), err], [0, '6 passed, 0 failed, 0 skipped', '']);
    assert.match(out, /^not counted, because the fork is not implemented: London 3$/m);
  });

  test('says what is wrong with a case, and at which account if the file lists the state', async (t) => {
    const account = { nonce: '0x00', balance: '0x0de0b6b3a7640001', code: '0x', storage: {} };
    const cases = [
      expected({ hash: NO_LOGS }),
      expected({ logs: PRE_ROOT }),
      expected({ state: { [TO]: account } }),
      expected({ expectException: 'TransactionException.SENDER_NOT_EOA' }),
      expected({ ...REFUSED, expectException: undefined }),
    ];
    const { code, out } = await run('--dir', directory(t, { 'wrong.json': { one: transfer({ Cancun: cases }) } }));
    const lines = out.split('\n').filter((line) => line.startsWith('FAILED '));
    assert.deepEqual([code, lines.length, lastLine(out)], [1, 5, '0 passed, 5 failed, 0 skipped']);
    assert.match(lines[0]!, /^FAILED wrong\.json::one \[Cancun d0 g0 v0\]: the state root is 0x[0-9a-f]{64}, not 0x1dcc.*; status 1, gas used 21000$/);
    assert.match(lines[1]!, /the logs hash is 0x1dcc/);
    assert.match(lines[2]!, new RegExp(`${SENDER} exists and should not`));
    assert.match(lines[3]!, /must be refused \(TransactionException\.SENDER_NOT_EOA\): status 1/);
    assert.match(lines[4]!, /\[Cancun d1 g0 v0\]: must not be refused: refused: intrinsic-gas$/);
  });

  test('takes what is no test as one failure each, with a line and without a stack', async (t) => {
    const good = transfer({ Cancun: [expected({})] });
    const files: Record<string, unknown> = {
      'empty.json': '',
      'cut.json': '{"transfer": {"env": {',
      'list.json': [1, 2],
      'null.json': { one: null },
      'no-post.json': { one: { ...good, post: undefined } },
      'post-list.json': { one: { ...good, post: { Cancun: {} } } },
      'no-env.json': { one: { ...good, env: undefined } },
      'address.json': { one: { ...good, pre: { '0x12': {} } } },
      'balance.json': { one: { ...good, pre: { [SENDER]: { nonce: '0x00', balance: 'many', code: '0x', storage: {} } } } },
      'code.json': { one: { ...good, pre: { [SENDER]: { nonce: '0x00', balance: '0x00', code: '0x1', storage: {} } } } },
      'key.json': { one: { ...good, pre: { [SENDER]: { nonce: '0x00', balance: '0x00', code: '0x', storage: { [`0x1${'00'.repeat(32)}`]: '0x01' } } } } },
      'index.json': { one: transfer({ Cancun: [expected({ indexes: { data: 7, gas: 0, value: 0 } })] }) },
      'no-index.json': { one: transfer({ Cancun: [expected({ indexes: null })] }) },
      'hash.json': { one: transfer({ Cancun: [expected({ hash: '0x12' })] }) },
      'blob.json': { one: { ...good, env: { ...(good.env as Json), currentExcessBlobGas: '0xffffffffffffffff' } } },
      'key-pair.json': { one: { ...good, transaction: { ...(good.transaction as Json), sender: undefined, secretKey: '0x00' } } },
      'deep.json': '['.repeat(200_000),
    };
    const { code, out, err } = await run('--dir', directory(t, { ...files, 'good.json': { transfer: good } }));
    const count = Object.keys(files).length;
    assert.deepEqual([code, lastLine(out), err], [1, `1 passed, ${count} failed, 0 skipped`, '']);
    for (const name of Object.keys(files)) assert.equal(out.split('\n').filter((line) => line.startsWith(`FAILED ${name}`)).length, 1, name);
    assert.doesNotMatch(out, /^\s+at /m);
  });

  test('--json gives one line for machines, --filter takes part', async (t) => {
    const dir = directory(t, { 'x.json': { one: transfer({ Cancun: [expected({}), expected({ hash: PRE_ROOT })] }) }, 'y.json': '{' });
    const { code, out, err } = await run('--dir', dir, '--json');
    assert.equal(code, 1);
    assert.equal(out.trimEnd().split('\n').length, 1);
    const { passed, failed, skipped, failures } = JSON.parse(out) as { passed: number; failed: number; skipped: number; failures: { name: string; reason: string }[] };
    assert.deepEqual([passed, failed, skipped], [1, 2, 0]);
    assert.deepEqual(failures.map(({ name }) => name).toSorted((a, b) => (a < b ? -1 : 1)), ['x.json::one [Cancun d0 g0 v0]', 'y.json']);
    assert.equal(lastLine(err), '1 passed, 2 failed, 0 skipped');
    const part = await run('--dir', join(dir, 'x.json'), '--filter', 'nothing');
    assert.deepEqual([part.code, lastLine(part.out)], [1, '0 passed, 0 failed, 0 skipped']);
    assert.match(part.err, /no case of an implemented fork was found/);
  });

  test('a directory that is not there, and wrong words', async () => {
    const gone = await run('--dir', join(ROOT, 'no-such-directory'));
    assert.deepEqual([gone.code, lastLine(gone.out)], [1, '0 passed, 0 failed, 0 skipped']);
    assert.match(gone.err, /^test:ethereum: cannot read .*no-such-directory/);
    for (const args of [[], ['--dir', '.', '--workers', 'x'], ['--dri', '.']]) {
      const child = await run(...args);
      assert.equal(child.code, 2);
      assert.match(child.err, /^test:ethereum: .+\n$/);
    }
  });

  test('a file that does not end fails by itself; the next one runs in another thread', async (t) => {
    // JUMPDEST PUSH0 JUMP, with gas for a thousand years.
    const loop = { nonce: '0x01', balance: '0x00', code: '0x5b5f56', storage: {} };
    const gas = '0x7fffffffffffffff';
    const good = transfer({ Cancun: [expected({})] });
    const rich = { nonce: '0x00', balance: `0x${'ff'.repeat(16)}`, code: '0x', storage: {} };
    const endless = {
      ...good,
      env: { ...(good.env as Json), currentGasLimit: gas },
      pre: { [SENDER]: rich, [TO]: loop },
      transaction: { ...(good.transaction as Json), gasLimit: [gas] },
    };
    const dir = directory(t, { 'endless.json': { one: endless }, 'good.json': { one: good } });
    const jobs = ['endless.json', 'good.json'].map((name) => ({ path: join(dir, name), name }));
    const outcomes: FileOutcome[] = [];
    await runAll(jobs, { workers: 1, timeoutMs: 8_000, filter: undefined }, (_job, outcome) => outcomes.push(outcome));
    assert.deepEqual(outcomes.map(({ passed }) => passed), [0, 1]);
    assert.deepEqual(outcomes[0]?.failures, [{ name: 'endless.json', reason: 'not done after 8 s' }]);
  });
});
