import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fromHex, toHex } from '@shardlab/crosslink';
import { Transaction } from 'ethers';
import fc from 'fast-check';
import { serializeTransaction, type TransactionSerializable } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';

import { decodeTransaction, intrinsicGasOf, recoverSender } from '../../src/transaction/decode.ts';
import { addressOfSecretKey, encodeTransaction, signingPayload, signTransaction } from '../../src/transaction/encode.ts';
import type { TransactionFields } from '../../src/transaction/types.ts';
import { fieldsArbitrary, noble, secretKeyOf, TRANSFER } from './transaction-support.ts';

const seeds = fc.integer({ min: 1, max: 1_000_000 });

/** The same transaction in viem's words. */
function toViem(fields: TransactionFields): TransactionSerializable {
  const common = {
    nonce: fields.nonce,
    gas: BigInt(fields.gasLimit),
    to: fields.to === undefined ? null : (toHex(fields.to) as `0x${string}`),
    value: fields.value,
    data: toHex(fields.data) as `0x${string}`,
  };
  if (fields.type === 0) {
    const legacy = { type: 'legacy' as const, gasPrice: fields.gasPrice, ...common };
    return fields.chainId === undefined ? legacy : { ...legacy, chainId: fields.chainId };
  }
  const accessList = fields.accessList.map(({ address, storageKeys }) => ({
    address: toHex(address) as `0x${string}`,
    storageKeys: storageKeys.map((key) => toHex(key) as `0x${string}`),
  }));
  const { chainId } = fields;
  if (fields.type === 1) return { type: 'eip2930', chainId, gasPrice: fields.gasPrice, accessList, ...common };
  const { maxFeePerGas, maxPriorityFeePerGas } = fields;
  return { type: 'eip1559', chainId, maxFeePerGas, maxPriorityFeePerGas, accessList, ...common };
}

test('transactions that viem signed decode, hash and recover; ours are byte-identical', async () => {
  await fc.assert(
    fc.asyncProperty(fieldsArbitrary, seeds, async (fields, seed) => {
      const secretKey = secretKeyOf(seed);
      const account = privateKeyToAccount(toHex(secretKey) as `0x${string}`);
      const raw = fromHex(await account.signTransaction(toViem(fields)));
      const ours = signTransaction(fields, secretKey, noble);
      assert.equal(toHex(ours.raw), toHex(raw));
      const decoded = decodeTransaction(raw);
      assert.deepEqual(decoded.fields, fields);
      assert.deepEqual(encodeTransaction(decoded.fields, decoded.signature), raw);
      assert.equal(toHex(signingPayload(fields)), serializeTransaction(toViem(fields)));
      assert.equal(toHex(recoverSender(raw, noble)), account.address.toLowerCase());
      assert.equal(toHex(addressOfSecretKey(secretKey, noble)), account.address.toLowerCase());
    }),
    { numRuns: 60 },
  );
});

test('ethers reads the transactions that we signed', () => {
  fc.assert(
    fc.property(fieldsArbitrary, seeds, (fields, seed) => {
      const secretKey = secretKeyOf(seed);
      const { raw, hash } = signTransaction(fields, secretKey, noble);
      const parsed = Transaction.from(toHex(raw));
      assert.equal(parsed.hash, toHex(hash));
      assert.equal(parsed.from?.toLowerCase(), toHex(addressOfSecretKey(secretKey, noble)));
      assert.equal(parsed.nonce, fields.nonce);
      assert.equal(parsed.value, fields.value);
      assert.equal(parsed.type, fields.type);
      assert.equal(parsed.chainId, BigInt(fields.chainId ?? 0));
    }),
    { numRuns: 40 },
  );
});

test('intrinsic gas of Shanghai and Cancun', () => {
  const data = Uint8Array.of(0, 1, 0, 2, 3);
  assert.equal(intrinsicGasOf(TRANSFER), 21_000);
  assert.equal(intrinsicGasOf({ ...TRANSFER, data }), 21_000 + 2 * 4 + 3 * 16);
  assert.equal(intrinsicGasOf({ ...TRANSFER, to: undefined, data: new Uint8Array(33) }), 53_000 + 33 * 4 + 2 * 2);
  const key = new Uint8Array(32) as NonNullable<(typeof TRANSFER)['accessList'][number]>['storageKeys'][number];
  const accessList = [
    { address: TRANSFER.to!, storageKeys: [key, key] },
    { address: TRANSFER.to!, storageKeys: [] },
  ];
  assert.equal(intrinsicGasOf({ ...TRANSFER, accessList }), 21_000 + 2 * 2_400 + 2 * 1_900);
});

test('256-bit values and fees decode: only admission refuses them', () => {
  const huge = 2n ** 256n - 1n;
  const fields = { ...TRANSFER, value: huge, maxFeePerGas: huge, maxPriorityFeePerGas: huge };
  assert.deepEqual(decodeTransaction(signTransaction(fields, secretKeyOf(1), noble).raw).fields, fields);
});
