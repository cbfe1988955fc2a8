/** Real blocks of real executors, stored as a node stores them: what the tests of the chain store and of RPC build on. */
import {
  type Address,
  AssignmentTable,
  BEACON,
  type BeaconBlock,
  beaconHash,
  type Crosslink,
  crosslinkRoot,
  type EpochAssignment,
  assignmentHash,
  buildCertificate,
  epochSubject,
  type Genesis,
  genesisHash,
  type Hash32,
  type Height,
  type InboxSegment,
  type Outgoing,
  parseGenesis,
  type QuorumCertificate,
  type ShardId,
  toHex,
  TwoPhaseCommit,
  voteMessage,
  ZERO_HASH,
} from '@shardlab/crosslink';
import {
  addressOfSecretKey,
  type AdmissionBatch,
  BlockExecutor,
  type ExecutedBlock,
  type PersistRecord,
  type PoolTransaction,
  ShardState,
  type Snapshot,
  signTransaction,
} from '@shardlab/shard';
import { createExecutionCrypto } from '../../src/crypto/create-evm-crypto.ts';
import { sha256 } from '../../src/crypto/hashes.ts';
import type { ExecutionCrypto } from '../../src/crypto/types.ts';
import type { Clock, Done, Storage, StorageBatch } from '../../src/ports.ts';
import { InlineRecovery } from '../../src/recovery/inline-recovery.ts';
import { shardGenesis } from '../../src/runtime/assemble.ts';
import { SimWorld } from '../../src/sim/world.ts';
import { batchOf, type ChainRole, genesisBatch, type PlainRecord, snapshotBatch } from '../../src/storage/chain-store.ts';

export const CRYPTO: ExecutionCrypto = await createExecutionCrypto();
export const CHAIN_ID = 1337;

const EVENTS_MAX = 100_000;

/** A callback operation as a promise. */
export function outcome<T>(call: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => call((result) => (result.ok ? resolve(result.value) : reject(result.error))));
}

/** Time that the test moves. */
export class ManualClock implements Clock {
  private now = 1_800_000_000_000;
  private readonly tasks = new Set<{ readonly atMs: number; readonly task: () => void }>();

  nowMs(): number {
    return this.now;
  }

  schedule(delayMs: number, task: () => void): () => void {
    const entry = { atMs: this.now + delayMs, task };
    this.tasks.add(entry);
    return () => void this.tasks.delete(entry);
  }

  get pending(): number {
    return this.tasks.size;
  }

  advance(ms: number): void {
    this.now += ms;
    for (const entry of [...this.tasks].sort((a, b) => a.atMs - b.atMs)) if (entry.atMs <= this.now && this.tasks.delete(entry)) entry.task();
  }
}

/** The simulation's storage, whose events run by themselves: for code that only awaits. */
export function pumpedStorage(seed = 1): { readonly storage: Storage; readonly keys: () => number } {
  const world = new SimWorld({ seed });
  const name = { chain: 0 as ShardId, validator: 0 };
  const { storage } = world.boot(name);
  let armed = false;
  const pump = (): void => {
    if (armed) return;
    armed = true;
    setImmediate(() => {
      armed = false;
      world.scheduler.run({ eventsMax: EVENTS_MAX });
    });
  };
  const reads = (reader: Pick<Storage, 'get' | 'range'>): Pick<Storage, 'get' | 'range'> => ({
    get: (key, done) => (reader.get(key, done), pump()),
    range: (range, done) => (reader.range(range, done), pump()),
  });
  const pumped: Storage = {
    ...reads(storage),
    commit: (batch, done) => (storage.commit(batch, done), pump()),
    snapshot: () => {
      const snapshot = storage.snapshot();
      return { ...reads(snapshot), release: () => snapshot.release() };
    },
    close: (done) => (storage.close(done), pump()),
  };
  return { storage: pumped, keys: () => world.disk(name).size };
}

/** Secret of derived account `index`, as genesis derives them. */
export function secretOf(index: number): Uint8Array {
  return sha256(new TextEncoder().encode(`shardlab/account/1/${index}`));
}

export function addressOf(index: number): Address {
  return addressOfSecretKey(secretOf(index), CRYPTO);
}

