/** A small network of RPC services over real chains, without transport: what the RPC tests ask. */
import { setImmediate as turn } from 'node:timers/promises';
import {
  AssignmentTable,
  assignmentHash,
  BEACON,
  bytesKey,
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  type Genesis,
  genesisHash,
  type InboxSegment,
  ShardlabError,
  type ShardId,
  toHex,
} from '@shardlab/crosslink';
import {
  type AccountReader,
  AdmissionBatch,
  type KnownEpoch,
  type PoolTransaction,
  recoverBatch,
  type Rejection,
  rejection,
  rejectionOf,
  type SubmitResult,
} from '@shardlab/shard';
import type { PlainRecord } from '../../src/storage/chain-store.ts';
import { nodeLabel } from '../../src/network/names.ts';
import type { NodeName, Storage } from '../../src/ports.ts';
import type { NodeHandle, NodeStatus, ShardHandle } from '../../src/rpc/node-handle.ts';
import { PackedAllocation } from '../../src/rpc/packed-allocation.ts';
import { RpcService } from '../../src/rpc/rpc-service.ts';
import { PinnedStates } from '../../src/storage/chain-store-pins.ts';
import { ChainReader } from '../../src/storage/chain-store-reader.ts';
import { CHAIN_ID, CRYPTO, ManualClock, outcome, pumpedStorage, store, TestBeacon, testGenesis, TestShard } from './chain-store-support.ts';

/** The least that RPC needs of a pool: it keeps transactions, and refuses some. */
class FakePool {
  /** Refuses everything as busy. */
  busy = false;
  private readonly transactions = new Map<string, PoolTransaction>();
  private readonly accounts: AccountReader;

  constructor(accounts: AccountReader) {
    this.accounts = accounts;
  }

  get size(): number {
    return this.transactions.size;
  }

  get(key: string): PoolTransaction | undefined {
    return this.transactions.get(key);
  }

  pendingNonce(senderKey: string): number {
    let nonce = this.accounts.account(senderKey)?.nonce ?? 0;
    for (const tx of this.transactions.values()) if (tx.senderKey === senderKey && tx.nonce >= nonce) nonce = tx.nonce + 1;
    return nonce;
  }

  add(tx: PoolTransaction): Rejection | undefined {
    if (this.busy) return rejection('busy', 'too many transactions wait for sender recovery');
    if (this.transactions.has(tx.hashKey)) return rejection('already-known', 'already known');
    const account = this.accounts.account(tx.senderKey);
    if (tx.nonce < (account?.nonce ?? 0)) return rejection('nonce-too-low', `nonce too low: next nonce ${account?.nonce ?? 0}, tx nonce ${tx.nonce}`);
    if ((account?.balance ?? 0n) < tx.value) return rejection('insufficient-funds', 'insufficient funds for gas * price + value: balance too low');
    this.transactions.set(tx.hashKey, tx);
    return undefined;
  }

  takeAll(): PoolTransaction[] {
    const all = [...this.transactions.values()].sort((a, b) => a.nonce - b.nonce);
    this.transactions.clear();
    return all;
  }
}

/** One node of the small network. */
export interface TestNode {
  readonly name: NodeName;
  readonly handle: NodeHandle;
  readonly service: RpcService;
  readonly storage: Storage;
  readonly clock: ManualClock;
  readonly pool: FakePool | undefined;
  down: boolean;
}

/** What a call came to. */
export interface Answer {
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

/** Two shards and a beacon. Blocks are made when the test says so. */
export class TestNetwork {
  readonly genesis: Genesis;
  readonly shards: TestShard[];
  readonly beacon: TestBeacon;
  readonly nodes: TestNode[] = [];
  readonly asked: string[] = [];
  epoch: KnownEpoch | undefined;

  constructor(shards = 2, accounts = 24) {
    this.genesis = testGenesis(shards, accounts);
    this.shards = Array.from({ length: shards }, (_, shard) => new TestShard(this.genesis, shard));
    this.beacon = new TestBeacon(this.genesis);
  }

