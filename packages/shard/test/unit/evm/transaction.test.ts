import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Hash32 } from '@shardlab/crosslink';
import type { EvmTransaction, InvalidTransaction } from '../../../src/execution/evm/transaction.ts';
import { accountWith, addressOf, BASE_FEE, BLOCK, blobHash, COINBASE, CONTRACT, FUNDS, Lab, SENDER } from './transaction-lab.ts';

const RECIPIENT = addressOf(0x11);
const PRICE = 12n;
const TIP = 2n;
/** PUSH0 PUSH0 REVERT. */
const REVERTS = Uint8Array.of(0x5f, 0x5f, 0xfd);
/** Clears slot 0: PUSH0 PUSH0 SSTORE. */
const CLEARS = Uint8Array.of(0x5f, 0x5f, 0x55);
/** Returns BALANCE of the sender: CALLER BALANCE PUSH0 MSTORE PUSH1 32 PUSH0 RETURN. */
const TELLS_BALANCE = Uint8Array.of(0x33, 0x31, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3);

suite('what a transaction pays', () => {
  test('a transfer costs 21,000 gas: the base fee is burned, the tip goes to the coinbase', () => {
    const lab = new Lab('cancun');
    const result = lab.applied({ value: 1_000n });
    assert.deepEqual([result.status, result.gasUsed, result.gasPrice, result.halt], [1, 21_000, PRICE, undefined]);
    assert.equal(lab.balance(SENDER), FUNDS - 1_000n - 21_000n * PRICE);
    assert.equal(lab.balance(RECIPIENT), 1_000n);
    assert.equal(lab.balance(COINBASE), 21_000n * TIP);
    assert.equal(lab.nonce(SENDER), 1n);
  });

  test('under `burn` the coinbase gets nothing, and does not come to exist', () => {
    const lab = new Lab('cancun');
    lab.applied({ value: 1_000n }, 'burn');
    assert.equal(lab.balance(SENDER), FUNDS - 1_000n - 21_000n * PRICE);
    assert.deepEqual([lab.balance(COINBASE), lab.world.exists(lab.world.accountOf(COINBASE))], [0n, false]);
    assert.equal(lab.world.changes().accounts.length, 2);
  });

  test('the price is the base fee and the tip, as far as the cap allows', () => {
    for (const [maxFeePerGas, price] of [[10n, 10n], [11n, 11n], [50n, 12n]] as const) {
      assert.equal(new Lab('cancun').applied({ maxFeePerGas, maxPriorityFeePerGas: TIP }).gasPrice, price);
    }
  });

  test('the code sees a sender who has paid for all gas and blobs', () => {
    const lab = new Lab('cancun', [[CONTRACT, accountWith({ code: TELLS_BALANCE })]]);
    const { output } = lab.applied({ type: 3, to: CONTRACT, value: 5n, blobHashes: [blobHash(1), blobHash(1)], maxFeePerBlobGas: 4n });
    const seen = output.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    assert.equal(seen, FUNDS - 5n - 100_000n * PRICE - 2n * 131_072n * BLOCK.blobBaseFee);
  });

  test('a failure keeps the fee and the nonce, and nothing else', () => {
    const lab = new Lab('cancun', [[CONTRACT, accountWith({ code: REVERTS })]]);
    const result = lab.applied({ to: CONTRACT, value: 77n });
    assert.deepEqual([result.status, result.halt, result.gasUsed, result.logs.length], [0, 'revert', 21_004, 0]);
    assert.deepEqual([lab.balance(CONTRACT), lab.nonce(SENDER)], [0n, 1n]);
    assert.equal(lab.balance(SENDER), FUNDS - 21_004n * PRICE);
  });

  test('a refund is at most a fifth of the gas (EIP-3529)', () => {
    const lab = new Lab('cancun', [[CONTRACT, accountWith({ code: CLEARS, storage: new Map([[0n, 1n]]) })]]);
    // 21,000 and 4 for two pushes and 5,000 for the write of a cold slot; 4,800 of them come back, which is less than a fifth.
    assert.equal(lab.applied({ to: CONTRACT }).gasUsed, 21_000 + 4 + 5_000 - 4_800);
    const twice = Uint8Array.of(...CLEARS, 0x5f, 0x60, 0x01, 0x55);
    const capped = new Lab('cancun', [[CONTRACT, accountWith({ code: twice, storage: new Map([[0n, 1n], [1n, 1n]]) })]]);
    const used = 21_000 + 4 + 5_000 + 5 + 5_000;
    assert.equal(capped.applied({ to: CONTRACT }).gasUsed, used - Math.floor(used / 5));
  });

  test('what is listed is warm, and paid for in advance (EIP-2930)', () => {
    const account = accountWith({ code: CLEARS, storage: new Map([[0n, 1n]]) });
    const key = new Uint8Array(32) as Hash32;
    const lab = new Lab('cancun', [[CONTRACT, account]]);
    const result = lab.applied({ to: CONTRACT, accessList: [{ address: CONTRACT, storageKeys: [key, key] }] });
    assert.equal(result.gasUsed, 21_000 + 2_400 + 2 * 1_900 + 4 + 2_900 - 4_800);
  });

  test('gas above 2^53 is exact to the unit', () => {
    // GAS PUSH0 SSTORE: what the code sees after its first instruction.
    const lab = new Lab('cancun', [[SENDER, accountWith({ balance: 2n ** 80n })], [CONTRACT, accountWith({ code: Uint8Array.of(0x5a, 0x5f, 0x55) })]]);
    const gasLimit = 2n ** 63n - 1n;
    const result = lab.applied({ to: CONTRACT, gasLimit }, 'ethereum', { ...BLOCK, gasLimit });
    assert.equal(lab.slot(CONTRACT, 0), gasLimit - 21_000n - 2n);
    assert.deepEqual([result.gasUsed, lab.balance(SENDER)], [21_000 + 4 + 22_100, 2n ** 80n - 43_104n * PRICE]);
    const halted = new Lab('cancun', [[SENDER, accountWith({ balance: 2n ** 80n })], [CONTRACT, accountWith({ code: Uint8Array.of(0xfe) })]]);
    halted.applied({ to: CONTRACT, gasLimit }, 'ethereum', { ...BLOCK, gasLimit });
    assert.equal(halted.balance(SENDER), 2n ** 80n - gasLimit * PRICE);
  });
});

