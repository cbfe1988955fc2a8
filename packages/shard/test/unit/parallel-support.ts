/** Blocks for the parallel executor: contracts that do one thing each, as their call data says, and threads that are none. */
import { type Address, bytesKey, concatBytes, Prng, toHex } from '@shardlab/crosslink';
import type { BlockResult } from '../../src/execution/parallel/block-result.ts';
import { MergedResult } from '../../src/execution/parallel/block-result.ts';
import { ConflictGraph } from '../../src/execution/parallel/conflict-graph.ts';
import { SerialExecutor } from '../../src/execution/parallel/execute-serial.ts';
import { DEFAULT_PARALLEL, ParallelBlock, type ParallelCounts, type ParallelOptions, type RunOrder, type SerialReason } from '../../src/execution/parallel/parallel-block.ts';
import { AccessPredictor } from '../../src/execution/parallel/predictor.ts';
import { type ExecutionRules, RunExecutor } from '../../src/execution/parallel/run-executor.ts';
import type { RunResult } from '../../src/execution/parallel/run-result.ts';
import { packTransactions, unpackTransactions } from '../../src/execution/parallel/transaction-codec.ts';
import { create2Address } from '../../src/execution/evm/creations.ts';
import type { EvmTransaction } from '../../src/execution/evm/transaction.ts';
import type { EvmCrypto, StateSource } from '../../src/execution/evm/types.ts';
import type { WorldChanges } from '../../src/execution/evm/world-state.ts';
import { assemble } from './evm/interpreter-support.ts';
import { hashOf, keccak, MapSource, type ModelAccount } from './evm/map-source.ts';
import { accountWith, addressOf, BASE_FEE, BLOCK, CHAIN_ID, COINBASE, transactionWith } from './evm/transaction-lab.ts';

export const SEED = 0x5eed;
export const CRYPTO: EvmCrypto = { ...keccak, precompiles: () => new Map() };
const ETHER = 10n ** 18n;
const SENDERS = 24;

/** Pushes word `index` of the call data. */
const argument = (index: number): Uint8Array => assemble(index * 32, 'CALLDATALOAD');
/** Pushes the slot of `mapping[key]` at position 0; the key is on the stack. */
const BALANCE_SLOT = assemble(0, 'MSTORE', 0, 32, 'MSTORE', 64, 0, 'KECCAK256');

/** Transfers like an ERC-20's: call data is a selector of 4 bytes, the recipient and the amount. Reverts without funds. */
export const TOKEN_CODE: Uint8Array = (() => {
  const head = assemble('CALLER', BALANCE_SLOT, 'DUP1', 'SLOAD', 36, 'CALLDATALOAD', 'DUP1', 'DUP3', 'LT');
  const body = assemble(
    'DUP1', 'DUP3', 'SUB', 'DUP4', 'SSTORE', 4, 'CALLDATALOAD', BALANCE_SLOT, 'DUP1', 'SLOAD', 'DUP3', 'ADD', 'SWAP1', 'SSTORE',
    0, 'MSTORE', 4, 'CALLDATALOAD', 'CALLER', 7, 32, 0, 'LOG3', 1, 0, 'MSTORE', 32, 0, 'RETURN',
  );
  const target = head.length + 3 + body.length;
  return concatBytes(head, Uint8Array.of(0x60, target, 0x57), body, assemble('JUMPDEST', 0, 0, 'REVERT'));
})();

/** Runtime code that destroys itself for its caller, and the initcode that deploys it; initcode that destroys itself at once. */
const MORTAL = assemble('CALLER', 'SELFDESTRUCT');
const MORTAL_INITCODE = assemble(BigInt(toHex(MORTAL)), 0, 'MSTORE', 2, 30, 'RETURN');
const DOOMED_INITCODE = assemble('CALLER', 'SELFDESTRUCT');

function factory(initcode: Uint8Array): Uint8Array {
  const padded = new Uint8Array(32);
  padded.set(initcode);
  return assemble(Uint8Array.of(0x7f), padded, 0, 'MSTORE', argument(0), initcode.length, 0, 0, 'CREATE2', argument(1), 'SSTORE');
}

