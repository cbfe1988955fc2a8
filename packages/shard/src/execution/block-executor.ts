import {
  type AssignmentTable,
  BloomBuilder,
  type CrossShardProtocol,
  decodeMessage,
  DecodeError,
  emptyPairTable,
  encodedReceiptRoot,
  encodeHeader,
  encodeReceipts,
  equalBytes,
  type Hash32,
  type Hasher,
  type Height,
  LOGS_BLOOM_BYTES,
  outRoot,
  type PairTable,
  pairRoot,
  receiptRoot,
  type ShardHeader,
  ShardlabError,
  type ShardId,
  txRoot,
  ZERO_HASH,
} from '@shardlab/crosslink';
import type { ExecutionState } from '../state/execution-state.ts';
import type { PoolTransaction, RecoveryPrimitives } from '../transaction/types.ts';
import { BlockRun } from './block-run.ts';
import { type AheadOfBlock, aheadOfBlock, type FoundAhead } from './ahead.ts';
import { blockEnvironment, rememberHash } from './block-environment.ts';
import { checkProposal } from './check-proposal.ts';
import { Homes } from './contracts/homes.ts';
import type { RunObserver } from './contracts/run-observer.ts';
import { ContractRunner, type SpeculationCounts } from './contracts/runner.ts';
import type { EvmFeePolicy } from './evm/transaction.ts';
import { ShardSource } from './evm/shard-source.ts';
import type { BlockEnvironment, EvmCrypto, EvmFork } from './evm/types.ts';
import { nextBaseFee } from './fees.ts';
import type { Speculation } from './parallel/speculation.ts';
import type { BlockProposal, ExecutedBlock, Leftover } from './types.ts';

/** What an executor is for. */
export interface BlockExecutorOptions {
  readonly chainId: number;
  readonly shard: ShardId;
  readonly gasLimit: number;
  readonly fork: EvmFork;
  readonly feePolicy: EvmFeePolicy;
  /** Keys the hash tables of contracts' execution: a random 32-bit number in a node. */
  readonly hashSeed?: number;
}

/** What executing blocks calls of cryptography: hashes, precompiles, and the recovery of who signed authorizations (EIP-7702). */
export interface ExecutionCrypto extends Hasher, EvmCrypto, RecoveryPrimitives {}

/** What an executor works on. */
export interface BlockExecutorModules {
  readonly crypto: ExecutionCrypto;
  readonly state: ExecutionState;
  readonly protocol: CrossShardProtocol;
  /** Follows what contracts do; absent but for traces. */
  readonly observer?: RunObserver;
}

/** What a block is built on. */
export interface ParentBlock {
  readonly header: ShardHeader;
  readonly hash: Hash32;
  readonly pairs: PairTable;
}

/** Executed blocks that can be taken back: agreement works on two heights at once, and a new view can drop both. */
const REVERTIBLE_MAX = 4;

/** A block that its proposer should not have made. */
export class InvalidBlockError extends ShardlabError {}

/**
 * Executes blocks of one shard in order of height, on its state (R7). The answer to the effect `ExecuteBlock`: a function of state and proposal alone. The state is
 * that of the last executed block; the last few can be taken back, since a block is executed before it is agreed on.
 */
export class BlockExecutor {
  private readonly options: BlockExecutorOptions;
  private readonly modules: BlockExecutorModules;
  private readonly contracts: ContractRunner;
  private readonly blooms: BloomBuilder;
  private parent: ParentBlock;
  /** The last executed blocks with what each stands on, oldest first. */
  private readonly done: { readonly parent: ParentBlock; readonly block: ExecutedBlock }[] = [];

  /** `parent` is the block whose state `modules.state` is. */
  constructor(options: BlockExecutorOptions, modules: BlockExecutorModules, parent: ParentBlock) {
    this.options = options;
    this.modules = modules;
    this.contracts = new ContractRunner(options, modules);
    this.blooms = new BloomBuilder(modules.crypto);
    this.parent = parent;
  }

  /** The block whose state this is. */
  get head(): ParentBlock {
    return this.parent;
  }

  /** The last executed blocks, oldest first: those that can be taken back. */
  get recent(): readonly ExecutedBlock[] {
    return this.done.map(({ block }) => block);
  }

  /** What became of what was found out beforehand, so far: for gauges. */
  get speculations(): Readonly<SpeculationCounts> {
    return this.contracts.counts;
  }