  async start(): Promise<this> {
    for (const shard of this.shards) this.nodes.push(await this.make({ chain: shard.shard, validator: 0 }, shard));
    this.nodes.push(await this.make({ chain: BEACON, validator: 0 }, undefined));
    return this;
  }

  node(chain: number): TestNode {
    return this.nodes.find(({ name }) => name.chain === chain)!;
  }

  get beaconNode(): TestNode {
    return this.node(BEACON);
  }

  private async make(name: NodeName, shard: TestShard | undefined): Promise<TestNode> {
    const { storage } = pumpedStorage(name.chain + 1);
    const clock = new ManualClock();
    if (shard !== undefined) await outcome<void>((done) => storage.commit(shard.genesisBatch(), done));
    const chain = new ChainReader({ chain: name.chain, chainId: CHAIN_ID }, { storage, hasher: CRYPTO });
    await chain.start();
    const pool = shard === undefined ? undefined : new FakePool(shard.state);
    const pins = shard === undefined ? undefined : new PinnedStates({ storage, clock });
    const handle: NodeHandle = {
      id: nodeLabel(name),
      name,
      genesis: this.genesis,
      genesisHash: genesisHash(CRYPTO, this.genesis),
      allocation: new PackedAllocation(this.genesis.allocation),
      crypto: CRYPTO,
      clock,
      clientVersion: 'Shardlab/v0.1.0/test',
      chain,
      pins,
      shard: shard === undefined ? undefined : this.shardHandle(shard, pool!),
      assignment: () => this.epoch,
      status: () => statusOf(name, chain, pool),
      connected: () => this.nodes.flatMap((node) => (node.down || node.name === name ? [] : [node.name])),
      ask: (to, request, timeoutMs, done) => void this.ask(to, encodeRequest(request), timeoutMs).then(
        (value) => done({ ok: true, value }),
        (error: ShardlabError) => done({ ok: false, error }),
      ),
    };
    return { name, handle, service: new RpcService(handle, { onInternalError: (m, e) => console.error(m, e) }), storage, clock, pool, down: false };
  }

  private async ask(to: NodeName, body: Uint8Array, timeoutMs: number): Promise<readonly Uint8Array[]> {
    await turn();
    const request = decodeRequest(body);
    this.asked.push(`${nodeLabel(to)} ${request.kind}`);
    const node = this.nodes.find(({ name }) => name.chain === to.chain && name.validator === to.validator);
    if (node === undefined || node.down) throw new ShardlabError('network/unreachable', `no connection to ${nodeLabel(to)} (${timeoutMs} ms)`);
    if (request.kind !== 'rpc' && request.kind !== 'submit') throw new Error('not asked in these tests');
    const items = await new Promise<readonly Uint8Array[] | undefined>((resolve) => node.service.answerWire(request, resolve));
    if (items === undefined) throw new ShardlabError('network/refused', 'refused');
    return decodeAnswer(encodeAnswer(items));
  }

  private shardHandle(shard: TestShard, pool: FakePool): ShardHandle {
    return {
      executed: shard,
      pendingNonce: (senderKey) => pool.pendingNonce(senderKey),
      pooled: (hashKey) => pool.get(hashKey),
      prove: (address, slots, done) => {
        const { header, hash } = shard.executor.head;
        const certificate = shard.crosslinks.at(-1)?.certificate;
        queueMicrotask(() => {
          if (certificate === undefined) done({ ok: false, error: new ShardlabError('rpc/no-block', 'this shard has no final block yet') });
          else done({ ok: true, value: { header, hash, certificate, ...shard.state.proveAccount(address), slots: slots.map((slot) => shard.state.proveStorage(address, slot)) } });
        });
      },
      submit: (raws, done) => {
        const batch = new AdmissionBatch(raws, recoverBatch(raws, CRYPTO, { chainId: CHAIN_ID, allowUnprotected: false, fork: 'cancun' }));
        const results = raws.map((_, index): SubmitResult => {
          const error = batch.error(index);
          if (error !== undefined) return { hash: undefined, rejection: rejectionOf(error) };
          const tx = batch.transaction(index);
          return { hash: tx.hash, rejection: pool.add(tx) };
        });
        setImmediate(() => done(results));
      },
    };
  }

