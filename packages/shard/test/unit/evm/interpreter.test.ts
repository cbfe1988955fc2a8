import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, toHex } from '@shardlab/crosslink';

import { Machine } from '../../../src/execution/evm/interpreter/machine.ts';
import type { Tracer } from '../../../src/execution/evm/tracer.ts';
import type { CallResult, EvmFork, Halt } from '../../../src/execution/evm/types.ts';
import { addressOf, assemble, type FakeWorld, newMachine, testBlock, testCrypto } from './interpreter-support.ts';

type Item = string | number | bigint | Uint8Array;
const GAS = 1_000_000;

/** Runs the code at 0xcc… as a transaction's call. */
function run(
  items: readonly Item[],
  options: {
    gas?: number;
    value?: bigint;
    data?: Uint8Array;
    fork?: EvmFork;
    isStatic?: boolean;
    prepare?: (world: FakeWorld) => void;
    tracer?: Tracer;
  } = {},
): { result: CallResult; used: number; world: FakeWorld } {
  const { world, evm, caller, contract } = newMachine(options.fork);
  world.account(contract).code = assemble(...items);
  options.prepare?.(world);
  world.beginTransaction();
  world.warmAccount(contract);
  world.warmAccount(caller);
  evm.tracer = options.tracer;
  const gas = options.gas ?? GAS;
  const { value = 0n, data = new Uint8Array(0), isStatic = false } = options;
  const result = evm.call({ caller, to: contract, value, data, gas, isStatic });
  return { result, used: gas - result.gasLeft, world };
}

/** Returns the word on top of the stack. */
const RETURN_TOP: readonly Item[] = [0, 'MSTORE', 32, 0, 'RETURN'];

function top(items: readonly Item[], options: Parameters<typeof run>[1] = {}): bigint {
  const { result } = run([...items, ...RETURN_TOP], options);
  assert.equal(result.halt, undefined);
  return BigInt(toHex(result.output));
}

function assertHalt(items: readonly Item[], halt: Halt, options: Parameters<typeof run>[1] = {}): void {
  const { result } = run(items, options);
  assert.equal(result.halt, halt);
  if (halt !== 'revert') assert.equal(result.gasLeft, 0);
}

test('static gas, memory gas and dynamic gas add up to the unit', () => {
  assert.equal(run([]).used, 0);
  assert.equal(run([1, 2, 'ADD', 'POP', 'STOP']).used, 3 + 3 + 3 + 2);
  assert.equal(run(['PUSH0', 'PUSH0', 'MSTORE']).used, 2 + 2 + 3 + 3);
  // 1,024 words: 3 * 1024 + 1024^2 / 512.
  assert.equal(run(['PUSH0', 1023 * 32, 'MSTORE']).used, 2 + 3 + 3 + 3072 + 2048);
  assert.equal(run(['PUSH0', 1023 * 32 + 1, 'MSTORE']).used, 2 + 3 + 3 + 3075 + Math.floor(1025 ** 2 / 512));
  assert.equal(run([33, 0, 'KECCAK256', 'POP']).used, 3 + 3 + 30 + 2 * 6 + 2 * 3 + 2);
  assert.equal(run([0x1_0000, 2, 'EXP', 'POP']).used, 3 + 3 + 10 + 3 * 50 + 2);
  assert.equal(run([65, 0, 0, 'CALLDATACOPY']).used, 3 * 3 + 3 + 3 * 3 + 3 * 3);
  assert.equal(run([3, 0, 'LOG0']).used, 3 + 3 + 375 + 3 * 8 + 3);
});

test('one unit too little is out of gas, exactly enough is not', () => {
  const code = ['PUSH0', 'PUSH0', 'MSTORE', 7, 0, 'SSTORE', 'GAS', 'POP'];
  const { used } = run(code);
  assert.equal(used, 2 + 2 + 3 + 3 + 3 + 3 + 22_100 + 2 + 2);
  assert.equal(run(code, { gas: used }).result.halt, undefined);
  assertHalt(code, 'out-of-gas', { gas: used - 1 });
});

test('GAS shows what is left in spite of charging by segment', () => {
  assert.equal(top(['PUSH0', 'POP', 'GAS']), BigInt(GAS - 2 - 2 - 2));
  assert.equal(top([1, 'POP', 'GAS', 'POP', 'GAS', 'POP', 'GAS']), BigInt(GAS - 5 - 2 - 2 - 2 - 2 - 2));
});

test('jumps land on instructions only', () => {
  assert.equal(top([4, 'JUMP', 'INVALID', 'JUMPDEST', 5]), 5n);
  assert.equal(top([1, 6, 'JUMPI', 'INVALID', 'JUMPDEST', 5]), 5n);
  assert.equal(top([0, 7, 'JUMPI', 5]), 5n);
  // 0x5b as the data of a PUSH; behind the end; far away.
  assertHalt([3, 'JUMP', 0x5b, 'POP'], 'invalid-jump');
  assertHalt([4, 'JUMP'], 'invalid-jump');
  assertHalt([1, 1n << 40n, 'JUMPI'], 'invalid-jump');
  assertHalt([1n << 255n, 'JUMP'], 'invalid-jump');
});

