import {
  type AbortReason,
  accountLock,
  type Address,
  type AssignmentTable,
  type BloomBuilder,
  balanceLock,
  type BlockEvent,
  bytesKey,
  type CrossShardMessage,
  type CrossShardProtocol,
  decodeLogs,
  type Hash32,
  type Hasher,
  invariant,
  type Moment,
  type Operation,
  type OperationOutcome,
  type Outgoing,
  type ProtocolHost,
  type RecordNamespace,
  type Settlement,
  type ShardId,
  type TransactionReceipt,
  type TxHash,
} from '@shardlab/crosslink';
import type { ExecutionState } from '../state/execution-state.ts';
import type { Account } from '../state/shard-state.ts';
import type { PoolTransaction } from '../transaction/types.ts';
import { type Charge, Charges } from './charges.ts';
import { CreditSender } from './contracts/credit-sender.ts';
import { hasCode, Homes, isRooted } from './contracts/homes.ts';
import { contractOf, operationOf, type Part, partsOfBatch, partsWithStubs } from './contracts/intents.ts';
import { Operations, reasonOf } from './contracts/operations.ts';
import type { ContractRunner } from './contracts/runner.ts';
import type { BlockEnvironment } from './evm/types.ts';
import { Ledger, type MutablePair, type RunningTotals } from './ledger.ts';
import type { SpeculatedTransaction } from './parallel/speculation.ts';
import { ReceiptList } from './receipt-list.ts';
import type { Leftover } from './types.ts';

const NO_LOGS: TransactionReceipt['logs'] = [];
/** EIP-7702. */
const SET_CODE_TYPE = 4;

/** What a run needs of its surroundings. */
export interface BlockRunContext {
  readonly hasher: Hasher;
  readonly chainId: number;
  readonly shard: ShardId;
  readonly state: ExecutionState;
  readonly protocol: CrossShardProtocol;
  readonly contracts: ContractRunner;
  readonly blooms: BloomBuilder;
  readonly assignment: AssignmentTable;
  readonly environment: BlockEnvironment;
  readonly parentHash: Hash32;
  readonly gasLimit: number;
  readonly baseFeePerGas: bigint;
  readonly now: Moment;
  readonly totals: RunningTotals;
  readonly pairs: readonly MutablePair[];
}

/** One block's execution: moves money, runs contracts, and is the host of the cross-shard protocol while it lasts. */
export class BlockRun implements ProtocolHost {
  readonly hasher: Hasher;
  readonly chainId: number;
  readonly shard: ShardId;
  readonly now: Moment;
  readonly events: BlockEvent[] = [];
  readonly settled: Settlement[] = [];
  gasUsed = 0;
  private readonly context: BlockRunContext;
  private readonly homes: Homes;
  private readonly ledger: Ledger;
  private readonly list: ReceiptList;
  private readonly credits: CreditSender;
  private readonly operations: Operations;
  private readonly charges: Charges;
  /** Transfers in a row with the same charge, whose fees are not booked yet: see {@link finish}. */
  private charged: Charge | undefined;
  private chargedCount = 0;
  /** Gas of runs that did not count: see {@link contract}. */
  private gasInVain = 0;

  constructor(context: BlockRunContext) {
    const { hasher, chainId, shard, now, state, assignment, totals } = context;
    this.context = context;
    this.hasher = hasher;
    this.chainId = chainId;
    this.shard = shard;
    this.now = now;
    this.homes = new Homes(shard, { state, assignment });
    this.ledger = new Ledger(shard, totals, context.pairs);
    this.list = new ReceiptList(context.blooms, totals);
    this.charges = new Charges(context.baseFeePerGas);
    const { contracts } = context;
    const [homes, ledger] = [this.homes, this.ledger];
    this.credits = new CreditSender({ ledger, homes });
    this.operations = new Operations(shard, { state, homes, contracts, ledger, credits: this.credits });
    contracts.begin(context.environment, this.homes, context.parentHash);
  }

  /** Receipts of the listed transactions. */
  get receipts(): readonly TransactionReceipt[] {
    return this.list.receipts;
  }