/** A genesis of `shards` shards and `accounts` accounts of 100 ether. */
export function testGenesis(shards: number, accounts: number): Genesis {
  const key = (name: string): string => toHex(CRYPTO.publicKey(sha256(new TextEncoder().encode(name))));
  return parseGenesis(
    JSON.stringify({
      formatVersion: 1,
      chainId: CHAIN_ID,
      shards,
      validators: { beacon: [key('beacon')], shards: Array.from({ length: shards }, (_, shard) => [key(`shard-${shard}`)]) },
      parameters: {
        blockIntervalMs: 250,
        heartbeatMs: 1000,
        deadlineMs: 30_000,
        blockGasLimit: 120_000_000,
        baseFeePerGas: '1000000000',
        openPreparesMax: 8192,
        attemptsMax: 6,
        lockWaitersMax: 1024,
        epochLength: 3600,
      },
      forks: 'cancun',
      feePolicy: 'burn',
      crossShardProtocol: 'two-phase-commit',
      timestampMs: 1_700_000_000_000,
      workload: { seed: 1, accounts },
      allocation: Array.from({ length: accounts }, (_, index) => [toHex(addressOf(index)), (100n * 10n ** 18n).toString()]),
    }),
  );
}

/** A signed transfer of type 2. */
export function transfer(from: number, to: Address, nonce: number, value = 1000n): Uint8Array {
  const fees = { maxPriorityFeePerGas: 1_000_000_000n, maxFeePerGas: 4_000_000_000n };
  const fields = { type: 2 as const, chainId: CHAIN_ID, nonce, gasLimit: 21_000, to, value, data: new Uint8Array(0), accessList: [], ...fees };
  return signTransaction(fields, secretOf(from), CRYPTO).raw;
}

/** The pool's form of signed transactions. */
export async function recovered(raws: readonly Uint8Array[]): Promise<PoolTransaction[]> {
  const recovery = new InlineRecovery({ policy: { chainId: CHAIN_ID, allowUnprotected: false, fork: 'cancun' }, library: 'test' }, { primitives: CRYPTO, defer: queueMicrotask });
  await recovery.start();
  const batch = await outcome<AdmissionBatch>((done) => recovery.recover(raws, done));
  return raws.map((_, index) => batch.transaction(index));
}

/** One shard's chain: an executor whose blocks are stored, and whose messages others consume. */
export class TestShard {
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  readonly shard: ShardId;
  readonly state: ShardState;
  readonly executor: BlockExecutor;
  readonly crosslinks: Crosslink[] = [];
  readonly blocks: ExecutedBlock[] = [];
  readonly genesisEntries: ReturnType<typeof shardGenesis>['entries'];
  /** Messages to each shard that it has not been given yet. */
  readonly outgoing: { readonly from: ExecutedBlock; readonly out: Outgoing }[] = [];
  private readonly secretKey: Uint8Array;

  constructor(genesis: Genesis, shard: number) {
    this.genesis = genesis;
    this.genesisHash = genesisHash(CRYPTO, genesis);
    this.shard = shard as ShardId;
    const { block, entries } = shardGenesis(CRYPTO, genesis, this.shard);
    this.genesisEntries = entries;
    this.state = new ShardState(CRYPTO);
    this.state.load(entries);
    const modules = { crypto: CRYPTO, state: this.state, protocol: new TwoPhaseCommit(genesis.parameters) };
    this.executor = new BlockExecutor({ chainId: CHAIN_ID, shard: this.shard, gasLimit: genesis.parameters.blockGasLimit, fork: 'cancun', feePolicy: 'burn' }, modules, block);
    this.secretKey = sha256(new TextEncoder().encode(`shard-${shard}`));
  }

  genesisBatch(): ReturnType<typeof genesisBatch> {
    return genesisBatch(this.executor.head.header.height === 0 ? this.executor.head : shardGenesis(CRYPTO, this.genesis, this.shard).block, this.genesisEntries);
  }

  /** Executes the next block on `inbox` and `raws`, and returns its record. */
  async next(raws: readonly Uint8Array[], inbox: readonly InboxSegment[] = [], consumed: Extract<PersistRecord, { kind: 'shard-block' }>['consumed'] = []): Promise<Extract<PersistRecord, { kind: 'shard-block' }>> {
    const { header } = this.executor.head;
    const table = new AssignmentTable(CRYPTO, { shards: this.genesis.shards, overrides: [] });
    const proposal = {
      height: (header.height + 1) as Height,
      timestampMs: header.timestampMs + 250,
      epoch: 0,
      epochCertificateHash: ZERO_HASH,
      proposer: 0,
      inbox,
      transactions: await recovered(raws),
      mode: 'verify' as const,
    };
    const block = this.executor.execute(proposal, table);
    const certificate = this.certify(block);
    for (const out of block.outgoing) this.outgoing.push({ from: block, out });
    this.crosslinks.push({ header: block.header, certificate });
    this.blocks.push(block);
    return { kind: 'shard-block', block, certificate, wallMs: proposal.timestampMs + 7, consumed };
  }

