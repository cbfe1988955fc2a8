import {
  ACCOUNTS,
  BASIC_DATA_POSITION,
  bytesKey,
  decodeBasicData,
  decodeFlatKey,
  decodeFlatValue,
  equalBytes,
  type Genesis,
  keyBytes,
  NAMESPACE_BYTES,
  toHex,
  type TransactionReceipt,
} from '@shardlab/crosslink';
import type { PoolTransaction } from '@shardlab/shard';
import type { BlockChecker, ShardBlockRecord, Violations } from './violations.ts';

interface Account {
  balance: bigint;
  nonce: number;
}

/** A cross-shard transfer under way: what its sender has put aside. */
interface Open {
  readonly tx: PoolTransaction;
  readonly coordinator: number;
  readonly fee: bigint;
  /** Wei that wait for the Decision: the transaction's, or none once it is sent. */
  value: bigint;
  /** The recipient has it. */
  credited: boolean;
}

/** Sums of one shard, in wei. */
interface Sums {
  balances: bigint;
  escrow: bigint;
  burned: bigint;
}

/** One block under replay: what it belongs to, and what it has touched. */
interface Replay {
  readonly block: ShardBlockRecord['block'];
  readonly sums: Sums;
  readonly touched: Map<string, Account>;
}

/**
 * Replays the committed history one transaction after the other, on a model of its own that knows accounts, prices and nothing else, and compares every account that a
 * block says it has changed, every one that it should have, and the sums that its header states. A plain transfer within a shard is one step; one across shards is three
 * local ones: escrow, credit, settle (design, what must hold, 6). Blocks come in the order in which they became durable, which respects what was sent before it was
 * consumed. That a debit is covered where it is made is judged here as well: balances of plain transfers commute, so no order of them is wrong for any other reason.
 * Memory: accounts, and transfers under way.
 */
export class SerialOracle implements BlockChecker {
  private readonly violations: Violations;
  private readonly accounts = new Map<string, Account>();
  private readonly open = new Map<string, Open>();
  /** Accounts as blocks have stored them last; genesis to begin with. */
  private readonly stored = new Map<string, Readonly<Account>>();
  private readonly sums: readonly Sums[];

  constructor(options: { readonly genesis: Genesis; readonly genesisHeld: readonly bigint[] }, modules: { readonly violations: Violations }) {
    this.violations = modules.violations;
    this.sums = options.genesisHeld.map((balances) => ({ balances, escrow: 0n, burned: 0n }));
    for (const { address, balance } of options.genesis.allocation) {
      this.accounts.set(bytesKey(address), { balance, nonce: 0 });
      this.stored.set(bytesKey(address), { balance, nonce: 0 });
    }
  }

  block({ block }: ShardBlockRecord): void {
    const sums = this.sums[block.header.shard];
    if (sums === undefined) return;
    const replay: Replay = { block, sums, touched: new Map() };
    this.events(replay);
    this.settlements(replay);
    this.transactions(replay);
    this.compare(replay);
    for (const part of ['balances', 'escrow', 'burned'] as const) {
      const said = block.header.totals[part];
      if (said !== sums[part]) this.fail(replay, `says ${said} wei of ${part}, the serial history gives ${sums[part]}`);
    }
  }

  /** Decisions let go of the escrowed value, and credits, steps two, bring it to its recipient. */
  private events(replay: Replay): void {
    const { header, events } = replay.block;
    for (const { phase, outcome, peer, txHash } of events) {
      if (outcome !== 'commit' || peer === header.shard) continue;
      const open = this.open.get(bytesKey(txHash));
      if (phase === 'decided' && open !== undefined && open.coordinator === header.shard) {
        replay.sums.escrow -= open.value;
        open.value = 0n;
      } else if (phase === 'applied') {
        if (open?.tx.toKey === undefined || open.value !== 0n) this.fail(replay, `${toHex(txHash)} is credited, but nobody has escrowed it and decided`);
        else if (open.credited) this.fail(replay, `${toHex(txHash)} is credited twice`);
        else {
          open.credited = true;
          this.move(replay, open.tx.toKey, open.tx.value);
        }
      }
    }
  }

  /** Steps three: fees are burned, the rest of the escrow goes back. */
  private settlements(replay: Replay): void {
    for (const receipt of replay.block.receipts) {
      if (!receipt.crossShard) continue;
      const key = bytesKey(receipt.txHash);
      const open = this.open.get(key);
      this.open.delete(key);
      if (open === undefined) {
        this.fail(replay, `${toHex(receipt.txHash)} is settled, but it was not open`);
        continue;
      }
      if (open.credited !== (receipt.status === 1)) this.fail(replay, `${toHex(receipt.txHash)} has status ${receipt.status}, and was ${open.credited ? '' : 'not '}credited`);
      const burned = this.burn(replay, receipt, open.tx);
      replay.sums.escrow -= open.fee + open.value;
      this.move(replay, open.tx.senderKey, open.fee - burned + open.value);
    }
  }