  /** Filter over the logs of the listed transactions, 256 bytes. */
  get logsBloom(): Uint8Array {
    return this.list.logsBloom;
  }

  private opened(address: Address): Account {
    const account = this.context.state.open(bytesKey(address));
    this.context.state.touch(account);
    return account;
  }

  emit(destination: ShardId, message: CrossShardMessage): void {
    this.ledger.emit(destination, message);
  }

  escrow(address: Address, amount: bigint): void {
    const account = this.opened(address);
    invariant(account.balance >= amount, 'escrow above the balance');
    account.balance -= amount;
    this.ledger.toEscrow(amount);
  }

  unescrow(address: Address, amount: bigint): void {
    this.opened(address).balance += amount;
    this.ledger.fromEscrow(amount);
  }

  burnEscrow(amount: bigint): void {
    this.ledger.burnEscrow(amount);
  }

  sendValue(destination: ShardId, amount: bigint): void {
    this.ledger.send(destination, amount);
  }

  receiveValue(source: ShardId, amount: bigint): boolean {
    return this.ledger.receive(source, amount);
  }

  homeOf(address: Address): ShardId {
    return this.homes.homeOf(address);
  }

  execute(operation: Operation, gasPrice: bigint, txHash: TxHash): OperationOutcome | { readonly kind: 'busy' } {
    const { outcome, blockGas } = this.operations.execute(operation, gasPrice, this.context.gasLimit - this.gasUsed, txHash);
    this.gasUsed += blockGas;
    return outcome;
  }

  apply(operation: Operation, effects: Uint8Array | undefined, txHash: TxHash): Uint8Array {
    return this.operations.apply(operation, effects, txHash);
  }

  settle(settlement: Settlement): void {
    const { record, commit, gasUsed } = settlement;
    this.settled.push(settlement);
    this.list.add({
      txHash: record.txHash,
      type: record.transactionType,
      status: commit ? 1 : 0,
      crossShard: true,
      reason: record.reason,
      from: record.sender,
      to: record.to,
      gasUsed,
      cumulativeGasUsed: this.list.cumulative(gasUsed),
      effectiveGasPrice: record.gasPrice,
      contractAddress: commit ? contractOf(this.hasher, record) : undefined,
      logs: settlement.logs.flatMap((each) => (each.length === 0 ? [] : decodeLogs(each))),
      bodyHeight: record.bodyHeight,
      bodyIndex: record.bodyIndex,
    });
  }

  event(event: BlockEvent): void {
    this.events.push(event);
  }

  putRecord(namespace: RecordNamespace, id: Uint8Array, value: Uint8Array | undefined): void {
    this.context.state.putRecord(namespace, id, value);
  }

  /** Runs one signed transaction of this shard as the block's body item `bodyIndex`; `known`: what it did when it was executed beforehand. `undefined` = it is in. */
  transaction(tx: PoolTransaction, bodyIndex: number, known?: SpeculatedTransaction): Leftover | undefined {
    const { state, protocol, gasLimit } = this.context;
    const sender = state.account(tx.senderKey);
    const nonce = sender === undefined ? 0 : sender.nonce;
    if (tx.nonce < nonce) return 'nonce-too-low';
    const charge = this.charges.of(tx);
    if (tx.nonce > nonce || charge === undefined || this.gasUsed + tx.intrinsicGas > gasLimit) return 'later';
    const balance = sender === undefined ? 0n : sender.balance;
    if (balance < tx.value + charge.feeMax) return 'insufficient-funds';
    const exclusive = protocol.exclusiveHeld();
    if (exclusive && this.isHeld(sender, tx.sender)) return 'blocked';
    if (tx.calls !== undefined) return this.batch(tx, charge.price, bodyIndex);
    if (tx.to === undefined || tx.toKey === undefined) return this.contract(tx, charge.price, bodyIndex);
    // Who has an account here lives here: the table is asked only for strangers.
    const recipient = state.account(tx.toKey);
    if (recipient === undefined || !isRooted(recipient)) {
      const home = this.homes.homeOf(tx.to, tx.toKey, recipient);
      if (home !== this.shard) return this.begin(tx, charge.price, [{ shard: home, operation: operationOf(tx) }], bodyIndex);
    }
    if (tx.type === SET_CODE_TYPE || this.homes.isPrecompile(tx.to, tx.toKey) || (recipient !== undefined && hasCode(recipient))) return this.contract(tx, charge.price, bodyIndex, known);
    if (exclusive && protocol.forbids(balanceLock(tx.to), 'delta')) return 'blocked';
    const payer = sender ?? state.open(tx.senderKey);
    this.transfer(tx, payer, recipient ?? state.open(tx.toKey), charge, bodyIndex);
    return undefined;
  }

