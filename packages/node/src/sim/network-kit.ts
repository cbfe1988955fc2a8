import { type Address, ascii, AssignmentTable, BEACON, concatBytes, type Genesis, parseGenesis, type ShardId, toHex } from '@shardlab/crosslink';
import {
  addressOfSecretKey,
  authorizationDigest,
  type AuthorizationFields,
  BATCH_TYPE,
  type BatchCall,
  type EvmFork,
  intrinsicGasOf,
  type SignedAuthorization,
  type SignedTransaction,
  signTransaction,
} from '@shardlab/shard';
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
/** The chain id of every kit. */
export const CHAIN_ID = 1337;

/** Keys, genesis and accounts of a simulated network: all that a run of it needs besides a seed. */
export interface NetworkKit {
  readonly crypto: ExecutionCrypto;
  readonly genesis: Genesis;
  readonly accounts: readonly KitAccount[];
  /** Funded accounts that may let their code be that of contracts (EIP-7702), shard by shard in turn. */
  readonly wards: readonly KitAccount[];
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
  /** {@link NetworkKit.wards}, none if left out: for all shards together. */
  readonly wards?: number;
  /** `cancun` if left out. */
  readonly fork?: EvmFork;
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
  const { label, shards, validators, parameters, timestampMs, fork = 'cancun' } = options;
  const crypto = await createExecutionCrypto(options.scheme === 'real' ? {} : { signatures: 'keyed-hash', transactions: 'keyed-hash' });
  const table = new AssignmentTable(crypto, { shards, overrides: [] });
  const account = (name: string): KitAccount => {
    const secretKey = crypto.sha256(ascii(`${label} ${name}`));
    const address = addressOfSecretKey(secretKey, crypto);
    return { secretKey, address, home: table.shardOf(address) };
  };
  const accounts = Array.from({ length: options.accounts }, (_, index) => account(`account ${index}`));
  const wards: KitAccount[] = [];
  for (let index = 0; wards.length < (options.wards ?? 0); index++) {
    const found = account(`ward ${index}`);
    if (found.home === wards.length % shards) wards.push(found);
  }
  const committee = (chain: ShardId): string[] =>
    Array.from({ length: validators }, (_, validator) => toHex(crypto.publicKey(kitSecret(crypto, label, { chain, validator }))));
  const json = {
    formatVersion: 1,
    chainId: CHAIN_ID,
    shards,
    validators: { beacon: committee(BEACON), shards: Array.from({ length: shards }, (_, shard) => committee(shard as ShardId)) },
    parameters,
    forks: fork,
    feePolicy: 'burn',
    crossShardProtocol: 'two-phase-commit',
    timestampMs,
    workload: { seed: 1, accounts: accounts.length },
    allocation: [...accounts, ...wards].map(({ address }) => [toHex(address), KIT_BALANCE.toString()]),
  };
  return { crypto, genesis: parseGenesis(JSON.stringify(json)), accounts, wards };
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
export function kitCall({ crypto, genesis }: NetworkKit, from: KitAccount, nonce: number, { to, value, data, gas = CALL_GAS }: KitCall): SignedTransaction {
  const fields = { type: 2, chainId: CHAIN_ID, nonce, maxPriorityFeePerGas: 1n, maxFeePerGas: 10n ** 10n, gasLimit: 0, to, value, data, accessList: [] } as const;
  return signTransaction({ ...fields, gasLimit: intrinsicGasOf(fields, genesis.forks) + gas }, from.secretKey, crypto);
}

/** What an account signs to let its code be that of another one (EIP-7702). */
export function kitAuthorization({ crypto }: Pick<NetworkKit, 'crypto'>, authority: KitAccount, fields: AuthorizationFields): SignedAuthorization {
  const { signature, yParity } = crypto.secpSign(authorizationDigest(fields, crypto), authority.secretKey);
  const number = (bytes: Uint8Array): bigint => BigInt(toHex(bytes));
  return { ...fields, yParity, r: number(signature.subarray(0, 32)), s: number(signature.subarray(32)) };
}

/** A signed set-code transaction (EIP-7702). */
export function kitSetCode(
  { crypto, genesis }: NetworkKit,
  from: KitAccount,
  nonce: number,
  { to, value, data, authorizations }: Omit<KitCall, 'to' | 'gas'> & { readonly to: Address; readonly authorizations: readonly SignedAuthorization[] },
): SignedTransaction {
  const fields = { type: 4, chainId: CHAIN_ID, nonce, maxPriorityFeePerGas: 1n, maxFeePerGas: 10n ** 10n, gasLimit: 0, to, value, data, accessList: [], authorizations } as const;
  return signTransaction({ ...fields, gasLimit: intrinsicGasOf(fields, genesis.forks) + CALL_GAS }, from.secretKey, crypto);
}

/** A signed atomic batch, with the same gas for each call that has data. */
export function kitBatch({ crypto, genesis }: NetworkKit, from: KitAccount, nonce: number, calls: readonly Required<Omit<BatchCall, 'gasLimit'>>[]): SignedTransaction {
  const list = calls.map((call) => ({ ...call, gasLimit: CALL_GAS }));
  const fields = { type: BATCH_TYPE, chainId: CHAIN_ID, nonce, maxPriorityFeePerGas: 1n, maxFeePerGas: 10n ** 10n, gasLimit: 0, calls: list } as const;
  return signTransaction({ ...fields, gasLimit: intrinsicGasOf(fields, genesis.forks) + CALL_GAS * list.length }, from.secretKey, crypto);
}

/** A signed transfer of `value` wei. */
export function kitTransfer({ crypto }: NetworkKit, from: KitAccount, to: Address, nonce: number, value: bigint): SignedTransaction {
  const price = { maxPriorityFeePerGas: 1n, maxFeePerGas: 10n ** 10n, gasLimit: 21_000 };
  const fields = { type: 2, chainId: CHAIN_ID, nonce, ...price, to, value, data: concatBytes(), accessList: [] } as const;
  return signTransaction(fields, from.secretKey, crypto);
}
