import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bytesKey, concatBytes, InvariantError, Prng, toHex } from '@shardlab/crosslink';
import fc from 'fast-check';

import { authorizationDigest } from '../../src/execution/evm/authorizations.ts';
import { checkStatic, rejectionOf } from '../../src/mempool/admission.ts';
import { AdmissionBatch, RECORD_BYTES } from '../../src/transaction/admission-record.ts';
import { decodeTransaction, intrinsicGasOf } from '../../src/transaction/decode.ts';
import { addressOfSecretKey, encodeTransaction, signTransaction } from '../../src/transaction/encode.ts';
import { TRANSACTION_ERRORS, TransactionError, type TransactionErrorCode } from '../../src/transaction/errors.ts';
import { type AdmissionPolicy, recoverBatch } from '../../src/transaction/recover-batch.ts';
import { dataOf, poolTransactionOf, toEvmTransaction } from '../../src/transaction/evm-transaction.ts';
import { rlpBytes, rlpList, rlpUint } from '../../src/transaction/rlp.ts';
import { BATCH_TYPE, type TransactionFields } from '../../src/transaction/types.ts';
import { BATCH, fakeRecovery, fieldsArbitrary, noble, secretKeyOf, SET_CODE, TRANSFER } from './transaction-support.ts';

const POLICY: AdmissionPolicy = { chainId: 1337, allowUnprotected: false, fork: 'cancun' };
const PRAGUE: AdmissionPolicy = { ...POLICY, fork: 'prague' };
const ANY: AdmissionPolicy = { chainId: undefined, allowUnprotected: true, fork: 'prague' };
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

function batch(raws: readonly Uint8Array[], policy = POLICY, primitives = fakeRecovery): AdmissionBatch {
  return new AdmissionBatch(raws, recoverBatch(raws, primitives, policy));
}

function signed(fields: TransactionFields): Uint8Array {
  return signTransaction(fields, secretKeyOf(1), noble).raw;
}

/** A type 2 transfer of which any item can be replaced by an encoded one. */
function items(replace: Record<number, Uint8Array> = {}): Uint8Array {
  const r = rlpUint(5n);
  const list = [1337, 7, 1, 100, 21_000].map((value) => rlpUint(value));
  list.push(rlpBytes(TRANSFER.to!), rlpUint(1), rlpUint(0), rlpList([]), rlpUint(0), r, r);
  return concatBytes(Uint8Array.of(2), rlpList(list.map((item, i) => replace[i] ?? item)));
}

test('a record says of a transaction what decoding it says', () => {
  fc.assert(
    fc.property(fieldsArbitrary, (arbitrary) => {
      const intrinsicGas = intrinsicGasOf(arbitrary, 'prague');
      const calls = arbitrary.type === BATCH_TYPE ? arbitrary.calls : undefined;
      const target = arbitrary.type === BATCH_TYPE ? undefined : arbitrary;
      const needed = (calls ?? []).reduce((sum, call) => sum + call.gasLimit, intrinsicGas);
      const fields = { ...arbitrary, gasLimit: arbitrary.gasLimit + needed };
      fc.pre(Number.isSafeInteger(fields.gasLimit));
      const { raw, hash } = signTransaction(fields, secretKeyOf(9), noble);
      const found = batch([raw], ANY);
      assert.equal(found.error(0), undefined);
      const view = found.transaction(0);
      assert.deepEqual(view.hash, hash);
      assert.equal(view.hashKey, bytesKey(hash));
      assert.deepEqual(view.raw, raw);
      assert.deepEqual(view.to, target?.to);
      assert.equal(view.toKey, target?.to === undefined ? undefined : bytesKey(target.to));
      assert.equal(view.maxFeePerGas, 'gasPrice' in fields ? fields.gasPrice : fields.maxFeePerGas);
      assert.equal(view.maxPriorityFeePerGas, 'gasPrice' in fields ? fields.gasPrice : fields.maxPriorityFeePerGas);
      assert.equal(view.intrinsicGas, intrinsicGas);
      assert.equal(view.dataLength, target?.data.length ?? calls!.reduce((sum, call) => sum + call.data.length, 0));
      assert.equal(view.value, target?.value ?? calls!.reduce((sum, call) => sum + call.value, 0n));
      assert.deepEqual(view.calls, calls);
      for (const name of ['type', 'nonce', 'gasLimit', 'chainId'] as const) assert.equal(view[name], fields[name], name);
      if (target !== undefined && target.type !== 4) {
        const { data, accessList } = toEvmTransaction(view);
        assert.deepEqual([[...data], accessList], [[...target.data], target.type === 0 ? [] : target.accessList]);
      } else if (target !== undefined) {
        assert.deepEqual([...dataOf(view)], [...target.data]);
      }
      assert.deepEqual(poolTransactionOf(raw, view.hash, view.sender, 'prague'), view);
    }),
    { numRuns: 80 },
  );
});

