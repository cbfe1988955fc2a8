import { type Address, AssignmentTable, bytesKey, decodeMessage, fromHex, type Genesis, type Hasher, keyBytes, toHex, type TransactionReceipt } from '@shardlab/crosslink';
import { type Authorization, decodeTransaction, type PoolTransaction, recoverAuthority, type RecoveryPrimitives } from '@shardlab/shard';
import { emberHeir } from '../contracts/bytecode.ts';
import { ContractModel, type ModelBooks, type ModelCall } from './contract-model.ts';
import { SerialAccounts } from './serial-accounts.ts';
import type { BlockChecker, ShardBlockRecord, Violations } from './violations.ts';

/** A cross-shard transaction under way: what its sender has put aside. */
interface Open {
  readonly tx: PoolTransaction;
  readonly coordinator: number;
  readonly fee: bigint;
  /** Wei that wait for the Decision: the transaction's, or none once it is sent. */
  value: bigint;
  /** Shards that have applied their part. */
  readonly applied: Set<number>;
  /** Logs of what was applied. */
  logs: number;
  /** It is value without data, and its recipient had no code when its shard voted (R16): whatever code comes to stand there since, none runs. */
  isPlain: boolean;
  /** Contracts that it has made. */
  made: readonly string[] | undefined;
}

/** Sums of one shard, in wei. */
interface Sums {
  balances: bigint;
  escrow: bigint;
  burned: bigint;
}

/** One block under replay: what it belongs to, and what it has touched. */
interface Replay extends ModelBooks {
  readonly block: ShardBlockRecord['block'];
  readonly sums: Sums;
  readonly touched: Set<string>;
}

const NO_DATA = new Uint8Array(0);
/** EIP-7702. */
const SET_CODE_TYPE = 4;

/** What a transaction asks for, call by call; none for a creation. */
function callsOf(tx: PoolTransaction): ModelCall[] {
  if (tx.calls !== undefined) return tx.calls.map(({ to, value, data }) => ({ toKey: bytesKey(to), value, data }));
  return tx.toKey === undefined ? [] : [{ toKey: tx.toKey, value: tx.value, data: dataOf(tx) }];
}

function dataOf(tx: PoolTransaction): Uint8Array {
  if (tx.dataLength === 0) return NO_DATA;
  const { fields } = decodeTransaction(tx.raw);
  return 'data' in fields ? fields.data : NO_DATA;
}

/** Who let their code be another's with a transaction, and whose. */
function authorizationsOf(tx: PoolTransaction, crypto: RecoveryPrimitives): Authorization[] {
  const { fields } = decodeTransaction(tx.raw);
  return fields.type === 4 ? fields.authorizations.map((signed) => ({ ...signed, authority: recoverAuthority(signed, signed, crypto) })) : [];
}

/** Least gas that a transaction pays: refunds come out of what is beyond its intrinsic gas, but for those of authorizations, which are at most a fifth (EIP-3529). */
function leastGas({ type, intrinsicGas }: PoolTransaction): number {
  return type === SET_CODE_TYPE ? intrinsicGas - Math.floor(intrinsicGas / 5) : intrinsicGas;
}

/** The account that keeps the hashes of blocks under Prague, on every shard its own (EIP-2935), and how many it keeps. */
const HISTORY = bytesKey(fromHex('0x0000f90827f1c53a10cb7a02335b175320002935'));
const HISTORY_BLOCKS = 8_191;
/** Slots that stand beside an account (EIP-7864): those that are compared. */
const SLOTS_COMPARED = 64;

/**
 * Replays the committed history one transaction after the other, on a model of its own that knows accounts, prices, and what the simulator's contracts do, and compares
 * every account and slot that a block says it has changed, every one that it should have, and the sums that its header states. What happens within a shard is one step;
 * what crosses shards is several local ones: escrow, one for each shard that applies its part, settle (design, what must hold, 6). Blocks come in the order in which they
 * became durable, which respects what was sent before it was consumed. That a debit is covered where it is made is judged here as well: balances of plain transfers
 * commute, so no order of them is wrong for any other reason. A slot is as the serial history has it, or a lock was not where it should be.
 * Memory: accounts, contracts, and what is under way.
 */
export class SerialOracle implements BlockChecker {
  private readonly violations: Violations;
  private readonly model: ContractModel;
  private readonly open = new Map<string, Open>();
  private readonly accounts: readonly SerialAccounts[];
  private readonly sums: readonly Sums[];
  private readonly destroyed: bigint[];
  private readonly genesis: Genesis;
  private readonly crypto: RecoveryPrimitives;
  /** Slots of the account that keeps the hashes of blocks, by shard. */
  private readonly history: readonly Map<number, bigint>[];
  /** Accounts whose nonce rose by something else than their transactions. */
  private readonly raised = new Set<string>();
  /** Addresses by shard that is known to keep their stubs. */
  private readonly stubs: Set<string>[] = [];

