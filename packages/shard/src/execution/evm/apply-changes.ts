import { bytesKey, invariant } from '@shardlab/crosslink';
import type { ShardState } from '../../state/shard-state.ts';
import type { WorldChanges } from './world-state.ts';
import type { AccountChange } from './world/accounts.ts';

/** No code: what a deleted account is left with. */
const NO_CODE = new Uint8Array(0);

/**
 * Writes what a world changed to the state that it stands on; the state's commit follows at the end of the block. Balances are applied as differences, so that worlds that
 * ran beside each other commute where they only moved value. Returns by how many wei the sum of all balances changed: not zero for fees, credits to other shards, and
 * what self-destruction burned. Throws `invariant` for a nonce above 2^53 - 1.
 */
export function applyWorldChanges(state: ShardState, changes: WorldChanges): bigint {
  let balances = 0n;
  for (const change of changes.accounts) balances += applyAccount(state, change);
  // Slots come in runs of one account: its address is one array, see `WorldState.address`.
  let last: Uint8Array | undefined;
  let account = undefined as ReturnType<ShardState['open']> | undefined;
  for (const { address, key, value } of changes.slots) {
    if (account === undefined || address !== last) {
      account = state.open(bytesKey(address));
      last = address;
    }
    state.setStorage(account, key, value);
  }
  return balances;
}

function applyAccount(state: ShardState, change: AccountChange): bigint {
  const { address, balance, balanceBefore, codeHash, code } = change;
  const account = state.open(bytesKey(address));
  state.touch(account);
  if (change.deleted || change.storageEmptied) state.clearStorage(account);
  if (change.deleted) state.setCode(account, NO_CODE);
  else if (code !== undefined) state.setCode(account, code, codeHash);
  const nonce = Number(change.nonce);
  invariant(Number.isSafeInteger(nonce), 'a nonce is a safe integer', { nonce });
  account.nonce = nonce;
  account.balance += balance - balanceBefore;
  return balance - balanceBefore;
}
