import { accountOwner, type Address, BASIC_DATA_POSITION, bytesKey, decodeBasicData, decodeFlatValue, encodeFlatKey, type Prng, type ShardId, ZERO_ADDRESS } from '@shardlab/crosslink';
import type { SignedAuthorization } from '@shardlab/shard';
import type { ShardBlockRecord } from '../checkers/violations.ts';
import { CHAIN_ID, kitAuthorization, kitCall, type KitAccount, kitSetCode, kitTransfer, type NetworkKit } from '../network-kit.ts';
import { type CONTRACT_KINDS, words } from './bytecode.ts';
import type { LoadedCall } from './loaded-call.ts';

type Kind = (typeof CONTRACT_KINDS)[number];

/** Some contract of a kind, of one shard if that is given; undefined while there is none. */
export type AnyContract = (kind: Kind, prng: Prng, home?: ShardId) => Address | undefined;

/** An account that authorizes (EIP-7702), as the client knows it. */
interface Ward {
  readonly account: KitAccount;
  readonly key: string;
  /** As the last block that the client has seen left it. */
  nonce: number;
  /** Its own transaction that is in no block yet. */
  own: { readonly hashKey: string; readonly nonce: number } | undefined;
}

/** A set-code transaction that is in no block yet: whatever the nonces that it was signed for are, they will be above these. */
interface Sponsored {
  readonly home: ShardId;
  readonly nonces: readonly { readonly ward: Ward; readonly nonce: number }[];
}

/** Authorizations that are kept to be sent once more. */
const PAST_MAX = 32;
const AUTHORIZATIONS_MAX = 3;
/** A number that is no precompile's, if it is taken for an address. */
const NUMBER_MIN = 256;
const OTHER_CHAIN = 7n;
const NO_DATA = new Uint8Array(0);

/**
 * Makes the load of accounts that let their code be that of contracts: who pays for their authorizations, calls of them, and transactions of their own. Those race: whatever
 * raises a ward's nonce first, what was signed for that nonce besides is void.
 * Every second ward may become a factory: set-code transactions do not call it, since they make no contracts of other shards.
 */
export class WardLoad {
  private readonly kit: NetworkKit;
  private readonly any: AnyContract;
  private readonly wards: readonly Ward[];
  private readonly byStem: ReadonlyMap<string, Ward>;
  private readonly sponsored = new Map<string, Sponsored>();
  private readonly past: SignedAuthorization[] = [];
  /** Who was called last, by index: its own transaction is to meet that call. */
  private last = 0;
  private readonly heights = new Map<ShardId, number>();

  constructor(kit: NetworkKit, any: AnyContract) {
    this.kit = kit;
    this.any = any;
    this.wards = kit.wards.map((account) => ({ account, key: bytesKey(account.address), nonce: 0, own: undefined }));
    this.byStem = new Map(this.wards.map((ward) => [bytesKey(encodeFlatKey({ owner: accountOwner(ward.account.address), treeIndex: BASIC_DATA_POSITION.treeIndex })), ward]));
  }

  /** Whether accounts can authorize under the network's rules. */
  get ready(): boolean {
    return this.wards.length > 0 && this.kit.genesis.forks !== 'cancun';
  }

  /** A call of a ward, whatever its code is by then. */
  visit(from: KitAccount, nonce: number, prng: Prng): LoadedCall {
    this.last = prng.below(this.wards.length);
    const ward = this.wards[this.last]!;
    const value = BigInt(prng.below(2) * prng.below(1_000));
    // Now and then with the gas of a plain transfer, which is too little if there is code.
    const gas = prng.below(8) === 0 ? { gas: 0 } : {};
    return { ...kitCall(this.kit, from, nonce, { to: ward.account.address, value, data: this.dataFor(value, prng), ...gas }), value, gains: [] };
  }

  /** Words that mean something to each kind of code. Value may go on to the address in word 0: then it is no account whose balance the client is to know. */
  private dataFor(value: bigint, prng: Prng): Uint8Array {
    if (prng.below(4) === 0) return NO_DATA;
    const shape = prng.below(value === 0n ? 3 : 2);
    const { address } = shape === 2 ? this.kit.accounts[prng.below(this.kit.accounts.length)]! : this.gentle(prng).account;
    return words(shape === 0 ? NUMBER_MIN + prng.below(2_000) : address, prng.below(4), prng.below(2));
  }

  /** A ward that never makes contracts. */
  private gentle(prng: Prng): Ward {
    return this.wards[2 * prng.below(Math.ceil(this.wards.length / 2))]!;
  }

  /** A transaction that brings authorizations of wards of any shard, good ones and others, and calls something. */
  delegate(from: KitAccount, nonce: number, prng: Prng): LoadedCall {
    const nonces: { readonly ward: Ward; readonly nonce: number }[] = [];
    const authorizations = Array.from({ length: 1 + prng.below(AUTHORIZATIONS_MAX) }, () => this.authorization(prng, nonces));
    const shape = prng.below(3);
    const counter = this.any('counter', prng);
    const account = this.kit.accounts[prng.below(this.kit.accounts.length)]!;
    let call: { readonly to: Address; readonly value: bigint; readonly data: Uint8Array } = { to: account.address, value: BigInt(1 + prng.below(1_000)), data: NO_DATA };
    if (shape === 1 && counter !== undefined) call = { to: counter, value: 0n, data: words(prng.below(1_000)) };
    else if (shape === 2) call = { to: this.gentle(prng).account.address, value: 0n, data: this.dataFor(0n, prng) };
    const signed = kitSetCode(this.kit, from, nonce, { ...call, authorizations });
    this.sponsored.set(bytesKey(signed.hash), { home: from.home, nonces });
    return { ...signed, value: call.value, gains: call.value === 0n ? [] : [{ toKey: bytesKey(account.address), value: call.value }] };
  }

