import type { Address, ShardId, TxHash } from '@shardlab/crosslink';
import type { WorldCredit } from '../evm/world-state.ts';
import type { Ledger } from '../ledger.ts';
import type { Homes } from './homes.ts';

/** Credits that one block may send to one other shard (R19): no more leave, and what would send more waits. */
export const CREDITS_PER_PAIR_MAX = 1_024;
/** Of those, how many one operation may send: a Decision must be able to send what was promised with the vote, beside what else leaves with its block. */
const CREDITS_PER_OPERATION_MAX = 64;

/** Sends value that contracts give to accounts of other shards (R12). */
export class CreditSender {
  private readonly ledger: Ledger;
  private readonly homes: Homes;
  private readonly sent = new Map<ShardId, number>();

  constructor(modules: { readonly ledger: Ledger; readonly homes: Homes }) {
    this.ledger = modules.ledger;
    this.homes = modules.homes;
  }

  /** Whether an operation may send these once it is decided. */
  fit(credits: readonly WorldCredit[]): boolean {
    return credits.length <= CREDITS_PER_OPERATION_MAX;
  }

  /** Whether a local transaction may send these now. */
  haveRoom(credits: readonly WorldCredit[]): boolean {
    if (credits.length === 0) return true;
    const wanted = new Map<ShardId, number>();
    for (const { address } of credits) {
      const home = this.homes.homeOf(address);
      wanted.set(home, (wanted.get(home) ?? 0) + 1);
    }
    return [...wanted].every(([home, count]) => (this.sent.get(home) ?? 0) + count <= CREDITS_PER_PAIR_MAX);
  }

  /** Sends wei that stand in escrow; returns them. */
  send(home: ShardId, to: Address, wei: bigint, txHash: TxHash): bigint {
    this.sent.set(home, (this.sent.get(home) ?? 0) + 1);
    this.ledger.send(home, wei);
    this.ledger.emit(home, { kind: 'credit', txHash, to, value: wei });
    return wei;
  }
}
