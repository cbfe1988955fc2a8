import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, address, concatBytes, fromHex, toHex } from '@shardlab/crosslink';
import { create2Address, createAddress } from '../../../src/execution/evm/creations.ts';
import type { TraceCall, TraceResult } from '../../../src/execution/evm/tracer.ts';
import type { CallResult, EvmFork } from '../../../src/execution/evm/types.ts';
import { addressOf, assemble, type FakeWorld, newMachine, testCrypto } from './interpreter-support.ts';

type Item = string | number | bigint | Uint8Array;
const GAS = 1_000_000;
const CALLEE = addressOf(0xdd);
const OTHER = addressOf(0xee);
const numberOf = (account: Address): bigint => BigInt(toHex(account));

interface Options {
  gas?: number;
  fork?: EvmFork;
  balance?: bigint;
  prepare?: (world: FakeWorld) => void;
}

function run(items: readonly Item[], options: Options = {}): { result: CallResult; used: number; world: FakeWorld; contract: number } {
  const { world, evm, caller, contract } = newMachine(options.fork);
  world.put(addressOf(0xcc), { code: assemble(...items), balance: options.balance ?? 0n });
  options.prepare?.(world);
  world.beginTransaction();
  world.warmAccount(contract);
  const gas = options.gas ?? GAS;
  const result = evm.call({ caller, to: contract, value: 0n, data: new Uint8Array(0), gas });
  return { result, used: gas - result.gasLeft, world, contract };
}

/** Pushes of a call with no memory, and the instruction: 7 or 6 pushes of 3 gas each. */
function call(kind: string, to: Address, gas: number | bigint, value = 0): Item[] {
  const hasValue = kind === 'CALL' || kind === 'CALLCODE';
  return [0, 0, 0, 0, ...(hasValue ? [value] : []), numberOf(to), gas, kind];
}

const has =
  (...items: Item[]) =>
  (world: FakeWorld): void => {
    world.put(CALLEE, { code: assemble(...items) });
  };

test('a call costs what EIP-2929 and EIP-150 say', () => {
  assert.equal(run(call('CALL', CALLEE, 0)).used, 21 + 2600);
  assert.equal(run([...call('CALL', CALLEE, 0), ...call('CALL', CALLEE, 0)]).used, 42 + 2600 + 100);
  for (const kind of ['DELEGATECALL', 'STATICCALL']) assert.equal(run(call(kind, CALLEE, 0)).used, 18 + 2600);
  // Value: 9,000, a new account 25,000; the stipend comes back from an account without code.
  assert.equal(run(call('CALL', CALLEE, 0, 1), { balance: 5n }).used, 21 + 2600 + 9000 + 25_000 - 2300);
  assert.equal(run(call('CALLCODE', CALLEE, 0, 1), { balance: 5n }).used, 21 + 2600 + 9000 - 2300);
  // The callee burns all it gets: a 64th stays.
  const left = GAS - 21 - 2600;
  assert.equal(run(call('CALL', CALLEE, 1n << 200n), { prepare: has('INVALID') }).result.gasLeft, Math.floor(left / 64));
  assert.equal(run(call('CALL', CALLEE, 5000), { prepare: has('INVALID') }).used, 21 + 2600 + 5000);
  assert.equal(run(call('CALL', CALLEE, 5000), { prepare: has('GAS', 'POP') }).used, 21 + 2600 + 4);
});

