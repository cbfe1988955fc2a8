import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng, toHex } from '@shardlab/crosslink';
import { CodeCache } from '../../../src/execution/evm/code.ts';
import { Evm } from '../../../src/execution/evm/evm.ts';
import type { EvmLog, StateSource } from '../../../src/execution/evm/types.ts';
import { WorldState } from '../../../src/execution/evm/world-state.ts';
import { ProgramWriter } from './compiler-programs.ts';
import { addressOf, assemble, testBlock, testCrypto } from './interpreter-support.ts';

const NOTHING: StateSource = {
  account: () => undefined,
  code: () => new Uint8Array(0),
  storage: (_address, _key, out) => void out.fill(0),
  hasStorage: () => false,
  homeOf: () => -1,
};

interface Run {
  /** By call. */
  readonly outcomes: string[];
  readonly traces: number;
}

function textOf(what: unknown): string {
  return JSON.stringify(what, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value instanceof Uint8Array ? toHex(value) : value));
}

/** Calls the first of the codes several times, with other data and gas each time, and notes all that can be seen. */
function runAll(codes: readonly Uint8Array[], calls: readonly { gas: number; data: Uint8Array }[], compileAfter: number): Run {
  const world = new WorldState(NOTHING, testCrypto, new CodeCache());
  const evm = new Evm({ fork: 'cancun', memoEntriesLog2: 4, compileAfter }, { crypto: testCrypto, world });
  evm.begin(testBlock, { origin: addressOf(0xaa), gasPrice: 11n, blobHashes: [] });
  const caller = world.accountOf(addressOf(0xaa));
  const accounts = codes.map((code, i) => {
    const account = world.accountOf(addressOf(0xc0 + i));
    world.setCode(account, code);
    world.addBalance(account, 1000n);
    return account;
  });
  world.addBalance(caller, 10n ** 18n);
  world.endTransaction();
  const outcomes = calls.map(({ gas, data }) => {
    world.beginTransaction();
    const { halt, gasLeft, output } = evm.call({ caller, to: accounts[0]!, value: 3n, data, gas });
    const logs = world.logs().map((log: EvmLog) => [log.address, ...log.topics, log.data].map(toHex).join());
    const { refund } = world;
    world.endTransaction();
    // What was read counts, too: it is what a transaction locks.
    return textOf({ halt, gasLeft, output: toHex(output), logs, refund, reads: world.reads() });
  });
  const { accounts: changed, slots } = world.changes();
  outcomes.push(textOf([changed, slots]));
  const traces = accounts.reduce((sum, account) => sum + world.code(account).segments.compiled.filter((trace) => trace !== undefined).length, 0);
  return { outcomes, traces };
}

test('compiled code does what the interpreter does, to the unit of gas', () => {
  const seeds = Number(process.env['EVM_PROGRAMS'] ?? 150);
  const first = Number(process.env['EVM_SEED'] ?? 1);
  let traces = 0;
  let successes = 0;
  for (let seed = first; seed < first + seeds; seed++) {
    const prng = new Prng(seed);
    const codes = Array.from({ length: 4 }, () => new ProgramWriter(prng.u32()).write(5 + prng.below(60)));
    const calls = Array.from({ length: 8 }, (_, i) => ({ gas: i < 5 ? 1_000_000 : prng.below(200_000), data: prng.bytes(prng.below(100)) }));
    const expected = runAll(codes, calls, 0);
    assert.equal(expected.traces, 0);
    for (const threshold of [1, 2, 4]) {
      const found = runAll(codes, calls, threshold);
      assert.deepEqual(found.outcomes, expected.outcomes, `seed ${seed}, compiled after ${threshold}: ${codes.map(toHex).join(' ')}`);
      traces += found.traces;
    }
    successes += expected.outcomes.filter((outcome) => !outcome.includes('"halt"')).length;
  }
  // The comparison means something only if much was compiled, and much ran to its end.
  assert.ok(traces > 10 * seeds, `${traces} traces`);
  assert.ok(successes > seeds, `${successes} successes`);
});

/** A call of nothing: what lies on the stack is not known to the trace that begins behind it. */
const BOUNDARY = [0, 0, 0, 0, 0, 0x1234, 0, 'CALL', 'POP'];
/** Writes the top word to the next slot, counted in memory at 0x200. */
const KEEP = [0x200, 'MLOAD', 1, 'ADD', 'DUP1', 0x200, 'MSTORE', 'SSTORE'];

/** Where a JUMPDEST is, behind the code of each case. */
const ELSEWHERE = 600;