  constructor(options: { readonly genesis: Genesis; readonly genesisHeld: readonly bigint[] }, modules: { readonly crypto: Hasher & RecoveryPrimitives; readonly violations: Violations }) {
    const { genesis, genesisHeld } = options;
    this.violations = modules.violations;
    this.genesis = genesis;
    this.crypto = modules.crypto;
    const hasher = modules.crypto;
    const table = new AssignmentTable(hasher, { shards: genesis.shards, overrides: [] });
    this.model = new ContractModel({ hasher, ruleOf: (address: Address) => table.shardOf(address) });
    this.sums = genesisHeld.map((balances) => ({ balances, escrow: 0n, burned: 0n }));
    this.destroyed = genesisHeld.map(() => 0n);
    this.history = genesisHeld.map(() => new Map<number, bigint>());
    this.accounts = genesisHeld.map(() => new SerialAccounts());
    for (const { address, balance } of genesis.allocation) this.accounts[table.shardOf(address)]!.genesis(bytesKey(address), balance);
  }

  /** Wei that contracts of a shard have burned so far, by destroying themselves for their own good (EIP-6780). */
  destroyedOn(shard: number): bigint {
    return this.destroyed[shard] ?? 0n;
  }

  /** Whether an authorization (EIP-7702), or a creation, has raised the account's nonce: not by its own transactions alone then. */
  hasRaised(key: string): boolean {
    return this.raised.has(key);
  }

  block(record: ShardBlockRecord): void {
    const { block } = record;
    const accounts = this.accounts[block.header.shard];
    if (accounts === undefined) return;
    const replay = this.replay(block, accounts);
    this.remember(replay);
    this.credits(replay);
    this.events(replay);
    this.settlements(replay);
    this.transactions(replay);
    this.compare(replay, accounts.store(record));
    const { balances, escrow, burned } = replay.sums;
    const wanted = { balances: balances - accounts.parked, escrow: escrow + accounts.parked, burned };
    for (const part of ['balances', 'escrow', 'burned'] as const) {
      const said = block.header.totals[part];
      if (said !== wanted[part]) this.fail(replay, `says ${said} wei of ${part}, the serial history gives ${wanted[part]}`);
    }
  }

  /** Each block begins with the hash of the one before it going to where it is kept (EIP-2935). */
  private remember(replay: Replay): void {
    if (this.genesis.forks === 'cancun') return;
    const { shard, height, parentHash } = replay.block.header;
    const slot = (height - 1) % HISTORY_BLOCKS;
    replay.nonce(HISTORY, 1);
    if (slot < SLOTS_COMPARED) this.history[shard]!.set(slot, BigInt(toHex(parentHash)));
  }

  private replay(block: ShardBlockRecord['block'], accounts: SerialAccounts): Replay {
    const { shard } = block.header;
    const sums = this.sums[shard]!;
    const touched = new Set<string>();
    return {
      block,
      sums,
      touched,
      shard,
      move: (key, wei) => {
        touched.add(key);
        accounts.of(key).balance += wei;
        sums.balances += wei;
      },
      balanceOf: (key) => accounts.of(key).balance,
      burn: (wei) => {
        sums.burned += wei;
        this.destroyed[shard]! += wei;
      },
      nonce: (key, nonce) => {
        touched.add(key);
        this.raised.add(key);
        accounts.of(key).nonce = nonce;
      },
      nonceOf: (key) => accounts.of(key).nonce,
      changed: (key) => void touched.add(key),
    };
  }

  /** What contracts of other shards gave to accounts here; what lives elsewhere is passed on at once (R12). */
  private credits(replay: Replay): void {
    for (const { messages } of replay.block.body.inbox) {
      for (const bytes of messages) {
        const message = decodeMessage(bytes);
        if (message.kind !== 'credit') continue;
        const key = bytesKey(message.to);
        if (this.model.homeOf(key) === replay.shard || !this.keepsStub(replay, key)) replay.move(key, message.value);
      }
    }
  }

  /** Whether this shard knows by now that a contract whose address is its own lives elsewhere. */
  private keepsStub({ shard }: Replay, key: string): boolean {
    return this.model.homeOf(key) !== shard && (this.stubs[shard]?.has(key) ?? false);
  }

  /** Decisions let go of the escrowed value, and each shard that takes part applies its own. */
  private events(replay: Replay): void {
    for (const { phase, outcome, peer, txHash } of replay.block.events) {
      if (outcome !== 'commit') continue;
      const open = this.open.get(bytesKey(txHash));
      if (phase === 'voted' && open?.tx.toKey !== undefined && open.tx.dataLength === 0) open.isPlain = this.model.codeOf(open.tx.toKey, replay.shard) === 'nothing';
      if (phase === 'decided' && open?.coordinator === replay.shard) {
        replay.sums.escrow -= open.value;
        open.value = 0n;
      } else if (phase === 'applied') {
        if (open !== undefined) this.apply(replay, open);
        else if (peer !== replay.shard) this.fail(replay, `${toHex(txHash)} is applied, but nobody has escrowed it`);
      }
    }
  }

