import { type Crypto, fromHex, shardByRule, toHex } from '@shardlab/crosslink';
import type { Cluster } from '../cluster/cluster-file.ts';
import type { ShownAccount } from '../cluster/open-cluster.ts';
import type { Output } from '../output/output.ts';
import { padEnd } from '../output/style.ts';
import type { GenesisPlan } from '../workload/genesis-plan.ts';

const SHOWN_MAX = 10;

/** The first accounts of a plan, with their keys. */
export function firstAccounts(plan: GenesisPlan): ShownAccount[] {
  return plan.allocation.slice(0, SHOWN_MAX).map(([address], index) => ({ address, secretKey: toHex(plan.secretKey(index)) }));
}

/** An account with where it lives. */
export interface PlacedAccount extends ShownAccount {
  readonly shard: number;
  /** JSON-RPC of its home shard's chain. */
  readonly url: string;
}

/** Adds each account's home shard (R8; a new network has no overrides) and that shard's URL. */
export function placeAccounts(crypto: Crypto, cluster: Cluster, accounts: readonly ShownAccount[]): PlacedAccount[] {
  return accounts.map((account) => {
    const shard = shardByRule(crypto, fromHex(account.address), cluster.shards);
    const node = cluster.nodes.find((candidate) => candidate.shard === shard);
    return { ...account, shard, url: `${node?.rpcUrl ?? ''}/shard/${shard}` };
  });
}

/** What `up` prints of a running network, as Anvil does: accounts, keys, chain id and URL, ready to be copied. */
export function bannerLines(cluster: Cluster, accounts: readonly PlacedAccount[], dataDir: string, output: Output): string[] {
  const { style } = output;
  const lines = [
    '',
    style.bold(`Accounts (the first ${accounts.length})`),
    ...accounts.map(
      (account, index) => `(${index}) ${style.accent(account.address)}  ${padEnd(`shard ${account.shard}`, 9)}  ${style.dim(account.url)}`,
    ),
    '',
    style.bold('Private keys (derived from the seed: never send real money to these accounts)'),
    ...accounts.map((account, index) => `(${index}) ${account.secretKey}`),
    '',
    style.bold('Network'),
    `chain id   ${cluster.chainId}`,
    `url        ${style.accent(cluster.nodes[0]!.rpcUrl)}  (the whole network; every node serves it)`,
    `shards     ${cluster.shards}${cluster.validators === 1 ? '' : ` of ${cluster.validators} validators`}, ${cluster.nodes.length} processes`,
    `genesis    ${cluster.genesisHash}`,
    `data       ${dataDir}`,
  ];
  return lines;
}
