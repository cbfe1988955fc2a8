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

/** One node of a network of `shards` shards with one validator each. */
export interface NodeIdentity {
  readonly id: string;
  readonly role: 'beacon' | 'shard';
  readonly shard: number | null;
}

/** Every node of a network: the beacon first, then the shards in order. */
export function nodeIdentities(shards: number): NodeIdentity[] {
  const beacon: NodeIdentity = { id: 'beacon', role: 'beacon', shard: null };
  return [beacon, ...Array.from({ length: shards }, (_, shard): NodeIdentity => ({ id: `shard-${shard}`, role: 'shard', shard }))];
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
