import { BEACON, bytesKey, encodeBlock, equalBytes, type Genesis, genesisHash, type Hash32, invariant, type ShardId } from '@shardlab/crosslink';
import type { AdmissionPolicy, BeaconReplica, Effect, PersistRecord, Snapshot, SubmitResult } from '@shardlab/shard';
import type { ExecutionCrypto } from '../crypto/types.ts';
import { nodeLabel } from '../network/names.ts';
import type { NodeName, StorageEntry } from '../ports.ts';
import { InlineRecovery, rememberedRecovery, type RecoverRecords } from '../recovery/inline-recovery.ts';
import { type Defer, inlineExecutor, speculatingExecutor } from '../execution/block-execution.ts';
import { inlineSpeculation } from '../execution/inline-speculation.ts';
import type { ExecuteBlock } from '../runtime/node-runtime.ts';
import { assembleBeacon, assembleShard, BEACON_TOPICS, shardGenesis, type ShardNode, shardTopics } from '../runtime/assemble.ts';
import { NodeRuntime, type RuntimeLog } from '../runtime/node-runtime.ts';
import { serveFrom } from '../runtime/serve.ts';
import { batchOf, genesisBatch } from '../storage/chain-store.ts';
import { recoverBeacon, recoverShard } from '../storage/chain-store-recovery.ts';
import { BLOCKS } from '../storage/key-space.ts';
import { ServedSnapshots } from '../storage/served-snapshots.ts';
import { foldEffect } from './fold-effect.ts';
import type { SimNode, SimWorld } from './world.ts';

/** One running node of a simulated cluster. */
export interface SimClusterNode {
  readonly name: NodeName;
  readonly sim: SimNode;
  readonly runtime: NodeRuntime;
  /** Undefined for the beacon. */
  readonly shard: ShardNode | undefined;
  readonly beacon: BeaconReplica | undefined;
}

/** What a simulated cluster is made from. */
export interface SimClusterOptions {
  readonly genesis: Genesis;
  /** 32-byte secret seeds by node. */
  readonly secretKey: (name: NodeName) => Uint8Array;
}

/** What a test may watch. */
export interface SimClusterHooks {
  /** Before each effect of each node; false = `kill -9` of that node at this point. */
  readonly beforeEffect?: (node: NodeName, effect: Effect) => boolean;
  /** After each effect has been handed to its port, before the node's next; false = `kill -9`. */
  readonly afterEffect?: (node: NodeName, effect: Effect) => boolean;
  /**
   * After each record that a node has synced, once. One that was synced though the node died before it heard of it is told when the node has started
   * again: it is on the disk, and what follows builds on it.
   */
  readonly stored?: (node: NodeName, record: PersistRecord) => void;
  readonly log?: RuntimeLog;
  /** A node can not go on; it is down when this is called. Without it, that ends the run: nothing of the sort is expected. */
  readonly failed?: (node: NodeName, error: Error) => void;
}

const SILENT: RuntimeLog = { transactions: false, line: () => undefined, transactionEvents: () => undefined };

/**
 * A whole network in one process and in virtual time: the same replicas and the same runtime as the processes, on the simulation's ports. Nodes can be
 * killed and started again on what their disks hold.
 */
export class SimCluster {
  readonly world: SimWorld;
  readonly genesisHash: Hash32;
  private readonly options: SimClusterOptions;
  private readonly crypto: ExecutionCrypto;
  private readonly hooks: SimClusterHooks;
  private readonly policy: AdmissionPolicy;
  private readonly recoverRecords: RecoverRecords;
  private readonly nodes = new Map<string, SimClusterNode>();
  /** Records on their way to a node's disk, in order. */
  private readonly unconfirmed = new Map<string, PersistRecord[]>();

  constructor(options: SimClusterOptions, modules: { readonly world: SimWorld; readonly crypto: ExecutionCrypto }, hooks: SimClusterHooks = {}) {
    this.options = options;
    this.world = modules.world;
    this.crypto = modules.crypto;
    this.hooks = hooks;
    this.genesisHash = genesisHash(this.crypto, options.genesis);
    this.policy = { chainId: options.genesis.chainId, allowUnprotected: false, fork: options.genesis.forks };
    this.recoverRecords = rememberedRecovery(this.crypto, this.policy);
  }

