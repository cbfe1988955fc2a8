import { equalBytes, type Hash32, invariant } from '@shardlab/crosslink';
import type { ShardState } from '../state/shard-state.ts';
import { toEvmTransaction } from '../transaction/evm-transaction.ts';
import type { PoolTransaction, RecoveryPrimitives } from '../transaction/types.ts';
import { hasCode } from './contracts/homes.ts';
import type { EvmTransaction } from './evm/transaction.ts';
import type { BlockEnvironment, StateSource } from './evm/types.ts';
import type { Speculation, SpeculatedTransaction } from './parallel/speculation.ts';
import type { BlockProposal } from './types.ts';

const SET_CODE_TYPE = 4;

/** What threads may find out about a block before it is executed: the calls in it, the environment that they will run in, and the state that they begin on. */
export interface AheadOfBlock {
  readonly block: BlockEnvironment;
  /** In the order of the proposal. */
  readonly transactions: readonly EvmTransaction[];
  readonly source: StateSource;
  /** `speculation` is about {@link transactions}, by their index. */
  found(speculation: Speculation): FoundAhead;
}

/** What threads have found out about one proposal on one parent. */
export interface FoundAhead {
  /** By place in the proposal. Throws `invariant` for another proposal or parent: it would be about another environment, which nobody would notice. */
  of(proposal: BlockProposal, parentHash: Hash32): Speculation;
}

/** Whether a transaction calls a contract that lives here. Others are cheaper where the block is executed: transfers run no code, creations and set-code transactions are few. */
function isCall(tx: PoolTransaction, state: Pick<ShardState, 'account'>): boolean {
  if (tx.toKey === undefined || tx.calls !== undefined || tx.type === SET_CODE_TYPE) return false;
  const account = state.account(tx.toKey);
  return account !== undefined && hasCode(account);
}

/** The calls in a proposal, to be executed beforehand in the environment that it will have; undefined if there are none. */
export function aheadOfBlock(
  proposal: BlockProposal,
  parentHash: Hash32,
  modules: { readonly state: Pick<ShardState, 'account'>; readonly source: () => StateSource; readonly environment: () => BlockEnvironment; readonly primitives: RecoveryPrimitives },
): AheadOfBlock | undefined {
  const { state, primitives } = modules;
  const transactions: EvmTransaction[] = [];
  const indexAt = new Map<number, number>();
  for (const [place, tx] of proposal.transactions.entries()) {
    if (!isCall(tx, state)) continue;
    indexAt.set(place, transactions.length);
    transactions.push(toEvmTransaction(tx, primitives));
  }
  if (transactions.length === 0) return undefined;
  const found = (speculation: Speculation): FoundAhead => {
    const at = (place: number): SpeculatedTransaction | undefined => {
      const index = indexAt.get(place);
      return index === undefined ? undefined : speculation.at(index);
    };
    return {
      of: (other, otherParent) => {
        invariant(other === proposal && equalBytes(otherParent, parentHash), 'what was found out is about another block', { height: proposal.height });
        return { at };
      },
    };
  };
  return { block: modules.environment(), transactions, source: modules.source(), found };
}
