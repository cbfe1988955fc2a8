import type { Address, Hash32, Wei } from '@shardlab/crosslink';
import { INITCODE_BYTES_MAX } from '../../transaction/intrinsic-gas.ts';
import type { AccessListEntry } from '../../transaction/types.ts';
import { effectiveGasPrice } from '../fees.ts';
import { applyAuthorizations, type Authorization } from './authorizations.ts';
import type { Evm } from './evm.ts';
import { FORK_RULES, GAS_PER_BLOB, intrinsicGasUnder } from './fork-rules.ts';
import { GAS_WHOLE_MAX } from './gas-above.ts';
import type { AccountId, BlockEnvironment, EvmFork, EvmLog, Halt } from './types.ts';
import { fromBytes } from './words/basic.ts';
import type { WorldCredit, WorldState } from './world-state.ts';

/** EIP-2681: a nonce never gets there. */
const NONCE_MAX = 0xffff_ffff_ffff_ffffn;
/** First byte of a blob's versioned hash (EIP-4844). */
const BLOB_HASH_VERSION = 0x01;
/** At most a fifth of the gas is given back (EIP-3529). */
const REFUND_QUOTIENT = 5;

/** A transaction of any of Ethereum's types whose sender has been recovered. */
export interface EvmTransaction {
  /** 0 legacy, 1 access list (EIP-2930), 2 dynamic fee (EIP-1559), 3 blobs (EIP-4844; in tests only), 4 set code (EIP-7702). */
  readonly type: 0 | 1 | 2 | 3 | 4;
  readonly sender: Address;
  /** undefined: signed for any chain (before EIP-155). */
  readonly chainId: bigint | undefined;
  readonly nonce: bigint;
  /** Gas; below 2^64. */
  readonly gasLimit: bigint;
  /** Wei per gas; the gas price of types 0 and 1. */
  readonly maxFeePerGas: Wei;
  /** Wei per gas; the gas price of types 0 and 1. */
  readonly maxPriorityFeePerGas: Wei;
  /** undefined: a creation. */
  readonly to: Address | undefined;
  readonly value: Wei;
  /** Call data, or the initcode of a creation. */
  readonly data: Uint8Array;
  /** Types 1 to 4. */
  readonly accessList: readonly AccessListEntry[];
  /** Type 3: versioned hashes. */
  readonly blobHashes: readonly Hash32[];
  /** Type 3: wei per blob gas. */
  readonly maxFeePerBlobGas: Wei;
  /** Type 4. */
  readonly authorizations: readonly Authorization[];
}

/** `ethereum`: the base fee is burned and the tip goes to the coinbase; `burn`: both are burned. */
export type EvmFeePolicy = 'ethereum' | 'burn';

/** Why a transaction cannot be in a block. */
export type InvalidTransaction =
  | 'type-not-supported'
  | 'chain-id'
  | 'nonce-too-low'
  | 'nonce-too-high'
  | 'nonce-max'
  | 'sender-not-eoa'
  | 'gas-above-block'
  | 'intrinsic-gas'
  | 'initcode-too-long'
  | 'tip-above-fee-cap'
  | 'fee-cap-below-base-fee'
  | 'insufficient-funds'
  | 'blob-creation'
  | 'blob-count'
  | 'blob-hash-version'
  | 'blob-fee-cap'
  | 'authorizations-creation'
  | 'authorizations-empty';

/** What a transaction did. */
export interface AppliedTransaction {
  /** 1: it succeeded. 0: everything but the fee and the nonce (and authorizations) was undone. */
  readonly status: 0 | 1;
  /** Gas that is paid for; rounded above 2^53, where it is in Ethereum's tests alone. */
  readonly gasUsed: number;
  /** Wei per gas. */
  readonly gasPrice: Wei;
  readonly logs: readonly EvmLog[];
  /** Value for accounts of other shards, in order (R12). */
  readonly credits: readonly WorldCredit[];
  readonly output: Uint8Array;
  /** undefined: it succeeded. */
  readonly halt: Halt | undefined;
  /** The contract that it made. */
  readonly created: Address | undefined;
}

/** The verdict on a transaction. */
export type TransactionOutcome = AppliedTransaction | { readonly invalid: InvalidTransaction };

