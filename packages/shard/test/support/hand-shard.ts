import { type Address, AssignmentTable, bytesKey, computeStateRoot, type CoordinatorRecord, type Crypto, decodeCoordinatorRecord, decodeFlatKey, decodeFlatValue, decodeParkedCredit, deriveStem, type Genesis, type Hash32, type Height, type InboxSegment, type ShardId, type StateLeaf, TwoPhaseCommit, ZERO_HASH } from '@shardlab/crosslink';
import type { ExecutionCrypto } from '../../src/execution/block-executor.ts';
import { BlockExecutor, genesisBlock } from '../../src/execution/block-executor.ts';
import type { BlockProposal, ExecutedBlock } from '../../src/execution/types.ts';
import { genesisBalance, genesisEntries } from '../../src/state/genesis-state.ts';
import type { FlatChange } from '../../src/state/flat-account.ts';
import { ShardState } from '../../src/state/shard-state.ts';
import type { PoolTransaction } from '../../src/transaction/types.ts';

/** One shard's executor with a database of flat values beside it, driven by hand: no replica, no consensus, no network. */
export class HandShard {
  readonly genesis: Genesis;
  readonly shard: ShardId;
  readonly state: ShardState;
  readonly protocol: TwoPhaseCommit;
  readonly executor: BlockExecutor;
  readonly table: AssignmentTable;
  /** The database: flat values by `bytesKey` of their flat keys. */
  readonly flat = new Map<string, FlatChange & { readonly value: Uint8Array }>();
  private readonly crypto: Crypto & ExecutionCrypto;

  /** On genesis, or on what another's database holds, at its head. */
  constructor(crypto: Crypto & ExecutionCrypto, genesis: Genesis, shard: ShardId, stored?: HandShard) {
    this.crypto = crypto;
    this.genesis = genesis;
    this.shard = shard;
    const { chainId, shards, timestampMs, parameters } = genesis;
    this.table = new AssignmentTable(crypto, { shards, overrides: [] });
    for (const entry of stored?.flat.values() ?? genesisEntries(crypto, genesis, shard)) this.flat.set(bytesKey(entry.key), entry);
    this.state = new ShardState(crypto);
    const root = this.state.load(this.flat.values());
    const options = { chainId, shard, gasLimit: parameters.blockGasLimit };
    const block = genesisBlock(crypto, { ...options, shards, timestampMs, baseFeePerGas: parameters.baseFeePerGas }, root, genesisBalance(crypto, genesis, shard));
    this.protocol = new TwoPhaseCommit(parameters);
    for (const { namespace, id, value } of this.state.protocolRecords()) this.protocol.restore(namespace, id, value);
    this.executor = new BlockExecutor({ ...options, fork: genesis.forks, feePolicy: genesis.feePolicy }, { crypto, state: this.state, protocol: this.protocol }, stored?.executor.head ?? block);
  }

  /** As after a restart: everything rebuilt from the database. */
  static restore(crypto: Crypto & ExecutionCrypto, genesis: Genesis, stored: HandShard): HandShard {
    return new HandShard(crypto, genesis, stored.shard, stored);
  }

  /** What the next block would be made from. */
  proposal(transactions: readonly PoolTransaction[], timestampMs: number, inbox: readonly InboxSegment[] = [], mode: BlockProposal['mode'] = 'build'): BlockProposal {
    const { header } = this.executor.head;
    return { height: (header.height + 1) as Height, timestampMs, epoch: 0, epochCertificateHash: ZERO_HASH, proposer: 0, inbox, transactions, mode };
  }

  execute(proposal: BlockProposal): ExecutedBlock {
    return this.executor.execute(proposal, this.table);
  }

  /** Applies a block to the database. */
  store(block: ExecutedBlock): void {
    for (const { key, value } of block.delta.changes) {
      if (value === undefined) this.flat.delete(bytesKey(key));
      else this.flat.set(bytesKey(key), { key, value });
    }
  }

  /** The root of the database by crosslink's plain definition of it: no code of the trie. */
  modelRoot(): Hash32 {
    const leaves: StateLeaf[] = [];
    for (const { key, value } of this.flat.values()) {
      const { owner, treeIndex } = decodeFlatKey(key);
      const stem = deriveStem(this.crypto, owner, treeIndex);
      for (const leaf of decodeFlatValue(value)) leaves.push({ key: Uint8Array.from([...stem, leaf.suffix]), value: leaf.value });
    }
    return computeStateRoot(this.crypto, leaves);
  }

  /** Open records as coordinator, read from the state. */
  coordinated(): CoordinatorRecord[] {
    return [...this.state.protocolRecords()].filter((each) => each.namespace === 'coordinator').map((each) => decodeCoordinatorRecord(each.value));
  }

  /** Wei in escrow, by the records in the state. */
  escrow(): bigint {
    let sum = 0n;
    for (const record of this.coordinated()) sum += record.escrowValue + record.escrowFee;
    for (const each of this.state.protocolRecords()) if (each.namespace === 'parked') sum += decodeParkedCredit(each.value);
    return sum;
  }

  balance(address: Address): bigint {
    return this.state.account(bytesKey(address))?.balance ?? 0n;
  }

  nonce(address: Address): number {
    return this.state.account(bytesKey(address))?.nonce ?? 0;
  }
}

/** What an executed block sends to `destination`, as that shard's inbox gets it. */
export function segmentsOf(block: ExecutedBlock, destination: ShardId): InboxSegment[] {
  return block.outgoing
    .filter((each) => each.destination === destination)
    .map(({ firstSequence, messages }) => ({
      source: block.header.shard,
      sourceHeight: block.header.height,
      sourceHash: block.hash,
      sourceTimestampMs: block.header.timestampMs,
      firstSequence,
      messages,
    }));
}