  /** Local transfers whole, and the first step of those that leave. */
  private transactions(replay: Replay): void {
    const { header, receipts, transactions } = replay.block;
    const local = new Map(receipts.filter((receipt) => !receipt.crossShard).map((receipt) => [receipt.bodyIndex, receipt]));
    transactions.forEach((tx, index) => {
      const sender = this.touch(replay, tx.senderKey);
      if (tx.nonce !== sender.nonce) this.fail(replay, `${toHex(tx.hash)} has nonce ${tx.nonce}, its sender is at ${sender.nonce}`);
      sender.nonce = tx.nonce + 1;
      const tipped = header.baseFeePerGas + tx.maxPriorityFeePerGas;
      const price = tipped < tx.maxFeePerGas ? tipped : tx.maxFeePerGas;
      if (price < header.baseFeePerGas) this.fail(replay, `${toHex(tx.hash)} does not pay the base fee`);
      const receipt = local.get(index);
      if (receipt !== undefined && (receipt.effectiveGasPrice !== price || receipt.bodyHeight !== header.height)) this.fail(replay, `${toHex(tx.hash)} has the receipt of another`);
      const fee = receipt === undefined ? BigInt(tx.gasLimit) * price : this.burn(replay, receipt, tx);
      const value = receipt?.status === 0 ? 0n : tx.value;
      if (sender.balance < value + fee) this.fail(replay, `${toHex(tx.hash)} spends ${value + fee} wei of ${sender.balance}`);
      this.move(replay, tx.senderKey, -value - fee);
      if (receipt === undefined) {
        this.open.set(bytesKey(tx.hash), { tx, coordinator: header.shard, fee, value, credited: false });
        replay.sums.escrow += value + fee;
      } else if (tx.toKey !== undefined) this.move(replay, tx.toKey, value);
    });
  }

  private burn(replay: Replay, { gasUsed, effectiveGasPrice }: TransactionReceipt, tx: PoolTransaction): bigint {
    const burned = BigInt(gasUsed) * effectiveGasPrice;
    if (gasUsed > tx.gasLimit) this.fail(replay, `${toHex(tx.hash)} pays more than its gas limit`);
    replay.sums.burned += burned;
    return burned;
  }

  private touch({ touched }: Replay, key: string): Account {
    const account = this.accounts.get(key) ?? { balance: 0n, nonce: 0 };
    this.accounts.set(key, account);
    touched.set(key, account);
    return account;
  }

  /** Every account that a block moves wei of is its own shard's. */
  private move(replay: Replay, key: string, wei: bigint): void {
    this.touch(replay, key).balance += wei;
    replay.sums.balances += wei;
  }

  /** What the block stores of accounts is what the model has, and nothing is left out. */
  private compare(replay: Replay): void {
    const { block, touched } = replay;
    for (const { key, value } of block.delta.changes) {
      const { owner, treeIndex } = decodeFlatKey(key);
      // Of code and storage this model knows nothing.
      if (!equalBytes(owner.subarray(0, NAMESPACE_BYTES), ACCOUNTS) || treeIndex !== BASIC_DATA_POSITION.treeIndex) continue;
      const address = bytesKey(owner.subarray(NAMESPACE_BYTES));
      const { balance, nonce } = value === undefined ? NOBODY : decodeBasicData(decodeFlatValue(value)[0]!.value);
      this.stored.set(address, { balance, nonce });
      touched.delete(address);
      const wrong = this.differs(address);
      if (wrong !== undefined) this.fail(replay, wrong);
    }
    // What moved and came back within the block is no change: it must be where the last change left it.
    for (const key of touched.keys()) {
      const wrong = this.differs(key);
      if (wrong !== undefined) this.fail(replay, `${wrong}: the change is not in what is stored`);
    }
  }

  private differs(key: string): string | undefined {
    const stored = this.stored.get(key) ?? NOBODY;
    const account = this.accounts.get(key) ?? NOBODY;
    if (stored.balance === account.balance && stored.nonce === account.nonce) return undefined;
    return `${toHex(keyBytes(key))} is stored with ${stored.balance} wei and nonce ${stored.nonce}, the serial history gives ${account.balance} and ${account.nonce}`;
  }

  /** Every account that there ever was, once more, and no transfer half done. */
  atRest(): void {
    if (this.open.size > 0) this.violations.add('serial', `${this.open.size} transfers are escrowed for ever`);
    for (const key of new Set([...this.accounts.keys(), ...this.stored.keys()])) {
      const wrong = this.differs(key);
      if (wrong !== undefined) this.violations.add('serial', `at rest ${wrong}`);
    }
  }

  private fail({ block }: Replay, what: string): void {
    this.violations.add('serial', `block ${block.header.height} of shard ${block.header.shard}: ${what}`);
  }
}

const NOBODY: Readonly<Account> = { balance: 0n, nonce: 0 };
