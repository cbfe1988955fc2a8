import { type Address, ascii, AssignmentTable, concatBytes, type Genesis, parseGenesis, type ShardId, toHex } from '@shardlab/crosslink';
import { addressOfSecretKey, type SignedTransaction, signTransaction } from '@shardlab/shard';
import type { NodeCrypto } from '../../src/crypto/types.ts';
import { createCrypto } from '../../src/crypto/create-crypto.ts';
import { nodeLabel } from '../../src/network/names.ts';
import type { NodeName } from '../../src/ports.ts';
import { SimCluster, type SimClusterHooks } from '../../src/sim/cluster.ts';
import { SimWorld, type SimWorldFaults } from '../../src/sim/world.ts';

/** A funded account of a test network. */
export interface TestAccount {
  readonly secretKey: Uint8Array;
  readonly address: Address;
  readonly home: ShardId;
}

/** Wei of each funded account. */
export const BALANCE = 10n ** 24n;

/** Keys, genesis and accounts of a test network. Cheap signatures throughout, unless `real` is set. */
export interface TestNetwork {
  readonly crypto: NodeCrypto;
  readonly genesis: Genesis;
  readonly accounts: readonly TestAccount[];
  readonly supply: bigint;
}

/** The secret seed of a node's validator in test networks. */
export function testSecret(crypto: NodeCrypto, name: NodeName): Uint8Array {
  return crypto.sha256(ascii(`test validator ${nodeLabel(name)}`));
}

/** Makes a test network's genesis. */
export async function testNetwork(options: {
  readonly shards: number;
  readonly accounts: number;
  /** Of each committee; 1 by default. */
  readonly validators?: number;
  readonly real?: boolean;
  readonly parameters?: Partial<Record<string, number>>;
}): Promise<TestNetwork> {
  const crypto = await createCrypto(options.real === true ? {} : { signatures: 'keyed-hash', transactions: 'keyed-hash' });
  const table = new AssignmentTable(crypto, { shards: options.shards, overrides: [] });
  const accounts = Array.from({ length: options.accounts }, (_, index): TestAccount => {
    const secretKey = crypto.sha256(ascii(`test account ${index}`));
    const address = addressOfSecretKey(secretKey, crypto);
    return { secretKey, address, home: table.shardOf(address) };
  });
  const key = (name: NodeName): string => toHex(crypto.publicKey(testSecret(crypto, name)));
  const committee = (chain: number): string[] => Array.from({ length: options.validators ?? 1 }, (_, validator) => key({ chain: chain as ShardId, validator }));
  const shards = Array.from({ length: options.shards }, (_, shard) => committee(shard));
  const json = {
    formatVersion: 1,
    chainId: 1337,
    shards: options.shards,
    validators: { beacon: committee(0xffff), shards },
    parameters: {
      blockIntervalMs: 250,
      heartbeatMs: 1000,
      deadlineMs: 30_000,
      blockGasLimit: 120_000_000,
      baseFeePerGas: '1000000000',
      openPreparesMax: 8192,
      attemptsMax: 6,
      lockWaitersMax: 1024,
      epochLength: 3600,
      ...options.parameters,
    },
    forks: 'cancun',
    feePolicy: 'burn',
    crossShardProtocol: 'two-phase-commit',
    timestampMs: 1_767_225_600_000,
    workload: { seed: 1, accounts: options.accounts },
    allocation: accounts.map(({ address }) => [toHex(address), BALANCE.toString()]),
  };
  return { crypto, genesis: parseGenesis(JSON.stringify(json)), accounts, supply: BALANCE * BigInt(options.accounts) };
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
export function transfer(network: TestNetwork, from: TestAccount, to: Uint8Array, nonce: number, value = 1n): SignedTransaction {
  const price = { maxPriorityFeePerGas: 1n, maxFeePerGas: 10n ** 10n, gasLimit: 21_000 };
  const fields = { type: 2, chainId: 1337, nonce, ...price, to: to as Address, value, data: concatBytes(), accessList: [] } as const;
  return signTransaction(fields, from.secretKey, network.crypto);
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