  /**
   * Whether an open cross-shard transaction holds what every transaction takes of its sender: wei, and a nonce. A nonce changes by nobody else's doing unless there is code
   * that can create (EIP-7702). Who only reads an account reads its code, or that it is not empty, which no transaction of its own changes.
   */
  private isHeld(sender: Account | undefined, address: Address): boolean {
    const { protocol } = this.context;
    return protocol.forbids(balanceLock(address), 'delta') || (sender !== undefined && hasCode(sender) && protocol.forbids(accountLock(address), 'read'));
  }

  private transfer(tx: PoolTransaction, sender: Account, recipient: Account, charge: Charge, bodyIndex: number): void {
    const { state } = this.context;
    state.touch(sender);
    state.touch(recipient);
    sender.balance -= tx.value + charge.fee;
    sender.nonce++;
    recipient.balance += tx.value;
    if (charge !== this.charged) this.finish();
    this.charged = charge;
    this.chargedCount++;
    this.listLocal(tx, 'none', tx.intrinsicGas, charge.price, undefined, NO_LOGS, bodyIndex);
  }

  /** A transaction that runs code (Yellow Paper 6). What the EVM did is looked at before any of it counts. */
  private contract(tx: PoolTransaction, price: bigint, bodyIndex: number, known?: SpeculatedTransaction): Leftover | undefined {
    const { contracts, gasLimit } = this.context;
    if (this.gasUsed + tx.gasLimit > gasLimit) return 'later';
    // What runs and is left out is paid by nobody: no more of it than a block's worth. A verifier runs less of it, never more.
    if (this.gasInVain > gasLimit) return 'blocked';
    const outcome = tx.calls === undefined ? contracts.transaction(tx, known) : contracts.batch(tx, tx.calls, price);
    if ('invalid' in outcome) return 'refused';
    const foreign = this.homes.keptElsewhere(contracts.created());
    this.gasInVain += outcome.gasUsed;
    if (foreign.length > 0) return this.beginWithStubs(tx, price, foreign, bodyIndex);
    if (this.isLocked(tx)) return 'blocked';
    if (!this.credits.haveRoom(outcome.credits)) return 'later';
    this.gasInVain -= outcome.gasUsed;
    const sum = contracts.apply();
    let credited = 0n;
    for (const { address, wei } of outcome.credits) {
      this.ledger.toEscrow(wei);
      credited += this.credits.send(this.homes.homeOf(address), address, wei, tx.hash);
    }
    this.ledger.burn(-sum - credited);
    const { halt, gasUsed, gasPrice, created, logs } = outcome;
    this.listLocal(tx, halt === undefined ? 'none' : reasonOf(halt), gasUsed, gasPrice, created, logs, bodyIndex);
    return undefined;
  }

  /** Whether an open cross-shard transaction holds what the last run read or changed (R17). */
  private isLocked({ sender }: PoolTransaction): boolean {
    const { protocol, contracts } = this.context;
    if (protocol.counts().locksHeld === 0) return false;
    return contracts.locks(sender).some(({ key, mode }) => protocol.forbids(key, mode));
  }

