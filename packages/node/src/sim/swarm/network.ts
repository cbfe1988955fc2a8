import type { EvmFork } from '@shardlab/shard';
import type { ExecutionCrypto } from '../../crypto/types.ts';
import type { NodeName } from '../../ports.ts';
import { kitSecret, type NetworkKit, networkKit } from '../network-kit.ts';

const LABEL = 'simulated';
/** Funded accounts: enough that nonces do not make one queue, few enough that balances meet. */
const ACCOUNTS_PER_SHARD = 12;

/** Accounts that let others' code be theirs: few, so that what they are asked for meets. */
const WARDS_PER_SHARD = 2;

/** How many funded accounts a swarm's network has. */
export function accountsOf({ shards }: { readonly shards: number }): number {
  return ACCOUNTS_PER_SHARD * shards;
}

/** The 32-byte secret seed of a swarm's validator. */
export function simSecret(crypto: ExecutionCrypto, name: NodeName): Uint8Array {
  return kitSecret(crypto, LABEL, name);
}

/**
 * Blocks once a virtual second and heartbeats every four: what goes wrong does not depend on how often nothing happens, and a simulated second costs what happens in it.
 * Short deadlines and small budgets, so that aborts, retries and full queues are common.
 */
export const SIM_PARAMETERS = {
  blockIntervalMs: 1_000,
  heartbeatMs: 4_000,
  deadlineMs: 12_000,
  blockGasLimit: 120_000_000,
  baseFeePerGas: '1000000000',
  openPreparesMax: 64,
  attemptsMax: 6,
  lockWaitersMax: 16,
  epochLength: 8,
} as const;

/** Makes a network of `shards` shards with committees of `validators`: the same for all seeds of one scheme and fork. */
export async function simNetworkKit(
  options: { readonly shards: number; readonly validators: number },
  scheme: 'real' | 'cheap',
  fork: EvmFork,
  parameters: Readonly<Record<string, number | string>> = {},
): Promise<NetworkKit> {
  const { shards, validators } = options;
  return networkKit({
    label: LABEL,
    shards,
    validators,
    accounts: accountsOf(options),
    wards: WARDS_PER_SHARD * shards,
    fork,
    scheme,
    parameters: { ...SIM_PARAMETERS, ...parameters },
    timestampMs: 1_735_689_500_000,
  });
}
