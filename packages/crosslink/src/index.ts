export {
  type AssignmentOverride,
  AssignmentTable,
  assignmentHash,
  checkEpochCertificate,
  decodeEpochCertificate,
  encodeEpochCertificate,
  type EpochAssignment,
  type EpochCertificate,
  epochSubject,
  OVERRIDES_MAX,
  shardByRule,
} from './assignment.ts';
export {
  type BeaconBlock,
  beaconHash,
  type BeaconHeader,
  checkBeaconBlock,
  type Crosslink,
  crosslinkRoot,
  CROSSLINKS_MAX,
  decodeBeaconBlock,
  decodeBeaconHeader,
  decodeCrosslinks,
  encodeBeaconBlock,
  encodeBeaconHeader,
  encodeCrosslinks,
} from './beacon.ts';
export {
  type Block,
  BLOCK_TRANSACTIONS_MAX,
  type BlockBody,
  type BlockInput,
  decodeBlock,
  decodeBlockHead,
  decodeBlockInput,
  encodeBlock,
  encodedReceiptRoot,
  type EncodedReceipts,
  encodeReceipts,
  encodeBlockInput,
  INBOX_SEGMENTS_MAX,
  type InboxSegment,
  receiptRoot,
  TRANSACTION_BYTES_MAX,
  type TransactionReceipt,
  txRoot,
} from './block.ts';
export {
  buildCertificate,
  checkCertificate,
  type QuorumCertificate,
  quorumSize,
  readCertificate,
  VALIDATORS_MAX,
  voteMessage,
  type VotePhase,
  type VoteSubject,
  writeCertificate,
} from './certificate.ts';
export { decodeAll, Reader } from './codec/reader.ts';
export { Writer } from './codec/writer.ts';
export { type Crypto, type Hasher, type Signatures } from './crypto.ts';
export { ACCEPT, DecodeError, ignore, invariant, InvariantError, reject, ShardlabError, type Verdict } from './errors.ts';
export {
  ABORT_REASONS,
  type AbortReason,
  BLOCK_EVENT_BYTES,
  type BlockEvent,
  decodeBlockEvents,
  encodeBlockEvents,
  type EventOutcome,
  type Phase,
  PHASES,
} from './events.ts';
export {
  ALLOCATION_MAX,
  type Genesis,
  GENESIS_FORMAT_VERSION,
  genesisHash,
  type GenesisParameters,
  type GenesisWorkload,
  parseGenesis,
} from './genesis.ts';
export { BloomBuilder, bloomMayHold, decodeLogs, encodeLogs, type EventLog, LOGS_MAX, logsBloom, readLogs, TOPICS_MAX, writeLogs } from './logs.ts';
export { decodeHeader, encodeHeader, headerHash, LOGS_BLOOM_BYTES, readHeader, type ShardHeader, type Totals, writeHeader } from './header.ts';
export { emptyListRoot, type ListBranch, listBranch, listRoot, readListBranch, verifyListBranch, writeListBranch } from './merkle/list.ts';
export { STEM_TAG, stateStemHash } from './merkle/state-hash.ts';
export {
  decodeStateProof,
  encodeStateProof,
  STATE_DEPTH_MAX,
  STATE_PROOF_BYTES_MAX,
  type StateProof,
  type StateProofFailure,
  type StateProofResult,
  verifyStateProof,
} from './merkle/state-proof.ts';
export { computeStateRoot, type StateLeaf } from './merkle/state-root.ts';
export { emptyPairTable, type PairEntry, pairRoot, type PairTable, readPairTable, writePairTable } from './pairs.ts';
export {
  type Address,
  address,
  ascii,
  BEACON,
  bytesKey,
  compareBytes,
  concatBytes,
  equalBytes,
  fromHex,
  type Hash32,
  hash32,
  type Height,
  height,
  keyBytes,
  type ShardId,
  shardId,
  SHARDS_MAX,
  toHex,
  type TxHash,
  txHash,
  type Wei,
  ZERO_ADDRESS,
  ZERO_HASH,
} from './primitives.ts';
export { Prng } from './prng.ts';
export {
  buildAllBatches,
  buildBatches,
  checkBatchProof,
  checkHeaderCertificate,
  CHUNK_BYTES_MAX,
  CHUNK_MESSAGES_MAX,
  decodeBatch,
  encodeBatch,
  type OutEntry,
  type Outgoing,
  outRoot,
  type ReceiptBatch,
  splitChunks,
} from './receipt.ts';
export {
  decodeSnapshotHead,
  decodeSnapshotPage,
  encodeSnapshotHead,
  encodeSnapshotPage,
  SNAPSHOT_BLOCK_BYTES_MAX,
  SNAPSHOT_PAGE_BYTES,
  SNAPSHOT_PAGE_ENTRIES_MAX,
  type SnapshotEntry,
  type SnapshotHead,
} from './snapshot.ts';
export {
  ACCOUNT_STATUS,
  type AccountStatus,
  type BasicData,
  CODE_SIZE_MAX,
  decodeBasicData,
  encodeBasicData,
} from './state/basic-data.ts';
export { CODE_CHUNK_BYTES, codeChunkCount, decodeCodeChunks, encodeCodeChunks } from './state/code-chunks.ts';
export {
  checkFlatKey,
  decodeFlatKey,
  decodeFlatValue,
  encodeFlatKey,
  encodeFlatValue,
  FLAT_KEY_BYTES_MAX,
  FLAT_VALUE_BYTES_MAX,
  FLAT_VALUE_VERSION,
  type StemLeaf,
  type StemPreimage,
} from './state/flat.ts';
export { deriveFlatStems, firstSlotOf, isHeaderSlot, isStorageKey, writeStemPreimage, writeStorageIndex } from './state/flat-stems.ts';
export {
  accountOwner,
  ACCOUNTS,
  BASIC_DATA_POSITION,
  BLOCK_HASHES,
  CODE_HASH_POSITION,
  CODE_OFFSET,
  codeChunkPosition,
  deriveStem,
  deriveStems,
  HEADER_STORAGE_OFFSET,
  type LeafPosition,
  MAIN_STORAGE_OFFSET,
  type Namespace,
  namespace,
  NAMESPACE_BYTES,
  type Owner,
  owner,
  OWNER_BYTES,
  PARKED,
  recordChunkPosition,
  stateKey,
  type Stem,
  STEM_BYTES,
  storagePosition,
  TREE_INDEX_MAX,
  STUBS,
  XTX_COORDINATOR,
  XTX_PARTICIPANT,
} from './state/keys.ts';
export { decodeRecord, encodeRecord, RECORD_BYTES_MAX, RECORD_CHUNKS_MAX, recordChunkCount, recordChunksOf } from './state/record.ts';
export {
  type Announcement,
  ANSWER_ITEM_BYTES_MAX,
  decodeAnnouncement,
  decodeAnswer,
  decodeForward,
  decodeRequest,
  encodeAnnouncement,
  encodeAnswer,
  encodeForward,
  encodeRequest,
  FORWARD_BYTES_MAX,
  SNAPSHOT_CURSOR_BYTES_MAX,
  TOPICS,
  type WireRequest,
} from './wire.ts';
export { decodeStub, encodeStub } from './state/stub.ts';
export { backoffBlocks } from './xtx/coordinator.ts';
export { crossShardId, recordId, recordKey } from './xtx/identity.ts';
export { accountLock, balanceLock, compareAge, compatible, GRANTS_IN_ROW_MAX, type Lock, type LockMode, LockTable, storageLock } from './xtx/locks.ts';
export {
  type Ack,
  ACK_LOGS_BYTES_MAX,
  type Age,
  type Credit,
  type CrossShardMessage,
  decodeMessage,
  type Decision,
  encodeMessage,
  MESSAGE_BYTES_MAX,
  NEEDS_MAX,
  type Prepare,
  type Vote,
  type VoteAnswer,
} from './xtx/messages.ts';
export {
  type Call,
  CALL_DATA_BYTES_MAX,
  type CallOperation,
  CALLS_MAX,
  type CreateOperation,
  keepStubs,
  mergeOperations,
  type Operation,
  type Stub,
  STUBS_MAX,
  type TransferOperation,
  withoutData,
} from './xtx/operations.ts';
export { type CrossShardProtocol, type ProtocolCounts, type ProtocolDue, type ProtocolHost, type RecordNamespace } from './xtx/protocol.ts';
export {
  decodeCoordinatorRecord,
  decodeParkedCredit,
  decodeParticipantRecord,
  decodeTombstone,
  encodeCoordinatorRecord,
  encodeParkedCredit,
  encodeParticipantRecord,
  encodeTombstone,
} from './xtx/records.ts';
export { TwoPhaseCommit, type TwoPhaseCommitOptions } from './xtx/two-phase-commit.ts';
export {
  type CoordinatorPhase,
  type CoordinatorRecord,
  type CrossShardIntent,
  EFFECTS_BYTES_MAX,
  type Moment,
  type Needed,
  type OperationOutcome,
  type ParticipantProgress,
  type ParticipantRecord,
  type ParticipantStatus,
  PARTICIPANTS_MAX,
  type Settlement,
} from './xtx/types.ts';
