import { type Address, bytesKey, keyBytes, Prng, type ShardId, type TransactionReceipt } from '@shardlab/crosslink';
import { addressMadeBy } from '../checkers/contract-model.ts';
import { kitBatch, kitCall, type KitAccount, type KitCall, type NetworkKit } from '../network-kit.ts';
import type { PlannedCall } from '../swarm/plan.ts';
import type { ShardBlockRecord } from '../checkers/violations.ts';
import { CONTRACT_KINDS, emberOf, INITCODE, TOKEN_SLOTS, words } from './bytecode.ts';
import type { Gain, LoadedCall } from './loaded-call.ts';
import { WardLoad } from './ward-load.ts';

type Kind = (typeof CONTRACT_KINDS)[number];

/** A contract that was made, and the shard of who made it, where it lives (R11). */
interface Known {
  readonly address: Address;
  readonly home: ShardId;
}

/** Of {@link CONTRACT_KINDS}, the first so many may be made at an address that was given wei before. */
const KINDS_TO_PROMISE = 4;
/** Calls of a batch. */
const BATCH_CALLS_MAX = 4;

/** Makes the load's contract transactions: which contract a planned one means depends on which ones there are by then. */
export class ContractLoad {
  private readonly kit: NetworkKit;
  private readonly known: Readonly<Record<Kind, Known[]>> = { counter: [], token: [], forwarder: [], factory: [], heir: [], pyre: [] };
  /** Contracts under way, by the hash of their creation. */
  private readonly asked = new Map<string, { readonly kind: Kind; readonly home: ShardId }>();
  /** Who has just sent value to the address that its next transaction makes: that is to be a creation. */
  private readonly promised = new Set<KitAccount>();

  private readonly wards: WardLoad;

  constructor(kit: NetworkKit) {
    this.kit = kit;
    this.wards = new WardLoad(kit, (...wanted) => this.any(...wanted));
  }

  /** Signs a planned transaction: with `nonce`, unless it is a ward's. */
  sign(planned: PlannedCall, nonce: number): LoadedCall {
    const from = this.kit.accounts[planned.from]!;
    const prng = new Prng(planned.pick);
    const promised = this.promised.delete(from);
    // What was promised to an ember is burned with it: how much that is the client does not know.
    if (promised && prng.below(2) === 0) return this.ember(from, nonce, BigInt(prng.below(1_000)), undefined);
    switch (promised ? 'create' : planned.action) {
      case 'create':
        return this.create(from, nonce, CONTRACT_KINDS[prng.below(promised ? KINDS_TO_PROMISE : CONTRACT_KINDS.length)]!, prng);
      case 'add':
        return this.call(from, nonce, 'counter', prng, { data: words(2 * prng.below(1_000)) });
      case 'revert':
        return this.call(from, nonce, 'counter', prng, { data: words(1 + 2 * prng.below(1_000)) });
      case 'starve':
        return this.call(from, nonce, 'counter', prng, { data: words(2 + 2 * prng.below(1_000)), gas: 1 + prng.below(2_200) });
      case 'move':
        return this.call(from, nonce, 'token', prng, { data: words(prng.below(TOKEN_SLOTS), prng.below(TOKEN_SLOTS), prng.below(400)) });
      case 'overdraw':
        return this.call(from, nonce, 'token', prng, { data: words(0, 1, 1_000_000) });
      case 'forward':
        return this.forward(from, nonce, prng);
      case 'make':
        return this.call(from, nonce, 'factory', prng, { data: new Uint8Array(0), value: BigInt(prng.below(100)) });
      case 'batch':
      case 'bad-batch':
        return this.batch(from, nonce, planned.action === 'bad-batch', prng);
      case 'delegate':
        if (this.wards.ready) return this.wards.delegate(from, nonce, prng);
        return this.call(from, nonce, 'counter', prng, { data: words(2 * prng.below(1_000)) });
      case 'visit':
        return this.wards.visit(from, nonce, prng);
      case 'ward':
        return this.wards.own(prng) ?? this.wards.visit(from, nonce, prng);
      case 'inherit':
        return this.inherit(from, nonce, 'heir', prng);
      case 'burn':
        return this.inherit(from, nonce, 'pyre', prng);
      case 'ember':
        return this.ember(from, nonce, BigInt(prng.below(1_000)), prng.below(2) === 0 ? undefined : this.kit.accounts[prng.below(this.kit.accounts.length)]!.address);
    }
  }

