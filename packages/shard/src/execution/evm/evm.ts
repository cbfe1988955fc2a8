import { claim, createAddress, openCreation } from './creations.ts';
import { moveValue, precompileAt } from './calls.ts';
import type { Code } from './code.ts';
import { Compiler } from './compiler/compiler.ts';
import { ADDRESS_BELOW, CALLER_BELOW, FRAME_WORDS, VALUE_BELOW } from './frame.ts';
import { INITCODE_BYTES_MAX } from './gas.ts';
import { GasAbove } from './gas-above.ts';
import { foreignAccount } from './interpreter/foreign.ts';
import { Machine } from './interpreter/machine.ts';
import {
  CREATE_COLLISION,
  DONE,
  haltOf,
  INITCODE_TOO_LONG,
  INSUFFICIENT_BALANCE,
  OUT_OF_GAS,
  type Outcome,
  PRECOMPILE_FAILURE,
} from './interpreter/outcome.ts';
import { execute } from './interpreter/run.ts';
import type { TraceCall, Tracer } from './tracer.ts';
import type { AccountId, BlockEnvironment, CallResult, EvmCrypto, EvmFork, Precompile, TransactionEnvironment } from './types.ts';
import { fromBigint, LIMBS } from './words/basic.ts';
import type { EvmWorld } from './world.ts';

/** At most 131,072 hashes: 13 MB. */
const MEMO_ENTRIES_LOG2 = 17;
/** Entries of a segment before it is compiled: a few blocks' worth of a hot contract, and never for what runs once. */
const COMPILE_AFTER = 200;
/** Gas is a number: more than this counts as this much. */
const GAS_MAX = Number.MAX_SAFE_INTEGER;
const HOME = -1;
const NOTHING = new Uint8Array(0);

/** A transaction's call of an account. */
export interface CallMessage {
  readonly caller: AccountId;
  readonly to: AccountId;
  /** Wei. */
  readonly value: bigint;
  readonly data: Uint8Array;
  /** Below 2^53. */
  readonly gas: number;
  /** Gas beside `gas`, which is {@link GAS_WHOLE_MAX} then; absent for what is below 2^53. */
  readonly gasAbove?: bigint;
  /** Whether what writes state halts, as below STATICCALL. */
  readonly isStatic?: boolean;
}

/** A transaction's creation of a contract. */
export interface CreateMessage {
  readonly caller: AccountId;
  /** Wei. */
  readonly value: bigint;
  readonly initcode: Uint8Array;
  /** Below 2^53. */
  readonly gas: number;
  /** Gas beside `gas`, which is {@link GAS_WHOLE_MAX} then; absent for what is below 2^53. */
  readonly gasAbove?: bigint;
  /** The caller's nonce before the transaction took it. The EVM does not increment it here. */
  readonly nonce: bigint;
}

/** How a creation ended; `created` is the account, undefined if it failed. */
export interface CreateResult extends CallResult {
  readonly created: AccountId | undefined;
}

/**
 * Ethereum's virtual machine (Yellow Paper 9, and the EIPs to the chosen fork): runs the calls of transactions on a world state. Synchronous and deterministic; one
 * instance serves any number of transactions, one after the other, and keeps its arenas, hashes and frames between them.
 */
export class Evm {
  private readonly machine: Machine;
  private readonly compiler: Compiler;

  /**
   * `memoEntriesLog2`: remembers 2^memoEntriesLog2 hashes of mapping slots (17 by default, 13 MB). `compileAfter`: a segment of code that was entered so often is
   * compiled to JavaScript, as far as the instructions that ran before pay for it (200 by default; 0: never; below 10, for tests: whatever it costs). Neither
   * changes any outcome.
   */
  constructor(
    options: { readonly fork: EvmFork; readonly memoEntriesLog2?: number; readonly compileAfter?: number },
    modules: { readonly crypto: EvmCrypto; readonly world: EvmWorld },
  ) {
    const { fork, memoEntriesLog2 = MEMO_ENTRIES_LOG2, compileAfter = COMPILE_AFTER } = options;
    this.compiler = new Compiler(compileAfter);
    this.machine = new Machine({ fork, memoEntriesLog2 }, modules);
  }

  /** The fork whose rules hold. */
  get fork(): EvmFork {
    return this.machine.fork;
  }

  /** Hooks into execution; undefined: none, and none are paid for. */
  get tracer(): Tracer | undefined {
    return this.machine.tracer;
  }
  set tracer(tracer: Tracer | undefined) {
    this.machine.tracer = tracer;
  }

  /** Gas that the last call left beside what its result says; 0 unless it was given some beside. */
  get gasLeftAbove(): bigint {
    return this.machine.gasAbove?.left ?? 0n;
  }

  /** Sets the world that the next calls work on. */
  use(world: EvmWorld): void {
    this.machine.world = world;
  }

  /** Sets the environment of the next calls. The block's values are read again only if it is another object. */
  begin(block: BlockEnvironment, transaction: TransactionEnvironment): void {
    this.machine.begin(block, transaction);
  }

  /**
   * A message call: moves the value, runs the precompile or the code, and undoes everything if it fails. The nonce, the price of gas and what makes accounts
   * warm at the start of a transaction are the caller's affair.
   */
  call(message: CallMessage): CallResult {
    const { machine } = this;
    const { world } = machine;
    const { caller, to, value, data } = message;
    const gas = this.takeGas(message);
    machine.outputLength = 0;
    this.enter({ kind: 'CALL', from: world.address(caller), to: world.address(to), value, gas, input: data, depth: 0 });
    if (value !== 0n && world.balance(caller) < value) return this.exit(INSUFFICIENT_BALANCE, gas, gas);
    if (world.homeOf(to) !== HOME) return this.callForeign(message, gas);
    const precompile = this.precompileOf(to);
    if (precompile !== undefined) return this.callPrecompile(precompile, message, gas);
    const code = this.codeToRun(to);
    if (typeof code === 'number') return this.exit(foreignAccount(machine, code), gas, gas);
    if (code.bytes.length === 0) {
      moveValue(machine, caller, to, value);
      return this.exit(DONE, gas, gas);
    }
    return this.callCode(code, message, gas);
  }

