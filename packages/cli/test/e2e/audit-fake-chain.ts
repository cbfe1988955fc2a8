/**
 * Makes whole small networks for the audit to judge: real executors run real blocks with transfers within and across shards, and every block can be falsified
 * before its validator signs it. What a hook changes is only what is published; the executors go on with the truth, so that one lie stays one lie.
 */
import {
  AssignmentTable,
  type Address,
  assignmentHash,
  BEACON,
  type BeaconBlock,
  beaconHash,
  type Block,
  buildCertificate,
  bytesKey,
  type Crosslink,
  crosslinkRoot,
  encodeBeaconBlock,
  encodeBlock,
  encodeBlockEvents,
  type EpochAssignment,
  epochSubject,
  type Genesis,
  genesisHash,
  type Hash32,
  headerHash,
  type Height,
  type InboxSegment,
  outRoot,
  type Outgoing,
  type PairEntry,
  pairRoot,
  parseGenesis,
  Prng,
  type QuorumCertificate,
  receiptRoot,
  type ShardHeader,
  type ShardId,
  toHex,
  type TransactionReceipt,
  TwoPhaseCommit,
  type TxHash,
  txRoot,
  voteMessage,
  type VoteSubject,
  ZERO_HASH,
} from '@shardlab/crosslink';
import { createExecutionCrypto, type ExecutionCrypto } from '@shardlab/node';
import { BlockExecutor, genesisBalance, genesisBlock, genesisEntries, type PoolTransaction, ShardState } from '@shardlab/shard';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What a block publishes, before its roots are computed. Change it in place. */
export interface Draft {
  readonly shard: number;
  readonly height: number;
  inbox: Mutable<InboxSegment>[];
  transactions: Uint8Array[];
  pairs: Mutable<PairEntry>[];
  outgoing: Mutable<Outgoing>[];
  receipts: Mutable<TransactionReceipt>[];
}

/** Ways to falsify a network while it is made. */
export interface ChainHooks {
  /** Before roots are computed. */
  readonly draft?: (draft: Draft, chain: FakeChain) => void;
  /** After that, before the validator signs. */
  readonly header?: (header: Mutable<ShardHeader>) => void;
  /** After that: what is stored instead. */
  readonly sealed?: (block: Block) => Block;
  /** Before the beacon signs. */
  readonly crosslinks?: (height: number, crosslinks: Crosslink[]) => Crosslink[];
  /** After that. */
  readonly beacon?: (block: BeaconBlock) => BeaconBlock;
}

/** Size of the network that {@link FakeChain} makes by default. */
export interface ChainOptions {
  readonly seed?: number;
  readonly rounds?: number;
  readonly accounts?: number;
  /** Transactions that each shard gets in one round, at most what a block can take. */
  readonly transactions?: number;
  readonly blockGasLimit?: number;
}

interface FakeShard {
  readonly state: ShardState;
  readonly executor: BlockExecutor;
  readonly accounts: Address[];
  readonly nonces: Map<string, number>;
  /** Encoded blocks; index 0 is height 1. */
  readonly blocks: Uint8Array[];
  readonly sealed: Block[];
  /** Flat entries at each height; index 0 is genesis. */
  readonly states: Map<string, Uint8Array>[];
  hash: Hash32;
  /** Messages on their way to this shard, by source. */
  readonly waiting: Map<number, InboxSegment[]>;
}

export const SHARDS = 3;
const INTERVAL_MS = 1_000;
const DEADLINE_MS = 6_000;
/** In these rounds nothing reaches shard 2 from shard 0: long enough for deadlines to pass. */
const CUT_OFF = { from: 4, to: 13 };
const START_MS = 1_700_000_000_000;

/** Slots beside the account, in two full stems, and at the end of storage. */
const SLOTS = [...Array.from({ length: 600 }, (_, index) => index), 1 << 20];

/** Gives an account of the shard code, and each round other slots, as a contract would: what the audit reads, and has nothing to say about. */
function changeContract({ state, accounts }: FakeShard, round: number): void {
  const account = state.open(bytesKey(accounts[0]!));
  if (round === 1) state.setCode(account, new Uint8Array(9_000).fill(0x5b));
  for (const slot of SLOTS) {
    if (slot % 7 !== round % 7) continue;
    const key = new Uint8Array(32);
    new DataView(key.buffer).setUint32(28, slot);
    state.setStorage(account, key, new Uint8Array(32).fill((slot * round) & 0xff));
  }
}

