import type { Address, ShardId } from '@shardlab/crosslink';
import type { SignedTransaction } from '@shardlab/shard';
import type { ExecutionCrypto } from '../../src/crypto/types.ts';
import type { NodeName } from '../../src/ports.ts';
import { SimCluster, type SimClusterHooks } from '../../src/sim/cluster.ts';
import { KIT_BALANCE, type KitAccount, kitSecret, kitTransfer, type NetworkKit, networkKit } from '../../src/sim/network-kit.ts';
import { SimWorld, type SimWorldFaults } from '../../src/sim/world.ts';

const LABEL = 'test';

/** A network kit whose supply is known. */
export interface TestNetwork extends NetworkKit {
  readonly supply: bigint;
}

/** The secret seed of a node's validator in test networks. */
export function testSecret(crypto: ExecutionCrypto, name: NodeName): Uint8Array {
  return kitSecret(crypto, LABEL, name);
}

/** What the product's genesis has by default, with room for many transfers. */
const PARAMETERS = {
  blockIntervalMs: 250,
  heartbeatMs: 1000,
  deadlineMs: 30_000,
  blockGasLimit: 120_000_000,
  baseFeePerGas: '1000000000',
  openPreparesMax: 8192,
  attemptsMax: 6,
  lockWaitersMax: 1024,
  epochLength: 3600,
};

/** Makes a test network's genesis. Cheap signatures throughout, unless `real` is set. */
export async function testNetwork(options: {
  readonly shards: number;
  readonly accounts: number;
  /** Of each committee; 1 by default. */
  readonly validators?: number;
  readonly real?: boolean;
  readonly parameters?: Readonly<Record<string, number>>;
}): Promise<TestNetwork> {
  const { shards, accounts, validators = 1, parameters } = options;
  const scheme = options.real === true ? 'real' : 'cheap';
  const kit = await networkKit({ label: LABEL, shards, validators, accounts, scheme, parameters: { ...PARAMETERS, ...parameters }, timestampMs: 1_767_225_600_000 });
  return { ...kit, supply: KIT_BALANCE * BigInt(accounts) };
}

/** Virtual time at which test networks start. */
export const START_MS = 1_767_225_700_000;

/** A simulated cluster of a test network. */
export function testCluster(network: TestNetwork, seed: number, hooks: SimClusterHooks = {}, faults: SimWorldFaults = {}): SimCluster {
  const { crypto, genesis } = network;
  const world = new SimWorld({ seed, startMs: START_MS }, faults);
  return new SimCluster({ genesis, secretKey: (name) => testSecret(crypto, name) }, { world, crypto }, hooks);
}

/** A signed transfer. */
export function transfer(network: TestNetwork, from: KitAccount, to: Uint8Array, nonce: number, value = 1n): SignedTransaction {
  return kitTransfer(network, from, to as Address, nonce, value);
}

/** Balances + escrow + in flight + burned over all shards' executed state; meaningful as supply when nothing is under way. */
export function supplyOf(cluster: SimCluster, shards: number): bigint {
  let sum = 0n;
  for (let shard = 0; shard < shards; shard++) {
    const { header, pairs } = cluster.shard(shard as ShardId).replica.head;
    sum += header.totals.balances + header.totals.escrow + header.totals.burned;
    for (const pair of pairs) sum += pair.sentValue - pair.receivedValue;
  }
  return sum;
}
