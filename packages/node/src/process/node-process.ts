import { join } from 'node:path';
import { BEACON, type Genesis, type Hash32, ShardlabError } from '@shardlab/crosslink';
import { BeaconReplica, type BeaconStart, SoloConsensus } from '@shardlab/shard';
import type { Logger } from 'pino';
import type { NodeCrypto } from '../crypto/types.ts';
import { createLibp2pNetwork, type Libp2pNetwork } from '../network/host.ts';
import { runtimeLog } from '../observability/logger.ts';
import { NodeMetrics } from '../observability/metrics.ts';
import type { Done, Storage } from '../ports.ts';
import { RecoveryPool } from '../recovery/recovery-pool.ts';
import { assembleShard, BEACON_TOPICS, inlineExecutor, shardGenesis, type ShardNode, shardTopics, validatorKey } from '../runtime/assemble.ts';
import { NodeRuntime, type RuntimePorts } from '../runtime/node-runtime.ts';
import { serveFrom, type ServeModules } from '../runtime/serve.ts';
import { ChainReader } from '../storage/chain-store-reader.ts';
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
  private readonly metrics: NodeMetrics;
  private readonly stops: (() => void | Promise<void>)[] = [];

  constructor(options: NodeProcessOptions, modules: { readonly crypto: NodeCrypto; readonly logger: Logger }, failed: (error: Error) => void) {
    this.options = options;
    this.crypto = modules.crypto;
    this.logger = modules.logger;
    this.failed = failed;
    const { chain } = options.config.name;
    this.metrics = new NodeMetrics({ node: options.config.id, shard: chain === BEACON ? null : chain });
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

  /** Stops what runs, last started first. */
  async stop(): Promise<void> {
    for (let next = this.stops.pop(); next !== undefined; next = this.stops.pop()) await next();
  }

  private async startParts(): Promise<{ readonly rpcUrl: string; readonly p2p: readonly string[] }> {
    const { config, genesis } = this.options;
    this.stops.push(() => this.metrics.close());
    const storage = await this.openStorage();
    const recovery = await this.startRecovery();
    const network = await this.network(storage);
    const { chain: own } = config.name;
    const core = own === BEACON ? await this.beaconCore(storage) : await this.shardCore(storage);
    const chain = new ChainReader({ chain: own, chainId: genesis.chainId }, { storage, hasher: this.crypto });
    await chain.start();
    const parts: Parts = { storage, recovery, network, core, chain };
    const runtime = this.runtime(parts, (_request, done) => done(undefined), () => undefined);
    await network.start();
    this.stops.push(() => network.stop());
    runtime.start();
    this.stops.push(() => runtime.stop());
    return { rpcUrl: '', p2p: network.addresses };
  }

  private async openStorage(): Promise<Storage> {
    const { config, genesisHash } = this.options;
    const { storage } = await openLevelStorage(
      { directory: join(config.directory, 'storage'), genesisHash, createIfMissing: true },
      { logger: this.logger, metrics: this.metrics.storage },
    );
    this.stops.push(() => promised((done) => storage.close(done)));
    return storage;
  }

  private async startRecovery(): Promise<RecoveryPool> {
    const { config, genesis } = this.options;
    const pool = new RecoveryPool(
      { policy: { chainId: genesis.chainId, allowUnprotected: false }, workers: config.recoveryWorkers },
      { onWorkerLost: (reason) => this.logger.warn({ event: 'recovery.worker-lost', reason }, 'a recovery thread was replaced') },
    );
    this.stops.push(() => pool.stop());
    // The beacon takes no transactions: it needs no threads.
    if (config.name.chain !== BEACON) await pool.start();
    return pool;
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

  private async shardCore(storage: Storage): Promise<ShardNode> {
    const { config, genesis, genesisHash } = this.options;
    const { chain: shard, validator } = config.name;
    const recover = (): Promise<RecoveredShard | undefined> => promised((done) => recoverShard(storage, done, shard));
    let recovered = await recover();
    if (recovered === undefined) {
      const { block, entries } = shardGenesis(this.crypto, genesis, shard);
      await promised<void>((done) => storage.commit(genesisBatch(block, entries), done));
      recovered = (await recover())!;
    }
    return assembleShard({ genesis, genesisHash, shard, validator, secretKey: config.validatorSecret }, this.crypto, recovered);
  }

  private async beaconCore(storage: Storage): Promise<BeaconReplica> {
    const { config, genesis, genesisHash } = this.options;
    const start = await promised<BeaconStart>((done) => recoverBeacon(storage, done));
    const { validatorSecret: secretKey, name } = config;
    const consensus = new SoloConsensus({ genesisHash, chain: BEACON, secretKey }, { crypto: this.crypto });
    return new BeaconReplica({ genesis, genesisHash, validator: name.validator, secretKey }, { crypto: this.crypto, consensus }, start);
  }

  private runtime(parts: Parts, forwarded: ServeModules['forwarded'], final: () => void): NodeRuntime {
    const { storage, network, recovery, core, chain } = parts;
    const { chain: own } = this.options.config.name;
    const shard = core instanceof BeaconReplica ? undefined : core;
    const role = shard === undefined ? 'beacon' : 'shard';
    const ports: RuntimePorts = {
      clock: this.clock,
      storage,
      network,
      recovery,
      execute: shard === undefined ? executesNothing : inlineExecutor(shard.executor, (task) => void setImmediate(task), this.failed),
      serve: serveFrom(own, { storage, hasher: this.crypto, outbox: shard?.outbox, forwarded }),
      log: runtimeLog(this.logger),
      batchOf: (record) => batchOf(record, role),
    };
    const topics = shard === undefined ? BEACON_TOPICS : shardTopics(own);
    const replica = core instanceof BeaconReplica ? core : core.replica;
    return new NodeRuntime({ topics }, replica, ports, { failed: this.failed, stored: (record) => chain.stored(record), final });
  }
}

function executesNothing(): never {
  throw new ShardlabError('invariant', 'a beacon executes nothing');
}

/** What a node is made of. */
interface Parts {
  readonly storage: Storage;
  readonly recovery: RecoveryPool;
  readonly network: Libp2pNetwork;
  readonly core: ShardNode | BeaconReplica;
  readonly chain: ChainReader;
}