  /**
   * Executes a block after the one with hash `parentHash`: what was executed on top of that is taken back before. Throws as {@link execute}, and `block/revert` when
   * that block is not among the last few.
   */
  executeOn(parentHash: Hash32, proposal: BlockProposal, assignment: AssignmentTable, found?: FoundAhead): ExecutedBlock {
    this.standOn(parentHash, proposal);
    return this.execute(proposal, assignment, found);
  }

  /**
   * What threads may execute before {@link executeOn}, whose answer that takes: the calls of contracts in the proposal, on the parent's state. Until then the state must not
   * change. undefined for a proposal without any, or one that would be refused. Takes back blocks and throws as {@link executeOn}.
   */
  ahead(parentHash: Hash32, proposal: BlockProposal, assignment: AssignmentTable): AheadOfBlock | undefined {
    this.standOn(parentHash, proposal);
    if (checkProposal(this.options, this.parent, proposal) !== undefined) return undefined;
    const { shard } = this.options;
    const { state, crypto } = this.modules;
    return aheadOfBlock(proposal, parentHash, {
      state,
      primitives: crypto,
      environment: () => this.environment(proposal),
      source: () => new ShardSource({ shard }, { state, homes: new Homes(shard, { state, assignment }) }),
    });
  }

  private standOn(parentHash: Hash32, { height }: BlockProposal): void {
    while (!equalBytes(this.parent.hash, parentHash)) {
      const last = this.done.at(-1);
      if (last === undefined) throw new ShardlabError('block/revert', `block ${height} stands on one that is not among the last executed`);
      this.revert(last.block);
    }
  }

  private environment({ height, timestampMs }: BlockProposal): BlockEnvironment {
    const { header, hash: parentHash } = this.parent;
    const { crypto: hasher, state } = this.modules;
    const fields = { ...this.options, baseFeePerGas: nextBaseFee(header), prevRandao: hasher.sha256(header.prevRandao), parentHash, height, timestampMs };
    return blockEnvironment(fields, state);
  }

  /**
   * Executes the block after {@link head}. Throws {@link InvalidBlockError}, with the state as it was, when the proposal does not follow on the head
   * (`block/invalid-proposal`), or, in `verify` mode, when a transaction does not fit (`block/invalid-transaction`). `found` changes nothing but how long it takes.
   */
  execute(proposal: BlockProposal, assignment: AssignmentTable, found?: FoundAhead): ExecutedBlock {
    const { header: parent, hash: parentHash } = this.parent;
    const { crypto: hasher, state, protocol } = this.modules;
    const { chainId, shard, gasLimit } = this.options;
    const wrong = checkProposal(this.options, this.parent, proposal);
    if (wrong !== undefined) throw new InvalidBlockError('block/invalid-proposal', wrong, { height: proposal.height });
    const totals = { ...parent.totals };
    const pairs = this.parent.pairs.map((pair) => ({ ...pair }));
    const now = { height: proposal.height, timestampMs: proposal.timestampMs };
    const environment = this.environment(proposal);
    const { baseFeePerGas, prevRandao } = environment;
    rememberHash(state, parent.height, parentHash);
    const { contracts, blooms } = this;
    const run = new BlockRun({
      hasher,
      chainId,
      shard,
      state,
      protocol,
      contracts,
      blooms,
      assignment,
      environment,
      parentHash,
      gasLimit,
      baseFeePerGas,
      now,
      totals,
      pairs,
    });
    this.consumeInbox(run, proposal);
    protocol.due(run);
    const { included, leftovers } = runTransactions(run, proposal, found?.of(proposal, parentHash));
    protocol.endBlock(run);
    run.finish();
    const delta = state.commit();
    const outgoing = run.outgoing();
    const hashes = included.map((tx) => tx.hash);
    const encodedReceipts = encodeReceipts(run.receipts);
    const header: ShardHeader = {
      chainId,
      shard,
      height: proposal.height,
      parentHash,
      epoch: proposal.epoch,
      proposer: proposal.proposer,
      timestampMs: proposal.timestampMs,
      gasLimit,
      gasUsed: run.gasUsed,
      baseFeePerGas,
      prevRandao,
      stateRoot: delta.root,
      txRoot: txRoot(hasher, proposal.inbox, hashes),
      receiptRoot: encodedReceiptRoot(hasher, encodedReceipts),
      logsBloom: run.logsBloom,
      outRoot: outRoot(hasher, outgoing),
      epochCertificateHash: proposal.epochCertificateHash,
      pairRoot: pairRoot(hasher, pairs),
      totals,
    };
    const hash = hasher.sha256(encodeHeader(header));
    const body = { inbox: proposal.inbox, transactions: included.map((tx) => tx.raw), pairs };
    const block = {
      header,
      hash,
      body,
      transactions: included,
      outgoing,
      receipts: run.receipts,
      encodedReceipts,
      events: run.events,
      settled: run.settled,
      delta,
      leftovers,
    };
    this.done.push({ parent: this.parent, block });
    if (this.done.length > REVERTIBLE_MAX) this.done.shift();
    this.parent = { header, hash, pairs };
    if (proposal.mode === 'verify' && leftovers.length > 0) {
      this.revert(block);
      throw new InvalidBlockError('block/invalid-transaction', `a transaction does not fit: ${leftovers[0]!.why}`);
    }
    return block;
  }