test('a push that the code cuts short reads zeros', () => {
  const { result, world } = run(['PUSH0', 'PUSH0', 'SSTORE', Uint8Array.of(0x7f, 0xff)]);
  assert.equal(result.halt, undefined);
  assert.equal(world.storage(1, 0), 0n);
});

test('stack bounds: 1,024 words, not one more, none below zero', () => {
  const loop = (words: number): Item[] => [words, 'JUMPDEST', 'DUP1', 1, 'SWAP1', 'SUB', 'DUP1', 3, 'JUMPI'];
  assert.equal(run(loop(1020)).result.halt, undefined);
  assert.equal(run([...Array.from({ length: 1024 }, () => 'PUSH0')]).result.halt, undefined);
  assertHalt([...Array.from({ length: 1025 }, () => 'PUSH0')], 'stack-overflow');
  assertHalt(['PUSH0', 'ADD'], 'stack-underflow');
  assertHalt(['PUSH0', 'SWAP1'], 'stack-underflow');
  assertHalt([...Array.from({ length: 15 }, () => 'PUSH0'), 'DUP16'], 'stack-underflow');
});

test('what is no instruction halts', () => {
  assertHalt(['INVALID'], 'invalid-opcode');
  assertHalt([Uint8Array.of(0x0c)], 'invalid-opcode');
  assertHalt([Uint8Array.of(0xef)], 'invalid-opcode');
});

test('memory abuse is out of gas, and costs nothing to find out', () => {
  const huge = (1n << 256n) - 1n;
  for (const offset of [huge, 1n << 64n, 1n << 32n, (1n << 32n) - 1n, 1n << 31n]) {
    assertHalt([offset, 'MLOAD'], 'out-of-gas', { gas: 2 ** 33 });
    assertHalt([1, offset, 'RETURN'], 'out-of-gas', { gas: 2 ** 33 });
    assertHalt([offset, 0, 'KECCAK256'], 'out-of-gas', { gas: 2 ** 33 });
    assertHalt([32, offset, 0, 'MCOPY'], 'out-of-gas', { gas: 2 ** 33 });
    assertHalt([offset, 0, 0, 'CALLDATACOPY'], 'out-of-gas', { gas: 2 ** 33 });
  }
  // Nothing at an impossible offset is nothing.
  assert.equal(run([0, huge, 'RETURN']).result.halt, undefined);
  assert.equal(run([0, huge, huge, 'MCOPY']).result.halt, undefined);
  assert.equal(run([0, huge, huge, 'CODECOPY']).result.halt, undefined);
});

test('what arenas have grown to does not count, and is given back', () => {
  const { world } = newMachine();
  const machine = new Machine({ fork: 'cancun', memoEntriesLog2: 2 }, { crypto: testCrypto, world });
  assert.equal(machine.reserveMemory(2 ** 30), false);
  assert.equal(machine.reserveMemory(2 ** 29 + 1), true);
  assert.equal(machine.memory.length, 2 ** 30);
  assert.equal(machine.reserveMemory(2 ** 30), false);
  machine.open(1024, 1025 * 8 * 1024, 0);
  machine.begin(testBlock, { origin: addressOf(0xaa), gasPrice: 11n, blobHashes: [] });
  assert.ok(machine.memory.length + machine.stack.length < 2 ** 22);
  assert.equal(machine.signed.buffer, machine.stack.buffer);
  assert.equal(machine.view.buffer, machine.memory.buffer);
});

test('memory of an earlier frame is not seen', () => {
  const dirty = [(1n << 256n) - 1n, 0, 'MSTORE', (1n << 256n) - 1n, 320, 'MSTORE'];
  const callee = addressOf(0xdd);
  const call: Item[] = [0, 0, 0, 0, 0, BigInt(toHex(callee)), 'GAS', 'CALL', 'POP'];
  const { result, world } = run([...call, 320, 'MLOAD', 0, 'SSTORE', ...call, 352, 'MLOAD', 1, 'SSTORE'], {
    prepare: (w) => w.put(callee, { code: assemble(...dirty) }),
  });
  assert.equal(result.halt, undefined);
  assert.equal(world.storage(1, 0), 0n);
  assert.equal(world.storage(1, 1), 0n);
});

