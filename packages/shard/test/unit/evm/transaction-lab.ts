/** A world in which tests send transactions. */
import { type Address, address, bytesKey, type Hash32, ZERO_HASH } from '@shardlab/crosslink';
import { CodeCache } from '../../../src/execution/evm/code.ts';
import { Evm } from '../../../src/execution/evm/evm.ts';
import { applyTransaction, type AppliedTransaction, type EvmFeePolicy, type EvmTransaction, type TransactionOutcome } from '../../../src/execution/evm/transaction.ts';
import type { BlockEnvironment, EvmFork } from '../../../src/execution/evm/types.ts';
import { toBigint } from '../../../src/execution/evm/words/basic.ts';
import { WorldState } from '../../../src/execution/evm/world-state.ts';
import { keccak, MapSource, type ModelAccount } from './map-source.ts';

/** 19 times `fill` and `last`. */
export function addressOf(fill: number, last = fill): Address {
  return address(Uint8Array.from({ length: 20 }, (_, at) => (at === 19 ? last : fill)));
}

export const SENDER: Address = addressOf(0xaa);
export const COINBASE: Address = addressOf(0xcc);
export const CONTRACT: Address = addressOf(0xee);
export const CHAIN_ID = 7n;
export const BASE_FEE = 10n;
/** Of the sender. */
export const FUNDS: bigint = 10n ** 18n;

/** The block of all transactions. */
export const BLOCK: BlockEnvironment = {
  chainId: CHAIN_ID,
  number: 5n,
  timestamp: 1_000n,
  gasLimit: 30_000_000n,
  coinbase: COINBASE,
  prevRandao: ZERO_HASH,
  baseFeePerGas: BASE_FEE,
  blobBaseFee: 3n,
  blockHash: () => undefined,
};

/** An account with what is given and nothing else. */
export function accountWith(parts: Partial<Omit<ModelAccount, 'code'>> & { readonly code?: Uint8Array }): ModelAccount {
  const { nonce = 0n, balance = 0n, code = new Uint8Array(0), storage = new Map<bigint, bigint>() } = parts;
  return { nonce, balance, code: bytesKey(code), storage };
}

/** A plain transfer by {@link SENDER} at 12 wei per gas, 2 of them tip, but for what is given. */
export function transactionWith(parts: Partial<EvmTransaction> = {}): EvmTransaction {
  return {
    type: 2,
    sender: SENDER,
    chainId: CHAIN_ID,
    nonce: 0n,
    gasLimit: 100_000n,
    maxFeePerGas: 12n,
    maxPriorityFeePerGas: 2n,
    to: addressOf(0x11),
    value: 0n,
    data: new Uint8Array(0),
    accessList: [],
    blobHashes: [],
    maxFeePerBlobGas: 0n,
    authorizations: [],
    ...parts,
  };
}

/** A state with the sender in it, and what is done to it. */
export class Lab {
  readonly source: MapSource;
  readonly world: WorldState;
  readonly evm: Evm;

  constructor(fork: EvmFork, accounts: readonly (readonly [Address, ModelAccount])[] = []) {
    this.source = new MapSource(new Map([[SENDER, accountWith({ balance: FUNDS })] as const, ...accounts].map(([at, account]) => [bytesKey(at), account])));
    this.world = new WorldState(this.source, keccak, new CodeCache());
    this.evm = new Evm({ fork, memoEntriesLog2: 4 }, { crypto: { ...keccak, precompiles: () => new Map() }, world: this.world });
  }

  apply(parts: Partial<EvmTransaction> = {}, feePolicy: EvmFeePolicy = 'ethereum', block: BlockEnvironment = BLOCK): TransactionOutcome {
    return applyTransaction(this.evm, this.world, block, transactionWith(parts), feePolicy);
  }

  /** Applies what must be valid. */
  applied(parts: Partial<EvmTransaction> = {}, feePolicy: EvmFeePolicy = 'ethereum', block: BlockEnvironment = BLOCK): AppliedTransaction {
    const outcome = this.apply(parts, feePolicy, block);
    if ('invalid' in outcome) throw new Error(`refused: ${outcome.invalid}`);
    return outcome;
  }

  balance(of: Address): bigint {
    return this.world.balance(this.world.accountOf(of));
  }
  nonce(of: Address): bigint {
    return this.world.nonce(this.world.accountOf(of));
  }
  code(of: Address): Uint8Array {
    return this.world.code(this.world.accountOf(of)).bytes;
  }
  slot(of: Address, key: number): bigint {
    const words = new Uint32Array(8);
    words[0] = key;
    this.world.loadSlot(this.world.slotAt(this.world.accountOf(of), words, 0), words, 0);
    return toBigint(words, 0);
  }
}

/** A blob's versioned hash. */
export function blobHash(version: number): Hash32 {
  return Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? version : 0x5b)) as Hash32;
}
