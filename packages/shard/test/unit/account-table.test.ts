import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesKey, Prng } from '@shardlab/crosslink';
import type { Account } from '../../src/state/account.ts';
import { AccountTable } from '../../src/state/account-table.ts';

const SEED = 20_241_121;

function accountOf(key: string): Account {
  return { key, balance: 0n, nonce: 0, ref: -1, oldBalance: 0n, oldNonce: 0, touched: false, contract: undefined };
}

/** Keys whose bytes are few, so that they share most of their integers. */
function keyOf(prng: Prng): string {
  const bytes = new Uint8Array(20);
  for (let i = 0; i < 3; i++) bytes[prng.below(20)] = prng.below(4) * 85;
  return bytesKey(bytes);
}

for (const seed of [0, 1, 0xffff_ffff]) {
  test(`does what a Map does, whatever comes and goes (hash seed ${seed}, seed ${SEED})`, () => {
    const prng = new Prng(SEED);
    const table = new AccountTable(seed);
    const model = new Map<string, Account>();
    let deleted = 0;
    for (let step = 0; step < 40_000; step++) {
      const key = keyOf(prng);
      const known = model.get(key);
      assert.equal(table.get(key), known);
      // Grows for a while, then shrinks.
      const grows = prng.below(10) < (step % 20_000 < 12_000 ? 8 : 2);
      if (known === undefined && grows) {
        const account = accountOf(key);
        model.set(key, account);
        table.add(account);
      } else if (!grows) {
        if (model.delete(key)) deleted++;
        table.delete(key);
      }
      assert.equal(table.size, model.size);
    }
    assert.ok(model.size > 100 && deleted > 1_000, `${model.size} accounts stayed, ${deleted} went`);
    for (const [key, account] of model) assert.equal(table.get(key), account);
  });
}

test('finds every one of many accounts', () => {
  const prng = new Prng(SEED);
  const table = new AccountTable(7);
  const accounts = Array.from({ length: 20_000 }, () => accountOf(bytesKey(Uint8Array.from({ length: 20 }, () => prng.below(256)))));
  for (const account of accounts) table.add(account);
  for (const account of accounts) assert.equal(table.get(account.key), account);
  assert.equal(table.get(bytesKey(new Uint8Array(20))), undefined);
});

test('takes no key of another length, and no account twice', () => {
  const table = new AccountTable(0);
  const account = accountOf(bytesKey(new Uint8Array(20)));
  table.add(account);
  assert.throws(() => table.get(bytesKey(new Uint8Array(19))), { code: 'invariant' });
  assert.throws(() => table.add(account), { code: 'invariant' });
});