  /** Names of all nodes, the beacon's first. */
  names(): NodeName[] {
    const { beaconValidators, shardValidators } = this.options.genesis;
    const committee = (chain: ShardId, size: number): NodeName[] => Array.from({ length: size }, (_, validator) => ({ chain, validator }));
    return [...committee(BEACON, beaconValidators.length), ...shardValidators.flatMap((keys, shard) => committee(shard as ShardId, keys.length))];
  }

  /** The running node of that name; undefined while it is down or starting. */
  node(name: NodeName): SimClusterNode | undefined {
    return this.nodes.get(nodeLabel(name));
  }

  /** A running node of a shard: the one of that validator, or else the first that is up, which there must be. */
  shard(shard: ShardId, validator?: number): ShardNode & { readonly runtime: NodeRuntime } {
    const names = this.names().filter((name) => name.chain === shard && (validator === undefined || name.validator === validator));
    const node = names.map((name) => this.node(name)).find((each) => each?.shard !== undefined);
    invariant(node?.shard !== undefined, 'this shard is not running', { shard });
    return { ...node.shard, runtime: node.runtime };
  }

  /** Starts every node. */
  startAll(): void {
    for (const name of this.names()) this.start(name);
  }

  /** Starts a node on what its disk holds, or on genesis. It is up when {@link node} gives it. */
  start(name: NodeName): void {
    const sim = this.world.boot(name);
    if (name.chain === BEACON) this.startBeacon(name, sim);
    else this.startShard(name, sim);
  }

  /** `kill -9`. */
  kill(name: NodeName): void {
    this.nodes.get(nodeLabel(name))?.runtime.stop();
    this.nodes.delete(nodeLabel(name));
    this.world.crash(name);
  }

  /** Offers transactions to a node that is up; `done` is not called if that node dies first. */
  submit(name: NodeName, raws: readonly Uint8Array[], done: (results: readonly SubmitResult[]) => void): void {
    this.shard(name.chain, name.validator).runtime.submit(raws, done);
  }

  private startShard(name: NodeName, sim: SimNode): void {
    const { genesis, secretKey } = this.options;
    const shard = name.chain;
    recoverShard(sim.storage, (result) => {
      invariant(result.ok, 'a simulated disk is never damaged', { error: result.ok ? '' : result.error.message });
      this.tellSurvivors(name);
      if (result.value === undefined) {
        const { block, entries } = shardGenesis(this.crypto, genesis, shard);
        sim.storage.commit(genesisBatch(block, entries), (stored) => {
          if (stored.ok) this.startShard(name, sim);
          else this.failed(name, stored.error);
        });
      } else {
        const options = { genesis, genesisHash: this.genesisHash, shard, validator: name.validator, secretKey: secretKey(name) };
        this.runShard(name, sim, assembleShard(options, this.crypto, result.value));
      }
    });
  }

  private runShard(name: NodeName, sim: SimNode, node: ShardNode): void {
    const serve = serveFrom(name.chain, {
      storage: sim.storage,
      hasher: this.crypto,
      outbox: node.outbox,
      snapshots: new ServedSnapshots({ storage: sim.storage, clock: sim.clock }),
      forwarded: (_request, done) => done(undefined),
    });
    const fail = (error: Error): void => this.failed(name, error);
    const defer: Defer = (task) => void sim.incarnation.schedule(0, task);
    const runtime = this.runtime(name, sim, node.replica, { topics: shardTopics(name.chain), serve, execute: this.executorOf(name, node, defer, fail) });
    this.nodes.set(nodeLabel(name), { name, sim, runtime, shard: node, beacon: undefined });
    runtime.start();
  }

  /** Every other validator has calls executed beforehand, as with threads: all have to come to the same roots. */
  private executorOf({ chain, validator }: NodeName, { executor }: ShardNode, defer: Defer, failed: (error: Error) => void): ExecuteBlock {
    if ((chain + validator) % 2 === 0) return inlineExecutor(executor, defer, failed);
    const { forks: fork, feePolicy } = this.options.genesis;
    return speculatingExecutor({ executor, mirror: undefined, speculate: inlineSpeculation({ fork, feePolicy }, { crypto: this.crypto }), defer, failed });
  }

