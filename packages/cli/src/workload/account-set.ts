import { bytesKey, fromHex } from '@shardlab/crosslink';
import { familySecrets, familySize, type KeyFamily } from './key-labels.ts';
import type { SigningPool } from './signing-pool.ts';

/** Accounts whose addresses one job makes. */
const CHUNK = 1024;

/** Simulated accounts as columns. */
export interface AccountSet {
  readonly count: number;
  /** 32 bytes each. */
  readonly secrets: Uint8Array;
  /** 20 bytes each. */
  readonly addresses: Uint8Array;
  /** First 4 bytes of keccak256(address). */
  readonly placements: Uint32Array;
}

/** Derives a family's keys and addresses in the pool's threads; `progress` gets the number done so far. */
export async function deriveAccounts(family: KeyFamily, pool: SigningPool, progress: (done: number) => void = () => undefined): Promise<AccountSet> {
  const count = familySize(family);
  const secrets = new Uint8Array(32 * count);
  const addresses = new Uint8Array(20 * count);
  const placements = new Uint32Array(count);
  let next = 0;
  let done = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const from = next;
      const size = Math.min(CHUNK, count - from);
      next += size;
      const chunk = familySecrets(family, from, size);
      secrets.set(chunk, 32 * from);
      const result = await pool.addresses({ kind: 'addresses', secrets: chunk });
      addresses.set(result.addresses, 20 * from);
      placements.set(result.placements, from);
      done += size;
      progress(done);
    }
  };
  // Two chunks for each thread: one at work, one on its way.
  await Promise.all(Array.from({ length: 2 * pool.size }, lane));
  return { count, secrets, addresses, placements };
}

/** Address of account `index`, 20 bytes: a view. */
export function addressAt(accounts: AccountSet, index: number): Uint8Array {
  return accounts.addresses.subarray(20 * index, 20 * index + 20);
}

/** Home shard of each account (R8): the rule, then the assignment's `overrides` by lower-case hex address. */
export function homeShards(accounts: AccountSet, shards: number, overrides: ReadonlyMap<string, number>): Uint16Array {
  const homes = Uint16Array.from(accounts.placements, (placement) => Math.floor((placement * shards) / 0x1_0000_0000));
  if (overrides.size === 0) return homes;
  const moved = new Map([...overrides].map(([address, shard]) => [bytesKey(fromHex(address)), shard]));
  for (let i = 0; i < accounts.count; i++) homes[i] = moved.get(bytesKey(addressAt(accounts, i))) ?? homes[i]!;
  return homes;
}
