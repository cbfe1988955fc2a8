/** Runs a case on Shardlab's EVM. */
import { address as brandAddress, equalBytes, hash32, toHex } from '@shardlab/crosslink';
import type { Address, Hash32 } from '@shardlab/crosslink';
import { CodeCache } from '../../packages/shard/src/execution/evm/code.ts';
import { Evm } from '../../packages/shard/src/execution/evm/evm.ts';
import type { AccountId, BlockEnvironment, CallResult, EvmCrypto, EvmFork, EvmLog, SourceAccount, StateSource } from '../../packages/shard/src/execution/evm/types.ts';
import type { Tracer } from '../../packages/shard/src/execution/evm/tracer.ts';
import { WorldState } from '../../packages/shard/src/execution/evm/world-state.ts';
import { assemble, CHAIN_ID } from './case.ts';
import type { FuzzCase, FuzzTransaction } from './case.ts';
import { blockHashOf } from './oracle.ts';
import { differences } from './outcome.ts';
import type { AccountOutcome, Outcome, TransactionOutcome } from './outcome.ts';

const PRECOMPILES: Readonly<Record<EvmFork, number>> = { cancun: 0x0a, prague: 0x11 };
/** 256 hashes: cases are short, and collisions in the memo should happen. */
const MEMO_ENTRIES_LOG2 = 8;
/** Entries before a segment is compiled: at once, or when it is known which way its branches go. */
const COMPILE_AFTER = [1, 3] as const;
const NEVER = 0;
const HERE = -1;
const ZERO_WORD = toHex(new Uint8Array(32));
const BLOCKHASH_WINDOW = 256n;

function wordBytes(value: bigint): Uint8Array {
  const out = new Uint8Array(32);
  for (let i = 31, rest = value; i >= 0; i--, rest >>= 8n) out[i] = Number(rest & 0xffn);
  return out;
}

function wordLimbs(value: bigint): Uint32Array {
  return Uint32Array.from({ length: 8 }, (_, limb) => Number((value >> BigInt(32 * limb)) & 0xffff_ffffn));
}

interface MutableAccount {
  nonce: bigint;
  balance: bigint;
  codeHash: Hash32;
  code: Uint8Array;
  storage: Map<string, string>;
}

/** The state before a case, in maps; afterwards the changes can be applied to it. */
class MapSource implements StateSource {
  private readonly accounts = new Map<string, MutableAccount>();
  private readonly codes = new Map<string, Uint8Array>();
  private readonly crypto: EvmCrypto;

  constructor(what: FuzzCase, crypto: EvmCrypto) {
    this.crypto = crypto;
    for (const { address, balance, nonce, program, storage } of what.accounts) {
      const code = program === undefined ? new Uint8Array(0) : assemble(program);
      const codeHash = crypto.keccak256(code);
      this.codes.set(toHex(codeHash), code);
      const slots = storage.map(([key, value]) => [toHex(wordBytes(key)), toHex(wordBytes(value))] as const);
      this.accounts.set(toHex(address), { nonce, balance, codeHash, code, storage: new Map(slots) });
    }
  }

  account(address: Address): SourceAccount | undefined {
    return this.accounts.get(toHex(address));
  }

  code(codeHash: Hash32): Uint8Array {
    const found = this.codes.get(toHex(codeHash));
    if (found === undefined) throw new Error(`the EVM asked for a code that no account has: ${toHex(codeHash)}`);
    return found;
  }

  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    out.set(Buffer.from((this.accounts.get(toHex(address))?.storage.get(toHex(key)) ?? ZERO_WORD).slice(2), 'hex'));
  }

  hasStorage(address: Address): boolean {
    return (this.accounts.get(toHex(address))?.storage.size ?? 0) > 0;
  }

  homeOf(): number {
    return HERE;
  }

  /** Applies what a world says has changed. Throws if it names a code hash that is not its code's. */
  apply(world: WorldState): void {
    const { accounts, slots } = world.changes();
    for (const change of accounts) {
      const name = toHex(change.address);
      if (change.deleted) {
        this.accounts.delete(name);
        continue;
      }
      const before = this.accounts.get(name);
      const code = change.code ?? before?.code ?? new Uint8Array(0);
      if (!equalBytes(this.crypto.keccak256(code), change.codeHash)) throw new Error(`${name} changed to a code that is not of its hash`);
      if (change.balanceBefore !== (before?.balance ?? 0n)) throw new Error(`${name} had another balance before`);
      const storage = change.storageEmptied || before === undefined ? new Map<string, string>() : before.storage;
      this.accounts.set(name, { nonce: change.nonce, balance: change.balance, codeHash: change.codeHash, code, storage });
    }
    for (const slot of slots) {
      const account = this.accounts.get(toHex(slot.address));
      if (account === undefined) throw new Error(`a slot of ${toHex(slot.address)} changed, which does not exist`);
      const value = toHex(slot.value);
      if (value === ZERO_WORD) account.storage.delete(toHex(slot.key));
      else account.storage.set(toHex(slot.key), value);
    }
  }

  /** Every account that there is. */
  outcome(): Map<string, AccountOutcome> {
    const sorted = [...this.accounts].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return new Map(
      sorted.map(([address, { nonce, balance, code, storage }]) => [
        address,
        { nonce, balance, code: toHex(code), storage: [...storage].map(([key, value]) => `${key}=${value}`).toSorted() },
      ]),
    );
  }
}

function logText({ address, topics, data }: EvmLog): string {
  return [address, ...topics, data].map((bytes) => toHex(bytes)).join(' ');
}

interface Machinery {
  readonly evm: Evm;
  readonly world: WorldState;
}

