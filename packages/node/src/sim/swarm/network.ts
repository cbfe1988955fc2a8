import { type Address, ascii, AssignmentTable, BEACON, concatBytes, type Genesis, parseGenesis, type ShardId, toHex } from '@shardlab/crosslink';
import { addressOfSecretKey, type SignedTransaction, signTransaction } from '@shardlab/shard';
import { createCrypto } from '../../crypto/create-crypto.ts';
import type { NodeCrypto } from '../../crypto/types.ts';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';

/** A funded account of a simulated network. */
export interface SimAccount {
  readonly secretKey: Uint8Array;
  readonly address: Address;
  readonly home: ShardId;
}

/** Wei of each funded account. */
export const SIM_BALANCE = 10n ** 24n;
/** Funded accounts: enough that nonces do not make one queue, few enough that balances meet. */
const ACCOUNTS_PER_SHARD = 12;
const CHAIN_ID = 1337;

/** How many funded accounts a simulated network has. */
export function accountsOf({ shards }: { readonly shards: number }): number {
  return ACCOUNTS_PER_SHARD * shards;
}

/** Keys, genesis and accounts: the same for all seeds of one scheme. */
export interface SimNetworkKit {
  readonly crypto: NodeCrypto;
  readonly genesis: Genesis;
  readonly accounts: readonly SimAccount[];
}

/** The 32-byte secret seed of a simulated validator. */
export function simSecret(crypto: NodeCrypto, name: NodeName): Uint8Array {
  return crypto.sha256(ascii(`simulated validator ${nodeLabel(name)}`));
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

/** Makes a network of `shards` shards with committees of `validators`. */
export async function simNetworkKit(
  options: { readonly shards: number; readonly validators: number },
  scheme: 'real' | 'cheap',
  parameters: Readonly<Record<string, number | string>> = {},
): Promise<SimNetworkKit> {
  const { shards, validators } = options;
  const crypto = await createCrypto(scheme === 'real' ? {} : { signatures: 'keyed-hash', transactions: 'keyed-hash' });
  const table = new AssignmentTable(crypto, { shards, overrides: [] });
  const accounts = Array.from({ length: accountsOf(options) }, (_, index): SimAccount => {
    const secretKey = crypto.sha256(ascii(`simulated account ${index}`));
    const address = addressOfSecretKey(secretKey, crypto);
    return { secretKey, address, home: table.shardOf(address) };
  });
  const committee = (chain: ShardId): string[] =>
    Array.from({ length: validators }, (_, validator) => toHex(crypto.publicKey(simSecret(crypto, { chain, validator }))));
  const json = {
    formatVersion: 1,
    chainId: CHAIN_ID,
    shards,
    validators: { beacon: committee(BEACON), shards: Array.from({ length: shards }, (_, shard) => committee(shard as ShardId)) },
    parameters: { ...SIM_PARAMETERS, ...parameters },
    forks: 'cancun',
    feePolicy: 'burn',
    crossShardProtocol: 'two-phase-commit',
    timestampMs: 1_735_689_500_000,
    workload: { seed: 1, accounts: accounts.length },
    allocation: accounts.map(({ address }) => [toHex(address), SIM_BALANCE.toString()]),
  };
  return { crypto, genesis: parseGenesis(JSON.stringify(json)), accounts };
}

/** A signed transfer of `value` wei. */
export function simTransfer(kit: SimNetworkKit, from: number, to: number, nonce: number, value: bigint): SignedTransaction {
  const price = { maxPriorityFeePerGas: 1n, maxFeePerGas: 10n ** 10n, gasLimit: 21_000 };
  const fields = { type: 2, chainId: CHAIN_ID, nonce, ...price, to: kit.accounts[to]!.address, value, data: concatBytes(), accessList: [] } as const;
  return signTransaction(fields, kit.accounts[from]!.secretKey, kit.crypto);
}
