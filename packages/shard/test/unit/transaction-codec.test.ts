import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fromHex, toHex } from '@shardlab/crosslink';
import { Transaction } from 'ethers';
import fc from 'fast-check';
import { keccak256, numberToHex, serializeTransaction, toRlp, type TransactionSerializable } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';

import { decodeCalls, decodeTransaction, intrinsicGasOf, recoverSender } from '../../src/transaction/decode.ts';
import { addressOfSecretKey, encodeTransaction, signingPayload, signTransaction } from '../../src/transaction/encode.ts';
import type { BatchFields, TransactionFields } from '../../src/transaction/types.ts';
import { BATCH, fieldsArbitrary, noble, secretKeyOf, SET_CODE, TRANSFER, walletFields } from './transaction-support.ts';

const seeds = fc.integer({ min: 1, max: 1_000_000 });

/** The same transaction in viem's words. */
function toViem(fields: Exclude<TransactionFields, BatchFields>): TransactionSerializable {
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
  if (fields.type === 4) {
    const authorizationList = fields.authorizations.map(({ chainId: signedFor, address, nonce, yParity, r, s }) => ({
      chainId: Number(signedFor),
      address: toHex(address) as `0x${string}`,
      nonce: Number(nonce),
      yParity,
      r: numberToHex(r, { size: 32 }),
      s: numberToHex(s, { size: 32 }),
    }));
    return { type: 'eip7702', chainId, maxFeePerGas, maxPriorityFeePerGas, accessList, authorizationList, ...common, to: toHex(fields.to) as `0x${string}` };
  }
  return { type: 'eip1559', chainId, maxFeePerGas, maxPriorityFeePerGas, accessList, ...common };
}

test('transactions that viem signed decode, hash and recover; ours are byte-identical', async () => {
  await fc.assert(
    fc.asyncProperty(walletFields, seeds, async (fields, seed) => {
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
    fc.property(walletFields, seeds, (fields, seed) => {
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

test('every type: what is encoded is what is decoded, and the other way round', () => {
  fc.assert(
    fc.property(fieldsArbitrary, seeds, (fields, seed) => {
      const secretKey = secretKeyOf(seed);
      const { raw } = signTransaction(fields, secretKey, noble);
      const decoded = decodeTransaction(raw);
      assert.deepEqual(decoded.fields, fields);
      assert.deepEqual(encodeTransaction(decoded.fields, decoded.signature), raw);
      assert.deepEqual(recoverSender(raw, noble), addressOfSecretKey(secretKey, noble));
    }),
    { numRuns: 60 },
  );
});

test('a batch is what the format says, written by another encoder', () => {
  const { raw } = signTransaction(BATCH, secretKeyOf(4), noble);
  const { r, s, yParity } = decodeTransaction(raw).signature;
  const hex = (bytes: Uint8Array): `0x${string}` => toHex(bytes) as `0x${string}`;
  const calls = BATCH.calls.map((call) => [hex(call.to), numberToHex(call.value), numberToHex(call.gasLimit), hex(call.data)]);
  const unsigned = [numberToHex(1337), '0x07', '0x01', numberToHex(100), numberToHex(200_000), calls] as const;
  const signing = `0x70${toRlp(unsigned).slice(2)}` as const;
  assert.equal(toHex(signingPayload(BATCH)), signing);
  assert.equal(keccak256(signing), toHex(noble.keccak256(signingPayload(BATCH))));
  const minimal = (bytes: Uint8Array): `0x${string}` => numberToHex(BigInt(hex(bytes))).replace(/^0x(?=(?:..)*.$)/, '0x0') as `0x${string}`;
  assert.equal(toHex(raw), `0x70${toRlp([...unsigned, yParity === 0 ? '0x' : '0x01', minimal(r), minimal(s)]).slice(2)}`);
  assert.deepEqual(decodeCalls(raw), BATCH.calls);
  assert.throws(() => decodeCalls(signTransaction(TRANSFER, secretKeyOf(4), noble).raw), { code: 'tx/type-unknown' });
});

test('intrinsic gas of authorizations, of batches, and the floor of Prague', () => {
  assert.equal(intrinsicGasOf(SET_CODE, 'prague'), 46_000);
  assert.equal(intrinsicGasOf({ ...SET_CODE, authorizations: [SET_CODE.authorizations[0]!, SET_CODE.authorizations[0]!] }, 'prague'), 71_000);
  assert.equal(intrinsicGasOf(BATCH), 21_000 + 2_600 + 4 + 2 * 16);
  // One token a zero byte, four another one; ten gas a token.
  assert.equal(intrinsicGasOf({ ...TRANSFER, data: Uint8Array.of(0, 1) }, 'prague'), 21_000 + 5 * 10);
  const data = new Uint8Array(1_000).fill(1);
  assert.equal(intrinsicGasOf({ ...BATCH, calls: [{ ...BATCH.calls[0]!, data }] }, 'prague'), 21_000 + 40_000);
  assert.equal(intrinsicGasOf({ ...SET_CODE, data }, 'prague'), 62_000, 'above the floor');
});

test('256-bit values and fees decode: only admission refuses them', () => {
  const huge = 2n ** 256n - 1n;
  const fields = { ...TRANSFER, value: huge, maxFeePerGas: huge, maxPriorityFeePerGas: huge };
  assert.deepEqual(decodeTransaction(signTransaction(fields, secretKeyOf(1), noble).raw).fields, fields);
});
