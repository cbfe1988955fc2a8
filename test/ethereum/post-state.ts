import { bytesKey, equalBytes, keyBytes, toHex, ZERO_HASH } from '@shardlab/crosslink';
import type { WorldChanges } from '../../packages/shard/src/execution/evm/world-state.ts';
import type { TestAccount, TestAccounts } from './state-test.ts';

const NO_CODE = new Uint8Array(0);

/** The accounts that there are after `changes`. */
function accountsAfter(pre: TestAccounts, changes: WorldChanges): Map<string, TestAccount> {
  const out = new Map(pre);
  for (const { address, deleted, storageEmptied, nonce, balance, code } of changes.accounts) {
    const key = bytesKey(address);
    const before = pre.get(key);
    const storage = storageEmptied ? new Map<string, never>() : (before?.storage ?? new Map<string, never>());
    if (deleted) out.delete(key);
    else out.set(key, { address, nonce, balance, code: code ?? before?.code ?? NO_CODE, storage });
  }
  const copied = new Set<string>();
  for (const { address, key, value } of changes.slots) {
    const name = bytesKey(address);
    const account = out.get(name);
    if (account === undefined) continue;
    const storage = new Map(account.storage);
    copied.add(name);
    if (equalBytes(value, ZERO_HASH)) storage.delete(bytesKey(key));
    else storage.set(bytesKey(key), value as typeof ZERO_HASH);
    out.set(name, { ...account, storage });
  }
  return out;
}

function accountDifference(name: string, found: TestAccount | undefined, wanted: TestAccount | undefined): string | undefined {
  if (wanted === undefined) return `${name} exists and should not`;
  if (found === undefined) return `${name} does not exist and should`;
  if (found.balance !== wanted.balance) return `${name} has balance ${found.balance}, not ${wanted.balance}`;
  if (found.nonce !== wanted.nonce) return `${name} has nonce ${found.nonce}, not ${wanted.nonce}`;
  if (!equalBytes(found.code, wanted.code)) return `${name} has another code`;
  for (const key of [...new Set([...found.storage.keys(), ...wanted.storage.keys()])].toSorted()) {
    const [left, right] = [found.storage.get(key) ?? ZERO_HASH, wanted.storage.get(key) ?? ZERO_HASH];
    if (!equalBytes(left, right)) return `${name} slot ${toHex(keyBytes(key))} is ${toHex(left)}, not ${toHex(right)}`;
  }
  return undefined;
}

/** The first account, by address, that is not as the file lists it, and in what; undefined: there is none. */
export function firstDifference(pre: TestAccounts, changes: WorldChanges, wanted: TestAccounts): string | undefined {
  const found = accountsAfter(pre, changes);
  for (const key of [...new Set([...found.keys(), ...wanted.keys()])].toSorted()) {
    const difference = accountDifference(toHex(keyBytes(key)), found.get(key), wanted.get(key));
    if (difference !== undefined) return difference;
  }
  return undefined;
}
