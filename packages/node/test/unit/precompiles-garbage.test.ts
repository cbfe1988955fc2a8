/** Whatever the input: no exception, an output of the right length, the input untouched, and the same in the portable libraries. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { concatBytes, toHex } from '@shardlab/crosslink';
import fc from 'fast-check';

import { createEvmCrypto } from '../../src/crypto/create-evm-crypto.ts';
import { blsG1, blsG2, bn254G1, bn254G2, EVM_CRYPTO, word } from './precompiles-support.ts';

const portable = await createEvmCrypto({ libraries: 'portable' });
const TABLE = EVM_CRYPTO.precompiles('prague');
/** A tenth of an Ethereum block: what costs more is not run here. */
const GAS_MAX = 3_000_000;

/** Lengths of outputs; modexp's is in its input, and ecrecover's may be 0. */
const OUTPUT_BYTES: Readonly<Record<number, readonly number[]>> = {
  1: [0, 32],
  2: [32],
  3: [32],
  6: [64],
  7: [64],
  8: [32],
  9: [64],
  10: [64],
  11: [128],
  12: [128],
  13: [256],
  14: [256],
  15: [32],
  16: [128],
  17: [256],
};

function checkCall(address: number, input: Uint8Array): void {
  const precompile = TABLE.get(address)!;
  const before = input.slice();
  const gas = precompile.gas(input);
  assert.ok(gas >= 0 && (Number.isSafeInteger(gas) || gas === Infinity), `gas ${gas}`);
  if (gas > GAS_MAX) return;
  const output = precompile.run(input);
  assert.deepEqual(input, before, 'the input is not written to');
  const lengths = OUTPUT_BYTES[address];
  if (output !== undefined && lengths !== undefined) assert.ok(lengths.includes(output.length), `${output.length} bytes`);
  if (address === 4) assert.deepEqual(output, input);
  if (address <= 4) assert.deepEqual(portable.precompiles('prague').get(address)!.run(input), output);
}

/** Pieces that lead behind the first checks: words that are small, ones, points, zeros. */
const pieces = fc.oneof(
  fc.uint8Array({ maxLength: 70 }),
  fc.bigInt({ min: 0n, max: 300n }).map(word),
  fc.constantFrom(bn254G1(7n), concatBytes(bn254G1(5n), bn254G2(9n)), blsG1(3n), blsG2(4n), concatBytes(blsG1(3n), blsG2(4n)), new Uint8Array(64), word((1n << 256n) - 1n)),
);
const inputs = fc.oneof(fc.uint8Array({ maxLength: 1_000, size: 'max' }), fc.array(pieces, { maxLength: 8 }).map((parts) => concatBytes(...parts)));

for (const address of TABLE.keys()) {
  test(`precompile ${address}: garbage of all lengths`, { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(inputs, (input) => checkCall(address, input)),
      { numRuns: 150 },
    );
    for (let length = 0; length <= 400; length++) checkCall(address, new Uint8Array(length).fill(length % 2 === 0 ? 0xff : 0));
  });
}

test('views in the middle of a buffer are read from where they begin', () => {
  const inner = concatBytes(bn254G1(7n), bn254G1(8n));
  const outer = concatBytes(new Uint8Array(13).fill(0xee), inner, new Uint8Array(9).fill(0xee));
  for (const [address, precompile] of TABLE) {
    if (address === 9) continue;
    const [view, copy] = [precompile.run(outer.subarray(13, 13 + inner.length)), precompile.run(inner)];
    assert.deepEqual(view, copy, String(address));
  }
  const blake = new Uint8Array(213).fill(7);
  blake.fill(0, 0, 3);
  blake[212] = 1;
  const shifted = concatBytes(Uint8Array.of(1, 2, 3), blake).subarray(3);
  const run = (input: Uint8Array): string => toHex(TABLE.get(9)!.run(input)!);
  assert.equal(run(shifted), run(blake));
});

test('outputs are copies: writing to one changes no later answer', () => {
  const input = new Uint8Array(96).fill(3);
  for (const address of [2, 3, 4, 8, 10]) {
    const precompile = TABLE.get(address)!;
    const first = precompile.run(address === 8 ? new Uint8Array(0) : input);
    if (first === undefined) continue;
    const kept = first.slice();
    first.fill(0xaa);
    assert.deepEqual(precompile.run(address === 8 ? new Uint8Array(0) : input), kept);
  }
});