/** A network's chains, made at once. */
export class FakeChain {
  readonly genesisText: string;
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  readonly shards: FakeShard[];
  readonly beaconBlocks: Uint8Array[] = [];
  /** Every transaction, in order. */
  readonly sent: { readonly hash: Uint8Array; readonly raw: Uint8Array }[] = [];
  private readonly crypto: ExecutionCrypto;
  private readonly hooks: ChainHooks;
  private readonly prng: Prng;
  private readonly secrets: Uint8Array[];
  private readonly epoch: EpochAssignment;
  private readonly table: AssignmentTable;
  private beaconTip: Hash32 = ZERO_HASH;

  private constructor(crypto: ExecutionCrypto, options: ChainOptions, hooks: ChainHooks) {
    this.crypto = crypto;
    this.hooks = hooks;
    this.prng = new Prng(options.seed ?? 1);
    this.secrets = Array.from({ length: SHARDS + 1 }, () => this.prng.bytes(32));
    this.genesisText = this.makeGenesis(options);
    this.genesis = parseGenesis(this.genesisText);
    this.genesisHash = genesisHash(crypto, this.genesis);
    const { beaconValidators, shardValidators, shards } = this.genesis;
    this.epoch = { genesisHash: this.genesisHash, epoch: 0, shards, beaconValidators, shardValidators, overrides: [], previousHash: ZERO_HASH };
    this.table = new AssignmentTable(crypto, this.epoch);
    this.shards = Array.from({ length: SHARDS }, (_, shard) => this.makeShard(shard as ShardId));
    const rounds = options.rounds ?? 24;
    for (let round = 1; round <= rounds; round++) this.round(round, options.transactions ?? 3);
  }

  static async make(options: ChainOptions = {}, hooks: ChainHooks = {}): Promise<FakeChain> {
    return new FakeChain(await createExecutionCrypto(), options, hooks);
  }

  private makeGenesis(options: ChainOptions): string {
    const keys = this.secrets.map((secret) => toHex(this.crypto.publicKey(secret)));
    return JSON.stringify({
      formatVersion: 1,
      chainId: 1337,
      shards: SHARDS,
      validators: { beacon: [keys[SHARDS]], shards: keys.slice(0, SHARDS).map((key) => [key]) },
      parameters: {
        blockIntervalMs: 250,
        heartbeatMs: 1000,
        deadlineMs: DEADLINE_MS,
        blockGasLimit: options.blockGasLimit ?? 21_000 * 3,
        baseFeePerGas: '1000000000',
        openPreparesMax: 8192,
        attemptsMax: 3,
        lockWaitersMax: 1024,
        epochLength: 3600,
      },
      forks: 'cancun',
      feePolicy: 'burn',
      crossShardProtocol: 'two-phase-commit',
      timestampMs: START_MS,
      workload: { seed: 1, accounts: 0 },
      allocation: Array.from({ length: options.accounts ?? 60 }, () => [toHex(this.prng.bytes(20)), String(10n ** 24n)]),
    });
  }

  private makeShard(shard: ShardId): FakeShard {
    const { genesis, crypto } = this;
    const { blockGasLimit: gasLimit, baseFeePerGas, openPreparesMax, deadlineMs, attemptsMax, lockWaitersMax } = genesis.parameters;
    const state = new ShardState(crypto);
    const entries = [...genesisEntries(crypto, genesis, shard)];
    const root = state.load(entries);
    const options = { chainId: genesis.chainId, shard, gasLimit };
    const start = { ...options, shards: SHARDS, timestampMs: genesis.timestampMs, baseFeePerGas };
    const protocol = new TwoPhaseCommit({ openPreparesMax, deadlineMs, attemptsMax, lockWaitersMax });
    const block = genesisBlock(crypto, start, root, genesisBalance(crypto, genesis, shard));
    return {
      state,
      executor: new BlockExecutor({ ...options, fork: 'cancun', feePolicy: 'burn' }, { crypto, state, protocol }, block),
      accounts: genesis.allocation.map((entry) => entry.address).filter((address) => this.table.shardOf(address) === shard),
      nonces: new Map(),
      blocks: [],
      sealed: [],
      states: [new Map(entries.map(({ key, value }) => [bytesKey(key), value]))],
      hash: block.hash,
      waiting: new Map(),
    };
  }

