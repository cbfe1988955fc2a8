import { join } from 'node:path';
import { BEACON, type Genesis, type Hash32, ShardlabError } from '@shardlab/crosslink';
import { BeaconReplica, type BeaconStart, type Core, type PersistRecord, SoloConsensus } from '@shardlab/shard';
import type { Logger } from 'pino';
import type { NodeCrypto } from '../crypto/types.ts';
import { createLibp2pNetwork, type Libp2pNetwork } from '../network/host.ts';
import { runtimeLog } from '../observability/logger.ts';
import type { Done, Storage } from '../ports.ts';
import { RecoveryPool } from '../recovery/recovery-pool.ts';
import { assembleShard, BEACON_TOPICS, inlineExecutor, shardGenesis, type ShardNode, shardTopics, validatorKey } from '../runtime/assemble.ts';
import { NodeRuntime, type RuntimePorts } from '../runtime/node-runtime.ts';
import { serveFrom } from '../runtime/serve.ts';
import { batchOf, genesisBatch } from '../storage/chain-store.ts';
import { META } from '../storage/key-space.ts';
import { openLevelStorage } from '../storage/open.ts';
import { type RecoveredShard, recoverBeacon, recoverShard } from '../storage/chain-store-recovery.ts';
import { SystemClock } from './clock.ts';
import type { NodeProcessConfig } from './config.ts';

/** Who this process is, on which network. */
export interface NodeProcessOptions {
  readonly config: NodeProcessConfig;
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  readonly startedMs: number;
}

const PEERS_KEY = META.key('peers');

/** A callback operation as a promise: for starting and stopping only. */
export function promised<T>(operation: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, fail) => operation((result) => (result.ok ? resolve(result.value) : fail(result.error))));
}

/**
 * One node as a process: the composition root. Wires the cores to libp2p, level, worker threads, JSON-RPC, metrics and logs; starts and stops them in order. It
 * decides nothing.
 */
export class NodeProcess {
  private readonly options: NodeProcessOptions;
  private readonly crypto: NodeCrypto;
  private readonly logger: Logger;
  private readonly failed: (error: Error) => void;
  private readonly clock = new SystemClock();
  private readonly stops: (() => Promise<void>)[] = [];

  constructor(options: NodeProcessOptions, modules: { readonly crypto: NodeCrypto; readonly logger: Logger }, failed: (error: Error) => void) {
    this.options = options;
    this.crypto = modules.crypto;
    this.logger = modules.logger;
    this.failed = failed;
  }

