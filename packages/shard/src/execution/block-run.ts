import {
  type Address,
  type AssignmentTable,
  balanceLock,
  type BlockEvent,
  bytesKey,
  type CrossShardMessage,
  type CrossShardProtocol,
  encodeMessage,
  type Hasher,
  invariant,
  type Moment,
  type Operation,
  type OperationOutcome,
  type Outgoing,
  type PairEntry,
  type ProtocolHost,
  type RecordNamespace,
  type Settlement,
  type ShardId,
  type TransactionReceipt,
} from '@shardlab/crosslink';
import type { Account, ShardState } from '../state/shard-state.ts';
import { GAS_TRANSACTION } from '../transaction/intrinsic-gas.ts';
import type { PoolTransaction } from '../transaction/types.ts';
import { type Charge, Charges } from './charges.ts';
import type { Leftover } from './types.ts';

/** The shard's running sums while a block executes. */
export interface RunningTotals {
  balances: bigint;
  escrow: bigint;
  burned: bigint;
  transactions: number;
  logs: number;
}

type MutablePair = { -readonly [K in keyof PairEntry]: PairEntry[K] };

/** What a run needs of its surroundings. */
export interface BlockRunContext {
  readonly hasher: Hasher;
  readonly chainId: number;
  readonly shard: ShardId;
  readonly state: ShardState;
  readonly protocol: CrossShardProtocol;
  readonly assignment: AssignmentTable;
  readonly gasLimit: number;
  readonly baseFeePerGas: bigint;
  readonly now: Moment;
  readonly totals: RunningTotals;
  readonly pairs: readonly MutablePair[];
}

/** One block's execution: moves money, and is the host of the cross-shard protocol while it lasts. Every wei that moves passes one of its methods. */
export class BlockRun implements ProtocolHost {
  readonly hasher: Hasher;
  readonly chainId: number;
  readonly shard: ShardId;
  readonly now: Moment;
  readonly receipts: TransactionReceipt[] = [];
  readonly events: BlockEvent[] = [];
  readonly settled: Settlement[] = [];
  gasUsed = 0;
  private readonly context: BlockRunContext;
  private readonly pairs: ReadonlyMap<ShardId, MutablePair>;
  private readonly outbox = new Map<ShardId, { firstSequence: number; messages: Uint8Array[] }>();
  private readonly charges: Charges;
  private cumulativeGas = 0;
  /** Transfers in a row with the same charge, whose fees are not booked yet: see {@link finish}. */
  private charged: Charge | undefined;
  private chargedCount = 0;

  constructor(context: BlockRunContext) {
    this.context = context;
    this.hasher = context.hasher;
    this.chainId = context.chainId;
    this.shard = context.shard;
    this.now = context.now;
    this.charges = new Charges(context.baseFeePerGas);
    this.pairs = new Map(context.pairs.map((pair) => [pair.shard, pair]));
  }

  private pair(shard: ShardId): MutablePair {
    const pair = this.pairs.get(shard);
    invariant(pair !== undefined, 'no such shard', { shard });
    return pair;
  }

  private opened(address: Address): Account {
    const account = this.context.state.open(bytesKey(address));
    this.context.state.touch(account);
    return account;
  }

  emit(destination: ShardId, message: CrossShardMessage): void {
    const pair = this.pair(destination);
    pair.sentSequence++;
    let entry = this.outbox.get(destination);
    if (entry === undefined) this.outbox.set(destination, (entry = { firstSequence: pair.sentSequence, messages: [] }));
    entry.messages.push(encodeMessage(message));
  }

  escrow(address: Address, amount: bigint): void {
    const account = this.opened(address);
    invariant(account.balance >= amount, 'escrow above the balance');
    account.balance -= amount;
    this.context.totals.balances -= amount;
    this.context.totals.escrow += amount;
  }

  unescrow(address: Address, amount: bigint): void {
    this.opened(address).balance += amount;
    this.context.totals.balances += amount;
    this.context.totals.escrow -= amount;
  }

  burnEscrow(amount: bigint): void {
    this.context.totals.escrow -= amount;
    this.context.totals.burned += amount;
  }

  sendValue(destination: ShardId, amount: bigint): void {
    this.context.totals.escrow -= amount;
    this.pair(destination).sentValue += amount;
  }

  receiveValue(source: ShardId, amount: bigint): boolean {
    const { totals } = this.context;
    const pair = this.pair(source);
    // Sums of real wei stay below 2^128 (R9): so must these, whatever a lying shard says that it sent.
    if ((totals.balances + totals.escrow + totals.burned + amount) >> 128n !== 0n || (pair.receivedValue + amount) >> 128n !== 0n) return false;
    totals.escrow += amount;
    pair.receivedValue += amount;
    return true;
  }

  /** R16: the recipient's shard decides. Without code it is a credit, which runs nothing, takes a delta, and can not fail. */
  execute(operation: Operation): OperationOutcome | { readonly kind: 'busy' } {
    if (this.gasUsed + GAS_TRANSACTION > this.context.gasLimit) return { kind: 'busy' };
    const home = this.context.assignment.shardOf(operation.to);
    if (home !== this.shard) return { kind: 'moved', shard: home };
    this.gasUsed += GAS_TRANSACTION;
    return { kind: 'yes', gasUsed: 0, locks: [{ key: balanceLock(operation.to), mode: 'delta' }] };
  }