/** Contracts by what they do with the words w0, w1, w2 of their call data. */
const BEHAVIOURS: readonly Uint8Array[] = [
  // w0 := [w1] + w2
  assemble(argument(1), 'SLOAD', argument(2), 'ADD', argument(0), 'SSTORE'),
  // [w1] := balance of w0
  assemble(argument(0), 'BALANCE', argument(1), 'SSTORE'),
  // [w2] := whether w0 took w1 wei
  assemble(0, 0, 0, 0, argument(1), argument(0), 'GAS', 'CALL', argument(2), 'SSTORE'),
  // [w0] := w1, and back
  assemble(argument(0), 'SLOAD', argument(1), argument(0), 'SSTORE', argument(0), 'SSTORE'),
  factory(MORTAL_INITCODE),
  factory(DOOMED_INITCODE),
  // [w1] := hash of w0's code
  assemble(argument(0), 'EXTCODEHASH', argument(1), 'SSTORE'),
  // [w0] := w1, all for nothing
  assemble(argument(1), argument(0), 'SSTORE', 0, 0, 'REVERT'),
  // everything to w0
  assemble(argument(0), 'SELFDESTRUCT'),
];

export const TOKEN = addressOf(0xe0);
const CONTRACTS = BEHAVIOURS.map((_, index) => addressOf(0xd0 + index));

export function senderAt(index: number): Address {
  return addressOf(1, index + 1);
}

/** The slot of a holder's balance in {@link TOKEN_CODE}. */
export function balanceSlot(holder: Address): bigint {
  const place = new Uint8Array(64);
  place.set(holder, 12);
  return BigInt(toHex(keccak.keccak256(place)));
}

/** Senders with funds and tokens, the token, and the contracts of all behaviours. */
export function startAccounts(senders: number = SENDERS): Map<string, ModelAccount> {
  const accounts = new Map<string, ModelAccount>();
  const storage = new Map<bigint, bigint>();
  for (let i = 0; i < senders; i++) {
    accounts.set(bytesKey(senderAt(i)), accountWith({ balance: ETHER }));
    storage.set(balanceSlot(senderAt(i)), 1_000n);
  }
  accounts.set(bytesKey(TOKEN), accountWith({ nonce: 1n, code: TOKEN_CODE, storage }));
  BEHAVIOURS.forEach((code, index) => accounts.set(bytesKey(CONTRACTS[index]!), accountWith({ nonce: 1n, balance: 50n, code })));
  return accounts;
}

/** Call data: words after `head`. */
export function words(head: Uint8Array, ...values: readonly (bigint | Uint8Array)[]): Uint8Array {
  const out = new Uint8Array(head.length + 32 * values.length);
  out.set(head);
  values.forEach((value, index) => {
    const end = head.length + 32 * (index + 1);
    if (typeof value === 'bigint') new DataView(out.buffer).setBigUint64(end - 8, value);
    else out.set(value, end - value.length);
  });
  return out;
}

const TRANSFER = Uint8Array.of(0xa9, 0x05, 0x9c, 0xbb);
export function transferData(to: Address, amount: bigint): Uint8Array {
  return words(TRANSFER, to, amount);
}

/** Makes transactions with the nonces that they need, but for a few. */
export class BlockMaker {
  readonly transactions: EvmTransaction[] = [];
  private readonly nonces = new Map<string, bigint>();
  private readonly accounts: ReadonlyMap<string, ModelAccount>;

  constructor(accounts: ReadonlyMap<string, ModelAccount>) {
    this.accounts = accounts;
  }

  add(sender: Address, parts: Partial<EvmTransaction>): void {
    const key = bytesKey(sender);
    const nonce = this.nonces.get(key) ?? this.accounts.get(key)?.nonce ?? 0n;
    if (parts.nonce === undefined) this.nonces.set(key, nonce + 1n);
    this.transactions.push(transactionWith({ type: 2, chainId: CHAIN_ID, gasLimit: 300_000n, maxFeePerGas: BASE_FEE + 5n, maxPriorityFeePerGas: 1n, value: 0n, ...parts, sender, nonce: parts.nonce ?? nonce }));
  }
}