test('a record names the sender that signed, and owns its bytes', () => {
  const { raw } = signTransaction(TRANSFER, secretKeyOf(3), noble);
  const backing = new Uint8Array(1 << 20);
  backing.set(raw, 100);
  const view = batch([backing.subarray(100, 100 + raw.length)], POLICY, noble).transaction(0);
  const sender = addressOfSecretKey(secretKeyOf(3), noble);
  assert.equal(toHex(view.sender), toHex(sender));
  assert.equal(view.senderKey, bytesKey(sender));
  for (const bytes of [view.raw, view.hash, view.sender, view.to!]) assert.ok(bytes.buffer.byteLength <= 4_096);
});

test('every reason for refusal has its own code', () => {
  const huge = rlpUint(2n ** 128n);
  const scalarOfOrder = rlpUint(ORDER);
  const legacy = { ...TRANSFER, type: 0 as const, chainId: undefined, gasPrice: 1n };
  const cases: readonly (readonly [TransactionErrorCode, Uint8Array])[] = [
    ['tx/rlp', new Uint8Array(0)],
    ['tx/rlp', Uint8Array.of(0x80)],
    ['tx/rlp', concatBytes(items(), Uint8Array.of(0))],
    ['tx/rlp', items({ 1: Uint8Array.of(0x82, 0, 7) })],
    ['tx/oversized', new Uint8Array(131_073).fill(2)],
    ['tx/type3-unsupported', Uint8Array.of(3, 0xc0)],
    ['tx/type4-unsupported', Uint8Array.of(4, 0xc0)],
    ['tx/type-unknown', Uint8Array.of(5, 0xc0)],
    ['tx/type-unknown', Uint8Array.of(0, 0xc0)],
    ['tx/field', Uint8Array.of(2, 0xc0)],
    ['tx/field', items({ 5: rlpBytes(new Uint8Array(19)) })],
    ['tx/field', items({ 7: rlpList([]) })],
    ['tx/field', items({ 8: rlpBytes(new Uint8Array(0)) })],
    ['tx/field', items({ 8: rlpList([rlpList([])]) })],
    ['tx/field', items({ 8: rlpList([rlpList([rlpBytes(new Uint8Array(20)), rlpList([rlpUint(1)])])]) })],
    ['tx/field', items({ 6: rlpUint(2n ** 256n) })],
    ['tx/nonce-range', items({ 1: rlpUint(2n ** 53n) })],
    ['tx/nonce-range', items({ 1: rlpUint(2n ** 256n - 1n) })],
    ['tx/gas-range', items({ 4: rlpUint(2n ** 63n) })],
    ['tx/chain-id', items({ 0: rlpUint(0) })],
    ['tx/chain-id', items({ 0: rlpUint(1) })],
    ['tx/y-parity', items({ 9: rlpUint(2) })],
    ['tx/y-parity', items({ 9: rlpUint(27) })],
    ['tx/signature-range', items({ 10: rlpUint(0) })],
    ['tx/signature-range', items({ 11: rlpUint(0) })],
    ['tx/signature-range', items({ 10: scalarOfOrder })],
    ['tx/signature-range', items({ 11: scalarOfOrder })],
    ['tx/malleable-signature', items({ 11: rlpUint(ORDER / 2n + 1n) })],
    ['tx/tip-above-fee-cap', items({ 2: rlpUint(101) })],
    ['tx/value-range', items({ 6: huge })],
    ['tx/fee-range', items({ 3: huge })],
    ['tx/intrinsic-gas', items({ 4: rlpUint(20_999) })],
    ['tx/initcode-size', signed({ ...TRANSFER, to: undefined, data: new Uint8Array(49_153), gasLimit: 10_000_000 })],
    ['tx/unprotected', signed(legacy)],
    ['tx/type4-unsupported', signed(SET_CODE)],
    ['tx/batch-gas', signed({ ...BATCH, gasLimit: intrinsicGasOf(BATCH) + 69_999 })],
    ['tx/batch-gas', signed({ ...BATCH, calls: [{ ...BATCH.calls[0]!, gasLimit: Number.MAX_SAFE_INTEGER }, BATCH.calls[1]!] })],
    ['tx/intrinsic-gas', signed({ ...BATCH, gasLimit: intrinsicGasOf(BATCH) - 1 })],
    ['tx/value-range', signed({ ...BATCH, calls: [{ ...BATCH.calls[0]!, value: 2n ** 128n - 1n }, { ...BATCH.calls[1]!, value: 1n }] })],
    ['tx/tip-above-fee-cap', signed({ ...BATCH, maxPriorityFeePerGas: 101n })],
    ['tx/fee-range', signed({ ...BATCH, maxFeePerGas: 2n ** 128n })],
    ['tx/chain-id', signed({ ...BATCH, chainId: 1 })],
    ['tx/batch-calls', batchOf([])],
    ['tx/batch-calls', batchOf(Array.from({ length: 17 }, () => call()))],
    ['tx/field', batchOf([rlpUint(1)])],
    ['tx/field', batchOf([call({ 0: rlpBytes(new Uint8Array(0)) })])],
    ['tx/field', batchOf([call({ 1: rlpUint(2n ** 256n) })])],
    ['tx/field', batchOf([call({ 3: rlpList([]) })])],
    ['tx/field', batchOf([rlpList([rlpBytes(TRANSFER.to!), rlpUint(1), rlpUint(1)])])],
    ['tx/field', batchOf([rlpList([rlpBytes(TRANSFER.to!), rlpUint(1), rlpUint(1), rlpUint(0), rlpUint(0)])])],
    ['tx/rlp', batchOf([call({ 1: Uint8Array.of(0x82, 0, 7) })])],
    ['tx/gas-range', batchOf([call({ 2: rlpUint(2n ** 53n) })])],
  ];
  const found = batch(cases.map(([, raw]) => raw));
  cases.forEach(([code], i) => {
    assert.equal(found.error(i), code, `case ${i}`);
    const record = found.records.subarray(i * RECORD_BYTES + 2, (i + 1) * RECORD_BYTES);
    assert.ok(record.every((byte) => byte === 0));
    assert.throws(() => found.transaction(i), InvariantError);
  });
  assert.equal(batch([items()]).error(0), undefined, 'the unchanged transfer is good');
  assert.equal(batch([items({ 11: rlpUint(ORDER / 2n) })]).error(0), undefined, 'the largest low s is good');
  assert.equal(batch([signed(legacy)], ANY).error(0), undefined, 'the policy decides about unprotected ones');
});

