import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bytesKey, fromHex, toHex } from '@shardlab/crosslink';
import { type Hex, keccak256, parseTransaction, recoverTransactionAddress } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { addressAt, deriveAccounts, homeShards } from '../../src/workload/account-set.ts';
import { feeBudget } from '../../src/workload/fees.ts';
import { DERIVED_BALANCE, planDerivedGenesis, planTraceGenesis } from '../../src/workload/genesis-plan.ts';
import { derivedSecret, traceSecret } from '../../src/workload/key-labels.ts';
import { SigningPool } from '../../src/workload/signing-pool.ts';
import { SIGN_CHUNK, signTransfers } from '../../src/workload/signed-load.ts';
import { generateTransfers } from '../../src/workload/transfers.ts';

const DATA = process.env['SHARDLAB_DATA'] ?? join(import.meta.dirname, '../../../../../shared/data');
const MAINNET = join(DATA, 'mainnet/transactions.csv.gz');

function sha256(text: string): string {
  return `0x${createHash('sha256').update(text).digest('hex')}`;
}

describe('signing', () => {
  const pool = new SigningPool({ workers: 2 });
  after(() => pool.stop());

  test('accounts are those of the contract, and viem finds the same addresses and shards', async () => {
    const accounts = await deriveAccounts({ kind: 'derived', seed: 5, count: 1500 }, pool);
    for (const index of [0, 1023, 1024, 1499]) {
      assert.equal(toHex(derivedSecret(5, index)), sha256(`shardlab/account/5/${index}`));
      assert.equal(toHex(addressAt(accounts, index)), privateKeyToAddress(sha256(`shardlab/account/5/${index}`) as Hex).toLowerCase());
    }
    assert.equal(toHex(traceSecret(5, '0xab')), sha256('shardlab/trace/5/0xab'));
    const moved = toHex(addressAt(accounts, 7));
    const homes = homeShards(accounts, 3, new Map([[moved, 2]]));
    for (let index = 0; index < 100; index++) {
      const first = Number.parseInt(keccak256(toHex(addressAt(accounts, index)) as Hex).slice(2, 10), 16);
      assert.equal(homes[index], index === 7 ? 2 : Math.floor((first * 3) / 2 ** 32));
    }
  });

  test('signed transfers are what was planned: viem reads every field, the sender and the hash, across chunks', async () => {
    const accounts = await deriveAccounts({ kind: 'derived', seed: 1, count: 40 }, pool);
    const homes = homeShards(accounts, 4, new Map());
    const count = SIGN_CHUNK + 300;
    const transfers = generateTransfers({ count, crossShardRatio: 0.25, zipf: 1, seed: 3 }, homes, 4);
    const nonces = Float64Array.from({ length: 40 }, (_, account) => account * 1000);
    const terms = { chainId: 1337, maxFeePerGas: 4_000_000_001n, maxPriorityFeePerGas: 1n, gasIntraShard: 21_000, gasCrossShard: 30_000, nonces };
    let reported = 0;
    const load = await signTransfers(transfers, accounts, homes, 4, terms, pool, (done) => (reported = done));
    assert.equal(reported, count);
    const next = nonces.slice();
    const seen = new Set<string>();
    for (let i = 0; i < count; i++) {
      const frame = Buffer.from(load.frame(i));
      const raw = frame.subarray(4);
      assert.equal(frame.readUInt32BE(0), raw.length);
      const nonce = next[transfers.from[i]!]!++;
      seen.add(bytesKey(load.hashes.subarray(32 * i, 32 * i + 32)));
      if (i % 97 !== 0) continue;
      const serialized = toHex(raw) as `0x02${string}`;
      const transaction = parseTransaction(serialized);
      const cross = homes[transfers.from[i]!] !== homes[transfers.to[i]!];
      assert.equal(transaction.nonce ?? 0, nonce);
      assert.equal(transaction.gas, cross ? 30_000n : 21_000n);
      assert.equal(transaction.to, toHex(addressAt(accounts, transfers.to[i]!)));
      assert.equal(transaction.value, transfers.values[2 * i + 1]);
      assert.deepEqual([transaction.chainId, transaction.maxFeePerGas, transaction.maxPriorityFeePerGas], [1337, 4_000_000_001n, 1n]);
      assert.equal((await recoverTransactionAddress({ serializedTransaction: serialized })).toLowerCase(), toHex(addressAt(accounts, transfers.from[i]!)));
      assert.equal(keccak256(serialized), toHex(load.hashes.subarray(32 * i, 32 * i + 32)));
    }
    assert.equal(seen.size, count);
  });

  test('a bad secret fails the pool with one error, and it stays failed', async () => {
    const broken = new SigningPool({ workers: 1 });
    try {
      // Zero is no secret key.
      await assert.rejects(broken.addresses({ kind: 'addresses', secrets: new Uint8Array(32) }), { code: 'workload/signing-failed' });
      await assert.rejects(broken.addresses({ kind: 'addresses', secrets: new Uint8Array(32).fill(1) }), { code: 'workload/signing-failed' });
    } finally {
      await broken.stop();
    }
  });
});

