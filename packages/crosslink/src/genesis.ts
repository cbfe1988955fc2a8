import { Writer } from './codec/writer.ts';
import type { Hasher } from './crypto.ts';
import { ShardlabError } from './errors.ts';
import { type Address, ascii, fromHex, type Hash32, SHARDS_MAX, toHex } from './primitives.ts';
import { VALIDATORS_MAX } from './certificate.ts';

/** Version of `genesis.json`. */
export const GENESIS_FORMAT_VERSION = 1;
/** Most funded accounts in one genesis. */
export const ALLOCATION_MAX = 2_000_000;

/** What everybody on a network must agree on besides its accounts. All durations in milliseconds, all limits inclusive. */
export interface GenesisParameters {
  readonly blockIntervalMs: number;
  /** An idle chain makes a block after this long. */
  readonly heartbeatMs: number;
  /** From a Prepare's block time to the coordinator's abort. */
  readonly deadlineMs: number;
  readonly blockGasLimit: number;
  /** Wei; base fee of the first block. */
  readonly baseFeePerGas: bigint;
  /** Open Prepares of one ordered pair of shards (R19). */
  readonly openPreparesMax: number;
  /** Attempts of one cross-shard transaction before its user sees an abort (R17). */
  readonly attemptsMax: number;
  /** Prepares that may wait for locks at one shard (R17). */
  readonly lockWaitersMax: number;
  /** Beacon blocks in one epoch. */
  readonly epochLength: number;
}

/** Where the funded accounts' keys come from: for load tools, not for the protocol. */
export interface GenesisWorkload {
  readonly seed: number;
  /** Number of accounts derived from the seed; absent for a trace. */
  readonly accounts?: number;
  /** SHA-256 of the trace file, hex; absent for derived accounts. */
  readonly trace?: string;
}

/** A parsed `genesis.json` (R4). */
export interface Genesis {
  readonly chainId: number;
  readonly shards: number;
  readonly beaconValidators: readonly Uint8Array[];
  readonly shardValidators: readonly (readonly Uint8Array[])[];
  readonly parameters: GenesisParameters;
  /** Whose rules the EVM and admission follow. */
  readonly forks: 'cancun' | 'prague';
  /** `burn`: all fees are burned and counted. */
  readonly feePolicy: 'burn';
  readonly crossShardProtocol: 'two-phase-commit';
  readonly timestampMs: number;
  readonly workload: GenesisWorkload;
  readonly allocation: readonly { readonly address: Address; readonly balance: bigint }[];
}

/** Largest chain id whose EIP-155 `v` every wallet can hold in a double: MetaMask's limit. */
const CHAIN_ID_MAX = 4_503_599_627_370_476;
/** A year: no duration is longer, so that sums of times stay exact. */
const DURATION_MAX_MS = 31_536_000_000;
/** Keeps sums over all participants and attempts exact. */
const GAS_MAX = 1_000_000_000_000;
/** The year 10889. */
const TIMESTAMP_MAX_MS = 2 ** 48 - 1;

/** In the order of the canonical bytes: name, and largest value. */
const PARAMETERS = [
  ['blockIntervalMs', DURATION_MAX_MS],
  ['heartbeatMs', DURATION_MAX_MS],
  ['deadlineMs', DURATION_MAX_MS],
  ['blockGasLimit', GAS_MAX],
  ['openPreparesMax', 1_000_000],
  // One byte in messages and records.
  ['attemptsMax', 255],
  ['lockWaitersMax', 1_000_000],
  ['epochLength', Number.MAX_SAFE_INTEGER],
] as const;

function fail(what: string): never {
  throw new ShardlabError('genesis/invalid', `genesis.json: ${what}`);
}