  /** Not the account with code, see {@link changeContract}: whoever pays it runs it, and what is sent here has no call data to run it with. */
  private pick(shard: number): Address {
    const { accounts } = this.shards[shard]!;
    return accounts[1 + this.prng.below(accounts.length - 1)]!;
  }

  /** A transaction without a signature: neither executor nor audit look at one. */
  private transaction(shard: number): PoolTransaction {
    const { nonces } = this.shards[shard]!;
    const sender = this.pick(shard);
    const to = this.pick(this.prng.below(SHARDS));
    const senderKey = bytesKey(sender);
    const nonce = nonces.get(senderKey) ?? 0;
    nonces.set(senderKey, nonce + 1);
    const raw = this.prng.bytes(110);
    const hash = this.crypto.keccak256(raw) as TxHash;
    this.sent.push({ hash, raw });
    const price = { maxFeePerGas: 10n ** 12n, maxPriorityFeePerGas: 1n + BigInt(this.prng.below(1000)), value: 1n + BigInt(this.prng.below(1_000_000)) };
    const gas = { gasLimit: 21_000, intrinsicGas: 21_000, dataLength: 0, calls: undefined, chainId: 1337 };
    return { type: 2, raw, hash, hashKey: bytesKey(hash), sender, senderKey, to, toKey: bytesKey(to), nonce, ...price, ...gas };
  }

  private round(round: number, transactions: number): void {
    const crosslinks: Crosslink[] = [];
    const inboxes = this.shards.map((shard, own) => this.inbox(shard, own, round));
    // In the last rounds nothing begins on shard 1, so that some blocks have less to tell.
    this.shards.forEach((_, own) => {
      const block = this.makeBlock(own as ShardId, round, inboxes[own]!, own === 1 && round % 5 === 0 ? 0 : transactions);
      crosslinks.push({ header: block.header, certificate: block.certificate });
    });
    this.makeBeaconBlock(round, crosslinks);
  }

  private inbox(shard: FakeShard, own: number, round: number): InboxSegment[] {
    const taken: InboxSegment[] = [];
    for (const source of [...shard.waiting.keys()].sort((a, b) => a - b)) {
      if (own === 2 && source === 0 && round >= CUT_OFF.from && round <= CUT_OFF.to) continue;
      taken.push(...shard.waiting.get(source)!);
      shard.waiting.delete(source);
    }
    return taken;
  }

  private certify(subject: Omit<VoteSubject, 'genesisHash'>, secret: Uint8Array): QuorumCertificate {
    const signature = this.crypto.sign(secret, voteMessage({ ...subject, genesisHash: this.genesisHash }, 0));
    return buildCertificate(this.crypto.scheme, 0, 1, new Map([[0, signature]]));
  }

  private makeBlock(own: ShardId, round: number, inbox: InboxSegment[], transactions: number): Block {
    const shard = this.shards[own]!;
    const candidates = Array.from({ length: transactions }, () => this.transaction(own));
    const proposal = { height: round as Height, timestampMs: START_MS + round * INTERVAL_MS, epoch: 0, epochCertificateHash: assignmentHash(this.crypto, this.epoch), proposer: 0 };
    changeContract(shard, round);
    const executed = shard.executor.execute({ ...proposal, inbox, transactions: candidates, mode: 'build' }, this.table);
    // What did not fit is forgotten, so its nonce is free again.
    for (const { transaction } of [...executed.leftovers].reverse()) shard.nonces.set(transaction.senderKey, transaction.nonce);
    const state = new Map(shard.states.at(-1)!);
    for (const { key, value } of executed.delta.changes) {
      if (value === undefined) state.delete(bytesKey(key));
      else state.set(bytesKey(key), value);
    }
    shard.states.push(state);
    const draft: Draft = {
      shard: own,
      height: round,
      inbox: inbox.map((segment) => ({ ...segment, messages: [...segment.messages] })),
      transactions: executed.transactions.map((each) => each.raw),
      pairs: executed.body.pairs.map((pair) => ({ ...pair })),
      outgoing: executed.outgoing.map((each) => ({ ...each, messages: [...each.messages] })),
      receipts: executed.receipts.map((receipt) => ({ ...receipt })),
    };
    this.hooks.draft?.(draft, this);
    const block = this.seal(executed.header, draft, encodeBlockEvents(executed.events));
    for (const { destination, firstSequence, messages } of executed.outgoing) {
      const target = this.shards[destination]!.waiting;
      const origin = { source: own, sourceHeight: round as Height, sourceHash: shard.hash, sourceTimestampMs: block.header.timestampMs };
      target.set(own, [...(target.get(own) ?? []), { ...origin, firstSequence, messages }]);
    }
    return block;
  }

