import { ACCOUNTS, bytesKey, decodeBasicData, decodeFlatKey, decodeFlatValue, equalBytes, type Genesis, NAMESPACE_BYTES, toHex } from '@shardlab/crosslink';
import type { PoolTransaction } from '@shardlab/shard';
import type { BlockChecker, ShardBlockRecord, Violations } from './violations.ts';

interface Account {
  balance: bigint;
  nonce: number;
}

/** A cross-shard transfer under way: what its sender has put aside. */
interface Open {
  readonly tx: PoolTransaction;
  readonly escrowFee: bigint;
}

/**
 * Replays the committed history one transaction after the other, on a model of its own that knows accounts, prices and nothing else, and compares every account that a
 * block says it has changed, and every one that it should have. A plain transfer within a shard is one step; one across shards is three local ones: escrow, credit,
 * settle (design, what must hold, 6). Blocks come in the order in which they became durable, which respects what was sent before it was consumed.
 */
export class SerialOracle implements BlockChecker {
  private readonly violations: Violations;
  private readonly accounts = new Map<string, Account>();
  private readonly open = new Map<string, Open>();
  /** Accounts as blocks have stored them last; genesis to begin with. */
  private readonly stored = new Map<string, Readonly<Account>>();

  constructor(options: { readonly genesis: Genesis }, modules: { readonly violations: Violations }) {
    this.violations = modules.violations;
    for (const { address, balance } of options.genesis.allocation) {
      this.accounts.set(bytesKey(address), { balance, nonce: 0 });
      this.stored.set(bytesKey(address), { balance, nonce: 0 });
    }
  }

  block({ block }: ShardBlockRecord): void {
    const { header } = block;
    const touched = new Map<string, Account>();
    const touch = (key: string): Account => {
      const account = this.accounts.get(key) ?? { balance: 0n, nonce: 0 };
      this.accounts.set(key, account);
      touched.set(key, account);
      return account;
    };
    const wrong = (what: string): void => this.violations.add('serial', `block ${header.height} of shard ${header.shard}: ${what}`);
    this.credits(block, touch, wrong);
    this.settlements(block, touch, wrong);
    this.transactions(block, touch, wrong);
    this.compare(block, touched, wrong);
  }

  /** Steps two: what decided transfers of other shards bring here. */
  private credits(block: ShardBlockRecord['block'], touch: (key: string) => Account, wrong: (what: string) => void): void {
    for (const { phase, outcome, peer, txHash } of block.events) {
      if (phase !== 'applied' || outcome !== 'commit' || peer === block.header.shard) continue;
      const open = this.open.get(bytesKey(txHash));
      if (open?.tx.toKey === undefined) wrong(`${toHex(txHash)} is credited, but nobody has escrowed it`);
      else touch(open.tx.toKey).balance += open.tx.value;
    }
  }

  /** Steps three: fees are burned, the rest of the escrow goes back. */
  private settlements(block: ShardBlockRecord['block'], touch: (key: string) => Account, wrong: (what: string) => void): void {
    for (const { txHash, crossShard, status, gasUsed, effectiveGasPrice } of block.receipts) {
      if (!crossShard) continue;
      const key = bytesKey(txHash);
      const open = this.open.get(key);
      this.open.delete(key);
      if (open === undefined) {
        wrong(`${toHex(txHash)} is settled, but it was not open`);
        continue;
      }
      const burned = BigInt(gasUsed) * effectiveGasPrice;
      if (burned > open.escrowFee) wrong(`${toHex(txHash)} pays more than its gas limit`);
      touch(open.tx.senderKey).balance += open.escrowFee - burned + (status === 1 ? 0n : open.tx.value);
    }
  }

  /** Local transfers whole, and the first step of those that leave. */
  private transactions(block: ShardBlockRecord['block'], touch: (key: string) => Account, wrong: (what: string) => void): void {
    const { baseFeePerGas, height } = block.header;
    const local = new Map(block.receipts.filter((receipt) => !receipt.crossShard).map((receipt) => [receipt.bodyIndex, receipt]));
    block.transactions.forEach((tx, index) => {
      const sender = touch(tx.senderKey);
      if (tx.nonce !== sender.nonce) wrong(`${toHex(tx.hash)} has nonce ${tx.nonce}, its sender is at ${sender.nonce}`);
      sender.nonce = tx.nonce + 1;
      const tipped = baseFeePerGas + tx.maxPriorityFeePerGas;
      const price = tipped < tx.maxFeePerGas ? tipped : tx.maxFeePerGas;
      const receipt = local.get(index);
      const fee = BigInt(receipt === undefined ? tx.gasLimit : receipt.gasUsed) * price;
      if (receipt !== undefined && (receipt.effectiveGasPrice !== price || receipt.bodyHeight !== height)) wrong(`${toHex(tx.hash)} has the receipt of another`);
      if (sender.balance < tx.value + fee) wrong(`${toHex(tx.hash)} spends ${tx.value + fee} wei of ${sender.balance}`);
      sender.balance -= tx.value + fee;
      if (receipt === undefined) this.open.set(bytesKey(tx.hash), { tx, escrowFee: fee });
      else if (tx.toKey !== undefined) touch(tx.toKey).balance += tx.value;
    });
  }

  /** What the block stores of accounts is what the model has, and nothing is left out. */
  private compare(block: ShardBlockRecord['block'], touched: Map<string, Account>, wrong: (what: string) => void): void {
    for (const { key, value } of block.delta.changes) {
      const { owner } = decodeFlatKey(key);
      if (!equalBytes(owner.subarray(0, NAMESPACE_BYTES), ACCOUNTS)) continue;
      const address = owner.subarray(NAMESPACE_BYTES);
      const stored = value === undefined ? { balance: 0n, nonce: 0 } : decodeBasicData(decodeFlatValue(value)[0]!.value);
      this.stored.set(bytesKey(address), { balance: stored.balance, nonce: stored.nonce });
      const account = this.accounts.get(bytesKey(address));
      touched.delete(bytesKey(address));
      if ((account?.balance ?? 0n) !== stored.balance || (account?.nonce ?? 0) !== stored.nonce) {
        wrong(`${toHex(address)} is stored with ${stored.balance} wei and nonce ${stored.nonce}, the serial history gives ${account?.balance ?? 0n} and ${account?.nonce ?? 0}`);
      }
    }
    // What moved and came back within the block is no change: it must be where the last change left it.
    for (const [key, { balance, nonce }] of touched) {
      const before = this.stored.get(key);
      if (before !== undefined && (before.balance !== balance || before.nonce !== nonce)) wrong('an account has changed in the serial history, but not in what is stored');
    }
  }

  atRest(): void {
    if (this.open.size > 0) this.violations.add('serial', `${this.open.size} transfers are escrowed for ever`);
  }

  /** Where an account stands in the serial history, for tests. */
  account(key: string): Readonly<Account> | undefined {
    return this.accounts.get(key);
  }
}