/** Shardlab's EVM with all that it keeps between transactions: one serves any number of cases. */
export class Subject {
  private readonly crypto: EvmCrypto;
  private readonly machinery = new Map<string, Machinery>();

  constructor(crypto: EvmCrypto) {
    this.crypto = crypto;
  }

  /**
   * Runs a case. In mode `compiled` other call data trains the compiler first, so that traces meet words that they were not made for; then the case runs twice, so
   * that what the first run has compiled is used by the second. Throws if the two do not end alike, and whatever the EVM throws. `tracer` serves mode `traced`.
   */
  run(what: FuzzCase, tracer: Tracer = {}): Outcome {
    if (what.mode === 'compiled') this.runOnce(trainingOf(what), tracer);
    const outcome = this.runOnce(what, tracer);
    if (what.mode !== 'compiled') return outcome;
    const again = this.runOnce(what, tracer);
    const [difference] = differences({ name: 'interpreted', outcome }, { name: 'compiled', outcome: again });
    if (difference !== undefined) throw new Error(`the second run ended in another way: ${difference}`);
    return again;
  }

  /** How many compiled traces the codes of a case have, that ran last. */
  traces(what: FuzzCase): number {
    const world = this.machinery.get(machineryName(what))?.world;
    if (world === undefined) return 0;
    const counts = what.accounts.map(({ address }) => world.code(world.accountOf(brandAddress(address))).segments.compiled.filter((trace) => trace !== undefined).length);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  private runOnce(what: FuzzCase, tracer: Tracer): Outcome {
    const source = new MapSource(what, this.crypto);
    const { evm, world } = this.machineryOf(what, source);
    evm.tracer = what.mode === 'traced' ? tracer : undefined;
    const block = blockOf(what);
    const transactions = what.transactions.map((transaction) => this.transact(evm, world, block, what, transaction));
    source.apply(world);
    return { transactions, accounts: source.outcome() };
  }

  /** Kept between cases, as a node keeps them between blocks: what one case leaves behind must not change another. */
  private machineryOf(what: FuzzCase, source: StateSource): Machinery {
    const { fork } = what;
    const compileAfter = compileAfterOf(what);
    const name = machineryName(what);
    let known = this.machinery.get(name);
    if (known === undefined) {
      const world = new WorldState(source, this.crypto, new CodeCache());
      known = { world, evm: new Evm({ fork, compileAfter, memoEntriesLog2: MEMO_ENTRIES_LOG2 }, { crypto: this.crypto, world }) };
      this.machinery.set(name, known);
    } else known.world.reset(source);
    return known;
  }

  private transact(evm: Evm, world: WorldState, block: BlockEnvironment, what: FuzzCase, transaction: FuzzTransaction): TransactionOutcome {
    world.beginTransaction();
    const origin = brandAddress(transaction.caller);
    const caller = world.accountOf(origin);
    warm(world, what, transaction);
    const nonce = world.nonce(caller);
    world.setNonce(caller, nonce + 1n);
    evm.begin(block, { origin, gasPrice: transaction.gasPrice, blobHashes: transaction.blobHashes });
    let result: CallResult & { readonly created?: AccountId | undefined };
    const { gas, value, data } = transaction;
    if (transaction.to === undefined) {
      result = evm.create({ caller, value, initcode: assemble(transaction.program!), gas, nonce });
    } else {
      result = evm.call({ caller, to: world.accountOf(brandAddress(transaction.to)), value, data, gas });
    }
    const success = result.halt === undefined;
    const outcome: TransactionOutcome = {
      status: success ? 'success' : result.halt === 'revert' ? 'revert' : 'failure',
      gasUsed: gas - result.gasLeft,
      output: toHex(result.output),
      refund: success ? world.refund : 0,
      logs: success ? world.logs().map(logText) : [],
      created: result.created === undefined ? undefined : toHex(world.address(result.created)),
      reason: result.halt ?? '',
    };
    world.endTransaction();
    return outcome;
  }
}

/** The same programs with the bits of call data turned over, or all zero: small words become large, and branches go the other way. */
function trainingOf(what: FuzzCase): FuzzCase {
  const other = (byte: number): number => ((what.seed & 2) === 0 ? byte ^ 0xff : 0);
  return { ...what, transactions: what.transactions.map((transaction) => ({ ...transaction, data: transaction.data.map(other) })) };
}

function compileAfterOf({ seed, mode }: FuzzCase): number {
  return mode === 'compiled' ? COMPILE_AFTER[seed % COMPILE_AFTER.length]! : NEVER;
}

function machineryName(what: FuzzCase): string {
  return `${what.fork} ${compileAfterOf(what)}`;
}

function blockOf({ block }: FuzzCase): BlockEnvironment {
  return {
    ...block,
    chainId: CHAIN_ID,
    coinbase: brandAddress(block.coinbase),
    prevRandao: hash32(block.prevRandao),
    blockHash: (number) => (number < block.number && number + BLOCKHASH_WINDOW >= block.number ? hash32(blockHashOf(number)) : undefined),
  };
}

/** What makes accounts and slots warm at the start of a transaction (EIP-2929, 2930, 3651). */
function warm(world: WorldState, what: FuzzCase, transaction: FuzzTransaction): void {
  const addresses = [transaction.caller, what.block.coinbase, ...(transaction.to === undefined ? [] : [transaction.to])];
  world.keepWarm(PRECOMPILES[what.fork]);
  for (const address of addresses) world.warmAccount(world.accountOf(brandAddress(address)));
  for (const { address, slots } of transaction.accessList) {
    const account = world.accountOf(brandAddress(address));
    world.warmAccount(account);
    for (const slot of slots) world.warmSlot(world.slotAt(account, wordLimbs(slot), 0));
  }
}
