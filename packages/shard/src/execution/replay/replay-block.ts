import { type AssignmentTable, type BlockBody, bytesKey, type CrossShardProtocol, equalBytes, type Hash32, type Operation, type ShardHeader, ShardlabError, type TxHash } from '@shardlab/crosslink';
import type { ShardState } from '../../state/shard-state.ts';
import type { PoolTransaction } from '../../transaction/types.ts';
import { BlockExecutor, type BlockExecutorOptions, type ExecutionCrypto, InvalidBlockError, type ParentBlock } from '../block-executor.ts';
import type { JudgedOutcome, ObservedRun, RunObserver } from '../contracts/run-observer.ts';
import type { PastStems } from '../evm/simulate/past-stems.ts';
import type { Tracer } from '../evm/tracer.ts';
import type { StateSource } from '../evm/types.ts';
import type { BlockProposal } from '../types.ts';
import { ScratchState } from './scratch-state.ts';

/** A block, and all that it stood on. */
export interface ReplayedBlock {
  readonly header: ShardHeader;
  readonly hash: Hash32;
  readonly inbox: BlockBody['inbox'];
  /** The body's transactions, in order. */
  readonly transactions: readonly PoolTransaction[];
  readonly parent: ParentBlock;
  /** Of the epoch that the header names. */
  readonly assignment: AssignmentTable;
}

/** What a block is executed on again. */
export interface ReplayModules {
  readonly crypto: ExecutionCrypto;
  /** Empty, as it is made: it takes over the records as they were. */
  readonly protocol: CrossShardProtocol;
  /** The state as it is now, for its records. */
  readonly state: ShardState;
  /** What differs between that and the state before the block. */
  readonly past: PastStems;
  /** Accounts, code and storage before the block. */
  readonly source: StateSource;
}

/** What a block did on its shard for one transaction. */
export interface ReplayedPart {
  readonly txHash: TxHash;
  /** What its code came to: the last run counts. undefined: none was followed. */
  run: ObservedRun | undefined;
  /** Its part on this shard, as asked by its coordinator, with what this shard said. undefined: none was judged in this block. */
  part: { readonly operation: Operation; readonly outcome: JudgedOutcome } | undefined;
}

/** Collects what a block does, transaction by transaction. */
class Collector implements RunObserver {
  /** In the order in which they first appeared. */
  readonly parts = new Map<string, ReplayedPart>();
  private readonly tracerOf: (txHash: TxHash) => Tracer | undefined;
  private isFollowed = false;

  constructor(tracerOf: (txHash: TxHash) => Tracer | undefined) {
    this.tracerOf = tracerOf;
  }

  begins(txHash: TxHash): Tracer | undefined {
    const tracer = this.tracerOf(txHash);
    this.isFollowed = tracer !== undefined;
    return tracer;
  }

  ended(txHash: TxHash, { halt, gasUsed, output }: ObservedRun): void {
    // The output may lie in memory that the next run takes.
    if (this.isFollowed) this.partOf(txHash).run = { halt, gasUsed, output: output.slice() };
  }

  judged(txHash: TxHash, operation: Operation, outcome: JudgedOutcome): void {
    this.partOf(txHash).part = { operation, outcome };
  }

  private partOf(txHash: TxHash): ReplayedPart {
    const key = bytesKey(txHash);
    let part = this.parts.get(key);
    if (part === undefined) this.parts.set(key, (part = { txHash, run: undefined, part: undefined }));
    return part;
  }
}

/**
 * Executes a block once more, on the state before it, with tracers for the transactions that `tracerOf` names: it is called anew for each run, and the last one counts. The
 * result is by `bytesKey` of the transactions' hashes. Throws `trace/differs` if not the very same block comes of it (a trace that is not the truth must not leave a node), and
 * what tracers throw.
 */
export function replayBlock(
  options: BlockExecutorOptions,
  block: ReplayedBlock,
  { crypto, protocol, state, past, source }: ReplayModules,
  tracerOf: (txHash: TxHash) => Tracer | undefined,
): ReadonlyMap<string, ReplayedPart> {
  const { header, hash, inbox, transactions, parent, assignment } = block;
  const scratch = new ScratchState(header.stateRoot, { hasher: crypto, source, state, past });
  for (const { namespace, id, value } of scratch.protocolRecords()) protocol.restore(namespace, id, value);
  const observer = new Collector(tracerOf);
  const executor = new BlockExecutor(options, { crypto, state: scratch, protocol, observer }, parent);
  const { height, timestampMs, epoch, epochCertificateHash, proposer } = header;
  const proposal = { height, timestampMs, epoch, epochCertificateHash, proposer, inbox, transactions, mode: 'verify' as const };
  if (!equalBytes(executedHash(executor, proposal, assignment), hash)) throw differs(height);
  return observer.parts;
}

function executedHash(executor: BlockExecutor, proposal: BlockProposal, assignment: AssignmentTable): Hash32 {
  try {
    return executor.execute(proposal, assignment).hash;
  } catch (error) {
    throw error instanceof InvalidBlockError ? differs(proposal.height, error) : error;
  }
}

function differs(height: number, cause?: Error): ShardlabError {
  return new ShardlabError('trace/differs', `block ${height} cannot be executed again as it was`, { height }, { cause });
}