  /** Makes the next block of a shard from its pool, and stores it. */
  async block(shard: number, inbox: readonly InboxSegment[] = []): Promise<void> {
    const node = this.node(shard);
    const pool = node.pool!;
    const taken = pool.takeAll();
    const record = await this.shards[shard]!.next(taken.map((tx) => tx.raw), inbox);
    await this.put(node, record);
  }

  /** A block of each shard, with what the others have sent. */
  async round(): Promise<void> {
    const inboxes = this.shards.map((to) => this.shards.filter((from) => from !== to).flatMap((from) => from.sentTo(to.shard)));
    for (const { shard } of this.shards) await this.block(shard, inboxes[shard]!);
  }

  /** The beacon's next block, followed by `followers` (by default all). */
  async crosslink(followers: readonly TestNode[] = this.nodes): Promise<void> {
    const record = this.beacon.next(this.shards);
    const assignment = this.beacon.assignment();
    const table = new AssignmentTable(CRYPTO, assignment);
    const certificate = this.beacon.records[0]!.block.epochCertificate!;
    this.epoch = { assignment, hash: assignmentHash(CRYPTO, assignment), table, certificate };
    for (const node of followers) await this.put(node, record);
  }

  /** Gives a node a beacon block that it has missed. */
  async follow(node: TestNode, height: number): Promise<void> {
    await this.put(node, this.beacon.records[height - 1]!);
  }

  /** Stores a record on a node. */
  async put(node: TestNode, record: PlainRecord): Promise<void> {
    await store(node.storage, record, node.name.chain === BEACON ? 'beacon' : 'shard');
    node.handle.chain.stored(record);
  }

  /** One call on a node's view. */
  async call(node: TestNode, view: 'network' | number, method: string, ...params: unknown[]): Promise<Answer> {
    const body = new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', id: 7, method, params }));
    const answer = JSON.parse((await node.service.answer(view as 'network' | ShardId, body))!) as Answer & { id: number };
    return answer;
  }

  /** The result of one call, which must not fail. */
  async result(node: TestNode, view: 'network' | number, method: string, ...params: unknown[]): Promise<unknown> {
    const { result, error } = await this.call(node, view, method, ...params);
    if (error !== undefined) throw new Error(`${method}: ${error.code} ${error.message}`);
    return result;
  }

  stop(): void {
    for (const { service } of this.nodes) service.close();
  }
}

function statusOf(name: NodeName, chain: ChainReader, pool: FakePool | undefined): NodeStatus {
  const { head, beaconHead } = chain;
  const isBeacon = name.chain === BEACON;
  return {
    id: nodeLabel(name),
    role: isBeacon ? 'beacon' : 'shard',
    shard: isBeacon ? null : name.chain,
    height: (isBeacon ? beaconHead?.height : head?.header.height) ?? 0,
    blockHash: toHex((isBeacon ? beaconHead?.hash : head?.hash) ?? new Uint8Array(32)),
    stateRoot: head === undefined ? null : toHex(head.header.stateRoot),
    timestampMs: head?.header.timestampMs ?? 0,
    epoch: 0,
    peers: 2,
    healthy: true,
    rpcUrl: 'http://127.0.0.1:1',
    pid: 1,
    mempool: { pending: pool?.size ?? 0, capacity: 100 },
    outbox: { messages: 0 },
    receiptBatches: { gossip: 3, pull: 1 },
    crossShard: { coordinating: 0, participating: 0, locksHeld: 0 },
    inbox: { waiting: 0 },
    library: { secp256k1: 'x', hashPairs: 'y', keccak256: 'z' },
    residentBytes: 1,
  };
}

/** Keeps `bytesKey` of a hash in hex out of the tests. */
export function hashKey(hex: string): string {
  return bytesKey(Uint8Array.from(Buffer.from(hex.slice(2), 'hex')));
}
