/** Runs a case on `@ethereumjs/evm`, with the ends of transactions that its VM package would do. */
import { Common, Mainnet } from '@ethereumjs/common';
import { createEVM } from '@ethereumjs/evm';
import type { EVM, EVMResult, Log } from '@ethereumjs/evm';
import { SimpleStateManager } from '@ethereumjs/statemanager';
import { Account, Address, bytesToHex, setLengthLeft } from '@ethereumjs/util';
import type { EvmFork } from '../../packages/shard/src/execution/evm/types.ts';
import { assemble } from './case.ts';
import type { FuzzCase, FuzzTransaction } from './case.ts';
import type { AccountOutcome, Outcome, TransactionOutcome } from './outcome.ts';

const PRECOMPILES: Readonly<Record<EvmFork, number>> = { cancun: 0x0a, prague: 0x11 };
const WORD_BYTES = 32;

/** The package's own state manager, without a trie; emptied of what a deletion leaves behind in it. */
class OracleState extends SimpleStateManager {
  /** SimpleStateManager keeps the code of an account that it deletes. */
  override async deleteAccount(address: Address): Promise<void> {
    await super.deleteAccount(address);
    this.topCodeStack().delete(address.toString());
    await this.clearStorage(address);
  }

  /** Every account that there is. Reads the bottom of the stacks: no checkpoint may be open. */
  outcome(): Map<string, AccountOutcome> {
    const storage = new Map<string, string[]>();
    for (const [place, value] of this.storageStack[0]!) {
      const [address, key] = place.split('_') as [string, string];
      const text = bytesToHex(setLengthLeft(value, WORD_BYTES));
      if (/^0x0*$/.test(text)) continue;
      const slots = storage.get(address) ?? [];
      slots.push(`${key}=${text}`);
      storage.set(address, slots);
    }
    const accounts = [...this.accountStack[0]!].filter(([, account]) => account !== undefined && !account.isEmpty());
    const sorted = accounts.toSorted(([a], [b]) => (a < b ? -1 : 1));
    return new Map(
      sorted.map(([address, account]) => {
        const code = bytesToHex(this.codeStack[0]!.get(address as `0x${string}`) ?? new Uint8Array(0));
        return [address, { nonce: account!.nonce, balance: account!.balance, code, storage: (storage.get(address) ?? []).toSorted() }];
      }),
    );
  }
}

/** The hash of a block, in both EVMs: any function of its number. */
export function blockHashOf(number: bigint): Uint8Array {
  const hash = new Uint8Array(WORD_BYTES).fill(0xb1);
  new DataView(hash.buffer).setBigUint64(0, number);
  return hash;
}

/** No case reaches the pairing: its inputs carry no commitment whose hash fits. */
const NO_KZG = {
  verifyProof: (): boolean => {
    throw new Error('a fuzz case has reached the KZG proof, which the oracle was not given');
  },
} as unknown as NonNullable<NonNullable<Common['customCrypto']>['kzg']>;

const commons = new Map<EvmFork, Common>();

function commonOf(fork: EvmFork): Common {
  const known = commons.get(fork);
  if (known !== undefined) return known;
  const common = new Common({ chain: Mainnet, hardfork: fork, customCrypto: { kzg: NO_KZG } });
  commons.set(fork, common);
  return common;
}

function wordBytes(value: bigint): Uint8Array {
  const out = new Uint8Array(WORD_BYTES);
  for (let i = WORD_BYTES - 1, rest = value; i >= 0; i--, rest >>= 8n) out[i] = Number(rest & 0xffn);
  return out;
}

async function stateOf(what: FuzzCase, common: Common): Promise<OracleState> {
  const state = new OracleState({ common });
  for (const account of what.accounts) {
    const address = new Address(account.address);
    await state.putAccount(address, new Account(account.nonce, account.balance));
    if (account.program !== undefined) await state.putCode(address, assemble(account.program));
    for (const [key, value] of account.storage) await state.putStorage(address, wordBytes(key), stripped(wordBytes(value)));
  }
  return state;
}

/** As the package's own SSTORE leaves it: without leading zeros. */
function stripped(value: Uint8Array): Uint8Array {
  return value.subarray(value.findIndex((byte) => byte !== 0));
}

