import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '@shardlab/crosslink';
import { BATCH_TYPE, encodeTransaction, type TransactionFields } from '@shardlab/shard';
import { formatTransaction } from 'viem';
import { transactionJson } from '../../src/rpc/transaction-json.ts';

const TO = new Uint8Array(20).fill(0xaa) as Address;
const FROM = new Uint8Array(20).fill(0xbb);
const SIGNATURE = { yParity: 1, r: new Uint8Array(32).fill(1), s: new Uint8Array(32).fill(2) } as const;
const TERMS = { chainId: 1337, nonce: 7, gasLimit: 90_000, maxPriorityFeePerGas: 2n, maxFeePerGas: 100n };

function json(fields: TransactionFields): Record<string, unknown> {
  return transactionJson(encodeTransaction(fields, SIGNATURE), new Uint8Array(32), FROM, undefined, undefined);
}

test('a set-code transaction is shown as Ethereum shows it: viem reads it back', () => {
  const signed = { chainId: 1337n, address: TO, nonce: 3n, yParity: 1, r: 5n, s: 6n };
  const shown = json({ type: 4, ...TERMS, to: TO, value: 5n, data: Uint8Array.of(1), accessList: [], authorizations: [signed] });
  assert.equal(shown['type'], '0x4');
  assert.deepEqual(shown['authorizationList'], [{ chainId: '0x539', address: `0x${'aa'.repeat(20)}`, nonce: '0x3', yParity: '0x1', r: '0x5', s: '0x6' }]);
  const read = formatTransaction(shown);
  assert.equal(read.type, 'eip7702');
  assert.equal(read.authorizationList?.length, 1);
  assert.equal(read.authorizationList?.[0]?.nonce, 3);
  assert.deepEqual([read.maxFeePerGas, read.maxPriorityFeePerGas, read.value, read.input], [100n, 2n, 5n, '0x01']);
});

test('an atomic batch shows its calls, their sum, and no recipient', () => {
  const calls = [
    { to: TO, value: 5n, gasLimit: 30_000, data: new Uint8Array(0) },
    { to: TO, value: 7n, gasLimit: 32_000, data: Uint8Array.of(1, 2) },
  ];
  const shown = json({ type: BATCH_TYPE, ...TERMS, calls });
  const to = `0x${'aa'.repeat(20)}`;
  const expected = {
    type: '0x70',
    chainId: '0x539',
    nonce: '0x7',
    to: null,
    value: '0xc',
    input: '0x',
    gas: '0x15f90',
    maxFeePerGas: '0x64',
    maxPriorityFeePerGas: '0x2',
    yParity: '0x1',
    v: '0x1',
    calls: [
      { to, value: '0x5', gas: '0x7530', input: '0x' },
      { to, value: '0x7', gas: '0x7d00', input: '0x0102' },
    ],
  };
  for (const [name, value] of Object.entries(expected)) assert.deepEqual(shown[name], value, name);
  assert.ok(!('accessList' in shown) && !('authorizationList' in shown));
});

test('a legacy transaction shows a gas price and no lists', () => {
  const { chainId, nonce, gasLimit } = TERMS;
  const shown = json({ type: 0, chainId, nonce, gasLimit, gasPrice: 9n, to: undefined, value: 0n, data: Uint8Array.of(0x60) });
  assert.deepEqual([shown['to'], shown['gasPrice'], shown['v'], shown['input']], [null, '0x9', `0x${(35 + 2 * 1337 + 1).toString(16)}`, '0x60']);
  assert.ok(!('yParity' in shown) && !('accessList' in shown) && !('maxFeePerGas' in shown));
});