/** What was found instead, short enough for one line. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(`${name} must be an object`);
  return value as Record<string, unknown>;
}

function integer(value: unknown, name: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
    fail(`${name} must be an integer from ${min} to ${max}, not ${shown(value)}`);
  }
  return value;
}

function wei(value: unknown, name: string): bigint {
  if (typeof value !== 'string' || !/^\d{1,39}$/.test(value)) fail(`${name} must be wei as a decimal string`);
  const amount = BigInt(value);
  if (amount >> 128n !== 0n) fail(`${name} must be below 2^128`);
  return amount;
}

function bytesOf(value: unknown, length: number, name: string): Uint8Array {
  if (typeof value !== 'string' || !new RegExp(`^0x[0-9a-fA-F]{${2 * length}}$`).test(value)) fail(`${name} must be 0x and ${length} bytes in hex`);
  return fromHex(value);
}

function keys(value: unknown, name: string): Uint8Array[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > VALIDATORS_MAX) fail(`${name} must list 1 to ${VALIDATORS_MAX} public keys`);
  if (value.length % 3 !== 1) fail(`${name} has ${value.length} validators: a committee has 3f + 1 (1, 4, 7, 10, ...)`);
  const found = value.map((key, index) => bytesOf(key, 32, `${name}[${index}]`));
  const distinct = new Set(found.map(toHex));
  if (distinct.size !== found.length) fail(`${name} names a public key twice: each validator signs with its own`);
  return found;
}

function literal<T extends string>(value: unknown, name: string, ...allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) fail(`${name} must be ${allowed.map((each) => `"${each}"`).join(' or ')}, not ${shown(value)}`);
  return found;
}

function parameters(value: unknown): GenesisParameters {
  const given = record(value, 'parameters');
  const numbers = Object.fromEntries(PARAMETERS.map(([name, max]) => [name, integer(given[name], `parameters.${name}`, 1, max)]));
  return { ...(numbers as unknown as GenesisParameters), baseFeePerGas: wei(given['baseFeePerGas'], 'parameters.baseFeePerGas') };
}

function allocation(value: unknown): Genesis['allocation'] {
  if (!Array.isArray(value) || value.length > ALLOCATION_MAX) fail(`allocation must list at most ${ALLOCATION_MAX} accounts`);
  const seen = new Set<string>();
  let supply = 0n;
  const entries = value.map((entry: unknown, index) => {
    if (!Array.isArray(entry) || entry.length !== 2) fail(`allocation[${index}] must be [address, wei]`);
    const address = bytesOf(entry[0], 20, `allocation[${index}][0]`) as Address;
    const key = (entry[0] as string).toLowerCase();
    if (seen.has(key)) fail(`allocation[${index}] names ${key} twice`);
    seen.add(key);
    const balance = wei(entry[1], `allocation[${index}][1]`);
    supply += balance;
    return { address, balance };
  });
  if (supply >> 128n !== 0n) fail('the supply must be below 2^128 wei');
  return entries;
}

function workloadOf(value: unknown): GenesisWorkload {
  const { seed, accounts, trace } = record(value, 'workload');
  if (trace !== undefined && (typeof trace !== 'string' || !/^[0-9a-f]{64}$/.test(trace))) {
    fail(`workload.trace must be a SHA-256 in 64 lower-case hex digits, not ${shown(trace)}`);
  }
  return {
    seed: integer(seed, 'workload.seed', 0),
    ...(accounts === undefined ? {} : { accounts: integer(accounts, 'workload.accounts', 0, ALLOCATION_MAX) }),
    ...(trace === undefined ? {} : { trace }),
  };
}

/** Parses and checks `genesis.json`. Throws `genesis/invalid` with one line that says what is wrong and what would be right. */
export function parseGenesis(text: string): Genesis {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ShardlabError('genesis/invalid', 'genesis.json: not JSON', {}, { cause });
  }
  const json = record(value, 'the file');
  integer(json['formatVersion'], 'formatVersion', GENESIS_FORMAT_VERSION, GENESIS_FORMAT_VERSION);
  const shards = integer(json['shards'], 'shards', 1, SHARDS_MAX);
  const validators = record(json['validators'], 'validators');
  const shardValidators = validators['shards'];
  if (!Array.isArray(shardValidators) || shardValidators.length !== shards) fail(`validators.shards must have ${shards} entries`);
  return {
    chainId: integer(json['chainId'], 'chainId', 1, CHAIN_ID_MAX),
    shards,
    beaconValidators: keys(validators['beacon'], 'validators.beacon'),
    shardValidators: shardValidators.map((entry, shard) => keys(entry, `validators.shards[${shard}]`)),
    parameters: parameters(json['parameters']),
    forks: literal(json['forks'], 'forks', 'cancun', 'prague'),
    feePolicy: literal(json['feePolicy'], 'feePolicy', 'burn'),
    crossShardProtocol: literal(json['crossShardProtocol'], 'crossShardProtocol', 'two-phase-commit'),
    timestampMs: integer(json['timestampMs'], 'timestampMs', 0, TIMESTAMP_MAX_MS),
    workload: workloadOf(json['workload']),
    allocation: allocation(json['allocation']),
  };
}

/** The network's name: SHA-256 of everything in the genesis in canonical binary (R4). JSON layout, key order and unknown keys do not matter. */
export function genesisHash(hasher: Hasher, genesis: Genesis): Hash32 {
  const writer = new Writer(1024 + 36 * genesis.allocation.length);
  writer.fixed(ascii('shardlab/genesis'), 16).u8(GENESIS_FORMAT_VERSION).u64(genesis.chainId).u16(genesis.shards);
  for (const committee of [genesis.beaconValidators, ...genesis.shardValidators]) {
    writer.list(committee, VALIDATORS_MAX, (out, key) => out.fixed(key, 32));
  }
  for (const [name] of PARAMETERS) writer.u64(genesis.parameters[name]);
  writer.u128(genesis.parameters.baseFeePerGas);
  writer.text(genesis.forks, 32).text(genesis.feePolicy, 32).text(genesis.crossShardProtocol, 32).u64(genesis.timestampMs);
  writer.u64(genesis.workload.seed).u64(genesis.workload.accounts ?? 0).text(genesis.workload.trace ?? '', 64);
  writer.list(genesis.allocation, ALLOCATION_MAX, (out, entry) => out.fixed(entry.address, 20).u128(entry.balance));
  return hasher.sha256(writer.finish());
}
