import { type Address, type Hash32, type Wei } from '@shardlab/crosslink';
import { CodeCache } from '../code.ts';
import { Evm } from '../evm.ts';
import { beginBlock } from '../system-calls.ts';
import type { Tracer } from '../tracer.ts';
import { applyTransaction, type EvmFeePolicy, type EvmTransaction, type TransactionOutcome } from '../transaction.ts';
import type { BlockEnvironment, EvmCrypto, EvmFork, StateSource } from '../types.ts';
import { WorldState } from '../world-state.ts';

const MEMO_ENTRIES_LOG2 = 10;
const CODE_BYTES_MAX = 16 * 1024 * 1024;

/** What a transaction of a block's body did in that block. */
export type ReplayedTransaction =
  /** It ran here. */
  | { readonly kind: 'local'; readonly transaction: EvmTransaction }
  /** It went on its way to other shards (R18): its nonce is taken, and its value and fee are in escrow. */
  | { readonly kind: 'prepared'; readonly sender: Address; readonly escrow: Wei };

/** A block as far as it can be run again. */
export interface ReplayedBlock {
  readonly fork: EvmFork;
  readonly feePolicy: EvmFeePolicy;
  readonly environment: BlockEnvironment;
  readonly parentHash: Hash32;
  /** The state before the block. */
  readonly source: StateSource;
  /** The body's transactions in order, as far as they are needed. */
  readonly transactions: readonly ReplayedTransaction[];
}

/**
 * Runs a block's transactions up to number `index` again, and that one with a tracer. What the messages of other shards did at the start of the block is not repeated:
 * the caller compares the outcome with the receipt. What tracer and state throw, it throws.
 */
export function replayTo(block: ReplayedBlock, index: number, crypto: EvmCrypto, tracer: Tracer): TransactionOutcome {
  const { fork, feePolicy, environment, parentHash, source, transactions } = block;
  const world = new WorldState(source, crypto, new CodeCache(CODE_BYTES_MAX));
  const evm = new Evm({ fork, memoEntriesLog2: MEMO_ENTRIES_LOG2 }, { crypto, world });
  beginBlock(evm, world, environment, parentHash);
  for (const each of transactions.slice(0, index)) {
    if (each.kind === 'local') applyTransaction(evm, world, environment, each.transaction, feePolicy);
    else prepare(world, each.sender, each.escrow);
  }
  const target = transactions[index];
  if (target?.kind !== 'local') throw new TypeError('only a transaction that ran here can be run again');
  evm.tracer = tracer;
  return applyTransaction(evm, world, environment, target.transaction, feePolicy);
}

function prepare(world: WorldState, sender: Address, escrow: Wei): void {
  world.beginTransaction();
  const account = world.accountOf(sender);
  world.subBalance(account, escrow);
  world.setNonce(account, world.nonce(account) + 1n);
  world.endTransaction();
}