  settle(settlement: Settlement): void {
    const { record, commit, gasUsed } = settlement;
    this.settled.push(settlement);
    this.list({
      txHash: record.txHash,
      type: record.transactionType,
      status: commit ? 1 : 0,
      crossShard: true,
      reason: record.reason,
      from: record.sender,
      to: record.to,
      gasUsed,
      effectiveGasPrice: record.gasPrice,
      bodyHeight: record.bodyHeight,
      bodyIndex: record.bodyIndex,
    });
  }

  private list(receipt: Omit<TransactionReceipt, 'cumulativeGasUsed'>): void {
    this.cumulativeGas += receipt.gasUsed;
    this.context.totals.transactions++;
    this.receipts.push({ ...receipt, cumulativeGasUsed: this.cumulativeGas });
  }

  event(event: BlockEvent): void {
    this.events.push(event);
  }

  putRecord(namespace: RecordNamespace, id: Uint8Array, value: Uint8Array | undefined): void {
    this.context.state.putRecord(namespace, id, value);
  }

  /** Runs one signed transaction of this shard as the block's body item `bodyIndex`. `undefined` = it is in. */
  transaction(tx: PoolTransaction, bodyIndex: number): Leftover | undefined {
    const { state, protocol, assignment, gasLimit } = this.context;
    const sender = state.account(tx.senderKey);
    const nonce = sender === undefined ? 0 : sender.nonce;
    if (tx.nonce < nonce) return 'nonce-too-low';
    const charge = this.charges.of(tx);
    if (tx.nonce > nonce || charge === undefined || this.gasUsed + tx.intrinsicGas > gasLimit) return 'later';
    const balance = sender === undefined ? 0n : sender.balance;
    if (balance < tx.value + charge.feeMax) return 'insufficient-funds';
    invariant(tx.to !== undefined && tx.toKey !== undefined, 'admission refuses creations');
    const exclusive = protocol.exclusiveHeld();
    if (exclusive && protocol.forbids(balanceLock(tx.sender), 'delta')) return 'blocked';
    // Who has an account here lives here: the table is asked only for strangers.
    const recipient = state.account(tx.toKey);
    const home = recipient === undefined ? assignment.shardOf(tx.to) : this.shard;
    if (home !== this.shard) return this.beginCrossShard(tx, tx.to, home, charge.price, bodyIndex);
    if (exclusive && protocol.forbids(balanceLock(tx.to), 'delta')) return 'blocked';
    const payer = sender ?? state.open(tx.senderKey);
    this.transfer(tx, payer, recipient ?? state.open(tx.toKey), charge, bodyIndex);
    return undefined;
  }

  private transfer(tx: PoolTransaction, sender: Account, recipient: Account, charge: Charge, bodyIndex: number): void {
    const { state, totals } = this.context;
    state.touch(sender);
    state.touch(recipient);
    sender.balance -= tx.value + charge.fee;
    sender.nonce++;
    recipient.balance += tx.value;
    if (charge !== this.charged) this.finish();
    this.charged = charge;
    this.chargedCount++;
    this.gasUsed += tx.intrinsicGas;
    this.cumulativeGas += tx.intrinsicGas;
    totals.transactions++;
    this.receipts.push({
      txHash: tx.hash,
      type: tx.type,
      status: 1,
      crossShard: false,
      reason: 'none',
      from: tx.sender,
      to: tx.to,
      gasUsed: tx.intrinsicGas,
      cumulativeGasUsed: this.cumulativeGas,
      effectiveGasPrice: charge.price,
      bodyHeight: this.now.height,
      bodyIndex,
    });
    this.events.push({ phase: 'applied', outcome: 'commit', peer: this.shard, txHash: tx.hash, reason: 'none' });
  }

  /** Books the fees of transfers that were put off: to be called before the totals are read. */
  finish(): void {
    if (this.charged === undefined) return;
    const fees = this.charged.fee * BigInt(this.chargedCount);
    this.context.totals.balances -= fees;
    this.context.totals.burned += fees;
    this.charged = undefined;
    this.chargedCount = 0;
  }

  private beginCrossShard(tx: PoolTransaction, to: Address, home: ShardId, price: bigint, bodyIndex: number): Leftover | undefined {
    const operation: Operation = { kind: 'transfer', from: tx.sender, to, value: tx.value, gasLimit: tx.gasLimit - tx.intrinsicGas };
    const begun = this.context.protocol.begin(this, {
      txHash: tx.hash,
      sender: tx.sender,
      to,
      transactionType: tx.type,
      operations: [{ shard: home, operation }],
      value: tx.value,
      gasPrice: price,
      gasLimit: tx.gasLimit,
      intrinsicGas: tx.intrinsicGas,
      locks: [{ key: balanceLock(tx.sender), mode: 'delta' }],
      bodyIndex,
    });
    if (begun !== 'begun') return 'blocked';
    // R18: the nonce is taken at Prepare and never given back.
    this.opened(tx.sender).nonce++;
    this.gasUsed += tx.intrinsicGas;
    return undefined;
  }

  /** Books one consumed message. */
  consumed(source: ShardId, sequence: number): void {
    const pair = this.pair(source);
    invariant(sequence === pair.consumedSequence + 1, 'inbox sequence with a gap', { source, sequence });
    pair.consumedSequence = sequence;
  }

  /** What leaves with the block, in ascending order of destination. */
  outgoing(): Outgoing[] {
    const each = [...this.outbox].map(([destination, { firstSequence, messages }]) => ({ destination, firstSequence, messages }));
    return each.sort((a, b) => a.destination - b.destination);
  }
}