/** A batch with these encoded calls, and a signature that is in range. */
function batchOf(calls: readonly Uint8Array[]): Uint8Array {
  const head = [1337, 7, 1, 100, 100_000].map((value) => rlpUint(value));
  return concatBytes(Uint8Array.of(BATCH_TYPE), rlpList([...head, rlpList(calls), rlpUint(0), rlpUint(5n), rlpUint(5n)]));
}

/** A call of a batch of which any item can be replaced by an encoded one. */
function call(replace: Record<number, Uint8Array> = {}): Uint8Array {
  return rlpList([rlpBytes(TRANSFER.to!), rlpUint(1), rlpUint(1), rlpUint(0)].map((item, i) => replace[i] ?? item));
}

/** A set-code transaction of which any item of the authorization, or the list or recipient, can be replaced by an encoded one. */
function setCode(replace: Record<number, Uint8Array> = {}, list?: Uint8Array, to = rlpBytes(TRANSFER.to!)): Uint8Array {
  const authorization = [rlpUint(0), rlpBytes(TRANSFER.to!), rlpUint(1), rlpUint(0), rlpUint(5), rlpUint(5)].map((item, i) => replace[i] ?? item);
  const head = [1337, 7, 1, 100, 46_000].map((value) => rlpUint(value));
  const rest = [to, rlpUint(1), rlpUint(0), rlpList([]), list ?? rlpList([rlpList(authorization)]), rlpUint(0), rlpUint(5n), rlpUint(5n)];
  return concatBytes(Uint8Array.of(4), rlpList([...head, ...rest]));
}