  /** One shard's part of a cross-shard transaction. */
  private apply(replay: Replay, open: Open): void {
    const { tx } = open;
    const name = toHex(tx.hash);
    if (open.value !== 0n) this.fail(replay, `${name} is applied, but it was not decided`);
    if (open.applied.has(replay.shard)) this.fail(replay, `${name} is applied twice`);
    open.applied.add(replay.shard);
    const calls = callsOf(tx);
    const made = open.made ?? this.foreseen(tx, calls);
    if (tx.toKey === undefined && tx.calls === undefined) {
      if (replay.shard === open.coordinator) {
        const { key, known } = this.model.create(replay, tx.senderKey, tx.nonce, dataOf(tx), tx.value);
        if (!known) this.fail(replay, `${name} makes what the model does not know`);
        open.made = [key];
      }
    } else {
      const own = calls.filter(({ toKey }) => this.model.homeOf(toKey) === replay.shard).map((call) => ({ ...call, isPlain: open.isPlain }));
      const run = this.model.run(replay, own);
      if (!run.ok) this.fail(replay, `${name} is applied, though its calls fail`);
      open.logs += run.logs;
      if (run.made.length > 0) open.made = run.made;
    }
    for (const key of open.made ?? made) this.keepStub(replay, key);
  }

  /** What a transaction is about to make, as long as no other one comes between: its factory is locked. */
  private foreseen(tx: PoolTransaction, calls: readonly ModelCall[]): string[] {
    if (tx.toKey === undefined && tx.calls === undefined) return [this.model.addressOf(tx.senderKey, tx.nonce)];
    return calls.flatMap(({ toKey }) => {
      const home = this.model.homeOf(toKey);
      return this.model.codeOf(toKey, home) === 'factory' ? [this.model.addressOf(toKey, this.accounts[home]!.of(toKey).nonce)] : [];
    });
  }

  /** R11: what an address has had goes to the contract that is made for it elsewhere. */
  private keepStub(replay: Replay, key: string): void {
    const contract = this.model.contracts.get(key);
    if (this.model.ruleOfKey(key) !== replay.shard || contract?.home === replay.shard) return;
    (this.stubs[replay.shard] ??= new Set()).add(key);
    const { balance } = this.accounts[replay.shard]!.of(key);
    if (balance !== 0n) replay.move(key, -balance);
  }

  /** The last steps: fees are burned, the rest of the escrow goes back. */
  private settlements(replay: Replay): void {
    for (const receipt of replay.block.receipts) {
      if (!receipt.crossShard) continue;
      const open = this.open.get(bytesKey(receipt.txHash));
      const name = toHex(receipt.txHash);
      this.open.delete(bytesKey(receipt.txHash));
      if (open === undefined) {
        this.fail(replay, `${name} is settled, but it was not open`);
        continue;
      }
      const applied = open.applied.size > 0;
      if (applied !== (receipt.status === 1)) this.fail(replay, `${name} has status ${receipt.status}, and was ${applied ? '' : 'not '}applied`);
      if (receipt.logs.length !== open.logs) this.fail(replay, `${name} has ${receipt.logs.length} logs, the serial history gives ${open.logs}`);
      const burned = this.burn(replay, receipt, open.tx);
      replay.sums.escrow -= open.fee + open.value;
      replay.move(open.tx.senderKey, open.fee - burned + open.value);
      const created = receipt.contractAddress === undefined ? undefined : bytesKey(receipt.contractAddress);
      if (open.tx.toKey === undefined && open.tx.calls === undefined && receipt.status === 1 && created !== open.made?.[0]) this.fail(replay, `${name} names another contract than it made`);
    }
  }