  /** A contract creation. The address is keccak-256(rlp([caller, nonce])); it is made warm. */
  create(message: CreateMessage): CreateResult {
    const { machine } = this;
    const { world } = machine;
    const { caller, value, initcode } = message;
    const gas = this.takeGas(message);
    machine.outputLength = 0;
    const from = world.address(caller);
    const address = createAddress(machine.crypto, from, message.nonce);
    const to = world.accountOf(address);
    this.enter({ kind: 'CREATE', from, to: address, value, gas, input: initcode, depth: 0 });
    const failed = (outcome: Outcome, gasLeft: number): CreateResult => ({ ...this.exit(outcome, gas, gasLeft), created: undefined });
    if (initcode.length > INITCODE_BYTES_MAX) return failed(INITCODE_TOO_LONG, 0);
    if (value !== 0n && world.balance(caller) < value) return failed(INSUFFICIENT_BALANCE, gas);
    if (!claim(machine, to)) return failed(CREATE_COLLISION, 0);
    const frame = openCreation(machine, { creator: caller, to, wei: value, initcode, gas }, 0, 0, 0);
    const outcome = execute(machine, this.compiler);
    const result = this.exit(outcome, gas, frame.gas);
    if (outcome !== DONE) return { ...result, created: undefined };
    return { ...result, output: NOTHING, created: to };
  }

  private callCode(code: Code, message: CallMessage, gas: number): CallResult {
    const { machine } = this;
    const { world } = machine;
    const { caller, to, value, data, isStatic = false } = message;
    const memoryAt = 32 * Math.ceil(data.length / 32);
    if (!machine.reserveMemory(memoryAt)) return this.exit(OUT_OF_GAS, gas, 0);
    const snapshot = world.snapshot();
    moveValue(machine, caller, to, value);
    machine.memory.set(data);
    const frame = machine.open(0, FRAME_WORDS * LIMBS, memoryAt);
    world.addressInto(to, machine.stack, frame.base - ADDRESS_BELOW);
    world.addressInto(caller, machine.stack, frame.base - CALLER_BELOW);
    fromBigint(machine.stack, frame.base - VALUE_BELOW, value);
    frame.code = code;
    frame.account = to;
    frame.isStatic = isStatic;
    frame.isCreation = false;
    frame.gas = gas;
    frame.gasStart = gas;
    frame.inputAt = 0;
    frame.inputLength = data.length;
    frame.outputLength = 0;
    frame.snapshot = snapshot;
    const outcome = execute(machine, this.compiler);
    return this.exit(outcome, gas, frame.gas);
  }

  private callPrecompile(precompile: Precompile, message: CallMessage, gas: number): CallResult {
    const { machine } = this;
    const cost = precompile.gas(message.data);
    const output = cost <= gas ? precompile.run(message.data) : undefined;
    if (output === undefined) return this.exit(cost <= gas ? PRECOMPILE_FAILURE : OUT_OF_GAS, gas, 0);
    moveValue(machine, message.caller, message.to, message.value);
    machine.setOutput(output, 0, output.length);
    return this.exit(DONE, gas, gas - cost);
  }

  /** R12: value without data travels as a credit, anything else is refused as a revert. */
  private callForeign(message: CallMessage, gas: number): CallResult {
    const { machine } = this;
    const { caller, to, value, data } = message;
    if (value === 0n || data.length !== 0) return this.exit(foreignAccount(machine, to), gas, gas);
    machine.world.subBalance(caller, value);
    machine.world.credit(to, value);
    return this.exit(DONE, gas, gas);
  }

  /** The code of an account, or of what it is delegated to (EIP-7702; one step only), which becomes warm. The delegate itself, if it lives elsewhere (R12). */
  private codeToRun(account: AccountId): Code | AccountId {
    const { world, fork } = this.machine;
    const code = world.code(account);
    if (code.delegate === undefined || fork === 'cancun') return code;
    const delegate = world.accountOf(code.delegate);
    world.warmAccount(delegate);
    return world.homeOf(delegate) === HOME ? world.code(delegate) : delegate;
  }

  private precompileOf(account: AccountId): Precompile | undefined {
    const { machine } = this;
    machine.world.addressInto(account, machine.stack, 0);
    return precompileAt(machine, machine.stack, 0);
  }

  private takeGas({ gas, gasAbove }: { readonly gas: number; readonly gasAbove?: bigint }): number {
    this.machine.gasAbove = gasAbove === undefined ? undefined : new GasAbove(gasAbove);
    return Math.min(gas, GAS_MAX);
  }

  private enter(call: TraceCall): void {
    this.machine.tracer?.enter?.(call);
  }

  /** The result for the transaction; the output is a copy. */
  private exit(outcome: Outcome, gas: number, gasLeft: number): CallResult {
    const { machine } = this;
    const halt = haltOf(outcome);
    const output = machine.outputLength === 0 ? NOTHING : machine.takeOutput();
    if (gasLeft === 0) machine.gasAbove?.lose(0);
    machine.tracer?.exit?.({ halt, gasUsed: gas - gasLeft, output });
    return { halt, gasLeft, output };
  }
}
