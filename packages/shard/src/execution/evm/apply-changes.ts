import { type Address, bytesKey, invariant } from '@shardlab/crosslink';
import type { ExecutionState } from '../../state/execution-state.ts';
import type { Account } from '../../state/shard-state.ts';
import type { WorldChanges, WorldState } from './world-state.ts';
import type { AccountChange } from './world/accounts.ts';

/** No code: what a deleted account is left with. */
const NO_CODE = new Uint8Array(0);

/**
 * Writes what a world changed to the state that it stands on; the state's commit follows at the end of the block. Balances are applied as differences, so that worlds that
 * ran beside each other commute where they only moved value. Returns by how many wei the sum of all balances changed: not zero for fees, credits to other shards, and
 * what self-destruction burned. Throws `invariant` for a nonce above 2^53 - 1.
 */
export function applyWorldChanges(state: ExecutionState, changes: WorldChanges): bigint {
  const open = (address: Address): Account => state.open(bytesKey(address));
  let balances = 0n;
  for (const change of changes.accounts) balances += applyAccount(state, change, open(change.address));
  // Slots come in runs of one account: its address is one array, see `WorldState.address`.
  let last: Uint8Array | undefined;
  let account: Account | undefined;
  for (const { address, key, value } of changes.slots) {
    if (account === undefined || address !== last) {
      account = open(address);
      last = address;
    }
    state.setStorage(account, key, value);
  }
  return balances;
}

/** As {@link applyWorldChanges}, of a world right after its transaction: slots are handed over without an object for each. `open` finds accounts in the state. */
export function applyWorld(state: ExecutionState, world: WorldState, open: (address: Address) => Account): bigint {
  let balances = 0n;
  world.visitChangedAccounts((change) => {
    balances += applyAccount(state, change, open(change.address));
  });
  world.visitChangedSlots((address, key, value) => state.setStorage(open(address), key, value));
  return balances;
}

function applyAccount(state: ExecutionState, change: AccountChange, account: Account): bigint {
  const { balance, balanceBefore, codeHash, code } = change;
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