suite('a transaction that makes a contract', () => {
  /** PUSH1 1 PUSH0 RETURN: a code of one zero byte. */
  const INITCODE = Uint8Array.of(0x60, 0x01, 0x5f, 0xf3);

  test('names its address, and pays 32,000 and 2 a word of initcode (EIP-3860)', () => {
    const lab = new Lab('cancun');
    const result = lab.applied({ to: undefined, data: INITCODE, value: 9n });
    assert.ok(result.created !== undefined);
    assert.deepEqual([...lab.code(result.created)], [0]);
    assert.deepEqual([lab.nonce(result.created), lab.balance(result.created), lab.nonce(SENDER)], [1n, 9n, 1n]);
    // Four bytes of data, none of them zero; two pushes, a word of memory, 200 for the byte.
    assert.equal(result.gasUsed, 53_000 + 4 * 16 + 2 + 3 + 2 + 3 + 200);
  });

  test('that fails made none', () => {
    const result = new Lab('cancun').applied({ to: undefined, data: REVERTS });
    assert.deepEqual([result.created, result.status], [undefined, 0]);
  });
});

suite('a transaction that cannot be in the block changes nothing', () => {
  const long = new Uint8Array(49_153);
  const cases: readonly (readonly [InvalidTransaction, Partial<EvmTransaction>])[] = [
    ['chain-id', { chainId: 8n }],
    ['nonce-max', { nonce: 2n ** 64n - 1n }],
    ['nonce-too-high', { nonce: 1n }],
    ['gas-above-block', { gasLimit: 30_000_001n }],
    ['intrinsic-gas', { gasLimit: 20_999n }],
    ['initcode-too-long', { to: undefined, data: long, gasLimit: 10_000_000n }],
    ['tip-above-fee-cap', { maxPriorityFeePerGas: 13n }],
    ['fee-cap-below-base-fee', { maxFeePerGas: 9n, maxPriorityFeePerGas: 9n }],
    ['insufficient-funds', { value: FUNDS - 100_000n * PRICE + 1n }],
    ['insufficient-funds', { maxFeePerGas: FUNDS }],
    ['sender-not-eoa', { sender: CONTRACT }],
    ['type-not-supported', { type: 4 }],
    ['blob-creation', { type: 3, to: undefined }],
    ['blob-count', { type: 3 }],
    ['blob-count', { type: 3, blobHashes: Array.from({ length: 7 }, () => blobHash(1)) }],
    ['blob-hash-version', { type: 3, blobHashes: [blobHash(1), blobHash(2)], maxFeePerBlobGas: 3n }],
    ['blob-fee-cap', { type: 3, blobHashes: [blobHash(1)], maxFeePerBlobGas: 2n }],
  ];
  for (const [reason, parts] of cases) {
    test(reason, () => {
      const lab = new Lab('cancun', [[CONTRACT, accountWith({ code: REVERTS, balance: FUNDS })]]);
      assert.deepEqual(lab.apply(parts), { invalid: reason });
      assert.deepEqual(lab.world.changes(), { accounts: [], slots: [] });
    });
  }

  test('a nonce that is used up', () => {
    const lab = new Lab('cancun');
    lab.applied();
    assert.deepEqual(lab.apply(), { invalid: 'nonce-too-low' });
  });

  test('what is just enough is enough', () => {
    const lab = new Lab('cancun');
    assert.equal(lab.applied({ gasLimit: 21_000n, value: FUNDS - 21_000n * PRICE, chainId: undefined }).status, 1);
    assert.deepEqual([lab.balance(SENDER), lab.balance(COINBASE)], [0n, 21_000n * (PRICE - BASE_FEE)]);
  });
});
