import { mkdirSync, readFileSync } from 'node:fs';
import type { Crypto, Genesis } from '@shardlab/crosslink';
import { usageError } from '../output/cli-error.ts';
import { bringUp, type BringUpOptions, recordedPorts } from './bring-up.ts';
import { type Cluster, inspectDataDir, writeCluster } from './cluster-file.ts';
import { type AccountPlan, CHAIN_ID, genesisText, nameGenesis, readGenesis } from './genesis-file.ts';
import { damaged, JsonFields, parseJson, writeFileAtomic } from './json.ts';
import { clusterPaths, type NetworkSize, nodeIdentities, nodePaths } from './layout.ts';
import { withClusterLock } from './lock.ts';
import { assertPortsFree, LOOPBACK, planPorts, PORT_PATIENCE_MS, PORTS_ARE_KEPT } from './ports.ts';
import { isNodeProcess } from './process-identity.ts';

/** One of the accounts that `up` prints. The key is worth nothing: it is derived from a published seed. */
export interface ShownAccount {
  /** 0x and 20 bytes in hex. */
  readonly address: string;
  /** 0x and 32 bytes in hex. */
  readonly secretKey: string;
}

/** What a new network is made of, apart from its accounts. */
export interface NewNetwork extends NetworkSize {
  readonly seed: number;
  readonly basePort: number;
  readonly forks: Genesis['forks'];
}

/** The accounts of a new network. */
export interface FundedAccounts {
  readonly plan: AccountPlan;
  /** To be shown and used by `send`. */
  readonly accounts: readonly ShownAccount[];
}

/** What the user said, where it was said: an existing network must agree. */
export interface Demands {
  readonly shards?: number | undefined;
  readonly validators?: number | undefined;
  readonly beaconValidators?: number | undefined;
  readonly seed?: number | undefined;
  readonly accounts?: number | undefined;
  /** SHA-256 of the trace file, hex. */
  readonly trace?: string | undefined;
  readonly basePort?: number | undefined;
  readonly fork?: Genesis['forks'] | undefined;
}

/** What {@link openCluster} needs. */
export interface OpenOptions extends Pick<BringUpOptions, 'dataDir' | 'launch' | 'logLevel' | 'workers' | 'signal' | 'onProgress' | 'timeoutMs'> {
  readonly crypto: Crypto;
  readonly demands: Demands;
  /** Used only when the data directory is new. */
  readonly network: NewNetwork;
  /** Asked only when the data directory is new, and its ports are free. */
  readonly fund: () => Promise<FundedAccounts>;
}

/** A cluster that runs now. */
export interface OpenedCluster {
  readonly cluster: Cluster;
  readonly accounts: readonly ShownAccount[];
  /** Whether the data directory was there before. */
  readonly resumed: boolean;
  /** Nodes that were started by this call. */
  readonly started: readonly string[];
}

function createFiles(options: OpenOptions, funded: FundedAccounts): Cluster {
  const { network } = options;
  const paths = clusterPaths(options.dataDir);
  const text = genesisText(options.crypto, { ...network, accounts: funded.plan });
  const { hash } = nameGenesis(options.crypto, text);
  const identities = nodeIdentities(network);
  const ports = planPorts(network.basePort, identities.length);
  const nodes = identities.map((identity, at) => {
    const { directory, logFile, configFile } = nodePaths(options.dataDir, identity.id);
    const { rpc, p2p } = ports[at]!;
    const rpcUrl = rpc === 0 ? '' : `http://${LOOPBACK}:${rpc}`;
    return { ...identity, pid: null, rpcUrl, p2p: p2p === 0 ? '' : `/ip4/${LOOPBACK}/tcp/${p2p}`, logFile, directory, configFile };
  });
  const { shards, validators, beaconValidators, seed } = network;
  const cluster: Cluster = { formatVersion: 1, genesisHash: hash, chainId: CHAIN_ID, shards, validators, beaconValidators, seed, nodes };
  mkdirSync(paths.ledgers, { recursive: true });
  writeFileAtomic(paths.genesisFile, text);
  writeFileAtomic(paths.accountsFile, `${JSON.stringify({ formatVersion: 1, accounts: funded.accounts }, null, 2)}\n`, 0o600);
  // Last: this is what makes the directory a cluster.
  writeCluster(options.dataDir, cluster);
  return cluster;
}