/** What makes accounts and slots warm at the start of a transaction (EIP-2929, 2930, 3651). */
function warm(evm: EVM, what: FuzzCase, transaction: FuzzTransaction): void {
  const addresses = [transaction.caller, what.block.coinbase, ...(transaction.to === undefined ? [] : [transaction.to])];
  for (let number = 1; number <= PRECOMPILES[what.fork]; number++) addresses.push(wordBytes(BigInt(number)).subarray(12));
  for (const address of addresses) evm.journal.addAlwaysWarmAddress(bytesToHex(address));
  for (const { address, slots } of transaction.accessList) {
    evm.journal.addAlwaysWarmAddress(bytesToHex(address));
    for (const slot of slots) evm.journal.addAlwaysWarmSlot(bytesToHex(address), bytesToHex(wordBytes(slot)));
  }
}

function logText([address, topics, data]: Log): string {
  return [address, ...topics, data].map((bytes) => bytesToHex(bytes)).join(' ');
}

function outcomeOf({ execResult, createdAddress }: EVMResult, isCreation: boolean): TransactionOutcome {
  const error = execResult.exceptionError?.error;
  const success = error === undefined;
  return {
    status: success ? 'success' : error === 'revert' ? 'revert' : 'failure',
    gasUsed: Number(execResult.executionGasUsed),
    output: bytesToHex(success && isCreation ? new Uint8Array(0) : execResult.returnValue),
    refund: success ? Number(execResult.gasRefund ?? 0n) : 0,
    logs: success ? (execResult.logs ?? []).map(logText) : [],
    created: success && isCreation ? createdAddress?.toString() : undefined,
    reason: error ?? '',
  };
}

async function transact(evm: EVM, state: OracleState, what: FuzzCase, transaction: FuzzTransaction): Promise<TransactionOutcome> {
  const caller = new Address(transaction.caller);
  const { number, timestamp, gasLimit, coinbase, prevRandao, baseFeePerGas, blobBaseFee } = what.block;
  const header = { number, timestamp, gasLimit, coinbase: new Address(coinbase), prevRandao, baseFeePerGas, difficulty: 0n, getBlobGasPrice: (): bigint => blobBaseFee };
  warm(evm, what, transaction);
  const initcode = transaction.program === undefined ? undefined : assemble(transaction.program);
  const result = await evm.runCall({
    block: { header },
    caller,
    origin: caller,
    gasPrice: transaction.gasPrice,
    gasLimit: BigInt(transaction.gas),
    value: transaction.value,
    data: initcode ?? transaction.data,
    blobVersionedHashes: transaction.blobHashes.map((hash) => bytesToHex(hash)),
    ...(transaction.to === undefined ? {} : { to: new Address(transaction.to) }),
  });
  // The end of the transaction, as runTx of @ethereumjs/vm does it: EIP-6780, then EIP-161.
  const { selfdestruct, createdAddresses } = result.execResult;
  for (const address of selfdestruct?.keys() ?? []) {
    if (createdAddresses?.has(address) === true) await evm.journal.deleteAccount(new Address(setLengthLeft(hexBytes(address), 20)));
  }
  await evm.journal.cleanup();
  evm.transientStorage.clear();
  state.originalStorageCache.clear();
  return outcomeOf(result, transaction.to === undefined);
}

function hexBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.slice(2), 'hex'));
}

/** Runs a case on the oracle. */
export async function runOracle(what: FuzzCase): Promise<Outcome> {
  const common = commonOf(what.fork);
  const state = await stateOf(what, common);
  const blockchain = {
    getBlock: async (number: number) => ({ hash: () => blockHashOf(BigInt(number)) }),
    putBlock: async () => undefined,
    shallowCopy: () => blockchain,
  };
  const evm = await createEVM({ common, stateManager: state, blockchain });
  const transactions: TransactionOutcome[] = [];
  for (const transaction of what.transactions) transactions.push(await transact(evm, state, what, transaction));
  // An EVM listens to its Common, which is shared here: left so, it would keep all of them.
  common.events.removeAllListeners();
  return { transactions, accounts: state.outcome() };
}
