import type { AssignmentTable, BeaconBlock, Block, Hash32, QuorumCertificate, ShardId, TxHash, Verdict } from '@shardlab/crosslink';
import type { ProposalChange } from './consensus/types.ts';
import type { BlockProposal, ExecutedBlock } from './execution/types.ts';
import type { LogLine } from './log-line.ts';
import type { FlatEntry } from './state/flat-account.ts';
import type { Rejection } from './mempool/admission.ts';
import type { AdmissionBatch } from './transaction/admission-record.ts';

/** Names of a core's timers; setting one again replaces it. */
export type TimerName = 'propose' | 'pull' | 'follow' | 'view' | 'retransmit' | 'sync' | 'forward';

/** One validator of one chain. */
export interface Peer {
  readonly chain: ShardId;
  readonly validator: number;
}

/** What must become durable in one atomic write (R2). */
export type PersistRecord =
  | {
      readonly kind: 'shard-block';
      readonly block: ExecutedBlock;
      readonly certificate: QuorumCertificate;
      readonly wallMs: number;
      /** Outgoing entries that their destination has consumed: (destination, first sequence). */
      readonly consumed: readonly { readonly destination: ShardId; readonly firstSequence: number }[];
    }
  | { readonly kind: 'beacon-block'; readonly block: BeaconBlock; readonly hash: Hash32 }
  /** What a validator must not forget of its votes: see `ConsensusOutput`. */
  | { readonly kind: 'votes'; readonly state: Uint8Array; readonly proposals: readonly ProposalChange[] }
  /** Replaces the stored state of a shard's node by a verified one. The node starts anew from it: the core gets no input any more. */
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot };

/** A certified block and the state after it, verified: what an empty or far behind validator starts from. */
export interface Snapshot {
  readonly block: Block;
  readonly hash: Hash32;
  /** Flat entries of the state, in order of key. */
  readonly entries: readonly FlatEntry[];
  /** Certified blocks below it whose messages are not all known to be consumed, verified by the chain of parent hashes; in order of height. */
  readonly older: readonly Block[];
}

/** What became of one submitted transaction: its hash if it could be read at all, and why it was refused, if it was. */
export interface SubmitResult {
  readonly hash: TxHash | undefined;
  readonly rejection: Rejection | undefined;
}

/** What a core wants done. The driver does it, and answers where `request` or `token` says so. */
export type Effect =
  | { readonly kind: 'recover-senders'; readonly request: number; readonly raws: readonly Uint8Array[] }
  | { readonly kind: 'execute-block'; readonly request: number; readonly parentHash: Hash32; readonly proposal: BlockProposal; readonly assignment: AssignmentTable }
  | { readonly kind: 'persist'; readonly request: number; readonly record: PersistRecord }
  | { readonly kind: 'publish'; readonly topic: string; readonly data: Uint8Array }
  | { readonly kind: 'request'; readonly request: number; readonly to: Peer; readonly body: Uint8Array; readonly timeoutMs: number }
  | { readonly kind: 'set-timer'; readonly timer: TimerName; readonly delayMs: number }
  | { readonly kind: 'reply'; readonly token: number; readonly results: readonly SubmitResult[] }
  | { readonly kind: 'verdict'; readonly token: number; readonly verdict: Verdict }
  | { readonly kind: 'penalise'; readonly to: Peer; readonly reason: string }
  | { readonly kind: 'log'; readonly line: LogLine };

/** What executing a proposal came to: the block, with what was taken back before it, last executed first. */
export type ExecutionOutcome = { readonly block: ExecutedBlock } | { readonly invalid: string };

/** What happens to a core. */
export type Input =
  /** Once, first. */
  | { readonly kind: 'start' }
  | { readonly kind: 'submit'; readonly token: number; readonly raws: readonly Uint8Array[] }
  /** Answers `recover-senders`; `undefined` = the pool of recoverers is full. */
  | { readonly kind: 'senders'; readonly request: number; readonly batch: AdmissionBatch | undefined }
  /** Answers `execute-block`; only one in `verify` mode can be found invalid. */
  | { readonly kind: 'executed'; readonly request: number; readonly outcome: ExecutionOutcome }
  | { readonly kind: 'persisted'; readonly request: number }
  | { readonly kind: 'gossip'; readonly token: number; readonly topic: string; readonly data: Uint8Array }
  /** Answers `request`; `undefined` = it failed or timed out. */
  | { readonly kind: 'answer'; readonly request: number; readonly items: readonly Uint8Array[] | undefined }
  /** The connection to a node has broken, or it is back after that. A hint: whoever likes may end a connection, and nobody hears of it where a machine dies. */
  | { readonly kind: 'peer'; readonly peer: Peer; readonly connected: boolean }
  | { readonly kind: 'timer'; readonly timer: TimerName };

/** A deterministic state machine: equal inputs at equal times give equal effects. */
export interface Core {
  step(nowMs: number, input: Input): readonly Effect[];
}
