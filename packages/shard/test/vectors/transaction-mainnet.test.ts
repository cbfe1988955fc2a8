/** Real mainnet transactions, from risechain/pevm's block data: every hash and sender must be exact. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { type Address, concatBytes, fromHex, type Hash32, toHex } from '@shardlab/crosslink';

import { AdmissionBatch } from '../../src/transaction/admission-record.ts';
import { decodeTransaction, recoverSender } from '../../src/transaction/decode.ts';
import { encodeTransaction } from '../../src/transaction/encode.ts';
import { TransactionError } from '../../src/transaction/errors.ts';
import { recoverBatch } from '../../src/transaction/recover-batch.ts';
import { rlpBytes, rlpList, rlpUint } from '../../src/transaction/rlp.ts';
import type { TransactionFields, TransactionSignature } from '../../src/transaction/types.ts';
import { noble } from '../unit/transaction-support.ts';

const DATA = process.env.SHARDLAB_DATA ?? join(import.meta.dirname, '../../../../../shared/data');
const FILE = join(DATA, 'mainnet/signed-transactions.json.gz');
const SKIP = existsSync(FILE)
  ? false
  : `no ${FILE}: take signed transactions with r, s, v, hash and from out of data/ethereum/blocks of github.com/risechain/pevm, and set SHARDLAB_DATA`;

interface Row {
  readonly type: string;
  readonly chainId?: string;
  readonly nonce: string;
  readonly gasPrice: string;
  readonly maxFeePerGas?: string;
  readonly maxPriorityFeePerGas?: string;
  readonly gas: string;
  readonly to: string | null;
  readonly value: string;
  readonly input: string;
  readonly accessList?: readonly { readonly address: string; readonly storageKeys: readonly string[] }[];
  readonly maxFeePerBlobGas?: string;
  readonly blobVersionedHashes?: readonly string[];
  readonly v: string;
  readonly r: string;
  readonly s: string;
  readonly hash: string;
  readonly from: string;
}

function rows(): readonly Row[] {
  return JSON.parse(gunzipSync(readFileSync(FILE)).toString()) as readonly Row[];
}

function fieldsOf(row: Row): TransactionFields {
  const v = Number(row.v);
  const chainId = Number(row.chainId ?? 1);
  const common = {
    nonce: Number(row.nonce),
    gasLimit: Number(row.gas),
    to: row.to === null ? undefined : (fromHex(row.to) as Address),
    value: BigInt(row.value),
    data: fromHex(row.input),
  };
  const accessList = (row.accessList ?? []).map(({ address, storageKeys }) => ({
    address: fromHex(address) as Address,
    storageKeys: storageKeys.map((key) => fromHex(key) as Hash32),
  }));
  if (row.type === '0x0') return { type: 0, chainId: v < 35 ? undefined : Math.floor((v - 35) / 2), gasPrice: BigInt(row.gasPrice), ...common };
  if (row.type === '0x1') return { type: 1, chainId, gasPrice: BigInt(row.gasPrice), accessList, ...common };
  const fees = { maxFeePerGas: BigInt(row.maxFeePerGas!), maxPriorityFeePerGas: BigInt(row.maxPriorityFeePerGas!) };
  return { type: 2, chainId, accessList, ...fees, ...common };
}

function word(hex: string): Uint8Array {
  return fromHex(`0x${hex.slice(2).padStart(64, '0')}`);
}

function signatureOf(row: Row): TransactionSignature {
  const v = Number(row.v);
  const odd = row.type !== '0x0' ? v === 1 : v < 35 ? v === 28 : v % 2 === 0;
  return { yParity: odd ? 1 : 0, r: word(row.r), s: word(row.s) };
}

function blobTransaction(row: Row): Uint8Array {
  const fields = fieldsOf({ ...row, type: '0x2' });
  assert.equal(fields.type, 2);
  const numbers = [fields.chainId, fields.nonce, fields.maxPriorityFeePerGas, fields.maxFeePerGas, fields.gasLimit] as const;
  return concatBytes(
    Uint8Array.of(3),
    rlpList([
      ...numbers.map((value) => rlpUint(value)),
      rlpBytes(fields.to!),
      rlpUint(fields.value),
      rlpBytes(fields.data),
      rlpList(fields.accessList.map((entry) => rlpList([rlpBytes(entry.address), rlpList(entry.storageKeys.map(rlpBytes))]))),
      rlpUint(BigInt(row.maxFeePerBlobGas!)),
      rlpList(row.blobVersionedHashes!.map((hash) => rlpBytes(fromHex(hash)))),
      rlpUint(BigInt(row.v)),
      rlpUint(BigInt(row.r)),
      rlpUint(BigInt(row.s)),
    ]),
  );
}

suite('mainnet transactions', { skip: SKIP }, () => {
  test('every hash and sender of types 0 to 2 is exact, and re-encoding gives the same bytes', () => {
    const known = rows().filter((row) => row.type !== '0x3');
    assert.ok(known.length >= 1_000, `${known.length} rows`);
    const raws = known.map((row) => encodeTransaction(fieldsOf(row), signatureOf(row)));
    const found = new AdmissionBatch(raws, recoverBatch(raws, noble, { chainId: 1, allowUnprotected: true, fork: 'cancun' }));
    known.forEach((row, i) => {
      assert.equal(found.error(i), undefined, row.hash);
      const transaction = found.transaction(i);
      assert.equal(toHex(transaction.hash), row.hash);
      assert.equal(toHex(transaction.sender), row.from, row.hash);
      const decoded = decodeTransaction(raws[i]!);
      assert.deepEqual(decoded.fields, fieldsOf(row), row.hash);
      assert.deepEqual(encodeTransaction(decoded.fields, decoded.signature), raws[i], row.hash);
    });
    const early = known.findIndex((row) => row.type === '0x0' && Number(row.v) < 35);
    assert.ok(early >= 0, 'the file holds transactions from before EIP-155');
    assert.equal(toHex(recoverSender(raws[early]!, noble)), known[early]!.from);
  });

  test('type 3 is refused by name', () => {
    const blobs = rows().filter((row) => row.type === '0x3');
    assert.ok(blobs.length > 0);
    for (const row of blobs) {
      const raw = blobTransaction(row);
      assert.equal(toHex(noble.keccak256(raw)), row.hash, 'these are the real bytes');
      assert.throws(
        () => decodeTransaction(raw),
        (error) => error instanceof TransactionError && error.code === 'tx/type3-unsupported' && /EIP-4844/.test(error.message),
      );
    }
  });
});
