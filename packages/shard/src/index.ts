export { type BeaconHead, type BeaconModules, type BeaconOptions, BeaconReplica, type BeaconStart } from './beacon/beacon.ts';
export { type CrosslinkTip } from './beacon/crosslink-queue.ts';
export { type EpochIssuer, EpochVotes } from './beacon/epoch-votes.ts';
export { BeaconFollower, type BeaconTip } from './beacon/follower.ts';
export { COMMITTEE_SIZES, type PbftModules, type PbftOptions } from './consensus/pbft/committee.ts';
export { type PbftStart } from './consensus/pbft/memory.ts';
export {
  type ConsensusMessage,
  decodeMessage as decodeConsensusMessage,
  encodeMessage as encodeConsensusMessage,
  type ProposalMessage,
  type VoteMessage,
} from './consensus/pbft/messages.ts';
export { Pbft } from './consensus/pbft/pbft.ts';
export {
  type AgreedHead,
  type Consensus,
  type ConsensusOutput,
  type ConsensusStatus,
  type HeaderFields,
  type Proposal,
  type ProposalChange,
} from './consensus/types.ts';
export {
  type Core,
  type Effect,
  type ExecutionOutcome,
  type Input,
  type Peer,
  type PersistRecord,
  type Snapshot,
  type SubmitResult,
  type TimerName,
} from './effects.ts';
export { Epochs, type KnownEpoch } from './exchange/epochs.ts';
export { HeaderCheck } from './exchange/header-check.ts';
export { DEFAULT_INBOX, Inbox, type InboxOptions } from './exchange/inbox.ts';
export { Outbox, type OutboxEntry } from './exchange/outbox.ts';
export {
  BlockExecutor,
  type BlockExecutorModules,
  type BlockExecutorOptions,
  type ExecutionCrypto,
  genesisBlock,
  InvalidBlockError,
  type ParentBlock,
} from './execution/block-executor.ts';
export type { AheadOfBlock, FoundAhead } from './execution/ahead.ts';
export type { SpeculationCounts } from './execution/contracts/runner.ts';
export { effectiveGasPrice, nextBaseFee } from './execution/fees.ts';
export { type BlockProposal, type ExecutedBlock, type Leftover } from './execution/types.ts';
export { type ChainRules, checkStatic, type Rejection, rejection, type RejectionCode, rejectionOf } from './mempool/admission.ts';
export { DEFAULT_MEMPOOL, Mempool, type MempoolOptions } from './mempool/mempool.ts';
export { proposalDelayMs, type ScheduleOptions } from './production/schedule.ts';
export { type LogLine } from './log-line.ts';
export { WINDOW } from './replica/production.ts';
export { type BlockJudges, type OlderLimits } from './replica/catch-up/older-blocks.ts';
export {
  DEFAULT_SNAPSHOT_LIMITS,
  SnapshotFetch,
  type SnapshotFault,
  type SnapshotFetchModules,
  type SnapshotFetchOptions,
  type SnapshotLimits,
  type SnapshotStep,
} from './replica/catch-up/snapshot-fetch.ts';
export { ShardReplica } from './replica/replica.ts';
export { type FinalHead, type ReplicaCounters, type ReplicaModules, type ReplicaOptions, type ReplicaStart } from './replica/types.ts';
export { accountFlatKey, accountFlatValue, type FlatChange, type FlatEntry } from './state/flat-account.ts';
export { type StateRecord } from './state/record-store.ts';
export { genesisBalance, genesisEntries } from './state/genesis-state.ts';
export { type Account, type Contract } from './state/account.ts';
export { type AccountReader, type ProvenKey, ShardState, type StateDelta } from './state/shard-state.ts';
export { Trie, type TrieCommit, type TrieSize } from './state/trie/trie.ts';
export { AdmissionBatch, RECORD_BYTES } from './transaction/admission-record.ts';
export { addressOfPublicKey, decodeCalls, decodeTransaction, intrinsicGasOf, recoverSender } from './transaction/decode.ts';
export { addressOfSecretKey, encodeTransaction, type SignedTransaction, signingPayload, signTransaction } from './transaction/encode.ts';
export { statusOf, TRANSACTION_ERRORS, TransactionError, type TransactionErrorCode } from './transaction/errors.ts';
export { GAS_TRANSACTION, INITCODE_BYTES_MAX, intrinsicGas } from './transaction/intrinsic-gas.ts';
export { type AdmissionPolicy, recoverBatch } from './transaction/recover-batch.ts';
export {
  type AccessListEntry,
  type AccessListFields,
  BATCH_CALLS_MAX,
  BATCH_TYPE,
  type BatchCall,
  type BatchFields,
  type DecodedTransaction,
  type DynamicFeeFields,
  type LegacyFields,
  type PoolTransaction,
  type RecoveryPrimitives,
  type SetCodeFields,
  type SignedAuthorization,
  type TransactionFields,
  type TransactionSignature,
  type TransactionSigner,
  type TransactionType,
} from './transaction/types.ts';
export { type EvmCrypto, type EvmFork, type Precompile, type Precompiles } from './execution/evm/types.ts';
export { type FoundAccessList, findAccessList } from './execution/evm/simulate/access-list.ts';
export { BlockHashWanted, nextHeader, pastEnvironment } from './execution/evm/simulate/environment.ts';
export { estimateGas, type GasEstimate } from './execution/evm/simulate/estimate-gas.ts';
export { haltWords } from './execution/evm/simulate/halt-words.ts';
export { type AccountOverride, OverriddenSource } from './execution/evm/simulate/overridden-source.ts';
export { PastSource, type PastSourceModules } from './execution/evm/simulate/past-source.ts';
export { PastStems } from './execution/evm/simulate/past-stems.ts';
export { revertReason } from './execution/evm/simulate/revert-reason.ts';
export { type NotSimulated, type Simulated, type SimulatedRequest, Simulator } from './execution/evm/simulate/simulator.ts';
export { type CallFrame, CallTracer, type CallTracerOptions, type TracedWhole } from './execution/evm/trace/call-tracer.ts';
export { TraceBound, type TraceLimits } from './execution/evm/trace/trace-bound.ts';
export { type StructLog, StructLogger, type StructLoggerOptions } from './execution/evm/trace/struct-logger.ts';
export { type Authorization, authorizationDigest, type AuthorizationFields, recoverAuthority } from './execution/evm/authorizations.ts';
export { Homes } from './execution/contracts/homes.ts';
export { type JudgedOutcome, type ObservedRun } from './execution/contracts/run-observer.ts';
export { replayBlock, type ReplayedBlock, type ReplayedPart, type ReplayModules } from './execution/replay/replay-block.ts';
export { dataOf, poolTransactionOf, toEvmTransaction } from './transaction/evm-transaction.ts';
export { type EvmFeePolicy, type EvmTransaction, type TransactionOutcome } from './execution/evm/transaction.ts';
export { type BlockEnvironment, type SourceAccount, type StateSource } from './execution/evm/types.ts';
export { type WorldChanges } from './execution/evm/world-state.ts';
export { type BlockResult, MergedResult } from './execution/parallel/block-result.ts';
export { ConflictGraph } from './execution/parallel/conflict-graph.ts';
export { SerialExecutor } from './execution/parallel/execute-serial.ts';
export {
  DEFAULT_PARALLEL,
  ParallelBlock,
  type ParallelCounts,
  type ParallelOptions,
  type ParallelStep,
  type PreparedFootprints,
  type RunOrder,
  type SerialReason,
} from './execution/parallel/parallel-block.ts';
export { AccessPredictor, type Footprint, isProvisional } from './execution/parallel/predictor.ts';
export { type ExecutionRules, RunExecutor } from './execution/parallel/run-executor.ts';
export { type RunResult, transferables } from './execution/parallel/run-result.ts';
export { SharedSource, SharedState, sharedStateBytes, type SharedStateSize } from './execution/parallel/shared-state.ts';
export { packSpeculated, unpackSpeculated } from './execution/parallel/speculation-codec.ts';
export { type HomeRead, type SpeculatedTransaction, type Speculation, type SpeculativeReads, validates } from './execution/parallel/speculation.ts';
export { SpeculativeExecutor } from './execution/parallel/speculative-executor.ts';
export { StateMirror } from './execution/parallel/state-mirror.ts';
export { packBlock, packTransactions, unpackBlock, unpackTransactions } from './execution/parallel/transaction-codec.ts';