/** Reads the accounts that `up` has shown. Throws `cluster/damaged`. */
export function readShownAccounts(dataDir: string): ShownAccount[] {
  const { accountsFile } = clusterPaths(dataDir);
  let text: string;
  try {
    text = readFileSync(accountsFile, 'utf8');
  } catch (cause) {
    throw damaged(accountsFile, 'it cannot be read', cause);
  }
  return new JsonFields(parseJson(text, accountsFile), accountsFile).list('accounts', 1_000).map((entry) => {
    const fields = new JsonFields(entry, accountsFile);
    return { address: fields.string('address'), secretKey: fields.string('secretKey') };
  });
}

function assertAgrees(demands: Demands, cluster: Cluster, { workload, forks }: Pick<Genesis, 'workload' | 'forks'>, root: string): void {
  const differ = (flag: string, asked: string, has: string): never => {
    throw usageError('cluster/contradiction', `the network in ${root} has ${has}, not ${asked}: leave out ${flag}, or choose another --data-dir`);
  };
  const { shards, validators, beaconValidators, seed, accounts, trace, basePort, fork } = demands;
  if (shards !== undefined && shards !== cluster.shards) differ('--shards', `${shards}`, `${cluster.shards} shards`);
  if (validators !== undefined && validators !== cluster.validators) differ('--validators', `${validators}`, `committees of ${cluster.validators}`);
  if (beaconValidators !== undefined && beaconValidators !== cluster.beaconValidators) {
    differ('--beacon-validators', `${beaconValidators}`, `a beacon of ${cluster.beaconValidators}`);
  }
  if (seed !== undefined && seed !== cluster.seed) differ('--seed', `${seed}`, `seed ${cluster.seed}`);
  const from = workload.trace === undefined ? `${workload.accounts ?? 0} derived accounts` : `the accounts of a trace (sha-256 ${workload.trace})`;
  if (trace !== undefined && trace !== workload.trace) differ('--trace', `those of the trace with sha-256 ${trace}`, from);
  if (accounts !== undefined && accounts !== workload.accounts) differ('--accounts', `${accounts}`, from);
  if (fork !== undefined && fork !== forks) differ('--fork', fork, `the rules of ${forks}`);
  const [rpc = 0] = recordedPorts(cluster.nodes[0]!);
  if (basePort !== undefined && basePort !== 0 && rpc !== 0 && rpc !== basePort) differ('--base-port', `${basePort}`, `base port ${rpc}`);
}

async function openLocked(options: OpenOptions): Promise<OpenedCluster> {
  const state = inspectDataDir(options.dataDir);
  const resumed = state.kind === 'cluster';
  const paths = clusterPaths(options.dataDir);
  let cluster: Cluster;
  let accounts: readonly ShownAccount[];
  if (state.kind === 'cluster') {
    cluster = state.cluster;
    const { genesis } = readGenesis(options.crypto, paths.genesisFile, cluster.genesisHash);
    assertAgrees(options.demands, cluster, genesis, paths.dataDir);
    accounts = readShownAccounts(options.dataDir);
  } else {
    const ports = planPorts(options.network.basePort, nodeIdentities(options.network).length).flatMap(({ rpc, p2p }) => [rpc, p2p]);
    await assertPortsFree(ports, 'choose another --base-port');
    const funded = await options.fund();
    options.signal?.throwIfAborted();
    cluster = createFiles(options, funded);
    accounts = funded.accounts;
  }
  const dead = cluster.nodes.filter((node) => !isNodeProcess(node.pid, node.configFile));
  if (resumed) await assertPortsFree(dead.flatMap(recordedPorts), PORTS_ARE_KEPT, PORT_PATIENCE_MS);
  if (dead.length > 0) cluster = await bringUp({ ...options, cluster, ids: dead.map((node) => node.id) });
  return { cluster, accounts, resumed, started: dead.map((node) => node.id) };
}

/**
 * `shardlab up`: makes the network at `dataDir`, or resumes it and starts again what has died. Throws, all exit code 2: `cluster/foreign`,
 * `cluster/damaged`, `cluster/contradiction`, `cluster/locked`, `cluster/port-taken`, `cluster/port-range`, `cluster/node-failed`,
 * `cluster/start-timeout`.
 */
export async function openCluster(options: OpenOptions): Promise<OpenedCluster> {
  // Looked at before the lock too: the lock makes the directory, and someone else's must not get a file of ours.
  inspectDataDir(options.dataDir);
  return withClusterLock(options.dataDir, () => openLocked(options));
}