  /** Good ones mostly. Others have a nonce that is to come, or another chain, or have been sent before. */
  private authorization(prng: Prng, nonces: { readonly ward: Ward; readonly nonce: number }[]): SignedAuthorization {
    const index = prng.below(this.wards.length);
    const ward = this.wards[index]!;
    const shape = prng.below(8);
    const old = this.past[prng.below(Math.max(1, this.past.length))];
    if (shape === 0 && old !== undefined) return old;
    const nonce = ward.nonce + (shape === 1 ? 1 + prng.below(2) : 0);
    const chainId = shape === 2 ? OTHER_CHAIN : shape === 3 ? 0n : BigInt(CHAIN_ID);
    const signed = kitAuthorization(this.kit, ward.account, { chainId, address: this.codeFor(index, prng), nonce: BigInt(nonce) });
    if (shape > 2) nonces.push({ ward, nonce });
    this.past.push(signed);
    if (this.past.length > PAST_MAX) this.past.shift();
    return signed;
  }

  /** Whose code a ward is to have: a contract's of any shard, its own (which can not run), or nobody's any more. */
  private codeFor(index: number, prng: Prng): Address {
    const kinds: readonly Kind[] = index % 2 === 0 ? ['counter', 'token', 'forwarder'] : ['counter', 'factory', 'pyre'];
    const shape = prng.below(8);
    if (shape === 0) return ZERO_ADDRESS;
    if (shape === 1) return this.wards[index]!.account.address;
    const kind = kinds[prng.below(kinds.length)]!;
    // Code of another shard does not run: mostly it is to run.
    const near = prng.below(4) > 0 ? this.any(kind, prng, this.wards[index]!.account.home) : undefined;
    return near ?? this.any(kind, prng) ?? ZERO_ADDRESS;
  }

  /** A transaction of a ward's own; undefined if its last one is in no block yet. */
  own(prng: Prng): LoadedCall | undefined {
    const ward = this.wards[prng.below(2) === 0 ? this.last : prng.below(this.wards.length)]!;
    if (ward.own !== undefined) return undefined;
    const { account } = ward;
    // Behind an authorization that is on its way: that raises the nonce, or it is above by then.
    const follows = [...this.sponsored.values()].some(({ home, nonces }) => home === account.home && nonces.some((each) => each.ward === ward && each.nonce === ward.nonce));
    const nonce = ward.nonce + (follows ? prng.below(2) : 0);
    const signed = this.signOwn(ward, nonce, prng);
    ward.own = { hashKey: bytesKey(signed.hash), nonce };
    return { ...signed, ward: account };
  }

  private signOwn({ account }: Ward, nonce: number, prng: Prng): LoadedCall {
    const to = this.kit.accounts[prng.below(this.kit.accounts.length)]!.address;
    const value = BigInt(1 + prng.below(1_000));
    const gains = [{ toKey: bytesKey(to), value }];
    const counter = this.any('counter', prng);
    const shape = prng.below(3);
    if (shape === 0 && counter !== undefined) return { ...kitCall(this.kit, account, nonce, { to: counter, value: 0n, data: words(2 * prng.below(100)) }), value: 0n, gains: [] };
    if (shape === 1 && this.ready && counter !== undefined) {
      // By the sender itself: its nonce has been raised by the transaction before the authorization is looked at.
      const authorization = kitAuthorization(this.kit, account, { chainId: 0n, address: counter, nonce: BigInt(nonce + 1) });
      return { ...kitSetCode(this.kit, account, nonce, { to, value, data: NO_DATA, authorizations: [authorization] }), value, gains };
    }
    return { ...kitTransfer(this.kit, account, to, nonce, value), value, gains };
  }

  /** Learns from a block of any validator. Returns the hashes, by `bytesKey`, of wards' transactions that can never run, because something else took their nonce. */
  observe({ block }: ShardBlockRecord): string[] {
    const { shard, height } = block.header;
    if (height <= (this.heights.get(shard) ?? 0)) return [];
    this.heights.set(shard, height);
    for (const { hashKey } of block.transactions) {
      this.sponsored.delete(hashKey);
      for (const ward of this.wards) if (ward.own?.hashKey === hashKey) ward.own = undefined;
    }
    const lapsed: string[] = [];
    for (const { key, value } of block.delta.changes) {
      const ward = this.byStem.get(bytesKey(key));
      if (ward === undefined || value === undefined) continue;
      const basic = decodeFlatValue(value).find(({ suffix }) => suffix === BASIC_DATA_POSITION.suffix);
      if (basic !== undefined) ward.nonce = decodeBasicData(basic.value).nonce;
      if (ward.own === undefined || ward.own.nonce >= ward.nonce) continue;
      lapsed.push(ward.own.hashKey);
      ward.own = undefined;
    }
    return lapsed;
  }
}
