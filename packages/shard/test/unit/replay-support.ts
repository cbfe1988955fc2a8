/** Blocks to execute again: transactions with contracts of a few bytes, and the past that they stood on. */
import { type Address, concatBytes, type Crypto, type Genesis, type Hasher, type ShardId, toHex, TwoPhaseCommit, type TxHash } from '@shardlab/crosslink';
import type { ExecutionCrypto, ParentBlock } from '../../src/execution/block-executor.ts';
import { Homes } from '../../src/execution/contracts/homes.ts';
import { PastSource } from '../../src/execution/evm/simulate/past-source.ts';
import { PastStems } from '../../src/execution/evm/simulate/past-stems.ts';
import type { Tracer } from '../../src/execution/evm/tracer.ts';
import { replayBlock, type ReplayedPart } from '../../src/execution/replay/replay-block.ts';
import type { ExecutedBlock } from '../../src/execution/types.ts';
import { encodeTransaction } from '../../src/transaction/encode.ts';
import { poolTransactionOf } from '../../src/transaction/evm-transaction.ts';
import { BATCH_TYPE, type BatchCall, type PoolTransaction, type SignedAuthorization, type TransactionFields } from '../../src/transaction/types.ts';
import type { HandNetwork } from '../support/hand-network.ts';
import { HandShard } from '../support/hand-shard.ts';
import { CHAIN_ID } from '../support/transactions.ts';

/** Counts calls in slot 0, and emits an event without data. */
export const COUNTER = Uint8Array.of(0x5f, 0x54, 0x60, 0x01, 0x01, 0x5f, 0x55, 0x5f, 0x5f, 0xa0, 0x00);
/** Counts, and reverts. */
export const REVERTER = Uint8Array.of(0x5f, 0x54, 0x60, 0x01, 0x01, 0x5f, 0x55, 0x5f, 0x5f, 0xfd);
/** Makes a contract of its call data, and keeps its address in slot 1. */
export const FACTORY = Uint8Array.of(0x36, 0x5f, 0x5f, 0x37, 0x36, 0x5f, 0x5f, 0xf0, 0x60, 0x01, 0x55, 0x00);
/** Sends its call's value on to the address in its call data. */
export const FORWARDER = Uint8Array.of(0x5f, 0x5f, 0x5f, 0x5f, 0x34, 0x5f, 0x35, 0x5a, 0xf1, 0x00);

/** Initcode of a runtime code of at most 32 bytes. */
export function initcodeOf(runtime: Uint8Array): Uint8Array {
  const length = runtime.length;
  return concatBytes(Uint8Array.of(0x5f + length), runtime, Uint8Array.of(0x5f, 0x52, 0x60, length, 0x60, 32 - length, 0xf3));
}

const FEES = { maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n };

/** Signed transactions of one account, by nonces of their own. The signature is one that nobody checks. */
export class Account {
  readonly address: Address;
  private readonly hasher: Hasher;
  private nonce = 0;

  constructor(hasher: Hasher, address: Address) {
    this.hasher = hasher;
    this.address = address;
  }

  private sign(fields: TransactionFields): PoolTransaction {
    const raw = encodeTransaction(fields, { yParity: 0, r: this.hasher.sha256(this.address), s: new Uint8Array(32).fill(1) });
    return poolTransactionOf(raw, this.hasher.keccak256(raw) as Uint8Array as TxHash, this.address, 'prague');
  }

  /** A call, or with `to` undefined a creation. */
  call(to: Address | undefined, data: Uint8Array = new Uint8Array(0), value = 0n, gasLimit = 400_000): PoolTransaction {
    return this.sign({ type: 2, chainId: CHAIN_ID, nonce: this.nonce++, ...FEES, gasLimit, to, value, data, accessList: [] });
  }

  /** An atomic batch. */
  batch(...calls: readonly Partial<BatchCall>[]): PoolTransaction {
    const whole = calls.map(({ to = this.address, value = 0n, gasLimit = 100_000, data = new Uint8Array(0) }) => ({ to, value, gasLimit, data }));
    return this.sign({ type: BATCH_TYPE, chainId: CHAIN_ID, nonce: this.nonce++, ...FEES, gasLimit: 1_000_000, calls: whole });
  }

  /** A set-code transaction. */
  setCode(to: Address, authorizations: readonly SignedAuthorization[]): PoolTransaction {
    return this.sign({ type: 4, chainId: CHAIN_ID, nonce: this.nonce++, ...FEES, gasLimit: 400_000, to, value: 0n, data: new Uint8Array(0), accessList: [], authorizations });
  }
}

/** The blocks of a network's shards with the states before them: of each shard from the newest to the oldest. */
export class Past {
  private readonly crypto: Crypto & ExecutionCrypto;
  private readonly genesis: Genesis;
  private readonly network: HandNetwork;

  constructor(crypto: Crypto & ExecutionCrypto, genesis: Genesis, network: HandNetwork) {
    this.crypto = crypto;
    this.genesis = genesis;
    this.network = network;
  }

  blocks(shard: ShardId): ExecutedBlock[] {
    return this.network.blocks.filter(({ header }) => header.shard === shard);
  }

  private parentOf(block: ExecutedBlock): ParentBlock {
    const { shard, height } = block.header;
    const before = this.blocks(shard)[height - 2];
    return before === undefined ? new HandShard(this.crypto, this.genesis, shard).executor.head : { header: before.header, hash: before.hash, pairs: before.body.pairs };
  }

  /** Executes a block again. `forget` leaves the undo record of the block at that height out: what follows is not the state before the block. */
  replay(block: ExecutedBlock, tracerOf: (txHash: TxHash) => Tracer | undefined = () => undefined, forget?: number): ReadonlyMap<string, ReplayedPart> {
    const { crypto, genesis } = this;
    const { header, hash, body } = block;
    const shard = this.network.shards[header.shard]!;
    const past = new PastStems();
    for (const above of this.blocks(header.shard).slice(header.height - 1).reverse()) if (above.header.height !== forget) past.add(above.delta.undo);
    const homes = new Homes(shard.shard, { state: shard.state, assignment: shard.table });
    const source = new PastSource({ shard: shard.shard }, { hasher: crypto, state: shard.state, homes, past });
    const { chainId, parameters, forks: fork, feePolicy } = genesis;
    const modules = { crypto, protocol: new TwoPhaseCommit(parameters), state: shard.state, past, source };
    const replayed = { header, hash, inbox: body.inbox, transactions: block.transactions, parent: this.parentOf(block), assignment: shard.table };
    return replayBlock({ chainId, shard: shard.shard, gasLimit: parameters.blockGasLimit, fork, feePolicy }, replayed, modules, tracerOf);
  }

  /** The blocks of a shard in which something was seen of a transaction, with what it was. */
  seen(shard: ShardId, tx: PoolTransaction, tracerOf: () => Tracer): { readonly height: number; readonly part: ReplayedPart }[] {
    return this.blocks(shard).flatMap((block) => {
      const part = this.replay(block, (hash) => (toHex(hash) === toHex(tx.hash) ? tracerOf() : undefined)).get(tx.hashKey);
      return part === undefined ? [] : [{ height: block.header.height, part }];
    });
  }
}