test('flags, return data and memory after a call', () => {
  const answers = has(0x2a, 0, 'MSTORE', 64, 0, 'RETURN');
  const code = [40, 8, 0, 0, 0, numberOf(CALLEE), 'GAS', 'CALL', 0, 'SSTORE', 'RETURNDATASIZE', 1, 'SSTORE', 8, 'MLOAD', 2, 'SSTORE', 'MSIZE', 3, 'SSTORE'];
  const { world, contract } = run(code, { prepare: answers });
  assert.deepEqual([0, 1, 2, 3].map((key) => world.storage(contract, key)), [1n, 64n, 0x2an, 64n]);
  const reverting = run(code, { prepare: has(7, 0, 'MSTORE', 32, 0, 'REVERT') });
  assert.deepEqual([0, 1, 2].map((key) => reverting.world.storage(contract, key)), [0n, 32n, 7n]);
  const failing = run(code, { prepare: has('INVALID') });
  assert.deepEqual([0, 1, 2].map((key) => failing.world.storage(contract, key)), [0n, 0n, 0n]);
  // Beyond the return data is a failure, even for no bytes.
  assert.equal(run([...call('STATICCALL', CALLEE, 60_000), 32, 32, 0, 'RETURNDATACOPY'], { prepare: answers }).result.halt, undefined);
  assert.equal(run([...call('STATICCALL', CALLEE, 60_000), 0, 65, 0, 'RETURNDATACOPY'], { prepare: answers }).result.halt, 'return-data-out-of-bounds');
  assert.equal(run([...call('STATICCALL', CALLEE, 60_000), 33, 32, 0, 'RETURNDATACOPY'], { prepare: answers }).result.halt, 'return-data-out-of-bounds');
});

test('whose storage, who calls, with what value', () => {
  const observe = has('ADDRESS', 0, 'SSTORE', 'CALLER', 1, 'SSTORE', 'CALLVALUE', 2, 'SSTORE');
  const seen = (kind: string, value: number): { own: bigint[]; callee: bigint[] } => {
    const { world, contract } = run(call(kind, CALLEE, 500_000, value), { prepare: observe, balance: 10n });
    const of = (account: number): bigint[] => [0, 1, 2].map((key) => world.storage(account, key));
    return { own: of(contract), callee: of(world.accountOf(CALLEE)) };
  };
  const self = numberOf(addressOf(0xcc));
  const origin = numberOf(addressOf(0xaa));
  assert.deepEqual(seen('CALL', 3), { own: [0n, 0n, 0n], callee: [numberOf(CALLEE), self, 3n] });
  assert.deepEqual(seen('CALLCODE', 3), { own: [self, self, 3n], callee: [0n, 0n, 0n] });
  assert.deepEqual(seen('DELEGATECALL', 0), { own: [self, origin, 0n], callee: [0n, 0n, 0n] });
  assert.deepEqual(seen('STATICCALL', 0), { own: [0n, 0n, 0n], callee: [0n, 0n, 0n] });
});

test('a call that fails undoes its own writes only', () => {
  const prepare = has(1, 0, 'SSTORE', 0, 0, 'LOG0', 0, 0, 'REVERT');
  const { world, contract } = run([1, 0, 'SSTORE', ...call('CALL', CALLEE, 100_000, 4), 1, 'SSTORE'], { prepare, balance: 4n });
  assert.equal(world.storage(contract, 0), 1n);
  assert.equal(world.storage(contract, 1), 0n);
  assert.equal(world.storage(world.accountOf(CALLEE), 0), 0n);
  assert.equal(world.balance(contract), 4n);
  assert.equal(world.state.logs.length, 0);
});

test('1,024 calls deep, and not one more', () => {
  // Counts in slot 0 of itself how often it got to run, then calls itself with all gas.
  const code = [0, 'SLOAD', 1, 'ADD', 0, 'SSTORE', 0, 0, 0, 0, 0, 'ADDRESS', 'GAS', 'CALL', 'POP'];
  const { world, contract, result } = run(code, { gas: 2 ** 40 });
  assert.equal(result.halt, undefined);
  assert.equal(world.storage(contract, 0), 1025n);
});

test('value that is not there: no call, gas given back', () => {
  const { result, used } = run([...call('CALL', CALLEE, 5000, 1), 0, 'MSTORE', 32, 0, 'RETURN'], { prepare: has('INVALID') });
  assert.equal(BigInt(toHex(result.output)), 0n);
  assert.equal(used, 21 + 2600 + 9000 - 2300 + 3 + 3 + 3 + 6);
});

