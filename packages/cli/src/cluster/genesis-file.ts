import { readFileSync } from 'node:fs';
import { type Crypto, type Genesis, genesisHash, parseGenesis, ShardlabError, toHex } from '@shardlab/crosslink';
import { damaged } from './json.ts';
import { type NetworkSize, nodeIdentities } from './layout.ts';
import { validatorSecretKey } from './secrets.ts';

/**
 * When every network of this program begins: 1 January 2026, UTC. Constant, so that equal options give an equal genesis, byte for byte: the
 * containers of one compose file agree without talking, and a run can be repeated elsewhere.
 */
export const GENESIS_TIMESTAMP_MS = Date.UTC(2026, 0, 1);
/** The chain id of local test networks by custom (Anvil has 31337, Geth's dev mode 1337). */
export const CHAIN_ID = 1337;

/** Time between the blocks of a shard with work to do. */
const BLOCK_INTERVAL_MS = 250;
/** Of a shard with a committee: each of its blocks costs every validator two rounds of votes, three synced writes and some twenty messages, whatever is in it. */
const COMMITTEE_INTERVAL_MS = 500;

/** Where the accounts come from, and what each gets. */
export interface AccountPlan {
  readonly workload: { readonly seed: number; readonly accounts: number } | { readonly seed: number; readonly trace: string };
  /** [address in 0x hex, wei in decimal digits]. */
  readonly allocation: readonly (readonly [string, string])[];
}

/** Fork of a network that is not told otherwise. */
export const FORK_DEFAULT: Genesis['forks'] = 'cancun';
/** Ethereum's forks whose rules a network can have. */
export const FORKS = ['cancun', 'prague'] as const satisfies readonly Genesis['forks'][];
/** What {@link genesisText} needs to know. */
export interface GenesisOptions extends NetworkSize {
  readonly forks: Genesis['forks'];
  /** Of the validators' keys. */
  readonly seed: number;
  readonly accounts: AccountPlan;
}

/** The text of `genesis.json` (R4): a function of the options alone. One account a line, so that the file can be looked at. */
export function genesisText(crypto: Crypto, options: GenesisOptions): string {
  const nodes = nodeIdentities(options);
  const committee = (shard: number | null): string[] =>
    nodes.filter((node) => node.shard === shard).map((node) => toHex(crypto.publicKey(validatorSecretKey(options.seed, node.id))));
  const head = {
    formatVersion: 1,
    chainId: CHAIN_ID,
    shards: options.shards,
    validators: { beacon: committee(null), shards: Array.from({ length: options.shards }, (_, shard) => committee(shard)) },
    parameters: {
      blockIntervalMs: options.validators === 1 ? BLOCK_INTERVAL_MS : COMMITTEE_INTERVAL_MS,
      heartbeatMs: 1_000,
      deadlineMs: 30_000,
      blockGasLimit: 120_000_000,
      baseFeePerGas: '1000000000',
      openPreparesMax: 8_192,
      attemptsMax: 6,
      lockWaitersMax: 1_024,
      epochLength: 3_600,
    },
    forks: options.forks,
    feePolicy: 'burn',
    crossShardProtocol: 'two-phase-commit',
    timestampMs: GENESIS_TIMESTAMP_MS,
    workload: options.accounts.workload,
  };
  const lines = options.accounts.allocation.map((entry) => JSON.stringify(entry));
  return `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "allocation": [\n${lines.join(',\n')}\n  ]\n}\n`;
}

/** A genesis with the name that it gives its network. */
export interface NamedGenesis {
  readonly genesis: Genesis;
  /** 0x and 32 bytes in hex. */
  readonly hash: string;
}

/** Parses genesis text. Throws `genesis/invalid`. */
export function nameGenesis(crypto: Crypto, text: string): NamedGenesis {
  const genesis = parseGenesis(text);
  return { genesis, hash: toHex(genesisHash(crypto, genesis)) };
}

/** Reads `file` and checks that it is the genesis called `expectedHash`. Throws `cluster/damaged`. */
export function readGenesis(crypto: Crypto, file: string, expectedHash: string): NamedGenesis {
  let named: NamedGenesis;
  try {
    named = nameGenesis(crypto, readFileSync(file, 'utf8'));
  } catch (cause) {
    throw damaged(file, cause instanceof ShardlabError ? cause.message : 'it cannot be read', cause);
  }
  if (named.hash !== expectedHash) throw damaged(file, 'it is not the genesis that cluster.json names');
  return named;
}
