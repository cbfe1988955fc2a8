import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { BEACON, decodeAnswer, DecodeError, encodeRequest, type Genesis, type Hash32, type ShardId, type WireRequest } from '@shardlab/crosslink';
import { BeaconReplica } from '@shardlab/shard';
import type { Logger } from 'pino';
import type { ExecutionCrypto } from '../crypto/types.ts';
import { createLibp2pNetwork, type Libp2pNetwork } from '../network/host.ts';
import { sameNode } from '../network/names.ts';
import { FaultControl } from '../network/shim/control.ts';
import { FaultShim } from '../network/shim/fault-shim.ts';
import { runtimeLog } from '../observability/logger.ts';
import { type CoreCounters, NodeMetrics } from '../observability/metrics.ts';
import type { Done, Network, NodeName, Storage } from '../ports.ts';
import { measuredRecovery } from '../recovery/measured-recovery.ts';
import type { SenderRecovery } from '../recovery/sender-recovery.ts';
import { assembleBeacon, assembleShard, BEACON_TOPICS, shardGenesis, type ShardNode, shardTopics, validatorKey } from '../runtime/assemble.ts';
import { type ExecuteBlock, NodeRuntime, type RuntimePorts } from '../runtime/node-runtime.ts';
import { serveFrom, type ServeModules } from '../runtime/serve.ts';
import { ChainReader } from '../storage/chain-store-reader.ts';
import { batchOf, genesisBatch } from '../storage/chain-store.ts';
import { META } from '../storage/key-space.ts';
import { ServedSnapshots } from '../storage/served-snapshots.ts';
import { openLevelStorage } from '../storage/open.ts';
import { type RecoveredBeacon, type RecoveredShard, recoverBeacon, recoverShard } from '../storage/chain-store-recovery.ts';
import type { NodeHandle } from '../rpc/node-handle.ts';
import { PackedAllocation } from '../rpc/packed-allocation.ts';
import { RpcServer } from '../rpc/rpc-server.ts';
import { RpcService } from '../rpc/rpc-service.ts';
import { PinnedStates } from '../storage/chain-store-pins.ts';
import { SystemClock } from './clock.ts';
import { nodeStatus, type StatusSources } from './node-status.ts';
import { nodeThreads } from './node-threads.ts';
import { releaseMemory } from './release-memory.ts';
import { ReplicaHandle } from './shard-handle.ts';
import type { NodeProcessConfig } from './config.ts';

/** Who this process is, on which network. */
export interface NodeProcessOptions {
  readonly config: NodeProcessConfig;
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  readonly startedMs: number;
}

const PEERS_KEY = META.key('peers');
/** Version of the program, as in package.json. */
const VERSION = '0.1.0';

/** A callback operation as a promise: for starting and stopping only. */
export function promised<T>(operation: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, fail) => operation((result) => (result.ok ? resolve(result.value) : fail(result.error))));
}

/**
 * One node as a process: the composition root. Wires the cores to libp2p, level, worker threads, JSON-RPC, metrics and logs; starts and stops them in order. It
 * decides nothing.
 */
export class NodeProcess {
  private readonly options: Omit<NodeProcessOptions, 'genesis'>;
  private readonly crypto: ExecutionCrypto;
  private readonly logger: Logger;
  private readonly failed: (error: Error) => void;
  private readonly clock = new SystemClock();
  private readonly metrics: NodeMetrics;
  private readonly stops: (() => void | Promise<void>)[] = [];
  private readonly allocation: PackedAllocation;
  /** Where faults between nodes come from, and who may set them; undefined without a control token. */
  private readonly chaos: { readonly shim: FaultShim; readonly control: FaultControl } | undefined;
  /** With its accounts only until the core is made from it: see {@link PackedAllocation}. */
  private genesis: Genesis;

  constructor(options: NodeProcessOptions, modules: { readonly crypto: ExecutionCrypto; readonly logger: Logger }, failed: (error: Error) => void) {
    const { config, genesisHash, startedMs } = options;
    this.options = { config, genesisHash, startedMs };
    this.crypto = modules.crypto;
    this.logger = modules.logger;
    this.failed = failed;
    this.genesis = options.genesis;
    this.allocation = new PackedAllocation(options.genesis.allocation);
    const { chain } = options.config.name;
    this.metrics = new NodeMetrics({ node: options.config.id, shard: chain === BEACON ? null : chain });
    this.chaos = this.makeChaos(config);
  }