const CASES: Readonly<Record<string, readonly (string | number | bigint)[]>> = {
  'a word whose place an instruction of the interpreter takes': [5, ...BOUNDARY, 'DUP1', 0, 'MSTORE', 'TLOAD', ...KEEP, 0, 'MLOAD', 'DUP1', 'SSTORE'],
  'words that change places before such an instruction': [5, 6, 7, ...BOUNDARY, 'SWAP2', 'SWAP1', 'SELFBALANCE', ...KEEP, ...KEEP, ...KEEP, ...KEEP],
  'words that change places before a rare exit': [0, 'CALLDATALOAD', 250, 'SHR', 5, 6, ...BOUNDARY, 'SWAP1', 'DUP3', ELSEWHERE, 'JUMPI', ...KEEP, ...KEEP, ...KEEP],
  'a byte at an offset that is not known': [40, ...BOUNDARY, 0x1234, 32, 'MSTORE', 0x77, 'SWAP1', 'MSTORE8', 32, 'MLOAD', ...KEEP],
  'a word at an offset that is not known': [40, ...BOUNDARY, 0x1234, 32, 'MSTORE', 0x77, 'SWAP1', 'MSTORE', 32, 'MLOAD', ...KEEP],
  'a word that overlaps another': [0x1234, 32, 'MSTORE', 0x77, 41, 'MSTORE', 32, 'MLOAD', ...KEEP, 73, 'MLOAD', ...KEEP],
  'zeros that overlap a word': [0x1234, 32, 'MSTORE', 0, 24, 'MSTORE', 32, 'MLOAD', ...KEEP],
  'an offset that nobody can pay for': [1n << 200n, ...BOUNDARY, 'MLOAD'],
  'an offset that is known and that nobody can pay for': [1n << 200n, 'MLOAD'],
  'an empty range anywhere': [1n << 200n, 0, ...BOUNDARY, 'SWAP1', 'KECCAK256', ...KEEP],
  'a hash of a range that is not known': [33, ...BOUNDARY, 7, 0, 'MSTORE', 0, 'KECCAK256', ...KEEP],
  'data that ends inside of a word': [30, 'CALLDATALOAD', ...KEEP, 1000, 'CALLDATALOAD', ...KEEP, 3, ...BOUNDARY, 'CALLDATALOAD', ...KEEP],
  'a segment of 490 instructions': ['NUMBER', ...Array.from({ length: 160 }, () => ['CALLER', 'ORIGIN', 'ADDMOD']).flat(), ...KEEP],
};

test('the places where compiled code must be careful', () => {
  for (const [name, items] of Object.entries(CASES)) {
    const code = new Uint8Array(ELSEWHERE + 60);
    code.set(assemble(...items));
    code.set(assemble('JUMPDEST', ...KEEP, ...KEEP, ...KEEP), ELSEWHERE);
    const calls = Array.from({ length: 6 }, (_, i) => ({ gas: 2_000_000, data: new Uint8Array(36).fill(i === 4 ? 0xff : i + 1) }));
    const expected = runAll([code], calls, 0);
    for (const threshold of [1, 2, 3]) {
      const found = runAll([code], calls, threshold);
      assert.ok(found.traces > 0);
      assert.deepEqual(found.outcomes, expected.outcomes, name);
    }
  }
});

/** A world with one contract, and what calls it. */
function newContract(code: Uint8Array, compileAfter: number): { call: (data: Uint8Array, gas: number) => number; traces: () => number; segments: () => number } {
  const world = new WorldState(NOTHING, testCrypto, new CodeCache());
  const evm = new Evm({ fork: 'cancun', memoEntriesLog2: 4, compileAfter }, { crypto: testCrypto, world });
  evm.begin(testBlock, { origin: addressOf(0xaa), gasPrice: 11n, blobHashes: [] });
  const [caller, to] = [world.accountOf(addressOf(0xaa)), world.accountOf(addressOf(0xcc))];
  world.setCode(to, code);
  const call = (data: Uint8Array, gas: number): number => {
    world.beginTransaction();
    const { gasLeft } = evm.call({ caller, to, value: 0n, data, gas });
    return gasLeft;
  };
  const { segments } = world.code(to);
  return { call, traces: () => segments.compiled.filter((trace) => trace !== undefined).length, segments: () => segments.length };
}

