import { bytesKey, type Prng, type ShardId, type TransactionReceipt } from '@shardlab/crosslink';
import type { PersistRecord, RejectionCode } from '@shardlab/shard';
import type { SimCluster } from '../cluster.ts';
import { ContractLoad } from '../contracts/contract-load.ts';
import type { LoadedCall } from '../contracts/loaded-call.ts';
import { expectedBalances, type SentValue } from '../expected-balances.ts';
import { kitTransfer, type NetworkKit } from '../network-kit.ts';
import type { PlannedCall, PlannedTransfer } from './plan.ts';

/** Acceptance is not durability: what was forgotten is offered again, and these are what a client must expect when it does. */
const EXPECTED: ReadonlySet<RejectionCode> = new Set(['already-known', 'nonce-too-low', 'busy', 'pool-full']);

interface Sent extends SentValue {
  readonly home: ShardId;
  readonly raw: Uint8Array;
  readonly key: string;
}

/** What the client tells of its transactions. */
export interface ClientHooks {
  readonly submitted: (hashKey: string) => void;
  readonly answered: (hashKey: string) => void;
}

/** A client of the network: offers each transfer to some validator of its sender's shard, again and again until there is a receipt. */
export class SimClient {
  /** Receipts by `bytesKey` of the transaction's hash. */
  readonly receipts = new Map<string, TransactionReceipt>();
  readonly surprises: string[] = [];
  private readonly kit: NetworkKit;
  private readonly cluster: SimCluster;
  private readonly prng: Prng;
  private readonly hooks: ClientHooks;
  private readonly contracts: ContractLoad;
  private readonly nonces = new Map<number, number>();
  private readonly sent = new Map<string, Sent>();
  private readonly unsettled = new Map<string, Sent>();

  constructor(kit: NetworkKit, modules: { readonly cluster: SimCluster; readonly prng: Prng; readonly hooks: ClientHooks }) {
    this.kit = kit;
    this.contracts = new ContractLoad(kit);
    this.cluster = modules.cluster;
    this.prng = modules.prng;
    this.hooks = modules.hooks;
  }

  /** Transactions without a receipt. */
  get open(): number {
    return this.unsettled.size;
  }

  get count(): number {
    return this.sent.size;
  }

  send({ from, to, value }: PlannedTransfer): void {
    const recipient = this.kit.accounts[to]!.address;
    const nonce = this.nonces.get(from) ?? 0;
    const signed = kitTransfer(this.kit, this.kit.accounts[from]!, recipient, nonce, BigInt(value));
    this.nonces.set(from, nonce + 1);
    this.take(from, { ...signed, value: BigInt(value), gains: [{ toKey: bytesKey(recipient), value: BigInt(value) }] });
  }

  /** Sends a contract transaction. */
  call(planned: PlannedCall): void {
    const { from } = planned;
    const nonce = this.nonces.get(from) ?? 0;
    const loaded = this.contracts.sign(planned, nonce);
    if (loaded.ward === undefined) this.nonces.set(from, nonce + 1);
    this.take(from, loaded);
  }

  private take(from: number, { raw, hash, value, gains, ward }: LoadedCall): void {
    const home = ward === undefined ? this.kit.accounts[from]!.home : ward.home;
    const sent = { from: ward === undefined ? from : undefined, value, gains, home, raw, key: bytesKey(hash) };
    this.sent.set(sent.key, sent);
    this.unsettled.set(sent.key, sent);
    this.hooks.submitted(sent.key);
    this.offer(sent.home, [sent]);
  }

  /** Offers everything that has no receipt once more. */
  offerAll(): void {
    const byHome = new Map<ShardId, Sent[]>();
    for (const sent of this.unsettled.values()) {
      const list = byHome.get(sent.home);
      if (list === undefined) byHome.set(sent.home, [sent]);
      else list.push(sent);
    }
    for (const [home, list] of byHome) this.offer(home, list);
  }

  private offer(home: ShardId, list: readonly Sent[]): void {
    const up = this.cluster.names().filter((name) => name.chain === home && this.cluster.node(name)?.shard !== undefined);
    const name = up[this.prng.below(Math.max(1, up.length))];
    if (name === undefined) return;
    this.cluster.submit(name, list.map((sent) => sent.raw), (results) => {
      for (const { rejection } of results) {
        if (rejection !== undefined && !EXPECTED.has(rejection.code)) this.surprises.push(`the client is refused: ${rejection.message}`);
      }
    });
  }

  /** Looks for receipts in what a node has stored. */
  observe(record: PersistRecord): void {
    if (record.kind !== 'shard-block') return;
    for (const key of this.contracts.stored(record)) {
      this.unsettled.delete(key);
      this.sent.delete(key);
    }
    for (const receipt of record.block.receipts) {
      const key = bytesKey(receipt.txHash);
      if (this.receipts.has(key)) continue;
      this.receipts.set(key, receipt);
      this.contracts.observe(receipt);
      if (this.unsettled.delete(key)) this.hooks.answered(key);
    }
  }

  /** What every account must hold, by index, as the receipts say. */
  expected(balance: bigint): bigint[] {
    return expectedBalances(this.kit, balance, this.sent, this.receipts);
  }
}