  private makeChaos({ controlTokenHash: tokenHash, name }: NodeProcessConfig): NodeProcess['chaos'] {
    if (tokenHash === undefined) return undefined;
    const metrics = this.metrics.network;
    const shim = new FaultShim({ clock: this.clock, log: this.logger, metrics });
    const exists = (node: NodeName): boolean => !sameNode(node, name) && validatorKey(this.genesis, node.chain, node.validator) !== undefined;
    return { shim, control: new FaultControl({ tokenHash, exists }, { shim, hasher: this.crypto, metrics }) };
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

  /** Starts anew from what is stored: the core has replaced its own state there. */
  private restart(reason: string): void {
    this.logger.info({ event: 'node.restarting', reason }, 'the node starts anew from what it has stored');
    void this.stop().then(() => this.start()).catch((error: unknown) => this.failed(error as Error));
  }

  private async startParts(): Promise<{ readonly rpcUrl: string; readonly p2p: readonly string[] }> {
    const { config } = this.options;
    const { genesis } = this;
    this.stops.push(() => this.metrics.close());
    const storage = await this.openStorage();
    const network = await this.network(storage);
    const { chain: own } = config.name;
    const core = own === BEACON ? await this.beaconCore(storage) : await this.shardCore(storage);
    const { recovery, execute } = await this.startThreads(core instanceof BeaconReplica ? undefined : core);
    const chain = new ChainReader({ chain: own, chainId: genesis.chainId }, { storage, hasher: this.crypto });
    await chain.start();
    const parts: Parts = { storage, recovery, execute, network, core, chain };
    const { runtime, server } = this.serving(parts);
    await network.start();
    this.stops.push(() => network.stop());
    runtime.start();
    this.stops.push(() => runtime.stop());
    const rpcUrl = await server.start();
    this.stops.push(() => server.stop());
    return { rpcUrl, p2p: network.addresses };
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

  /** A beacon takes no transactions and executes nothing: it needs no threads. */
  private async startThreads(shard: ShardNode | undefined): Promise<Pick<Parts, 'recovery' | 'execute'>> {
    const { genesis, logger, failed } = this;
    const policy = { chainId: genesis.chainId, allowUnprotected: false, fork: genesis.forks };
    const onWorkerLost = (reason: string): void => logger.warn({ event: 'execution.worker-lost', reason }, 'a worker thread was replaced');
    const threads = nodeThreads({ workers: this.options.config.workers, policy, feePolicy: genesis.feePolicy }, { crypto: this.crypto, shard, onWorkerLost, failed });
    this.stops.push(() => threads.stop());
    await threads.start();
    return { recovery: measuredRecovery(threads.recovery, this.metrics, () => performance.now()), execute: threads.execute };
  }

  private async network(storage: Storage): Promise<Libp2pNetwork> {
    const { config, genesisHash } = this.options;
    const { chaos } = this;
    if (chaos !== undefined) this.stops.push(() => chaos.shim.clear('stopped'));
    const records = await promised<Uint8Array | undefined>((done) => storage.get(PEERS_KEY, done));
    return createLibp2pNetwork(
      {
        transportSeed: config.transportSeed,
        listen: config.listen,
        announce: config.announce,
        genesisHash,
        node: config.name,
        validatorSecret: config.validatorSecret,
        validatorKey: (node) => validatorKey(this.genesis, node.chain, node.validator),
        nodes: this.genesis.beaconValidators.length + this.genesis.shardValidators.reduce((sum, keys) => sum + keys.length, 0),
        bootstrap: config.bootstrap,
        ...(records === undefined ? {} : { records }),
        onRecords: (encoded) => {
          storage.commit({ puts: [{ key: PEERS_KEY, value: encoded }], deletes: [] }, (result) => {
            if (!result.ok) this.failed(result.error);
          });
        },
      },
      { crypto: this.crypto, clock: this.clock, log: this.logger, metrics: this.metrics.network, ...(chaos === undefined ? {} : { wrapStreams: (streams, labels) => chaos.shim.wrap(streams, labels) }) },
    );
  }

  private async shardCore(storage: Storage): Promise<ShardNode> {
    const { config, genesisHash } = this.options;
    const { chain: shard, validator } = config.name;
    const recover = (): Promise<RecoveredShard | undefined> => promised((done) => recoverShard(storage, done, shard));
    let recovered = await recover();
    if (recovered === undefined) {
      await this.storeGenesis(storage, shard);
      releaseMemory();
      recovered = (await recover())!;
    }
    this.genesis = { ...this.genesis, allocation: [] };
    // Before the state is built, so that it takes the room of what it was read from.
    releaseMemory();
    const hashSeed = randomInt(2 ** 32);
    return assembleShard({ genesis: this.genesis, genesisHash, shard, validator, secretKey: config.validatorSecret, hashSeed }, this.crypto, recovered);
  }

  private async storeGenesis(storage: Storage, shard: ShardId): Promise<void> {
    const { block, entries } = shardGenesis(this.crypto, this.genesis, shard);
    await promised<void>((done) => storage.commit(genesisBatch(block, entries), done));
  }

  private async beaconCore(storage: Storage): Promise<BeaconReplica> {
    const { config, genesisHash } = this.options;
    const genesis = { ...this.genesis, allocation: [] };
    this.genesis = genesis;
    const recovered = await promised<RecoveredBeacon>((done) => recoverBeacon(storage, done));
    const { validatorSecret: secretKey, name } = config;
    return assembleBeacon({ genesis, genesisHash, validator: name.validator, secretKey }, this.crypto, recovered);
  }

  /** The runtime and the RPC that looks into it; each answers the other's questions. */
  private serving(parts: Parts): { readonly runtime: NodeRuntime; readonly server: RpcServer } {
    const { config, genesisHash } = this.options;
    const { genesis } = this;
    const { core, chain, network, recovery, storage } = parts;
    const shard = core instanceof BeaconReplica ? undefined : core;
    const beacon = core instanceof BeaconReplica ? core : undefined;
    const onInternalError = (where: string, error: unknown): void => {
      this.logger.error({ event: 'rpc.failed', where, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'a request failed');
    };
    const runtime: NodeRuntime = this.runtime(parts, (request, done) => service.answerWire(request, done), () => replica?.answer());
    const replica = shard === undefined ? undefined : new ReplicaHandle(shard, runtime);
    const sources: StatusSources = {
      name: config.name,
      genesis,
      chain,
      network,
      crypto: this.crypto.names,
      recoveryLibrary: () => recovery.library,
      rpcUrl: () => server.url,
      nowMs: () => this.clock.nowMs(),
      shard,
      beacon,
    };
    const handle: NodeHandle = {
      id: config.id,
      name: config.name,
      genesis,
      genesisHash,
      allocation: this.allocation,
      crypto: this.crypto,
      clock: this.clock,
      clientVersion: `Shardlab/v${VERSION}/${process.platform}-${process.arch}/node${process.versions.node}`,
      chain,
      pins: shard === undefined ? undefined : new PinnedStates({ storage, clock: this.clock }),
      shard: replica,
      assignment: () => shard?.replica.epoch ?? beacon?.epochs.latest,
      status: () => nodeStatus(sources),
      faults: this.chaos?.control,
      connected: () => network.connected(),
      ask: (to, request, timeoutMs, done) => ask(network, to, request, timeoutMs, done),
    };
    const service = new RpcService(handle, { metrics: this.metrics.rpc, onInternalError });
    const server = new RpcServer(config.rpc, { service, metrics: this.metrics, onInternalError });
    this.metrics.bind({ status: handle.status, counters: () => countersOf(shard, beacon) });
    return { runtime, server };
  }

  /** What the node hands out to validators that start from its state: a shard's only. */
  private served(storage: Storage, own: ShardId): ServedSnapshots | undefined {
    if (own === BEACON) return undefined;
    const served = new ServedSnapshots({ storage, clock: this.clock });
    this.stops.push(() => served.close());
    return served;
  }

  private runtime(parts: Parts, forwarded: ServeModules['forwarded'], final: () => void): NodeRuntime {
    const { storage, network, recovery, execute, core, chain } = parts;
    const { chain: own } = this.options.config.name;
    const shard = core instanceof BeaconReplica ? undefined : core;
    const role = shard === undefined ? 'beacon' : 'shard';
    const ports: RuntimePorts = {
      clock: this.clock,
      storage,
      network,
      recovery,
      execute,
      serve: serveFrom(own, { storage, hasher: this.crypto, outbox: shard?.outbox, snapshots: this.served(storage, own), forwarded }),
      log: runtimeLog(this.logger),
      batchOf: (record) => batchOf(record, role),
    };
    const topics = shard === undefined ? BEACON_TOPICS : shardTopics(own);
    const replica = core instanceof BeaconReplica ? core : core.replica;
    return new NodeRuntime({ topics }, replica, ports, { failed: this.failed, restart: (reason) => this.restart(reason), stored: (record) => chain.stored(record), final });
  }
}

/** `NodeHandle.ask` over the network port. */
function ask(network: Network, to: NodeName, request: WireRequest, timeoutMs: number, done: Done<readonly Uint8Array[]>): void {
  network.request(to, encodeRequest(request), timeoutMs, (result) => {
    if (!result.ok) {
      done(result);
      return;
    }
    let items: Uint8Array[];
    try {
      items = decodeAnswer(result.value);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      network.penalise(to, error.code);
      done({ ok: false, error });
      return;
    }
    done({ ok: true, value: items });
  });
}

function countersOf(shard: ShardNode | undefined, beacon: BeaconReplica | undefined): CoreCounters {
  if (shard === undefined) return { refused: beacon?.refused ?? new Map<string, number>() };
  const { refused, rejected, admitted } = shard.replica.counters;
  const { speculations } = shard.executor;
  return { refused, rejected, admitted, transactions: shard.replica.head.header.totals.transactions, speculations };
}

/** What a node is made of. */
interface Parts {
  readonly storage: Storage;
  readonly recovery: SenderRecovery;
  readonly execute: ExecuteBlock;
  readonly network: Libp2pNetwork;
  readonly core: ShardNode | BeaconReplica;
  readonly chain: ChainReader;
}