describe('genesis plans', () => {
  test('derived: entry i is account i, equal balances, and the supply stays below 2^128 at the largest size', async () => {
    const plan = await planDerivedGenesis(30, 9);
    assert.deepEqual(plan.workload, { seed: 9, accounts: 30 });
    plan.allocation.forEach(([address, wei], index) => {
      assert.equal(address, privateKeyToAddress(toHex(plan.secretKey(index)) as Hex).toLowerCase());
      assert.equal(wei, String(DERIVED_BALANCE));
    });
    assert.ok(DERIVED_BALANCE * 2_000_000n < 1n << 128n);
    await assert.rejects(planDerivedGenesis(0, 1), { code: 'workload/accounts', message: /1 to 2000000 accounts, not 0/ });
    await assert.rejects(planDerivedGenesis(1, -1), { code: 'workload/seed' });
  });

  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'shardlab-genesis-'));
  });
  after(() => rm(directory, { recursive: true }));

  test('a trace: each sender gets what it sends and its fees, sixteen times; one replay if more would not fit; too much is refused', async () => {
    const [a, b, c] = ['a1', 'b2', 'c3'].map((byte) => `0x${byte.repeat(20)}`) as [string, string, string];
    const plan = async (...rows: string[]): ReturnType<typeof planTraceGenesis> => {
      const file = join(directory, 'trace.csv');
      await writeFile(file, ['from_address,to_address,value', ...rows].join('\n'));
      return planTraceGenesis(file, 4);
    };
    const fee = feeBudget(1_000_000_000n);
    const small = await plan(`${b},${c},10`, `${a},${b},5`, `${b},${a},7`);
    assert.deepEqual(small.allocation.map(([, wei]) => BigInt(wei)), [16n * (17n + 2n * fee), 16n * (5n + fee)]);
    assert.equal(small.allocation[0]![0], privateKeyToAddress(sha256(`shardlab/trace/4/${b}`) as Hex).toLowerCase());
    assert.equal(toHex(small.secretKey(1)), sha256(`shardlab/trace/4/${a}`));
    const large = await plan(`${a},${b},${2n ** 127n}`);
    assert.deepEqual(large.allocation.map(([, wei]) => BigInt(wei)), [2n ** 127n + fee]);
    await assert.rejects(plan(`${a},${b},${2n ** 127n}`, `${b},${c},${2n ** 127n}`), { code: 'trace/supply', message: /must be below 2\^128/ });
  });

  const skip = existsSync(MAINNET) ? false : `${MAINNET} is not here: any ethereum-etl transactions.csv from risechain/pevm's data/ethereum/blocks will do`;
  test('mainnet: every sender of the sample is funded, the supply fits', { skip }, async () => {
    const plan = await planTraceGenesis(MAINNET, 1);
    assert.equal(plan.summary!.replayed, 13_066);
    assert.equal(new Set(plan.allocation.map(([address]) => bytesKey(fromHex(address)))).size, plan.allocation.length);
    const supply = plan.allocation.reduce((sum, [, wei]) => sum + BigInt(wei), 0n);
    assert.ok(supply < 1n << 128n && plan.allocation.every(([, wei]) => BigInt(wei) > 0n));
  });
});