test('precompiles: gas, output, failure', () => {
  const identity = addressOf(0);
  identity[19] = 4;
  const failing = addressOf(0);
  failing[19] = 9;
  const look = [0, 'SSTORE', 32, 'MLOAD', 1, 'SSTORE', 'RETURNDATASIZE', 2, 'SSTORE'];
  const ask = (to: Address): Item[] => [0x77, 0, 'MSTORE', 32, 32, 32, 0, 0, numberOf(to), 50_000, 'CALL', ...look];
  const warm = (world: FakeWorld): void => [identity, failing].forEach((to) => void world.accountOf(to));
  const good = run(ask(identity), { prepare: warm });
  assert.deepEqual([0, 1, 2].map((key) => good.world.storage(good.contract, key)), [1n, 0x77n, 32n]);
  const bad = run(ask(failing), { prepare: warm });
  assert.deepEqual([0, 1, 2].map((key) => bad.world.storage(bad.contract, key)), [0n, 0n, 0n]);
  assert.equal(good.used - bad.used, 18 - 50_000 + 3 * 22_100 - 3 * 2200);
});

test('addresses of creations', () => {
  // Of EIP-1014's examples, and of the first contracts of a well-known account.
  const zero = address(new Uint8Array(20));
  assert.equal(toHex(create2Address(testCrypto, zero, new Uint8Array(32), fromHex('0x00'))), '0x4d1a2e2bb4f88f0250f26ffff098b0b30b26bf38');
  const deployer = address(fromHex('0xdeadbeef00000000000000000000000000000000'));
  assert.equal(toHex(create2Address(testCrypto, deployer, new Uint8Array(32), fromHex('0x00'))), '0xb928f69bb1d91cd65274e3c79d8986362984fda3');
  const creator = address(fromHex('0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0'));
  const expected = [
    '0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d',
    '0x343c43a37d37dff08ae8c4a11544c718abb4fcf8',
    '0xf778b86fa74e846c4f0a1fbd1335fe81c00a0c91',
    '0xfffd933a0bc612844eaf0c6fe3e5b8e9b6c1d19c',
  ];
  assert.deepEqual([0n, 1n, 2n, 3n].map((nonce) => toHex(createAddress(testCrypto, creator, nonce))), expected);
  assert.equal(createAddress(testCrypto, creator, (1n << 64n) - 2n).length, 20);
});

/** Initcode that returns `code`. */
function initcode(code: Uint8Array): Uint8Array {
  const head = assemble(code.length, 'DUP1', 0x0c, 0, 'CODECOPY', 0, 'RETURN');
  return concatBytes(head.length === 12 ? head : assemble(code.length, 'DUP1', head.length, 0, 'CODECOPY', 0, 'RETURN'), code);
}

test('CREATE makes an account with code, nonce and value', () => {
  const inner = initcode(assemble(0x2a));
  const word = BigInt(toHex(inner)) << BigInt(8 * (32 - inner.length));
  const code: Item[] = [word, 0, 'MSTORE', inner.length, 0, 5, 'CREATE', 0, 'SSTORE'];
  const { world, contract } = run(code, { balance: 9n });
  const to = createAddress(testCrypto, addressOf(0xcc), 1n);
  assert.equal(world.storage(contract, 0), numberOf(to));
  const made = world.account(world.accountOf(to));
  assert.deepEqual([made.balance, made.nonce, toHex(made.code)], [5n, 1n, '0x602a']);
  assert.equal(world.nonce(contract), 2n);
  // At an address with code nothing is made, and the nonce is gone.
  const taken = run([...code.slice(0, -2), 'POP', ...code], { balance: 9n, gas: 10_000_000, prepare: (w) => w.put(to, { code: Uint8Array.of(0) }) });
  assert.equal(taken.world.nonce(contract), 3n);
  assert.equal(taken.world.account(taken.world.accountOf(to)).code.length, 1);
  assert.equal(taken.result.halt, undefined);
});