  private startBeacon(name: NodeName, sim: SimNode): void {
    const { genesis, secretKey } = this.options;
    recoverBeacon(sim.storage, (result) => {
      invariant(result.ok, 'a simulated disk is never damaged', { error: result.ok ? '' : result.error.message });
      this.tellSurvivors(name);
      const options = { genesis, genesisHash: this.genesisHash, validator: name.validator, secretKey: secretKey(name) };
      const beacon = assembleBeacon(options, this.crypto, result.value);
      const serve = serveFrom(BEACON, { storage: sim.storage, hasher: this.crypto, outbox: undefined, snapshots: undefined, forwarded: (_request, done) => done(undefined) });
      const execute = (): never => invariant(false, 'a beacon executes nothing') as never;
      const runtime = this.runtime(name, sim, beacon, { topics: BEACON_TOPICS, serve, execute });
      this.nodes.set(nodeLabel(name), { name, sim, runtime, shard: undefined, beacon });
      runtime.start();
    });
  }

  private runtime(
    name: NodeName,
    sim: SimNode,
    core: ConstructorParameters<typeof NodeRuntime>[1],
    parts: { readonly topics: readonly string[]; readonly serve: ReturnType<typeof serveFrom>; readonly execute: ExecuteBlock },
  ): NodeRuntime {
    const { crypto, hooks } = this;
    const defer = (task: () => void): void => void sim.incarnation.schedule(0, task);
    const recovery = new InlineRecovery({ policy: this.policy, library: 'inline' }, { primitives: crypto, defer, recoverBatch: this.recoverRecords });
    void recovery.start();
    const role = name.chain === BEACON ? 'beacon' : 'shard';
    return new NodeRuntime(
      { topics: parts.topics },
      core,
      {
        clock: sim.clock,
        network: sim.network,
        storage: sim.storage,
        recovery,
        execute: parts.execute,
        serve: parts.serve,
        batchOf: (record) => batchOf(record, role),
        log: hooks.log ?? SILENT,
      },
      {
        failed: (error) => this.failed(name, error),
        restart: () => {
          this.kill(name);
          this.start(name);
        },
        stored: (record) => this.confirmed(name, record),
        beforeEffect: (effect) => this.beforeEffect(name, effect),
        afterEffect: (effect) => this.afterEffect(name, effect),
      },
    );
  }

  private beforeEffect(name: NodeName, effect: Effect): boolean {
    foldEffect(this.world.scheduler.trace, nodeLabel(name), effect);
    if (this.hooks.beforeEffect?.(name, effect) === false) {
      this.kill(name);
      return false;
    }
    if (effect.kind === 'persist') {
      const waiting = this.unconfirmed.get(nodeLabel(name));
      if (waiting === undefined) this.unconfirmed.set(nodeLabel(name), [effect.record]);
      else waiting.push(effect.record);
    }
    return true;
  }

  private afterEffect(name: NodeName, effect: Effect): boolean {
    if (this.hooks.afterEffect?.(name, effect) !== false) return true;
    this.kill(name);
    return false;
  }

  private confirmed(name: NodeName, record: PersistRecord): void {
    const first = this.unconfirmed.get(nodeLabel(name))?.shift();
    invariant(first === record, 'a disk confirms in order');
    this.hooks.stored?.(name, record);
  }

  /** Tells of what the last life's disk has kept without that life having heard of it; the rest of what was under way is lost. */
  private tellSurvivors(name: NodeName): void {
    const waiting = this.unconfirmed.get(nodeLabel(name)) ?? [];
    this.unconfirmed.delete(nodeLabel(name));
    const disk = this.world.disk(name).live();
    for (const record of waiting) {
      // Votes are written over again and again; nobody outside asks for them.
      if (record.kind === 'votes') continue;
      const { key, value } = record.kind === 'snapshot' ? snapshotMark(record.snapshot) : batchOf(record, name.chain === BEACON ? 'beacon' : 'shard').puts[0]!;
      const found = disk.get(bytesKey(key));
      if (found !== undefined && equalBytes(found, value)) this.hooks.stored?.(name, record);
    }
  }

  private failed(name: NodeName, error: Error): void {
    if (this.hooks.failed !== undefined) {
      this.kill(name);
      this.hooks.failed(name, error);
      return;
    }
    throw new Error(`${nodeLabel(name)} failed: ${error.message}`, { cause: error });
  }
}

/** The block that a snapshot writes with all the rest. */
function snapshotMark({ block }: Snapshot): StorageEntry {
  return { key: BLOCKS.key(block.header.height), value: encodeBlock(block) };
}