test('the limits of batches and of set-code transactions are where they are said to be', () => {
  assert.equal(batch([signed({ ...BATCH, gasLimit: intrinsicGasOf(BATCH) + 70_000 })]).error(0), undefined);
  assert.equal(batch([batchOf(Array.from({ length: 16 }, () => call()))]).error(0), undefined);
  const cases: readonly (readonly [TransactionErrorCode | undefined, Uint8Array])[] = [
    [undefined, setCode()],
    [undefined, setCode({ 0: rlpUint(2n ** 256n - 1n), 2: rlpUint(2n ** 64n - 1n), 3: rlpUint(255), 4: rlpUint(0), 5: rlpUint(2n ** 256n - 1n) })],
    ['tx/field', setCode({ 0: rlpUint(2n ** 256n) })],
    ['tx/field', setCode({ 1: rlpBytes(new Uint8Array(0)) })],
    ['tx/field', setCode({ 2: rlpUint(2n ** 64n) })],
    ['tx/field', setCode({ 3: rlpUint(256) })],
    ['tx/field', setCode({ 4: rlpUint(2n ** 256n) })],
    ['tx/field', setCode({ 5: concatBytes(rlpUint(5), rlpUint(5)) })],
    ['tx/rlp', setCode({ 2: Uint8Array.of(0x82, 0, 7) })],
    ['tx/authorizations-empty', setCode({}, rlpList([]))],
    ['tx/field', setCode({}, rlpUint(0))],
    ['tx/field', setCode({}, rlpList([rlpUint(1)]))],
    ['tx/field', setCode({}, rlpList([rlpList([])]))],
    ['tx/no-recipient', setCode({}, undefined, rlpUint(0))],
    ['tx/intrinsic-gas', signed({ ...SET_CODE, gasLimit: 45_999 })],
    ['tx/intrinsic-gas', signed({ ...TRANSFER, data: Uint8Array.of(1), gasLimit: 21_039 })],
    [undefined, signed({ ...TRANSFER, data: Uint8Array.of(1), gasLimit: 21_040 })],
  ];
  const found = batch(cases.map(([, raw]) => raw), PRAGUE);
  cases.forEach(([code], i) => assert.equal(found.error(i), code, `case ${i}`));
  assert.equal(batch([signed({ ...TRANSFER, data: Uint8Array.of(1), gasLimit: 21_016 })]).error(0), undefined, 'Cancun has no floor');
});

test('the EVM is given who signed each authorization, and nobody for a signature that is none', () => {
  const unsigned = { chainId: 1337n, address: SET_CODE.authorizations[0]!.address, nonce: 3n };
  const { signature, yParity } = noble.secpSign(authorizationDigest(unsigned, noble), secretKeyOf(5));
  const [r, s] = [BigInt(toHex(signature.subarray(0, 32))), BigInt(toHex(signature.subarray(32)))];
  const good = { ...unsigned, yParity, r, s };
  const bad = [{ ...good, yParity: 2 }, { ...good, r: 0n }, { ...good, s: ORDER - s }, { ...good, r: ORDER }];
  const fields = { ...SET_CODE, gasLimit: 1_000_000, authorizations: [good, ...bad] };
  const tx = batch([signed(fields)], PRAGUE, noble).transaction(0);
  const { type, authorizations, accessList } = toEvmTransaction(tx, noble);
  assert.equal(type, 4);
  assert.deepEqual(accessList, fields.accessList);
  assert.deepEqual(authorizations, [{ ...unsigned, authority: addressOfSecretKey(secretKeyOf(5), noble) }, ...bad.map(() => ({ ...unsigned, authority: undefined }))]);
  assert.throws(() => toEvmTransaction(tx), InvariantError);
  assert.throws(() => toEvmTransaction(batch([signed(BATCH)]).transaction(0), noble), InvariantError);
});