/** Any address that the contracts may be told of. */
function anyAddress(prng: Prng): Address {
  const kind = prng.below(6);
  if (kind === 0) return CONTRACTS[prng.below(CONTRACTS.length)]!;
  if (kind === 1) return addressOf(0x99, prng.below(4));
  if (kind === 2) return COINBASE;
  if (kind === 3) return create2Address(CRYPTO, CONTRACTS[4 + prng.below(2)]!, words(new Uint8Array(0), BigInt(prng.below(3))), prng.below(2) === 0 ? MORTAL_INITCODE : DOOMED_INITCODE);
  return senderAt(prng.below(SENDERS));
}

/** A random block; `places`: how many different slots and senders it uses: the fewer, the more conflicts. */
export function randomBlock(accounts: ReadonlyMap<string, ModelAccount>, seed: number, count: number, places: number): EvmTransaction[] {
  const prng = new Prng(seed);
  const maker = new BlockMaker(accounts);
  const senders = Math.min(SENDERS, places);
  for (let i = 0; i < count; i++) {
    const sender = senderAt(prng.below(senders));
    const small = (): bigint => BigInt(prng.below(places));
    const tip = BigInt(prng.below(3));
    const common = { maxPriorityFeePerGas: tip, ...(prng.below(25) === 0 ? { nonce: small() } : {}) };
    const kind = prng.below(8);
    if (kind < 2) maker.add(sender, { ...common, to: anyAddress(prng), value: small() });
    else if (kind < 4) maker.add(sender, { ...common, to: TOKEN, data: transferData(anyAddress(prng), BigInt(prng.below(400))) });
    else if (kind === 4 && prng.below(3) === 0) {
      const authority = senderAt(prng.below(SENDERS));
      const authorizations = [{ chainId: 0n, address: CONTRACTS[prng.below(4)]!, nonce: (accounts.get(bytesKey(authority))?.nonce ?? 0n) + BigInt(prng.below(3)), authority }];
      maker.add(sender, { ...common, type: 4, to: anyAddress(prng), authorizations });
    } else if (kind === 4 && prng.below(2) === 0) maker.add(sender, { ...common, to: undefined, data: prng.below(2) === 0 ? MORTAL_INITCODE : DOOMED_INITCODE });
    else {
      const which = prng.below(CONTRACTS.length);
      const aboutAccounts = which === 1 || which === 2 || which === 6 || which === 8;
      maker.add(sender, { ...common, to: CONTRACTS[which]!, data: words(new Uint8Array(0), aboutAccounts ? anyAddress(prng) : small(), small(), small()) });
    }
  }
  return maker.transactions;
}

/** The changes in an order of their own, as text. */
function changesText({ accounts, slots }: WorldChanges): string[] {
  const lines = accounts.map(({ address: at, deleted, storageEmptied, nonce, balance, balanceBefore, codeHash, code }) =>
    [toHex(at), deleted, storageEmptied, nonce, balance, balanceBefore, toHex(codeHash), code === undefined ? '-' : toHex(code)].join(' '),
  );
  return [...lines.toSorted(), ...slots.map(({ address: at, key, value }) => `${toHex(at)} ${toHex(key)} ${toHex(value)}`).toSorted()];
}

/** All of a result, as text: two results are the same if this is. */
export function resultText(result: BlockResult): string[] {
  const show = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value instanceof Uint8Array ? toHex(value) : value);
  const outcomes = Array.from({ length: result.count }, (_, index) => JSON.stringify(result.outcome(index), show));
  return [`gas ${result.gasUsed}`, ...outcomes, ...changesText(result.changes())];
}

