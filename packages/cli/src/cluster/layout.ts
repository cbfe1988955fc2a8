import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Where everything of one data directory lies; absolute paths. */
export interface ClusterPaths {
  readonly dataDir: string;
  readonly genesisFile: string;
  readonly clusterFile: string;
  /** Held while a command changes the cluster. */
  readonly lockFile: string;
  /** The accounts that `up` prints, with their keys: simulated money only. */
  readonly accountsFile: string;
  /** What load runs expect to find in the blocks, for the audit. */
  readonly ledgers: string;
  /** Which contracts load runs have deployed, for the audit. */
  readonly workloadFile: string;
}

/** Files of one node; absolute paths. */
export interface NodePaths {
  readonly directory: string;
  readonly configFile: string;
  readonly readyFile: string;
  readonly logFile: string;
  /** What the process writes to stderr: nothing, unless it cannot start or crashes. */
  readonly stderrFile: string;
}

/** The layout below `dataDir`. */
export function clusterPaths(dataDir: string): ClusterPaths {
  const root = resolve(dataDir);
  return {
    dataDir: root,
    genesisFile: join(root, 'genesis.json'),
    clusterFile: join(root, 'cluster.json'),
    lockFile: join(root, 'cluster.lock'),
    accountsFile: join(root, 'accounts.json'),
    ledgers: join(root, 'ledgers'),
    workloadFile: join(root, 'workload.json'),
  };
}

/** The files of node `id` below `dataDir`. */
export function nodePaths(dataDir: string, id: string): NodePaths {
  const directory = join(resolve(dataDir), 'nodes', id);
  return {
    directory,
    configFile: join(directory, 'node.json'),
    readyFile: join(directory, 'ready.json'),
    logFile: join(directory, 'node.log'),
    stderrFile: join(directory, 'stderr.log'),
  };
}

/** `$XDG_STATE_HOME/shardlab`, or `~/.local/state/shardlab` (XDG Base Directory Specification 0.8: a relative value is ignored). */
export function defaultDataDir(env: Readonly<Record<string, string | undefined>>): string {
  const state = env['XDG_STATE_HOME'];
  const base = state !== undefined && state.startsWith('/') ? state : join(env['HOME'] ?? homedir(), '.local', 'state');
  return join(base, 'shardlab');
}

/** How many validators the committees of a network have: n = 3f + 1 each. */
export interface NetworkSize {
  readonly shards: number;
  /** Of each shard. */
  readonly validators: number;
  readonly beaconValidators: number;
}

/** One node of a network. */
export interface NodeIdentity {
  readonly id: string;
  readonly role: 'beacon' | 'shard';
  readonly shard: number | null;
  /** Index in the chain's committee. */
  readonly validator: number;
}

/** The id of a validator, as nodes log it: `beacon`, `shard-2`, and with their index all but the first of a committee: `beacon.1`, `shard-2.3`. */
function nodeId(chain: string, validator: number): string {
  return validator === 0 ? chain : `${chain}.${validator}`;
}

/** Every node of a network: the beacon's committee first, then the shards' in order. */
export function nodeIdentities({ shards, validators, beaconValidators }: NetworkSize): NodeIdentity[] {
  const committee = (size: number, chain: string, role: NodeIdentity['role'], shard: number | null): NodeIdentity[] =>
    Array.from({ length: size }, (_, validator) => ({ id: nodeId(chain, validator), role, shard, validator }));
  const shardNodes = Array.from({ length: shards }, (_, shard) => committee(validators, `shard-${shard}`, 'shard', shard));
  return [...committee(beaconValidators, 'beacon', 'beacon', null), ...shardNodes.flat()];
}

/** Committee sizes that the command line offers. */
export const COMMITTEE_SIZES = [1, 4, 7, 10] as const;

/** Which ids a network has, for whoever named another. */
export function idsInWords(size: NetworkSize): string {
  const range = (first: string, last: string): string => (first === last ? first : `${first} to ${last}`);
  const all = nodeIdentities(size);
  const ids = (role: NodeIdentity['role']): string[] => all.flatMap((node) => (node.role === role ? [node.id] : []));
  const [beacon, shards] = [ids('beacon'), ids('shard')];
  return `${range(beacon[0]!, beacon.at(-1)!)}, or ${range(shards[0]!, shards.at(-1)!)}`;
}

/**
 * Where Node keeps compiled modules for all nodes of all clusters of this user: `$NODE_COMPILE_CACHE`, or below `$XDG_CACHE_HOME` or `~/.cache`. Not in the data
 * directory: a new one would start five processes cold each time (0.36 s against 0.08 s of CPU for each).
 */
export function compileCacheDir(env: Readonly<Record<string, string | undefined>>): string {
  const chosen = env['NODE_COMPILE_CACHE'];
  if (chosen !== undefined && chosen !== '') return chosen;
  const cache = env['XDG_CACHE_HOME'];
  const base = cache !== undefined && cache.startsWith('/') ? cache : join(env['HOME'] ?? homedir(), '.cache');
  return join(base, 'shardlab', 'compile-cache');
}