test('what may not be deployed burns the gas and leaves nothing', () => {
  const { world, evm, caller } = newMachine();
  const attempt = (code: Uint8Array, gas = 6_000_000): CallResult => {
    world.beginTransaction();
    const nonce = world.nonce(caller);
    world.setNonce(caller, nonce + 1n);
    return evm.create({ caller, value: 1n, initcode: code, gas, nonce });
  };
  assert.equal(attempt(assemble(0xef, 0, 'MSTORE8', 1, 0, 'RETURN')).halt, 'invalid-code');
  assert.equal(attempt(assemble(0x6001, 0, 'RETURN')).halt, 'code-too-long');
  const longest = attempt(assemble(0x6000, 0, 'RETURN'));
  assert.equal(longest.halt, undefined);
  assert.equal(6_000_000 - longest.gasLeft, 6 + 3 * 768 + (768 * 768) / 512 + 200 * 0x6000);
  assert.equal(attempt(assemble(0x6000, 0, 'RETURN'), 4_000_000).halt, 'out-of-gas');
  assert.equal(attempt(new Uint8Array(0xc001)).halt, 'initcode-too-long');
  assert.equal(attempt(new Uint8Array(0xc000)).halt, undefined);
  const reverted = attempt(assemble(7, 0, 'MSTORE', 32, 0, 'REVERT'));
  assert.deepEqual([reverted.halt, BigInt(toHex(reverted.output))], ['revert', 7n]);
  assert.equal(world.balance(caller), 10n ** 20n - 2n);
});

test('self-destruction moves the balance, and deletes what is new (EIP-6780)', () => {
  const old = run([numberOf(OTHER), 'SELFDESTRUCT'], { balance: 5n });
  assert.equal(old.used, 3 + 5000 + 2600 + 25_000);
  assert.deepEqual([old.world.balance(old.contract), old.world.balance(old.world.accountOf(OTHER))], [0n, 5n]);
  assert.equal(old.world.account(old.contract).destroyed, false);
  const self = run(['ADDRESS', 'SELFDESTRUCT'], { balance: 5n });
  assert.equal(self.world.balance(self.contract), 5n);
  const { world, evm, caller } = newMachine();
  world.beginTransaction();
  const { created } = evm.create({ caller, value: 5n, initcode: assemble('ADDRESS', 'SELFDESTRUCT'), gas: GAS, nonce: 0n });
  assert.ok(created !== undefined);
  assert.deepEqual([world.balance(created), world.account(created).destroyed], [0n, true]);
});

test('delegations are followed one step, under Prague only (EIP-7702)', () => {
  const designator = concatBytes(fromHex('0xef0100'), OTHER);
  const prepare = (world: FakeWorld): void => {
    world.put(CALLEE, { code: designator });
    world.put(OTHER, { code: assemble('ADDRESS', 0, 'SSTORE') });
  };
  const prague = run([...call('CALL', CALLEE, 100_000)], { prepare, fork: 'prague' });
  assert.equal(prague.world.storage(prague.world.accountOf(CALLEE), 0), numberOf(CALLEE));
  assert.equal(prague.used, 21 + 2600 + 2600 + 2 + 3 + 22_100);
  const cancun = run([...call('CALL', CALLEE, 100_000)], { prepare });
  assert.equal(cancun.used, 21 + 2600 + 100_000);
  assert.equal(run([numberOf(CALLEE), 'EXTCODESIZE', 0, 'SSTORE'], { prepare, fork: 'prague' }).world.storage(1, 0), 23n);
  // To itself: the designator is no code.
  const loop = run([...call('CALL', CALLEE, 100_000)], { prepare: (w) => w.put(CALLEE, { code: concatBytes(fromHex('0xef0100'), CALLEE) }), fork: 'prague' });
  assert.equal(loop.used, 21 + 2600 + 100 + 100_000);
});