  /** Opens, recovers, listens, serves. What was started before a failure is stopped again. */
  async start(): Promise<{ readonly rpcUrl: string; readonly p2p: readonly string[] }> {
    try {
      return await this.startParts();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  private async startParts(): Promise<{ readonly rpcUrl: string; readonly p2p: readonly string[] }> {
    const { config, genesis } = this.options;
    const storage = await this.openStorage();
    const recovery = new RecoveryPool(
      { policy: { chainId: genesis.chainId, allowUnprotected: false }, workers: config.recoveryWorkers },
      { onWorkerLost: (reason) => this.logger.warn({ event: 'recovery.worker-lost', reason }, 'a recovery thread was replaced') },
    );
    this.stops.push(() => recovery.stop());
    await recovery.start();
    const network = await this.network(storage);
    const parts = config.name.chain === BEACON ? await this.beacon(storage, network, recovery) : await this.shard(storage, network, recovery);
    await network.start();
    this.stops.push(() => network.stop());
    parts.runtime.start();
    this.stops.push(async () => parts.runtime.stop());
    return { rpcUrl: '', p2p: network.addresses };
  }

  private async openStorage(): Promise<Storage> {
    const { config, genesisHash } = this.options;
    const { storage } = await openLevelStorage(
      { directory: join(config.directory, 'storage'), genesisHash, createIfMissing: true },
      { logger: this.logger },
    );
    this.stops.push(() => promised((done) => storage.close(done)));
    return storage;
  }

  private async network(storage: Storage): Promise<Libp2pNetwork> {
    const { config, genesis, genesisHash } = this.options;
    const records = await promised<Uint8Array | undefined>((done) => storage.get(PEERS_KEY, done));
    return createLibp2pNetwork(
      {
        transportSeed: config.transportSeed,
        listen: config.listen,
        announce: config.announce,
        genesisHash,
        node: config.name,
        validatorSecret: config.validatorSecret,
        validatorKey: (node) => validatorKey(genesis, node.chain, node.validator),
        nodes: 1 + genesis.shards,
        bootstrap: config.bootstrap,
        ...(records === undefined ? {} : { records }),
        onRecords: (encoded) => {
          storage.commit({ puts: [{ key: PEERS_KEY, value: encoded }], deletes: [] }, (result) => {
            if (!result.ok) this.failed(result.error);
          });
        },
      },
      { crypto: this.crypto, clock: this.clock, log: this.logger, metrics: this.metrics.network },
    );
  }

  private async shard(storage: Storage, network: Libp2pNetwork, recovery: RecoveryPool): Promise<{ readonly runtime: NodeRuntime; readonly node: ShardNode }> {
    const { config, genesis, genesisHash } = this.options;
    const { chain: shard, validator } = config.name;
    const recover = (): ReturnType<typeof promised<RecoveredShard | undefined>> => promised((done) => recoverShard(storage, done));
    let recovered = await recover();
    if (recovered === undefined) {
      const { block, entries } = shardGenesis(this.crypto, genesis, shard);
      await promised<void>((done) => storage.commit(genesisBatch(block, entries), done));
      recovered = await recover();
    }
    const node = assembleShard({ genesis, genesisHash, shard, validator, secretKey: config.validatorSecret }, this.crypto, recovered!);
    const execute = inlineExecutor(node.executor, (task) => void setImmediate(task), this.failed);
    const serve = serveFrom(shard, { storage, hasher: this.crypto, outbox: node.outbox, forwarded: this.forwarded });
    return { node, runtime: this.runtime(node.replica, { topics: shardTopics(shard), storage, network, recovery, execute, serve }) };
  }

  private async beacon(storage: Storage, network: Libp2pNetwork, recovery: RecoveryPool): Promise<{ readonly runtime: NodeRuntime; readonly beacon: BeaconReplica }> {
    const { config, genesis, genesisHash } = this.options;
    const start = await promised<BeaconStart>((done) => recoverBeacon(storage, done));
    const { validatorSecret: secretKey, name } = config;
    const consensus = new SoloConsensus({ genesisHash, chain: BEACON, secretKey }, { crypto: this.crypto });
    const beacon = new BeaconReplica({ genesis, genesisHash, validator: name.validator, secretKey }, { crypto: this.crypto, consensus }, start);
    const serve = serveFrom(BEACON, { storage, hasher: this.crypto, outbox: undefined, forwarded: this.forwarded });
    const execute = (): void => this.failed(new ShardlabError('invariant', 'a beacon executes nothing'));
    return { beacon, runtime: this.runtime(beacon, { topics: BEACON_TOPICS, storage, network, recovery, execute, serve }) };
  }

  private runtime(
    core: Core,
    parts: { readonly topics: readonly string[] } & Pick<RuntimePorts, 'storage' | 'network' | 'recovery' | 'execute' | 'serve'>,
  ): NodeRuntime {
    const { storage, network, recovery, execute, serve, topics } = parts;
    const role = this.options.config.name.chain === BEACON ? 'beacon' : 'shard';
    const log = runtimeLog(this.logger);
    const ports = { clock: this.clock, storage, network, recovery, execute, serve, log, batchOf: (record: PersistRecord) => batchOf(record, role) };
    return new NodeRuntime({ topics }, core, ports, { failed: this.failed, stored: (record) => this.stored(record) });
  }

  /** Stops what runs, last started first. */
  async stop(): Promise<void> {
    for (let next = this.stops.pop(); next !== undefined; next = this.stops.pop()) await next();
  }
}