test('type 4 is refused by name where the chain has not reached Prague', () => {
  const tx = batch([signed(SET_CODE)], PRAGUE).transaction(0);
  const rules = { chainId: 1337, gasLimit: 1_000_000 };
  assert.equal(checkStatic(tx, { ...rules, fork: 'prague' }), undefined);
  assert.equal(checkStatic(tx, { ...rules, fork: 'cancun' })?.code, 'type-unsupported');
  const creation = batch([signed({ ...TRANSFER, to: undefined, gasLimit: 53_000 })]).transaction(0);
  assert.equal(checkStatic(creation, { ...rules, fork: 'cancun' }), undefined, 'creations are admitted');
  for (const code of TRANSACTION_ERRORS) if (code !== 'tx/none') assert.ok(rejectionOf(code).message.length > 0, code);
});

test('a signature that no key fits is refused, and a good neighbour is not', () => {
  // x = 5 is on no point of the curve.
  const found = batch([items(), signed(TRANSFER)], POLICY, noble);
  assert.equal(found.error(0), 'tx/unrecoverable');
  assert.equal(found.error(1), undefined);
});

test('the flipped signature (r, n - s, other parity) is refused as malleable', () => {
  for (const fields of [TRANSFER, BATCH, { ...TRANSFER, type: 1, gasPrice: 1n } as const, { ...TRANSFER, type: 0, gasPrice: 1n } as const]) {
    const { signature } = decodeTransaction(signed(fields));
    const s = BigInt(toHex(signature.s));
    const flipped = rlpUint(ORDER - s);
    const raw = encodeTransaction(fields, { yParity: signature.yParity === 0 ? 1 : 0, r: signature.r, s: flipped.subarray(1) });
    assert.equal(batch([raw], POLICY, noble).error(0), 'tx/malleable-signature');
  }
});

test('fuzz: mutated bytes give a code or the canonical bytes again, and nothing else', () => {
  const random = new Prng(20_240_601);
  const good = fc.sample(fieldsArbitrary, { numRuns: 90, seed: 7 }).map((fields) => signed(fields));
  const outcomes = new Map<string, number>();
  for (let round = 0; round < 9_000; round++) {
    const raw = mutate(good[random.below(good.length)]!, random);
    const code = batch([raw], ANY).error(0);
    outcomes.set(code ?? 'ok', (outcomes.get(code ?? 'ok') ?? 0) + 1);
    try {
      const { fields, signature } = decodeTransaction(raw);
      assert.equal(toHex(encodeTransaction(fields, signature)), toHex(raw), `round ${round}`);
    } catch (error) {
      assert.ok(error instanceof TransactionError, `round ${round}: ${String(error)}`);
      assert.equal(error.code, code);
    }
  }
  for (const code of ['ok', 'tx/rlp', 'tx/field', 'tx/y-parity']) assert.ok((outcomes.get(code) ?? 0) > 10, `${code} was reached`);
});

function mutate(source: Uint8Array, random: Prng): Uint8Array {
  const raw = source.slice();
  const anywhere = random.below(raw.length);
  const atStart = random.below(Math.min(8, raw.length));
  const atSignature = Math.max(0, raw.length - 1 - random.below(70));
  const atParity = Math.max(0, raw.length - 68 + random.below(3));
  const at = [anywhere, atStart, atSignature, atParity][random.below(4)]!;
  switch (random.below(6)) {
    case 0:
      return raw.subarray(0, at);
    case 1:
      return concatBytes(raw, random.bytes(1 + random.below(3)));
    case 2:
      return concatBytes(raw.subarray(0, at), random.bytes(1), raw.subarray(at));
    case 3:
      return concatBytes(raw.subarray(0, at), raw.subarray(at + 1));
    case 4:
      return random.bytes(1 + random.below(200));
    default:
      raw[at] = random.below(256);
      return raw;
  }
}