/** Writes a result's changes into the accounts. */
export function applyToAccounts(accounts: Map<string, ModelAccount>, { accounts: changed, slots }: WorldChanges): void {
  for (const { address: at, deleted, storageEmptied, nonce, balance, code } of changed) {
    const key = bytesKey(at);
    const old = accounts.get(key) ?? { nonce: 0n, balance: 0n, code: '', storage: new Map<bigint, bigint>() };
    const next = { nonce, balance, code: code === undefined ? old.code : bytesKey(code), storage: storageEmptied ? new Map<bigint, bigint>() : old.storage };
    if (deleted || (nonce === 0n && balance === 0n && next.code === '')) accounts.delete(key);
    else accounts.set(key, next);
  }
  for (const { address: at, key, value } of slots) {
    const storage = accounts.get(bytesKey(at))!.storage;
    const number = BigInt(toHex(value));
    if (number === 0n) storage.delete(BigInt(toHex(key)));
    else storage.set(BigInt(toHex(key)), number);
  }
}

/** How a block went that {@link Bench.parallel} executed. */
export interface ParallelRun {
  readonly result: BlockResult;
  readonly serial: SerialReason | undefined;
  readonly counts: ParallelCounts;
}

/** Executes blocks in parallel, without threads: runs are answered in an order that the seed makes. */
export class Bench {
  readonly predictor: AccessPredictor;
  private readonly options: ParallelOptions;
  private readonly graph = new ConflictGraph();
  private readonly executors: RunExecutor[];
  private readonly serialExecutor: SerialExecutor;
  private readonly prng: Prng;
  private readonly trusting: boolean;

  /** `trusting`: runs are not exact before the first conflict, as if all predictions were trusted. */
  constructor(options: Partial<ParallelOptions> & { readonly workers: number; readonly seed: number; readonly rules?: Partial<ExecutionRules>; readonly trusting?: boolean }, source: StateSource) {
    const { seed, rules, trusting = false, ...parallel } = options;
    this.trusting = trusting;
    const all: ExecutionRules = { fork: 'prague', feePolicy: 'ethereum', ...rules };
    this.options = { ...DEFAULT_PARALLEL, ...parallel };
    this.predictor = new AccessPredictor({ seed: SEED }, { hasher: CRYPTO });
    this.executors = Array.from({ length: options.workers }, () => new RunExecutor({ ...all, seed: SEED, compileAfter: 0 }, { crypto: CRYPTO, source }));
    this.serialExecutor = new SerialExecutor({ ...all, hashSeed: SEED, compileAfter: 0 }, { crypto: CRYPTO, source });
    this.prng = new Prng(seed);
  }

  serial(source: StateSource, transactions: readonly EvmTransaction[]): BlockResult {
    return this.serialExecutor.execute(source, BLOCK, transactions);
  }

  parallel(source: StateSource, transactions: readonly EvmTransaction[]): ParallelRun {
    const { predictor, graph } = this;
    const block = new ParallelBlock(this.options, { predictor, graph }, transactions);
    const open: RunOrder[] = [];
    for (let step = block.start(); ; ) {
      if (step.kind === 'serial') return { result: this.serial(source, transactions), serial: step.reason, counts: block.counts };
      if (step.kind === 'done') return { result: new MergedResult(step.runs, source, hashOf('')), serial: undefined, counts: block.counts };
      if (step.kind === 'run') open.push(...step.orders);
      const [order] = open.splice(this.prng.below(open.length), 1);
      step = block.completed(order!.id, this.run(source, this.trusting && block.counts.repeats === 0 ? { ...order!, exact: false, learn: [] } : order!, transactions));
    }
  }

  private run(source: StateSource, order: RunOrder, transactions: readonly EvmTransaction[]): RunResult {
    const executor = this.executors[this.prng.below(this.executors.length)]!;
    return executor.execute(source, BLOCK, unpackTransactions(packTransactions(transactions, order.indices)), order);
  }
}

/** A source over the accounts. */
export function sourceOf(accounts: Map<string, ModelAccount>): MapSource {
  return new MapSource(accounts);
}
