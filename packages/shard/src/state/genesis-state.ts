import { AssignmentTable, bytesKey, type Genesis, type Hasher, type ShardId } from '@shardlab/crosslink';
import { accountFlatKey, accountFlatValue, type FlatEntry } from './flat-account.ts';

/** The flat entries of the accounts of a genesis that live on `shard` by rule (R8; epoch 0 has no overrides). Empty accounts are left out. */
export function* genesisEntries(hasher: Hasher, genesis: Genesis, shard: ShardId): Iterable<FlatEntry> {
  const table = new AssignmentTable(hasher, { shards: genesis.shards, overrides: [] });
  for (const { address, balance } of genesis.allocation) {
    if (balance > 0n && table.shardOf(address) === shard) yield { key: accountFlatKey(bytesKey(address)), value: accountFlatValue(balance, 0) };
  }
}

/** Wei that a genesis gives to the accounts of `shard`. */
export function genesisBalance(hasher: Hasher, genesis: Genesis, shard: ShardId): bigint {
  const table = new AssignmentTable(hasher, { shards: genesis.shards, overrides: [] });
  return genesis.allocation.reduce((sum, { address, balance }) => (table.shardOf(address) === shard ? sum + balance : sum), 0n);
}
