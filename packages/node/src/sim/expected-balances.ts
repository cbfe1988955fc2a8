import { bytesKey, type TransactionReceipt } from '@shardlab/crosslink';
import type { LoadedCall } from './contracts/loaded-call.ts';
import type { NetworkKit } from './network-kit.ts';

/** A transaction of a kit's account. */
export interface SentValue extends Pick<LoadedCall, 'value' | 'gains'> {
  /** The sender, by index; undefined: none of the kit's accounts. */
  readonly from: number | undefined;
}

/**
 * What every account of a kit must hold, by index, if all began with `balance` wei: as receipts tell it, without a look at any state. Both maps are by `bytesKey` of
 * transactions' hashes.
 */
export function expectedBalances(
  { accounts }: Pick<NetworkKit, 'accounts'>,
  balance: bigint,
  sent: ReadonlyMap<string, SentValue>,
  receipts: ReadonlyMap<string, TransactionReceipt>,
): bigint[] {
  const expected = accounts.map(() => balance);
  const indices = new Map(accounts.map(({ address }, index) => [bytesKey(address), index]));
  for (const [key, { from, value, gains }] of sent) {
    const receipt = receipts.get(key);
    if (receipt === undefined) continue;
    const given = BigInt(receipt.gasUsed) * receipt.effectiveGasPrice + (receipt.status === 1 ? value : 0n);
    if (from !== undefined) expected[from]! -= given;
    if (receipt.status !== 1) continue;
    for (const gain of gains) {
      const to = indices.get(gain.toKey);
      if (to !== undefined) expected[to]! += gain.value;
    }
  }
  return expected;
}