/** Gas that follows from the fields alone. */
interface Charges {
  readonly intrinsic: number;
  readonly floor: number;
  /** Wei per gas. */
  readonly price: bigint;
  readonly blobGas: bigint;
}

/** What is wrong with blobs or authorizations, by type. */
function invalidExtras(tx: EvmTransaction, block: BlockEnvironment, fork: EvmFork): InvalidTransaction | undefined {
  const rules = FORK_RULES[fork];
  if (tx.type === 3) {
    if (tx.to === undefined) return 'blob-creation';
    if (tx.blobHashes.length === 0 || tx.blobHashes.length > rules.blobsMax) return 'blob-count';
    if (tx.blobHashes.some((hash) => hash[0] !== BLOB_HASH_VERSION)) return 'blob-hash-version';
    if (tx.maxFeePerBlobGas < block.blobBaseFee) return 'blob-fee-cap';
  }
  if (tx.type === 4) {
    if (!rules.delegations) return 'type-not-supported';
    if (tx.to === undefined) return 'authorizations-creation';
    if (tx.authorizations.length === 0) return 'authorizations-empty';
  }
  return undefined;
}

function chargesOf(tx: EvmTransaction, block: BlockEnvironment, fork: EvmFork): Charges | InvalidTransaction {
  let keys = 0;
  for (const entry of tx.accessList) keys += entry.storageKeys.length;
  const { gas, floor } = intrinsicGasUnder(fork, {
    data: tx.data,
    creation: tx.to === undefined,
    addresses: tx.accessList.length,
    keys,
    authorizations: tx.authorizations.length,
  });
  if (tx.gasLimit < BigInt(Math.max(gas, floor))) return 'intrinsic-gas';
  if (tx.maxFeePerGas < tx.maxPriorityFeePerGas) return 'tip-above-fee-cap';
  const price = effectiveGasPrice(tx, block.baseFeePerGas);
  if (price === undefined) return 'fee-cap-below-base-fee';
  return { intrinsic: gas, floor, price, blobGas: BigInt(GAS_PER_BLOB * tx.blobHashes.length) };
}

/** What is wrong with the sender: nonce, code, funds. */
function invalidSender(world: WorldState, sender: AccountId, tx: EvmTransaction, fork: EvmFork, blobGas: bigint): InvalidTransaction | undefined {
  const nonce = world.nonce(sender);
  if (tx.nonce < nonce) return 'nonce-too-low';
  if (tx.nonce > nonce) return 'nonce-too-high';
  const code = world.code(sender);
  if (code.bytes.length !== 0 && (code.delegate === undefined || !FORK_RULES[fork].delegations)) return 'sender-not-eoa';
  const costMax = tx.gasLimit * tx.maxFeePerGas + blobGas * tx.maxFeePerBlobGas + tx.value;
  return world.balance(sender) < costMax ? 'insufficient-funds' : undefined;
}

function validate(world: WorldState, sender: AccountId, block: BlockEnvironment, fork: EvmFork, tx: EvmTransaction): Charges | InvalidTransaction {
  if (tx.chainId !== undefined && tx.chainId !== block.chainId) return 'chain-id';
  if (tx.nonce >= NONCE_MAX) return 'nonce-max';
  if (tx.gasLimit > block.gasLimit) return 'gas-above-block';
  if (tx.to === undefined && tx.data.length > INITCODE_BYTES_MAX) return 'initcode-too-long';
  const charges = chargesOf(tx, block, fork);
  if (typeof charges === 'string') return charges;
  return invalidExtras(tx, block, fork) ?? invalidSender(world, sender, tx, fork, charges.blobGas) ?? charges;
}

/** The accounts that a transaction and its block name. */
interface Parties {
  readonly sender: AccountId;
  readonly coinbase: AccountId;
  readonly to: AccountId | undefined;
}

/** Everything that is warm from the start (EIP-2929, 2930, 3651). The account that a creation makes is warmed by the EVM. */
function warmUp(world: WorldState, parties: Parties, fork: EvmFork, tx: EvmTransaction): void {
  world.keepWarm(FORK_RULES[fork].precompileLast);
  world.warmAccount(parties.sender);
  world.warmAccount(parties.coinbase);
  if (parties.to !== undefined) world.warmAccount(parties.to);
  if (tx.accessList.length === 0) return;
  const key = new Uint32Array(8);
  for (const entry of tx.accessList) {
    const account = world.accountOf(entry.address);
    world.warmAccount(account);
    for (const storageKey of entry.storageKeys) {
      fromBytes(key, 0, storageKey, 0, 32);
      world.warmSlot(world.slotAt(account, key, 0));
    }
  }
}

