import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { toHex } from '@shardlab/crosslink';
import { encodeFunctionData, parseAbi } from 'viem';
import { checkInvariants } from '../../src/audit/invariants.ts';
import type { Source } from '../../src/audit/source.ts';
import { readWorkloadFile, RUNS_MAX, type WorkloadRun } from '../../src/audit/workload-file.ts';
import { saveWorkloadRun, withMints, workloadRun } from '../../src/report/workload-file.ts';

const ABI = parseAbi([
  'function totalSupply() view', 'function balanceOf(address) view', 'function next() view', 'function ownerOf(uint256) view', 'function getReserves() view',
  'function solvent() view', 'function totalSupplied() view', 'function totalCollateral() view', 'function totalDebt() view', 'function fees() view',
  'function supplied(address) view', 'function collateralOf(address) view', 'function debtOf(address) view',
]);

function at(byte: number): Uint8Array {
  return new Uint8Array(20).fill(byte);
}
const [A, B, TOKEN, OTHER, NFT, PAIR, POOL] = [1, 2, 3, 4, 5, 6, 7].map((byte) => toHex(at(byte))) as [string, string, string, string, string, string, string];

const RUN: WorkloadRun = {
  name: 'mixed',
  accounts: [A, B],
  shards: [
    {
      shard: 0,
      tokens: [TOKEN, OTHER],
      collectible: NFT,
      mints: 3,
      pools: [{ pair: PAIR, token0: TOKEN, token1: OTHER, productMin: '200' }],
      lending: { pool: POOL, asset: TOKEN, collateral: OTHER },
    },
  ],
};

function call(functionName: (typeof ABI)[number]['name'], ...args: unknown[]): string {
  return encodeFunctionData({ abi: ABI, functionName, args } as never);
}

/** Contracts of which everything is right: what each call returns, as words. */
function soundChain(): Map<string, bigint[]> {
  const chain = new Map<string, bigint[]>();
  const set = (to: string, data: string, ...words: bigint[]): unknown => chain.set(to + data, words);
  for (const [token, supply, own] of [[TOKEN, 100n, { [A]: 40n, [B]: 13n, [PAIR]: 10n, [POOL]: 37n }], [OTHER, 60n, { [A]: 20n, [B]: 3n, [PAIR]: 20n, [POOL]: 17n }]] as const) {
    set(token, call('totalSupply'), supply);
    for (const holder of [A, B, TOKEN, OTHER, PAIR, POOL]) set(token, call('balanceOf', holder), (own as Record<string, bigint>)[holder] ?? 0n);
  }
  set(NFT, call('next'), 3n);
  set(NFT, call('balanceOf', A), 2n);
  set(NFT, call('balanceOf', B), 1n);
  for (const [id, owner] of [[0n, A], [1n, B], [2n, A]] as const) set(NFT, call('ownerOf', id), BigInt(owner));
  set(PAIR, call('getReserves'), 10n, 20n, 0n);
  for (const [name, value] of [['solvent', 1n], ['totalSupplied', 42n], ['totalDebt', 6n], ['fees', 1n], ['totalCollateral', 17n]] as const) set(POOL, call(name), value);
  for (const [name, a, b] of [['supplied', 40n, 2n], ['debtOf', 6n, 0n], ['collateralOf', 7n, 10n]] as const) {
    set(POOL, call(name, A), a);
    set(POOL, call(name, B), b);
  }
  return chain;
}

function sourceOf(chain: ReadonlyMap<string, readonly bigint[]>): Source {
  const answer = (params: readonly unknown[]): string => {
    const [{ to, data }, tag] = params as [{ to: string; data: string }, string];
    assert.equal(tag, '0x9');
    return `0x${chain.get(to + data)!.map((word) => word.toString(16).padStart(64, '0')).join('')}`;
  };
  return {
    checkCancelled: () => undefined,
    shard: () => Promise.resolve('0x9'),
    shardBatch: (_: number, __: string, params: readonly (readonly unknown[])[]) => Promise.resolve(params.map(answer)),
  } as unknown as Source;
}