  /** Local transactions whole, and the first step of those that leave. */
  private transactions(replay: Replay): void {
    const { header, receipts, transactions } = replay.block;
    const local = new Map(receipts.filter((receipt) => !receipt.crossShard).map((receipt) => [receipt.bodyIndex, receipt]));
    const accounts = this.accounts[header.shard]!;
    transactions.forEach((tx, index) => {
      const sender = accounts.of(tx.senderKey);
      if (tx.nonce !== sender.nonce) this.fail(replay, `${toHex(tx.hash)} has nonce ${tx.nonce}, its sender is at ${sender.nonce}`);
      sender.nonce = tx.nonce + 1;
      replay.changed(tx.senderKey);
      if (tx.type === SET_CODE_TYPE) this.model.authorize(replay, BigInt(this.genesis.chainId), authorizationsOf(tx, this.crypto));
      const tipped = header.baseFeePerGas + tx.maxPriorityFeePerGas;
      const price = tipped < tx.maxFeePerGas ? tipped : tx.maxFeePerGas;
      if (price < header.baseFeePerGas) this.fail(replay, `${toHex(tx.hash)} does not pay the base fee`);
      const receipt = local.get(index);
      if (receipt !== undefined && (receipt.effectiveGasPrice !== price || receipt.bodyHeight !== header.height)) this.fail(replay, `${toHex(tx.hash)} has the receipt of another`);
      const fee = receipt === undefined ? BigInt(tx.gasLimit) * price : this.burn(replay, receipt, tx);
      const value = receipt?.status === 0 ? 0n : tx.value;
      if (sender.balance < value + fee) this.fail(replay, `${toHex(tx.hash)} spends ${value + fee} wei of ${sender.balance}`);
      replay.move(tx.senderKey, -value - fee);
      if (receipt !== undefined) {
        this.local(replay, tx, receipt);
        return;
      }
      this.open.set(bytesKey(tx.hash), { tx, coordinator: header.shard, fee, value, applied: new Set(), logs: 0, isPlain: false, made: undefined });
      replay.sums.escrow += value + fee;
    });
  }

  /** A local transaction, but for its fee and what its sender pays. */
  private local(replay: Replay, tx: PoolTransaction, receipt: TransactionReceipt): void {
    const name = toHex(tx.hash);
    if (tx.toKey === undefined && tx.calls === undefined) {
      if (receipt.status === 0) return;
      const { key, known } = this.model.create(replay, tx.senderKey, tx.nonce, dataOf(tx), tx.value);
      if (!known) this.fail(replay, `${name} makes what the model does not know`);
      const named = receipt.contractAddress;
      // What destroys itself lives nowhere, so no other shard has to keep a stub of it.
      const stays = emberHeir(dataOf(tx)) === undefined;
      if (named === undefined || bytesKey(named) !== key || (stays && this.model.ruleOfKey(key) !== replay.shard)) this.fail(replay, `${name} makes ${toHex(keyBytes(key))} here, and should not`);
      return;
    }
    const calls = callsOf(tx);
    if (calls.some(({ toKey }) => this.model.homeOf(toKey) !== replay.shard)) this.fail(replay, `${name} runs here, and calls what lives elsewhere`);
    const run = this.model.run(replay, calls);
    if (run.ok && receipt.status === 0) run.undo();
    // Of gas the model knows nothing.
    const told = receipt.status === 1 ? run.ok : !run.ok || receipt.reason === 'out-of-gas';
    if (!told) this.fail(replay, `${name} has status ${receipt.status}, the serial history says otherwise`);
    const logs = receipt.status === 1 ? run.logs : 0;
    if (receipt.logs.length !== logs) this.fail(replay, `${name} has ${receipt.logs.length} logs, the serial history gives ${logs}`);
  }

  private burn(replay: Replay, { gasUsed, effectiveGasPrice }: TransactionReceipt, tx: PoolTransaction): bigint {
    const burned = BigInt(gasUsed) * effectiveGasPrice;
    if (gasUsed > tx.gasLimit) this.fail(replay, `${toHex(tx.hash)} pays more than its gas limit`);
    if (gasUsed < leastGas(tx)) this.fail(replay, `${toHex(tx.hash)} pays less than its intrinsic gas`);
    replay.sums.burned += burned;
    return burned;
  }

  /** What the block stores is what the model has, and nothing is left out: what moved and came back within the block is where the last change left it. */
  private compare(replay: Replay, changed: ReadonlySet<string>): void {
    for (const key of new Set([...changed, ...replay.touched])) {
      const wrong = this.differs(replay.shard, key);
      if (wrong !== undefined) this.fail(replay, changed.has(key) ? wrong : `${wrong}: the change is not in what is stored`);
    }
  }

  private differs(shard: number, key: string): string | undefined {
    if (key === HISTORY) return this.accounts[shard]!.differs(key, this.history[shard]);
    const isHome = this.model.homeOf(key) === shard;
    return this.accounts[shard]!.differs(key, this.model.slotsOf(key, shard), isHome ? this.model.delegateOf(key) : undefined);
  }

  /** Every account that there ever was, once more, and nothing half done. */
  atRest(): void {
    if (this.open.size > 0) this.violations.add('serial', `${this.open.size} transactions are escrowed for ever`);
    this.accounts.forEach((accounts, shard) => {
      for (const key of accounts.keys()) {
        const wrong = this.differs(shard, key);
        if (wrong !== undefined) this.violations.add('serial', `at rest ${wrong}`);
      }
    });
  }

  private fail({ block }: Replay, what: string): void {
    this.violations.add('serial', `block ${block.header.height} of shard ${block.header.shard}: ${what}`);
  }
}