test('compiling is paid for by what was run before', () => {
  // 500 entries, each of them into the same long code; each call runs out of gas behind the jump.
  const entries = 500;
  const tail = 3 + 6 * entries;
  const code = assemble(
    0,
    'CALLDATALOAD',
    'JUMP',
    ...Array.from({ length: entries }, () => ['JUMPDEST', Uint8Array.of(0x61, tail >> 8, tail & 0xff), 'JUMP', 'STOP']).flat(),
  );
  const long = assemble('JUMPDEST', ...Array.from({ length: 400 }, () => ['CALLER', 'ORIGIN', 'ADD', 'TIMESTAMP', 'MUL', 0, 'SSTORE']).flat());
  const whole = new Uint8Array(tail + 1 + long.length);
  whole.set(code);
  assert.equal(whole[4], 0x5b);
  whole.set(long, tail);
  const { call, traces } = newContract(whole, 10);
  const data = new Uint8Array(32);
  for (let round = 0; round < 20; round++) {
    for (let entry = 0; entry < entries; entry++) {
      const at = 4 + 6 * entry;
      data[30] = at >> 8;
      data[31] = at & 0xff;
      call(data, 40);
    }
  }
  assert.ok(traces() > 0);
  assert.ok(traces() < entries / 2, `${traces()} traces`);
});

test('only what is entered is analysed', () => {
  // As long as initcode may be, and each byte a place to jump to.
  const code = new Uint8Array(0xc000).fill(0x5b);
  code.set(assemble(0x100, 'JUMP'));
  code[0x100 + 2] = 0x00;
  const { call, segments } = newContract(code, 0);
  call(new Uint8Array(0), 100_000);
  assert.equal(segments(), 3);
});

test('a code that ran without compiling is compiled later', () => {
  const { call, traces } = newContract(assemble('ADDRESS', 0, 'SSTORE'), 3);
  for (let i = 0; i < 10; i++) call(new Uint8Array(0), 100_000);
  assert.equal(traces(), 1);
});

test('words that were small when a trace was made, and are not later', () => {
  // CALLDATALOAD lies on the stack when a call ends the trace; the next one counts on it.
  const first = [0, 'CALLDATALOAD', ...BOUNDARY, 'DUP1', 1, 'ADD', 0, 'MSTORE', 'DUP1', 3, 'MUL', 32, 'MSTORE'];
  const code = assemble(...first, 96, 0x40, 'MSTORE', 32, 0, 'LOG0', 64, 0, 'RETURN');
  const calls = Array.from({ length: 200 }, (_, i) => {
    const data = new Uint8Array(32);
    data[31] = i;
    if (i > 20 && i % 2 === 0) data[i % 31] = 0xff;
    return { gas: 100_000, data };
  });
  assert.deepEqual(runAll([code], calls, 5).outcomes, runAll([code], calls, 0).outcomes);
});

test('words of which only the upper limbs were asked for: they are counted on, too', () => {
  // SGT decides by the top limb, AND with a mask of all small words hands the word on, SIGNEXTEND as well: none of them names the word's lower limb.
  const bodies: (readonly (string | number | bigint)[])[] = [
    [0xffffff, 'NOT', 'SGT'],
    [0x3fffffff, 'AND'],
    [31, 'SIGNEXTEND'],
    [30, 'SIGNEXTEND'],
    [0, 'BYTE'],
    [200, 'SHR'],
    [(1n << 255n) - 1n, 'SLT'],
  ];
  for (const body of bodies) {
    const code = assemble(0, 'CALLDATALOAD', ...BOUNDARY, ...body, 0, 'MSTORE', 32, 0, 'RETURN');
    const calls = Array.from({ length: 20 }, (_, i) => ({ gas: 100_000, data: new Uint8Array(32).fill(i < 8 ? 0 : 0xbc + i) }));
    for (const compileAfter of [1, 3]) assert.deepEqual(runAll([code], calls, compileAfter).outcomes, runAll([code], calls, 0).outcomes, body.map(String).join(' '));
  }
});

test('a compiled frame without gas reads no slot that the interpreter would not read', () => {
  // 100 slots from 0 on; each call can pay for fewer, and ends in the middle of a trace.
  const code = assemble(0, ...Array.from({ length: 100 }, () => ['DUP1', 'SLOAD', 'POP', 1, 'ADD'] as const).flat());
  const calls = [30_000, 60_000, 61_000, 100_000].map((gas) => ({ gas, data: new Uint8Array(0) }));
  const found = runAll([code], calls, 1);
  assert.ok(found.traces > 0);
  assert.deepEqual(found.outcomes, runAll([code], calls, 0).outcomes);
});
