import { deepEqual, equal, throws } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromHex, toHex } from '@shardlab/crosslink';
import fc from 'fast-check';
import { type Abi, encodeAbiParameters, encodeFunctionData, toEventSelector, toFunctionSelector } from 'viem';
import { type AbiValue, encodeArguments, encodeCall } from '../../src/workload/contracts/abi.ts';
import { CONTRACT_NAMES, contractArtifact, selector } from '../../src/workload/contracts/artifacts.ts';

/** A type, a value of it for our encoder, and the same for viem's. */
interface Parameter {
  readonly type: string;
  readonly value: AbiValue;
  readonly viem: unknown;
}

const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength, maxLength });

const word: fc.Arbitrary<Parameter> = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }).map((value) => ({ type: 'uint256', value, viem: value })),
  fc.bigInt({ min: 0n, max: (1n << 112n) - 1n }).map((value) => ({ type: 'uint112', value, viem: value })),
  fc.boolean().map((value) => ({ type: 'bool', value: value ? 1n : 0n, viem: value })),
  bytes(20, 20).map((value) => ({ type: 'address', value, viem: toHex(value) })),
  bytes(32, 32).map((value) => ({ type: 'bytes32', value, viem: toHex(value) })),
);

const dynamic: fc.Arbitrary<Parameter> = fc.oneof(
  bytes(0, 70).map((value) => ({ type: 'bytes', value, viem: toHex(value) })),
  fc.string({ unit: 'grapheme-ascii', maxLength: 70 }).map((value) => ({ type: 'string', value, viem: value })),
  fc.array(bytes(20, 20), { maxLength: 4 }).map((list) => ({ type: 'address[]', value: list, viem: list.map(toHex) })),
  fc.array(bytes(0, 40), { maxLength: 3 }).map((list) => ({ type: 'bytes[]', value: list, viem: list.map(toHex) })),
);

describe('ABI of contract calls', () => {
  test("arguments are encoded as viem's encoder does", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(word, dynamic), { maxLength: 6 }), (parameters) => {
        const types = parameters.map(({ type }) => type);
        const expected = encodeAbiParameters(
          types.map((type) => ({ type })),
          parameters.map(({ viem }) => viem),
        );
        equal(toHex(encodeArguments(types, parameters.map(({ value }) => value))), expected);
      }),
    );
  });

  test('a call is its selector and its arguments', () => {
    const router = contractArtifact('UniswapV2Router02');
    const [a, b] = [new Uint8Array(20).fill(1), new Uint8Array(20).fill(2)];
    const functionName = 'swapExactTokensForTokens';
    const expected = encodeFunctionData({ abi: router.abi as Abi, functionName, args: [1n, 2n, [toHex(a), toHex(b)], toHex(b), 3n] });
    equal(toHex(encodeCall(router, `${functionName}(uint256,uint256,address[],address,uint256)`, [1n, 2n, [a, b], b, 3n])), expected);
  });

  test('a value that does not fit its type is refused, and so is a type that is not known', () => {
    const cases: readonly (readonly [string, AbiValue])[] = [
      ['uint8', 256n],
      ['uint256', -1n],
      ['uint256', 1n << 256n],
      ['bool', 2n],
      ['address', new Uint8Array(19)],
      ['bytes32', new Uint8Array(33)],
      ['address[]', new Uint8Array(20)],
      ['string', 1n],
      ['int256', 1n],
      ['(uint256,bool)', 1n],
    ];
    for (const [type, value] of cases) throws(() => encodeArguments([type], [value]), { code: 'workload/abi' }, type);
    throws(() => encodeArguments(['bool'], []), { code: 'workload/abi' });
    throws(() => encodeArguments(['string'], ['é']), { code: 'primitive/ascii' });
    throws(() => encodeCall(contractArtifact('Token'), 'burn(uint256)', [1n]), { code: 'workload/method' });
  });
});

describe('artifacts of contracts', () => {
  test('every contract has code, and the selectors and topics that its ABI gives', () => {
    for (const name of CONTRACT_NAMES) {
      const artifact = contractArtifact(name);
      equal(artifact.name, name);
      equal(artifact.initcode.length > 500, true, name);
      for (const [signature, hex] of Object.entries(artifact.methods)) equal(hex, toFunctionSelector(`function ${signature}`), signature);
      for (const [signature, hex] of Object.entries(artifact.events)) equal(hex, toEventSelector(`event ${signature}`), signature);
      const functions = (artifact.abi as { type: string }[]).filter(({ type }) => type === 'function');
      equal(Object.keys(artifact.methods).length, functions.length, name);
    }
    deepEqual(selector(contractArtifact('Token'), 'transfer(address,uint256)'), fromHex('0xa9059cbb'));
  });

  test('a contract that there is none of is refused by name', () => {
    throws(() => contractArtifact('Ponzi' as never), { code: 'workload/artifact', message: /Ponzi/ });
  });
});