  /** Takes the last executed block back, with its records. Throws `block/revert` on any other. */
  revert(block: ExecutedBlock): void {
    const last = this.done.at(-1);
    if (last?.block !== block) throw new ShardlabError('block/revert', 'only the last block can be taken back');
    for (const { namespace, id, value } of this.modules.state.revert(block.delta)) this.modules.protocol.restore(namespace, id, value);
    this.parent = last.parent;
    this.done.pop();
  }

  private consumeInbox(run: BlockRun, proposal: BlockProposal): void {
    for (const segment of proposal.inbox) {
      const origin = { height: segment.sourceHeight, timestampMs: segment.sourceTimestampMs };
      segment.messages.forEach((bytes, index) => {
        run.consumed(segment.source, segment.firstSequence + index);
        const message = decodeOrIgnore(bytes);
        if (message !== undefined) this.modules.protocol.receive(run, segment.source, origin, message);
      });
    }
  }
}

const NO_LOGS = new Uint8Array(LOGS_BLOOM_BYTES);

/** A certified block can only hold undecodable messages if its whole committee is faulty: they are consumed, and mean nothing. */
function decodeOrIgnore(bytes: Uint8Array): ReturnType<typeof decodeMessage> | undefined {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function runTransactions(run: BlockRun, proposal: BlockProposal, found: Speculation | undefined): Pick<ExecutedBlock, 'leftovers'> & { included: PoolTransaction[] } {
  const included: PoolTransaction[] = [];
  const leftovers: { transaction: PoolTransaction; why: Leftover }[] = [];
  for (const [place, transaction] of proposal.transactions.entries()) {
    const why = run.transaction(transaction, included.length, found?.at(place));
    if (why === undefined) included.push(transaction);
    else leftovers.push({ transaction, why });
  }
  return { included, leftovers };
}

/** The block of height 0: nobody signs it, everybody computes it from the genesis. */
export function genesisBlock(
  hasher: Hasher,
  options: Pick<BlockExecutorOptions, 'chainId' | 'shard' | 'gasLimit'> & { readonly shards: number; readonly timestampMs: number; readonly baseFeePerGas: bigint },
  stateRoot: Hash32,
  balances: bigint,
): ParentBlock {
  const pairs = emptyPairTable(options.shard, options.shards);
  const header: ShardHeader = {
    chainId: options.chainId,
    shard: options.shard,
    height: 0 as Height,
    parentHash: ZERO_HASH,
    epoch: 0,
    proposer: 0,
    timestampMs: options.timestampMs,
    gasLimit: options.gasLimit,
    gasUsed: Math.floor(options.gasLimit / 2),
    baseFeePerGas: options.baseFeePerGas,
    prevRandao: ZERO_HASH,
    stateRoot,
    txRoot: txRoot(hasher, [], []),
    receiptRoot: receiptRoot(hasher, []),
    logsBloom: NO_LOGS,
    outRoot: outRoot(hasher, []),
    epochCertificateHash: ZERO_HASH,
    pairRoot: pairRoot(hasher, pairs),
    totals: { balances, escrow: 0n, burned: 0n, transactions: 0, logs: 0 },
  };
  return { header, hash: hasher.sha256(encodeHeader(header)), pairs };
}
