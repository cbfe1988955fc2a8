import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { SHARDS_MAX } from '@shardlab/crosslink';
import { usageError } from '../output/cli-error.ts';
import { damaged, JsonFields, parseJson, writeFileAtomic } from './json.ts';
import { clusterPaths, COMMITTEE_SIZES, type NetworkSize, nodeIdentities } from './layout.ts';

const COMMITTEE_MAX = Math.max(...COMMITTEE_SIZES);

/** One process of a cluster. `rpcUrl` and `p2p` are empty until it was ready for the first time; then they stay. */
export interface ClusterNode {
  readonly id: string;
  readonly role: 'beacon' | 'shard';
  readonly shard: number | null;
  /** Index in the chain's committee. */
  readonly validator: number;
  /** Of the process that was started last; null when it was stopped on purpose. Alive or not: see `isNodeProcess`. */
  readonly pid: number | null;
  readonly rpcUrl: string;
  /** One multiaddr with /p2p/. */
  readonly p2p: string;
  readonly logFile: string;
  readonly directory: string;
  readonly configFile: string;
}

/** `cluster.json`: what runs where, for this program and for anyone's scripts. */
export interface Cluster extends NetworkSize {
  readonly formatVersion: 1;
  /** 0x and 32 bytes in hex: names the network (R4). */
  readonly genesisHash: string;
  readonly chainId: number;
  readonly seed: number;
  /** In the order of {@link nodeIdentities}: the beacon's first validator is the first. */
  readonly nodes: readonly ClusterNode[];
}

function parseNode(value: unknown, where: string): ClusterNode {
  const fields = new JsonFields(value, where);
  const role = fields.string('role');
  if (role !== 'beacon' && role !== 'shard') throw damaged(where, '"role" must be beacon or shard');
  return {
    id: fields.string('id'),
    role,
    shard: fields.integerOrNull('shard', 0, SHARDS_MAX - 1),
    validator: fields.integer('validator', 0, COMMITTEE_MAX - 1),
    pid: fields.integerOrNull('pid', 1),
    rpcUrl: fields.string('rpcUrl'),
    p2p: fields.string('p2p'),
    logFile: fields.string('logFile'),
    directory: fields.string('directory'),
    configFile: fields.string('configFile'),
  };
}

/** Parses `cluster.json`; `where` names the file in errors. Throws `cluster/damaged`. */
export function parseCluster(text: string, where: string): Cluster {
  const fields = new JsonFields(parseJson(text, where), where);
  fields.integer('formatVersion', 1, 1);
  const shards = fields.integer('shards', 1, SHARDS_MAX);
  const genesisHash = fields.string('genesisHash');
  if (!/^0x[0-9a-f]{64}$/.test(genesisHash)) throw damaged(where, '"genesisHash" must be 0x and 32 bytes in hex');
  const validators = fields.integer('validators', 1, COMMITTEE_MAX);
  const size: NetworkSize = { shards, validators, beaconValidators: fields.integer('beaconValidators', 1, COMMITTEE_MAX) };
  const nodes = fields.list('nodes', (SHARDS_MAX + 1) * COMMITTEE_MAX).map((node, at) => parseNode(node, `${where}: nodes[${at}]`));
  const expected = nodeIdentities(size);
  if (nodes.length !== expected.length || nodes.some((node, at) => node.id !== expected[at]!.id)) {
    throw damaged(where, `it must list ${expected.length} nodes in order, ${expected[0]!.id} to ${expected.at(-1)!.id}`);
  }
  return {
    formatVersion: 1,
    genesisHash,
    chainId: fields.integer('chainId', 1),
    ...size,
    seed: fields.integer('seed', 0),
    nodes,
  };
}

/** The text of `cluster.json`. */
export function formatCluster(cluster: Cluster): string {
  return `${JSON.stringify(cluster, null, 2)}\n`;
}

/** Writes `cluster.json` atomically. */
export function writeCluster(dataDir: string, cluster: Cluster): void {
  writeFileAtomic(clusterPaths(dataDir).clusterFile, formatCluster(cluster));
}

/** What lies at a data directory's place. */
export type DataDirState =
  | { readonly kind: 'empty' }
  | { readonly kind: 'cluster'; readonly cluster: Cluster };

// What a lock or an `up` that was stopped before it wrote anything of worth may leave behind.
const LEFTOVERS = /^(?:cluster\.lock.*|compile-cache|cluster\.json\.\d+\.tmp)$/;

/**
 * Looks at a data directory. Throws `cluster/foreign` when it holds something else, and `cluster/damaged` when files of ours are missing or broken:
 * nothing is ever reset.
 */
export function inspectDataDir(dataDir: string): DataDirState {
  const paths = clusterPaths(dataDir);
  let entries: string[];
  try {
    entries = readdirSync(paths.dataDir);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { kind: 'empty' };
    const what = code === 'ENOTDIR' ? 'is not a directory' : `cannot be read (${code ?? 'unknown error'})`;
    throw usageError('cluster/foreign', `${paths.dataDir} ${what}: choose another --data-dir`, { cause });
  }
  if (entries.includes('cluster.json')) {
    if (!existsSync(paths.genesisFile)) throw damaged(paths.dataDir, 'genesis.json is missing');
    return { kind: 'cluster', cluster: parseCluster(readFileSync(paths.clusterFile, 'utf8'), paths.clusterFile) };
  }
  if (entries.includes('genesis.json')) throw damaged(paths.dataDir, 'cluster.json is missing');
  if (entries.some((entry) => !LEFTOVERS.test(entry))) {
    throw usageError('cluster/foreign', `${paths.dataDir} is not empty and holds no Shardlab network: choose another --data-dir`);
  }
  return { kind: 'empty' };
}

/** The cluster at `dataDir`. Throws `cluster/absent`, `cluster/foreign`, `cluster/damaged`. */
export function readCluster(dataDir: string): Cluster {
  const state = inspectDataDir(dataDir);
  if (state.kind === 'cluster') return state.cluster;
  throw usageError('cluster/absent', `no cluster in ${clusterPaths(dataDir).dataDir}: start one with "shardlab up", or name a network by --rpc URL`);
}

/** `cluster` with some fields of node `id` replaced. */
export function withNode(cluster: Cluster, id: string, change: Partial<ClusterNode>): Cluster {
  return { ...cluster, nodes: cluster.nodes.map((node) => (node.id === id ? { ...node, ...change } : node)) };
}