  /** What an heir, or a pyre, has goes to an account; of a pyre, now and then, to nobody. */
  private inherit(from: KitAccount, nonce: number, kind: 'heir' | 'pyre', prng: Prng): LoadedCall {
    const value = BigInt(prng.below(1_000));
    const { address } = this.kit.accounts[prng.below(this.kit.accounts.length)]!;
    if (kind === 'pyre' && prng.below(2) === 0) return this.call(from, nonce, kind, prng, { data: words(0), value });
    return this.call(from, nonce, kind, prng, { data: words(address), value }, [{ toKey: bytesKey(address), value }]);
  }

  /** A creation that leaves nothing: not even what the address had before. */
  private ember(from: KitAccount, nonce: number, value: bigint, heir: Address | undefined): LoadedCall {
    const call = { to: undefined, value, data: emberOf(heir) };
    return { ...kitCall(this.kit, from, nonce, call), value, gains: heir === undefined ? [] : [{ toKey: bytesKey(heir), value }] };
  }

  private create(from: KitAccount, nonce: number, kind: Kind, prng: Prng): LoadedCall {
    // An heir gives away all that it has: with nothing of its own that is what it was called with.
    const value = kind === 'heir' ? 0n : BigInt(prng.below(2) * prng.below(1_000));
    const call = { to: undefined, value, data: INITCODE[kind] };
    const signed = kitCall(this.kit, from, nonce, call);
    this.asked.set(bytesKey(signed.hash), { kind, home: from.home });
    return { ...signed, value: call.value, gains: [] };
  }

  /** A call of some contract of the kind, or its creation while there is none. */
  private call(from: KitAccount, nonce: number, kind: Kind, prng: Prng, call: Pick<KitCall, 'data' | 'gas'> & { readonly value?: bigint }, gains: readonly Gain[] = []): LoadedCall {
    const to = this.any(kind, prng);
    if (to === undefined) return this.create(from, nonce, kind, prng);
    const value = call.value ?? 0n;
    return { ...kitCall(this.kit, from, nonce, { ...call, to, value }), value, gains };
  }

  /** Some contract of the kind, of that shard if one is given; undefined if there is none. */
  private any(kind: Kind, prng: Prng, home?: ShardId): Address | undefined {
    const known = this.known[kind].filter((each) => home === undefined || each.home === home);
    return known[prng.below(Math.max(1, known.length))]?.address;
  }

  /** To an account, a contract, or the address that the sender's next transaction makes. */
  private forward(from: KitAccount, nonce: number, prng: Prng): LoadedCall {
    const value = BigInt(1 + prng.below(1_000));
    const account = this.kit.accounts[prng.below(this.kit.accounts.length)]!;
    const contract = this.any(CONTRACT_KINDS[prng.below(2)]!, prng);
    const shape = prng.below(4);
    if (shape === 1) this.promised.add(from);
    const target = shape === 0 && contract !== undefined ? contract : shape === 1 ? addressMadeBy(this.kit.crypto, from.address, nonce + 1) : account.address;
    return this.call(from, nonce, 'forwarder', prng, { data: words(target), value }, [{ toKey: bytesKey(target), value }]);
  }

  private batch(from: KitAccount, nonce: number, bad: boolean, prng: Prng): LoadedCall {
    const count = 1 + prng.below(BATCH_CALLS_MAX);
    const calls: { readonly to: Address; readonly value: bigint; readonly data: Uint8Array }[] = [];
    const gains: Gain[] = [];
    for (let i = 0; i < count; i++) {
      const counter = this.any('counter', prng);
      if (counter !== undefined && prng.below(3) > 0) calls.push({ to: counter, value: 0n, data: words(2 * prng.below(100)) });
      else {
        const { address } = this.kit.accounts[prng.below(this.kit.accounts.length)]!;
        const value = BigInt(1 + prng.below(1_000));
        calls.push({ to: address, value, data: new Uint8Array(0) });
        gains.push({ toKey: bytesKey(address), value });
      }
    }
    const counter = this.any('counter', prng);
    if (bad && counter !== undefined) calls.push({ to: counter, value: 0n, data: words(1) });
    const value = calls.reduce((sum, call) => sum + call.value, 0n);
    return { ...kitBatch(this.kit, from, nonce, calls), value, gains };
  }

  /** Learns of a block. Returns the hashes, by `bytesKey`, of transactions that can never run any more. */
  stored(record: ShardBlockRecord): string[] {
    return this.wards.observe(record);
  }

  /** Learns of contracts that were made. */
  observe({ txHash, status, contractAddress }: TransactionReceipt): void {
    const asked = this.asked.get(bytesKey(txHash));
    if (asked === undefined) return;
    this.asked.delete(bytesKey(txHash));
    if (status === 1 && contractAddress !== undefined) this.known[asked.kind].push({ address: keyBytes(bytesKey(contractAddress)) as Address, home: asked.home });
  }
}
