import { type Address, ascii, AssignmentTable, BEACON, concatBytes, type Genesis, parseGenesis, type ShardId, toHex } from '@shardlab/crosslink';
import { addressOfSecretKey, BATCH_TYPE, type BatchCall, intrinsicGasOf, type SignedTransaction, signTransaction } from '@shardlab/shard';
import { createExecutionCrypto } from '../crypto/create-evm-crypto.ts';
import type { ExecutionCrypto } from '../crypto/types.ts';
import { nodeLabel } from '../network/names.ts';
import type { NodeName } from '../ports.ts';

/** A funded account of a simulated network. */
export interface KitAccount {
  readonly secretKey: Uint8Array;
  readonly address: Address;
  readonly home: ShardId;
}

/** Wei of each funded account. */
export const KIT_BALANCE = 10n ** 24n;
const CHAIN_ID = 1337;

/** Keys, genesis and accounts of a simulated network: all that a run of it needs besides a seed. */
export interface NetworkKit {
  readonly crypto: ExecutionCrypto;
  readonly genesis: Genesis;
  readonly accounts: readonly KitAccount[];
}

/** What a network is to be. */
export interface NetworkKitOptions {
  /** What keys are made from: `<label> validator shard-0.1`, `<label> account 7`. */
  readonly label: string;
  readonly shards: number;
  /** Of each committee, the beacon's too. */
  readonly validators: number;
  /** Funded accounts. */
  readonly accounts: number;
  /** Real signatures, or stand-ins that cost a hash. */
  readonly scheme: 'real' | 'cheap';
  /** Of the genesis: all of them. */
  readonly parameters: Readonly<Record<string, number | string>>;
  /** Of the genesis, in ms since the Unix epoch. */
  readonly timestampMs: number;
}

/** The 32-byte secret seed of a validator of a kit. */
export function kitSecret(crypto: ExecutionCrypto, label: string, name: NodeName): Uint8Array {
  return crypto.sha256(ascii(`${label} validator ${nodeLabel(name)}`));
}

/** Makes a network. */
export async function networkKit(options: NetworkKitOptions): Promise<NetworkKit> {
  const { label, shards, validators, parameters, timestampMs } = options;
  const crypto = await createExecutionCrypto(options.scheme === 'real' ? {} : { signatures: 'keyed-hash', transactions: 'keyed-hash' });
  const table = new AssignmentTable(crypto, { shards, overrides: [] });
  const accounts = Array.from({ length: options.accounts }, (_, index): KitAccount => {
    const secretKey = crypto.sha256(ascii(`${label} account ${index}`));
    const address = addressOfSecretKey(secretKey, crypto);
    return { secretKey, address, home: table.shardOf(address) };
  });
  const committee = (chain: ShardId): string[] =>
    Array.from({ length: validators }, (_, validator) => toHex(crypto.publicKey(kitSecret(crypto, label, { chain, validator }))));
  const json = {
    formatVersion: 1,
    chainId: CHAIN_ID,
    shards,
    validators: { beacon: committee(BEACON), shards: Array.from({ length: shards }, (_, shard) => committee(shard as ShardId)) },
    parameters,
    forks: 'cancun',
    feePolicy: 'burn',
    crossShardProtocol: 'two-phase-commit',
    timestampMs,
    workload: { seed: 1, accounts: accounts.length },
    allocation: accounts.map(({ address }) => [toHex(address), KIT_BALANCE.toString()]),
  };
  return { crypto, genesis: parseGenesis(JSON.stringify(json)), accounts };
}

/** Gas of a contract call or creation of the load: enough for each. */
const CALL_GAS = 500_000;

/** What an account is to sign beside a plain transfer. */
export interface KitCall {
  /** undefined: a creation. */
  readonly to: Address | undefined;
  readonly value: bigint;
  readonly data: Uint8Array;
  /** Beyond the intrinsic gas: plenty if left out. */
  readonly gas?: number;
}

/** A signed contract call or creation. */
export function kitCall({ crypto }: NetworkKit, from: KitAccount, nonce: number, { to, value, data, gas = CALL_GAS }: KitCall): SignedTransaction {
  const fields = { type: 2, chainId: CHAIN_ID, nonce, maxPriorityFeePerGas: 1n, maxFeePerGas: 10n ** 10n, gasLimit: 0, to, value, data, accessList: [] } as const;
  return signTransaction({ ...fields, gasLimit: intrinsicGasOf(fields) + gas }, from.secretKey, crypto);
}

/** A signed atomic batch, with the same gas for each call that has data. */
export function kitBatch({ crypto }: NetworkKit, from: KitAccount, nonce: number, calls: readonly Required<Omit<BatchCall, 'gasLimit'>>[]): SignedTransaction {
  const list = calls.map((call) => ({ ...call, gasLimit: CALL_GAS }));
  const fields = { type: BATCH_TYPE, chainId: CHAIN_ID, nonce, maxPriorityFeePerGas: 1n, maxFeePerGas: 10n ** 10n, gasLimit: 0, calls: list } as const;
  return signTransaction({ ...fields, gasLimit: intrinsicGasOf(fields) + CALL_GAS * list.length }, from.secretKey, crypto);
}

/** A signed transfer of `value` wei. */
export function kitTransfer({ crypto }: NetworkKit, from: KitAccount, to: Address, nonce: number, value: bigint): SignedTransaction {
  const price = { maxPriorityFeePerGas: 1n, maxFeePerGas: 10n ** 10n, gasLimit: 21_000 };
  const fields = { type: 2, chainId: CHAIN_ID, nonce, ...price, to, value, data: concatBytes(), accessList: [] } as const;
  return signTransaction(fields, from.secretKey, crypto);
}