describe('invariants', () => {
  test('hold of sound contracts', async () => {
    const { ok, violations } = await checkInvariants(RUN, sourceOf(soundChain()));
    assert.deepEqual(violations, []);
    assert.deepEqual(ok, { 'token-supply': true, 'collectible-supply': true, 'pool-reserves': true, 'constant-product': true, 'lending-solvency': true });
  });

  const lies: readonly [string, string, string, bigint[], string][] = [
    ['a token out of nothing', TOKEN, call('totalSupply'), [99n], 'token-supply'],
    ['a mint that nobody has', NFT, call('balanceOf', A), [1n], 'collectible-supply'],
    ['a stranger owns a token', NFT, call('ownerOf', 1n), [99n], 'collectible-supply'],
    ['reserves that are not there', PAIR, call('getReserves'), [11n, 20n, 0n], 'pool-reserves'],
    ['an insolvent pool', POOL, call('solvent'), [0n], 'lending-solvency'],
    ['a debt that nobody owes', POOL, call('debtOf', A), [5n], 'lending-solvency'],
    ['collateral that is gone', POOL, call('totalCollateral'), [18n], 'lending-solvency'],
  ];
  for (const [what, to, data, words, name] of lies) {
    test(`are violated by ${what}`, async () => {
      const chain = soundChain();
      assert.ok(chain.has(to + data));
      chain.set(to + data, words);
      const { ok, violations } = await checkInvariants(RUN, sourceOf(chain));
      assert.deepEqual(violations.map((each) => each.name), [name]);
      assert.equal((ok as Record<string, boolean>)[name], false);
    });
  }

  test('are violated by a product that fell, and by mints that were committed and are not there', async () => {
    const [shard] = RUN.shards;
    const changed = { ...RUN, shards: [{ ...shard!, mints: 4, pools: [{ ...shard!.pools[0]!, productMin: '201' }] }] };
    const { violations } = await checkInvariants(changed, sourceOf(soundChain()));
    assert.deepEqual(violations.map(({ name }) => name), ['collectible-supply', 'constant-product']);
  });
});

describe('workload.json', () => {
  const directory = mkdtempSync(join(tmpdir(), 'shardlab-workload-'));
  const file = join(directory, 'workload.json');
  const hash = `0x${'ab'.repeat(32)}`;
  after(() => rmSync(directory, { recursive: true }));

  test('what the load tool writes is what the audit reads; a run is replaced, and the newest stay', async () => {
    assert.equal(readWorkloadFile(file, hash), undefined);
    const deployment = { shard: 1, treasury: 0, tokens: [at(3), at(4)], collectible: at(5), router: at(8), factory: at(9), pools: [{ pair: at(6), token: 1 }], lending: at(7) };
    const run = workloadRun('mixed', [at(1)], [deployment]);
    await saveWorkloadRun(directory, hash, run);
    assert.deepEqual(readWorkloadFile(file, hash)!.runs, [run]);
    const counted = withMints(run, [0, 5]);
    await saveWorkloadRun(directory, hash, counted, run);
    assert.deepEqual(readWorkloadFile(file, hash)!.runs.map(({ shards }) => shards[0]!.mints), [5]);
    for (let index = 0; index < RUNS_MAX + 2; index++) await saveWorkloadRun(directory, hash, { ...run, name: `run-${index}` });
    assert.deepEqual(readWorkloadFile(file, hash)!.runs.map(({ name }) => name), Array.from({ length: RUNS_MAX }, (_, index) => `run-${index + 2}`));
  });

  test('a file that is damaged, or of another network, is refused in one line', () => {
    const good = { formatVersion: 1, genesisHash: hash, runs: [RUN] };
    const refused = (content: unknown, message: RegExp): void => {
      writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
      assert.throws(() => readWorkloadFile(file, hash), { code: 'audit/workload', message });
    };
    refused('{', /is not JSON/);
    refused({ ...good, formatVersion: 2 }, /format version 1/);
    refused({ ...good, genesisHash: `0x${'cd'.repeat(32)}` }, /another network/);
    refused({ ...good, runs: Array.from({ length: RUNS_MAX + 1 }, () => RUN) }, /format version 1/);
    for (const broken of [{ ...RUN, accounts: ['0x12'] }, { ...RUN, name: 'Evil\n' }, { ...RUN, shards: [{ ...RUN.shards[0]!, mints: -1 }] }, null]) refused({ ...good, runs: [broken] }, /format version 1/);
  });
});