  /** The receipt and event of a transaction that ran here. Arguments one by one: an object for them is a tenth of a transfer. */
  private listLocal(
    tx: PoolTransaction,
    reason: AbortReason,
    gasUsed: number,
    gasPrice: bigint,
    created: Address | undefined,
    logs: TransactionReceipt['logs'],
    bodyIndex: number,
  ): void {
    this.gasUsed += gasUsed;
    this.list.add({
      txHash: tx.hash,
      type: tx.type,
      status: reason === 'none' ? 1 : 0,
      crossShard: false,
      reason,
      from: tx.sender,
      to: tx.to,
      gasUsed,
      cumulativeGasUsed: this.list.cumulative(gasUsed),
      effectiveGasPrice: gasPrice,
      contractAddress: created,
      logs,
      bodyHeight: this.now.height,
      bodyIndex,
    });
    this.events.push({ phase: 'applied', outcome: 'commit', peer: this.shard, txHash: tx.hash, reason });
  }

  /** Books the fees of transfers that were put off: to be called before the totals are read. */
  finish(): void {
    if (this.charged === undefined) return;
    this.ledger.burn(this.charged.fee * BigInt(this.chargedCount));
    this.charged = undefined;
    this.chargedCount = 0;
  }

  /** An atomic batch: every shard with calls in it takes part, the own one too; if there is no other, it runs here like any local transaction. */
  private batch(tx: PoolTransaction, price: bigint, bodyIndex: number): Leftover | undefined {
    const parts = partsOfBatch(tx, (address) => this.homes.homeOf(address));
    return parts.every(({ shard }) => shard === this.shard) ? this.contract(tx, price, bodyIndex) : this.begin(tx, price, parts, bodyIndex);
  }

  /** R11: a transaction that makes contracts whose stubs other shards have to keep is undone, and becomes a Prepare in the same position. */
  private beginWithStubs(tx: PoolTransaction, price: bigint, created: readonly Address[], bodyIndex: number): Leftover | undefined {
    const parts = partsWithStubs(this.shard, tx, created, (address) => this.homes.ruleOf(address));
    // Authorizations count whatever becomes of the calls, and would be undone with them.
    return parts === undefined || tx.type === SET_CODE_TYPE ? 'refused' : this.begin(tx, price, parts, bodyIndex);
  }

  private begin(tx: PoolTransaction, gasPrice: bigint, operations: readonly Part[], bodyIndex: number): Leftover | undefined {
    const { hash: txHash, sender, to, type: transactionType, value, gasLimit, intrinsicGas } = tx;
    const own = operations.some(({ shard }) => shard === this.shard);
    const locks = own ? [] : [{ key: balanceLock(sender), mode: 'delta' as const }];
    // R18: the nonce is taken at Prepare and never given back.
    const { state } = this.context;
    const account = state.open(tx.senderKey);
    const isFirst = !account.touched;
    state.touch(account);
    account.nonce++;
    this.gasUsed += intrinsicGas;
    const intent = { txHash, sender, to, transactionType, operations, value, gasPrice, gasLimit, intrinsicGas, locks, bodyIndex };
    if (this.authorize(tx) && this.context.protocol.begin(this, intent) === 'begun') {
      if (transactionType === SET_CODE_TYPE) this.context.contracts.apply();
      return undefined;
    }
    account.nonce--;
    if (isFirst) state.untouch(account);
    this.gasUsed -= intrinsicGas;
    return 'blocked';
  }

  /**
   * Runs the authorizations of a transaction that leaves this shard, without applying them yet. False: an open cross-shard transaction holds an account that authorizes,
   * whose code or nonce it has read or is going to change (R16).
   */
  private authorize(tx: PoolTransaction): boolean {
    if (tx.type !== SET_CODE_TYPE) return true;
    if (this.gasInVain > this.context.gasLimit) return false;
    this.context.contracts.authorize(tx);
    if (!this.isLocked(tx)) return true;
    this.gasInVain += tx.intrinsicGas;
    return false;
  }

  /** Books one consumed message. */
  consumed(source: ShardId, sequence: number): void {
    this.ledger.consumed(source, sequence);
  }

  /** What leaves with the block, in ascending order of destination. */
  outgoing(): Outgoing[] {
    return this.ledger.outgoing();
  }
}