  private seal(executed: ShardHeader, draft: Draft, events: Uint8Array): Block {
    const { crypto } = this;
    const shard = this.shards[draft.shard]!;
    const header: Mutable<ShardHeader> = {
      ...executed,
      parentHash: shard.hash,
      txRoot: txRoot(crypto, draft.inbox, draft.transactions.map((raw) => crypto.keccak256(raw))),
      receiptRoot: receiptRoot(crypto, draft.receipts),
      outRoot: outRoot(crypto, draft.outgoing),
      pairRoot: pairRoot(crypto, draft.pairs),
    };
    this.hooks.header?.(header);
    shard.hash = headerHash(crypto, header);
    const subject = { chain: header.shard, epoch: header.epoch, height: header.height, phase: 'commit' as const, blockHash: shard.hash };
    const certificate = this.certify(subject, this.secrets[draft.shard]!);
    const body = { inbox: draft.inbox, transactions: draft.transactions, pairs: draft.pairs };
    const honest: Block = { header, certificate, body, outgoing: draft.outgoing, receipts: draft.receipts, events, wallMs: header.timestampMs };
    const block = this.hooks.sealed?.(honest) ?? honest;
    shard.sealed.push(block);
    shard.blocks.push(encodeBlock(block));
    return block;
  }

  private makeBeaconBlock(height: number, honest: Crosslink[]): void {
    const { crypto } = this;
    const crosslinks = this.hooks.crosslinks?.(height, honest) ?? honest;
    const header = {
      chainId: this.genesis.chainId,
      height: height as Height,
      parentHash: this.beaconTip,
      epoch: 0,
      proposer: 0,
      timestampMs: START_MS + height * INTERVAL_MS,
      crosslinkRoot: crosslinkRoot(crypto, crosslinks),
      epochCertificateHash: assignmentHash(crypto, this.epoch),
    };
    this.beaconTip = beaconHash(crypto, header);
    const secret = this.secrets[SHARDS]!;
    const certificate = this.certify({ chain: BEACON, epoch: 0, height, phase: 'commit', blockHash: this.beaconTip }, secret);
    const epochCertificate = height > 1 ? undefined : { assignment: this.epoch, certificate: this.certify(epochSubject(crypto, this.epoch), secret) };
    const block: BeaconBlock = { header, certificate, crosslinks, epochCertificate, wallMs: header.timestampMs };
    this.beaconBlocks.push(encodeBeaconBlock(this.hooks.beacon?.(block) ?? block));
  }
}

/** What an honest loader would have written down that has seen the shards up to `heads`: every transaction with its outcome, or `pending`. */
export function honestLedger(chain: FakeChain, heads?: readonly number[]): { readonly hash: string; readonly outcome: 'committed' | 'aborted' | 'rejected' | 'pending' }[] {
  const outcomes = new Map<string, 'committed' | 'aborted'>();
  for (const [shard, { sealed }] of chain.shards.entries()) {
    for (const { receipts } of sealed.slice(0, heads?.[shard])) for (const { txHash, status } of receipts) outcomes.set(toHex(txHash), status === 1 ? 'committed' : 'aborted');
  }
  return chain.sent.map(({ hash }) => ({ hash: toHex(hash), outcome: outcomes.get(toHex(hash)) ?? 'pending' }));
}