test('copies read zeros behind the end', () => {
  const data = fromHex('0x0102030405');
  const wordOf = (hex: string): bigint => BigInt(`0x${hex.padEnd(64, '0')}`);
  assert.equal(top([0, 'CALLDATALOAD'], { data }), wordOf('0102030405'));
  assert.equal(top([3, 'CALLDATALOAD'], { data }), wordOf('0405'));
  assert.equal(top([5, 'CALLDATALOAD'], { data }), 0n);
  assert.equal(top([1n << 200n, 'CALLDATALOAD'], { data }), 0n);
  assert.equal(top([10, 2, 0, 'CALLDATACOPY', 0, 'MLOAD'], { data }), wordOf('030405'));
  assert.equal(top([32, 0, 0, 'CODECOPY', 0, 'MLOAD']), wordOf(toHex(assemble(32, 0, 0, 'CODECOPY', 0, 'MLOAD', ...RETURN_TOP)).slice(2)));
  assert.equal(top([(1n << 248n) | 1n, 0, 'MSTORE', 31, 1, 0, 'MCOPY', 0, 'MLOAD']), 257n);
});

test('environment', () => {
  const { caller, contract, world } = newMachine();
  const numberOf = (account: number): bigint => BigInt(toHex(world.address(account)));
  assert.equal(top(['ADDRESS']), numberOf(contract));
  assert.equal(top(['CALLER']), numberOf(caller));
  assert.equal(top(['ORIGIN']), numberOf(caller));
  assert.equal(top(['CALLVALUE'], { value: 77n }), 77n);
  assert.equal(top(['SELFBALANCE'], { value: 77n }), 77n);
  assert.equal(top(['GASPRICE']), 11n);
  assert.equal(top(['CHAINID']), 7n);
  assert.equal(top(['NUMBER']), 1000n);
  assert.equal(top(['TIMESTAMP']), 1_700_000_000n);
  assert.equal(top(['BASEFEE']), 9n);
  assert.equal(top(['BLOBBASEFEE']), 1n);
  assert.equal(top(['GASLIMIT']), 30_000_000n);
  assert.equal(top(['PREVRANDAO']) & 0xffn, 0x5an);
  assert.equal(top(['COINBASE']) & 0xffn, 0xcbn);
  assert.equal(top([0, 'BLOBHASH']) & 0xffn, 0xb1n);
  assert.equal(top([1, 'BLOBHASH']), 0n);
  assert.equal(top([999, 'BLOCKHASH']) & 0xffn, 999n & 0xffn);
  assert.equal(top([744, 'BLOCKHASH']) & 0xffn, 744n & 0xffn);
  for (const number of [743, 1000, 1001, 1n << 60n]) assert.equal(top([number, 'BLOCKHASH']), 0n);
  assert.equal(top(['PC']), 0n);
  assert.equal(top([0, 'POP', 'PC']), 3n);
  assert.equal(top(['MSIZE', 40, 'MLOAD', 'POP', 'MSIZE', 'ADD']), 96n);
});

test('storage: prices and refunds of EIP-2929 and EIP-3529', () => {
  const value = '\0'.repeat(31);
  const withOriginal = (w: FakeWorld, original: number): void => {
    if (original !== 0) w.state.slots.set(`1:${'\0'.repeat(32)}`, value + String.fromCharCode(original));
  };
  // [original, values written one after the other, gas of the writes (first one cold), refund]
  const cases: [number, number[], number, number][] = [
    [0, [0], 2200, 0],
    [0, [1], 22_100, 0],
    [0, [1, 0], 22_200, 19_900],
    [0, [1, 2], 22_200, 0],
    [1, [0], 5000, 4800],
    [1, [1], 2200, 0],
    [1, [2], 5000, 0],
    [1, [2, 0], 5100, 4800],
    [1, [0, 1], 5100, 2800],
    [1, [0, 2], 5100, 0],
    [1, [2, 1], 5100, 2800],
    [1, [0, 1, 0], 8000, 7600],
  ];
  for (const [original, writes, gas, refund] of cases) {
    const { used, world } = run(
      writes.flatMap((write) => [write, 0, 'SSTORE']),
      { prepare: (w) => withOriginal(w, original) },
    );
    assert.equal(used - 6 * writes.length, gas, JSON.stringify([original, writes]));
    assert.equal(world.refund, refund, JSON.stringify([original, writes]));
  }
  assert.equal(run([0, 'SLOAD', 'POP', 0, 'SLOAD']).used, 3 + 2100 + 2 + 3 + 100);
  assertHalt([1, 0, 'SSTORE'], 'out-of-gas', { gas: 2306 });
});

test('transient storage ends with the transaction and costs 100', () => {
  assert.equal(top([5, 1, 'TSTORE', 1, 'TLOAD']), 5n);
  assert.equal(run([5, 1, 'TSTORE', 1, 'TLOAD']).used, 9 + 200);
});

test('a static call may not write', () => {
  for (const write of [
    [1, 0, 'SSTORE'],
    [1, 0, 'TSTORE'],
    [0, 0, 'LOG0'],
    [0, 0, 0, 'CREATE'],
    [0, 0, 0, 0, 'CREATE2'],
    [0, 'SELFDESTRUCT'],
    [0, 0, 0, 0, 1, 0, 0, 'CALL'],
  ]) {
    assertHalt(write, 'static-violation', { isStatic: true });
  }
  assert.equal(run([0, 0, 0, 0, 0, 0, 0, 'CALL'], { isStatic: true }).result.halt, undefined);
});