test('accounts of other shards: credits, and reverts that name them (R12)', () => {
  const foreign = (world: FakeWorld): void => void world.homes.set(world.put(CALLEE, {}), 3);
  const paid = run(call('CALL', CALLEE, 0, 2), { prepare: foreign, balance: 5n });
  assert.equal(paid.used, 21 + 2600 + 9000 - 2300);
  assert.deepEqual(paid.world.state.credits, [[paid.world.accountOf(CALLEE), 2n]]);
  assert.equal(paid.world.balance(paid.contract), 3n);
  for (const code of [
    call('CALL', CALLEE, 0),
    call('STATICCALL', CALLEE, 0),
    call('DELEGATECALL', CALLEE, 0),
    call('CALLCODE', CALLEE, 0, 1),
    [numberOf(CALLEE), 'BALANCE'],
    [numberOf(CALLEE), 'EXTCODESIZE'],
    [numberOf(CALLEE), 'EXTCODEHASH'],
    [0, 0, 0, numberOf(CALLEE), 'EXTCODECOPY'],
  ]) {
    const { result, used } = run([...code, 'INVALID'], { prepare: foreign, balance: 5n });
    assert.equal(result.halt, 'foreign-account');
    assert.equal(toHex(result.output), `0x9b3f8cdc${'0'.repeat(24)}${'dd'.repeat(20)}${'3'.padStart(64, '0')}`);
    assert.equal(used, code.length * 3 - 3 + 2600);
  }
  // A transaction to an account that is delegated to one over there (EIP-7702).
  const { world, evm, caller, contract } = newMachine('prague');
  foreign(world);
  world.put(addressOf(0xcc), { code: concatBytes(fromHex('0xef0100'), CALLEE) });
  world.beginTransaction();
  const delegated = evm.call({ caller, to: contract, value: 1n, data: new Uint8Array(0), gas: GAS });
  assert.deepEqual([delegated.halt, delegated.gasLeft, world.balance(contract)], ['foreign-account', GAS, 0n]);
  const gone = run([numberOf(CALLEE), 'SELFDESTRUCT'], { prepare: foreign, balance: 5n });
  assert.deepEqual(gone.world.state.credits, [[gone.world.accountOf(CALLEE), 5n]]);
  assert.equal(gone.world.balance(gone.contract), 0n);
});

test('a tracer sees every step and call, and changes nothing', () => {
  const { world, evm, caller, contract } = newMachine();
  world.put(addressOf(0xcc), { code: assemble(...call('CALL', CALLEE, 50_000), 'POP', 1, 0, 'SSTORE') });
  world.put(CALLEE, { code: assemble(9, 0, 'MSTORE', 32, 0, 'REVERT') });
  const message = { caller, to: contract, value: 0n, data: new Uint8Array(0), gas: GAS };
  world.beginTransaction();
  const plain = evm.call(message);
  const steps: string[] = [];
  const calls: (TraceCall | TraceResult)[] = [];
  evm.tracer = {
    step: (step) => steps.push(`${step.depth}:${step.pc}:${step.name}:${step.stackHeight}`),
    stepped: (cost) => steps.push(`${steps.pop()}:${cost}`),
    enter: (entered) => calls.push(entered),
    exit: (result) => calls.push(result),
  };
  world.state.slots.clear();
  world.beginTransaction();
  assert.deepEqual(evm.call(message), plain);
  assert.deepEqual(steps.slice(-12), [
    '1:34:CALL:7:52600',
    '2:0:PUSH1:0:3',
    '2:2:PUSH1:1:3',
    '2:4:MSTORE:2:6',
    '2:5:PUSH1:0:3',
    '2:7:PUSH1:1:3',
    '2:9:REVERT:2',
    '1:35:POP:1:2',
    '1:36:PUSH1:0:3',
    '1:38:PUSH1:1:3',
    '1:40:SSTORE:2:22100',
    '1:41:STOP:0:0',
  ]);
  assert.equal(calls.length, 4);
  assert.deepEqual((calls[2] as TraceResult).halt, 'revert');
  assert.equal((calls[2] as TraceResult).gasUsed, 18);
});