  /** The commit certificate of the shard's one validator. */
  private certify({ header, hash: blockHash }: ExecutedBlock): QuorumCertificate {
    const { genesisHash, shard: chain, secretKey } = this;
    const message = voteMessage({ genesisHash, chain, epoch: header.epoch, height: header.height, phase: 'commit', blockHash }, 0);
    return buildCertificate(CRYPTO.scheme, 0, 1, new Map([[0, CRYPTO.sign(secretKey, message)]]));
  }

  /** What was sent to `destination` since the last call, as inbox segments. */
  sentTo(destination: ShardId): InboxSegment[] {
    const due = this.outgoing.filter(({ out }) => out.destination === destination);
    for (const each of due) this.outgoing.splice(this.outgoing.indexOf(each), 1);
    return due.map(({ from, out }) => ({
      source: this.shard,
      sourceHeight: from.header.height,
      sourceHash: from.hash,
      sourceTimestampMs: from.header.timestampMs,
      firstSequence: out.firstSequence,
      messages: out.messages,
    }));
  }
}

/** The beacon's chain over some shards. */
export class TestBeacon {
  readonly genesis: Genesis;
  readonly records: Extract<PersistRecord, { kind: 'beacon-block' }>[] = [];
  private readonly linked = new Map<ShardId, number>();

  constructor(genesis: Genesis) {
    this.genesis = genesis;
  }

  /** The assignment of epoch 0. */
  assignment(): EpochAssignment {
    const { shards, beaconValidators, shardValidators } = this.genesis;
    return { genesisHash: genesisHash(CRYPTO, this.genesis), epoch: 0, shards, beaconValidators, shardValidators, overrides: [], previousHash: ZERO_HASH };
  }

  /** The next block, with everything that `shards` have made and it has not crosslinked yet. */
  next(shards: readonly TestShard[]): Extract<PersistRecord, { kind: 'beacon-block' }> {
    const assignment = this.assignment();
    const last = this.records.at(-1);
    const height = ((last?.block.header.height ?? 0) + 1) as Height;
    const crosslinks = shards.flatMap((shard) => {
      const from = this.linked.get(shard.shard) ?? 0;
      this.linked.set(shard.shard, shard.crosslinks.length);
      return shard.crosslinks.slice(from);
    });
    const header = {
      chainId: CHAIN_ID,
      height,
      parentHash: last?.hash ?? ZERO_HASH,
      epoch: 0,
      proposer: 0,
      timestampMs: (last?.block.header.timestampMs ?? this.genesis.timestampMs) + 1000,
      crosslinkRoot: crosslinkRoot(CRYPTO, crosslinks),
      epochCertificateHash: assignmentHash(CRYPTO, assignment),
    };
    const hash = beaconHash(CRYPTO, header);
    const secret = sha256(new TextEncoder().encode('beacon'));
    const sign = (message: Uint8Array): BeaconBlock['certificate'] => buildCertificate(CRYPTO.scheme, 0, 1, new Map([[0, CRYPTO.sign(secret, message)]]));
    const subject = { genesisHash: assignment.genesisHash, chain: BEACON, epoch: 0, height, phase: 'commit' as const, blockHash: hash };
    const epochCertificate = height === 1 ? { assignment, certificate: sign(voteMessage(epochSubject(CRYPTO, assignment), 0)) } : undefined;
    const block: BeaconBlock = { header, certificate: sign(voteMessage(subject, 0)), crosslinks, epochCertificate, wallMs: header.timestampMs + 3 };
    const record = { kind: 'beacon-block' as const, block, hash };
    this.records.push(record);
    return record;
  }
}

/** Stores a record as a node of `role` does. */
export function store(storage: Storage, record: PlainRecord, role: ChainRole = 'shard'): Promise<void> {
  return outcome((done) => storage.commit(batchOf(record, role), done));
}

/** Stores a snapshot as a shard's node does. */
export async function storeSnapshot(storage: Storage, snapshot: Snapshot): Promise<void> {
  const batch = await outcome<StorageBatch>((done) => snapshotBatch(storage, snapshot, done));
  await outcome<void>((done) => storage.commit(batch, done));
}

/** Indexes of the first `count` accounts that live on `shard`. */
export function accountsOf(genesis: Genesis, shard: number, count: number): number[] {
  const table = new AssignmentTable(CRYPTO, { shards: genesis.shards, overrides: [] });
  return genesis.allocation.flatMap(({ address }, index) => (table.shardOf(address) === shard ? [index] : [])).slice(0, count);
}