/** What the call or creation of a transaction came to. */
interface Ran {
  readonly halt: Halt | undefined;
  readonly output: Uint8Array;
  readonly created: Address | undefined;
  /** Of the transaction's gas, which may be more than a number holds. */
  readonly gasLeft: number | bigint;
}

function run(evm: Evm, world: WorldState, { sender, to }: Parties, tx: EvmTransaction, intrinsic: number): Ran {
  const { value, data, nonce } = tx;
  const huge = tx.gasLimit > Number.MAX_SAFE_INTEGER;
  const gas = huge ? GAS_WHOLE_MAX : Number(tx.gasLimit) - intrinsic;
  const above = huge ? { gasAbove: tx.gasLimit - BigInt(intrinsic + GAS_WHOLE_MAX) } : undefined;
  const exact = (left: number): number | bigint => (huge ? BigInt(left) + evm.gasLeftAbove : left);
  if (to !== undefined) {
    const { halt, output, gasLeft } = evm.call({ caller: sender, to, value, data, gas, ...above });
    return { halt, output, created: undefined, gasLeft: exact(gasLeft) };
  }
  const { halt, output, gasLeft, created } = evm.create({ caller: sender, value, initcode: data, gas, nonce, ...above });
  return { halt, output, created: created === undefined ? undefined : world.address(created), gasLeft: exact(gasLeft) };
}

/** Gas that is paid for: what was used, less at most a fifth of it (EIP-3529), but not below the floor (EIP-7623). */
function gasPaid(tx: EvmTransaction, gasLeft: number | bigint, refund: number, floor: number): number | bigint {
  if (typeof gasLeft === 'bigint') {
    const used = tx.gasLimit - gasLeft;
    const most = used / BigInt(REFUND_QUOTIENT);
    const paid = used - (refund < most ? BigInt(refund) : most);
    return paid < floor ? floor : paid;
  }
  const used = Number(tx.gasLimit) - gasLeft;
  return Math.max(used - Math.min(refund, Math.floor(used / REFUND_QUOTIENT)), floor);
}

/**
 * Applies one transaction to the world as the rules of the EVM's fork have it (Yellow Paper 6; EIP-1559, 2718, 2929, 2930, 3529, 3607, 3651, 3860, 4844, 7623, 7702),
 * equivalent to execution-specs' `process_transaction`. An invalid one changes nothing. The world is the one that `evm` works on.
 */
export function applyTransaction(evm: Evm, world: WorldState, block: BlockEnvironment, tx: EvmTransaction, feePolicy: EvmFeePolicy): TransactionOutcome {
  const { fork } = evm;
  world.beginTransaction();
  const sender = world.accountOf(tx.sender);
  const charges = validate(world, sender, block, fork, tx);
  if (typeof charges === 'string') return { invalid: charges };
  const { intrinsic, floor, price, blobGas } = charges;

  world.subBalance(sender, tx.gasLimit * price + blobGas * block.blobBaseFee);
  world.setNonce(sender, tx.nonce + 1n);
  const parties = { sender, coinbase: world.accountOf(block.coinbase), to: tx.to === undefined ? undefined : world.accountOf(tx.to) };
  warmUp(world, parties, fork, tx);
  if (tx.authorizations.length !== 0) applyAuthorizations(world, block.chainId, tx.authorizations);
  evm.begin(block, { origin: tx.sender, gasPrice: price, blobHashes: tx.blobHashes });
  const { halt, output, created, gasLeft } = run(evm, world, parties, tx, intrinsic);

  const gasUsed = gasPaid(tx, gasLeft, world.refund, floor);
  world.addBalance(sender, (tx.gasLimit - BigInt(gasUsed)) * price);
  if (feePolicy === 'ethereum') world.addBalance(parties.coinbase, BigInt(gasUsed) * (price - block.baseFeePerGas));
  const [logs, credits] = [world.logs(), world.credits()];
  world.endTransaction();
  return { status: halt === undefined ? 1 : 0, gasUsed: Number(gasUsed), gasPrice: price, logs, credits, output, halt, created };
}
