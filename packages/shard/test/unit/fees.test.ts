import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { effectiveGasPrice, nextBaseFee } from '../../src/execution/fees.ts';

test('the base fee follows EIP-1559: the vectors of go-ethereum', () => {
  // core/consensus/misc/eip1559_test.go, TestCalcBaseFee: gas limit 20 M, target 10 M.
  const vectors = [
    { baseFeePerGas: 1_000_000_000n, gasUsed: 10_000_000, next: 1_000_000_000n },
    { baseFeePerGas: 1_000_000_000n, gasUsed: 9_000_000, next: 987_500_000n },
    { baseFeePerGas: 1_000_000_000n, gasUsed: 11_000_000, next: 1_012_500_000n },
  ];
  for (const { next, ...parent } of vectors) assert.equal(nextBaseFee({ ...parent, gasLimit: 20_000_000 }), next);
});

test('the base fee follows EIP-1559 at its edges: the first block of London, empty and full blocks, small fees', () => {
  // Block 12,965,000, the first with a base fee (1 gwei); its child's is mainnet's.
  assert.equal(nextBaseFee({ baseFeePerGas: 1_000_000_000n, gasUsed: 30_025_257, gasLimit: 30_029_122 }), 1_124_967_822n);
  assert.equal(nextBaseFee({ baseFeePerGas: 8n, gasUsed: 0, gasLimit: 100 }), 7n);
  assert.equal(nextBaseFee({ baseFeePerGas: 7n, gasUsed: 0, gasLimit: 100 }), 7n);
  assert.equal(nextBaseFee({ baseFeePerGas: 0n, gasUsed: 51, gasLimit: 100 }), 1n);
  assert.equal(nextBaseFee({ baseFeePerGas: 1_000n, gasUsed: 100, gasLimit: 100 }), 1_125n);
});

test('the base fee never moves by more than an eighth, and never down when a block was over the target', () => {
  const parents = fc.record({ baseFeePerGas: fc.bigInt({ min: 8n, max: 2n ** 100n }), gasLimit: fc.integer({ min: 2, max: 2 ** 31 }), share: fc.double({ min: 0, max: 1, noNaN: true }) });
  fc.assert(
    fc.property(parents, ({ baseFeePerGas, gasLimit, share }) => {
      const gasUsed = Math.floor(gasLimit * share);
      const next = nextBaseFee({ baseFeePerGas, gasLimit, gasUsed });
      const target = Math.floor(gasLimit / 2);
      // An odd limit lets a full block exceed twice its target by one unit.
      assert.ok(next >= baseFeePerGas - baseFeePerGas / 8n);
      assert.ok(next <= baseFeePerGas + (baseFeePerGas * BigInt(gasLimit - target)) / BigInt(target) / 8n + 1n);
      assert.equal(Math.sign(Number(next - baseFeePerGas)) * Math.sign(gasUsed - target) >= 0, true);
    }),
  );
});

test('a transaction pays base fee and tip, up to its cap, and nothing below the base fee', () => {
  const tx = { maxFeePerGas: 100n, maxPriorityFeePerGas: 3n };
  assert.equal(effectiveGasPrice(tx, 50n), 53n);
  assert.equal(effectiveGasPrice(tx, 98n), 100n);
  assert.equal(effectiveGasPrice(tx, 100n), 100n);
  assert.equal(effectiveGasPrice(tx, 101n), undefined);
  // Types 0 and 1: the price is both.
  assert.equal(effectiveGasPrice({ maxFeePerGas: 70n, maxPriorityFeePerGas: 70n }, 50n), 70n);
});
