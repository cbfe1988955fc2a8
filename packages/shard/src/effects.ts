import type { AssignmentTable, BeaconBlock, Hash32, QuorumCertificate, ShardId, TxHash, Verdict } from '@shardlab/crosslink';
import type { BlockProposal, ExecutedBlock } from './execution/types.ts';
import type { Rejection } from './mempool/admission.ts';
import type { AdmissionBatch } from './transaction/admission-record.ts';

/** Names of a core's timers; setting one again replaces it. */
export type TimerName = 'propose' | 'pull' | 'follow';

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
  | { readonly kind: 'beacon-block'; readonly block: BeaconBlock; readonly hash: Hash32 };

/** What became of one submitted transaction: its hash if it could be read at all, and why it was refused, if it was. */
export interface SubmitResult {
  readonly hash: TxHash | undefined;
  readonly rejection: Rejection | undefined;
}

/** A log line in words of the core; drivers add node, shard and wall time (R3). */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn';
  /** Stable code, such as `block.committed`. */
  readonly event: string;
  readonly fields: Readonly<Record<string, string | number | bigint | boolean>>;
}

/** What a core wants done. The driver does it, and answers where `request` or `token` says so. */
export type Effect =
  | { readonly kind: 'recover-senders'; readonly request: number; readonly raws: readonly Uint8Array[] }
  | { readonly kind: 'execute-block'; readonly request: number; readonly proposal: BlockProposal; readonly assignment: AssignmentTable }
  | { readonly kind: 'persist'; readonly request: number; readonly record: PersistRecord }
  | { readonly kind: 'publish'; readonly topic: string; readonly data: Uint8Array }
  | { readonly kind: 'request'; readonly request: number; readonly to: ShardId; readonly body: Uint8Array; readonly timeoutMs: number }
  | { readonly kind: 'set-timer'; readonly timer: TimerName; readonly delayMs: number }
  | { readonly kind: 'reply'; readonly token: number; readonly results: readonly SubmitResult[] }
  | { readonly kind: 'verdict'; readonly token: number; readonly verdict: Verdict }
  | { readonly kind: 'penalise'; readonly chain: ShardId; readonly reason: string }
  | { readonly kind: 'log'; readonly line: LogLine };

/** What happens to a core. */
export type Input =
  /** Once, first. */
  | { readonly kind: 'start' }
  | { readonly kind: 'submit'; readonly token: number; readonly raws: readonly Uint8Array[] }
  /** Answers `recover-senders`; `undefined` = the pool of recoverers is full. */
  | { readonly kind: 'senders'; readonly request: number; readonly batch: AdmissionBatch | undefined }
  | { readonly kind: 'executed'; readonly request: number; readonly block: ExecutedBlock }
  | { readonly kind: 'persisted'; readonly request: number }
  | { readonly kind: 'gossip'; readonly token: number; readonly topic: string; readonly data: Uint8Array }
  /** Answers `request`; `undefined` = it failed or timed out. */
  | { readonly kind: 'answer'; readonly request: number; readonly items: readonly Uint8Array[] | undefined }
  | { readonly kind: 'timer'; readonly timer: TimerName };

/** A deterministic state machine: equal inputs at equal times give equal effects. */
export interface Core {
  step(nowMs: number, input: Input): readonly Effect[];
}
