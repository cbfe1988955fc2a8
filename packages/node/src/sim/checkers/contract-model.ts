import { type Address, bytesKey, concatBytes, equalBytes, type Hasher, keyBytes, ZERO_ADDRESS } from '@shardlab/crosslink';
import type { Authorization } from '@shardlab/shard';
import { type ContractKind, emberHeir, kindOf, TOKEN_SLOTS, TOKEN_START, wordAt } from '../contracts/bytecode.ts';

/** A contract as the model knows it. */
export interface ModelContract {
  readonly kind: ContractKind;
  /** The shard where it was made, and lives. */
  readonly home: number;
  readonly slots: Map<number, bigint>;
}

/** What runs when an address is called: nothing, a contract's code, or what can only fail. */
type ModelCode = ContractKind | 'nothing' | 'failing';

/** A call that the model is to run. */
export interface ModelCall {
  readonly toKey: string;
  readonly value: bigint;
  readonly data: Uint8Array;
  /** Whether no code runs, whatever stands there. */
  readonly isPlain?: boolean;
}

/** What a run needs of the books that it changes. */
export interface ModelBooks {
  readonly shard: number;
  /** Moves wei to (or from) an address of the shard. */
  move(key: string, wei: bigint): void;
  balanceOf(key: string): bigint;
  /** Wei that are nobody's any more; negative: they are again. */
  burn(wei: bigint): void;
  /** A number that a new contract, or another one, has from now on. */
  nonce(key: string, nonce: number): void;
  nonceOf(key: string): number;
  /** Its slots have changed. */
  changed(key: string): void;
}

/** What a run came to; `undo` takes it back. */
export interface ModelRun {
  readonly ok: boolean;
  readonly logs: number;
  /** Contracts that it made. */
  readonly made: readonly string[];
  undo(): void;
}

const SHORT_NONCE = 0x80;

/** The address that `creator` makes with this nonce (Yellow Paper 7), by RLP written out: nonces here stay below 2^16. */
export function addressMadeBy(hasher: Pick<Hasher, 'keccak256'>, creator: Uint8Array, nonce: number): Address {
  const number =
    nonce === 0 ? Uint8Array.of(0x80) : nonce < SHORT_NONCE ? Uint8Array.of(nonce) : nonce < 256 ? Uint8Array.of(0x81, nonce) : Uint8Array.of(0x82, nonce >> 8, nonce & 0xff);
  const rlp = concatBytes(Uint8Array.of(0xc0 + 21 + number.length, 0x94), creator, number);
  return hasher.keccak256(rlp).slice(12) as Uint8Array as Address;
}

/** What the simulator's contracts do, in plain words: a second implementation, that knows neither bytecode nor gas. */
export class ContractModel {
  readonly contracts = new Map<string, ModelContract>();
  /** Whose code is another's (EIP-7702), and whose that is. */
  private readonly delegates = new Map<string, string>();
  /** Slots of accounts that have had another's code. They stay when it goes. */
  private readonly lentSlots = new Map<string, Map<number, bigint>>();
  private readonly hasher: Pick<Hasher, 'keccak256'>;
  private readonly ruleOf: (address: Address) => number;

  constructor(modules: { readonly hasher: Pick<Hasher, 'keccak256'>; readonly ruleOf: (address: Address) => number }) {
    this.hasher = modules.hasher;
    this.ruleOf = modules.ruleOf;
  }

  /** Where an address lives. */
  homeOf(key: string): number {
    return this.contracts.get(key)?.home ?? this.ruleOf(keyBytes(key) as Address);
  }

  /** Where the assignment puts an address. */
  ruleOfKey(key: string): number {
    return this.ruleOf(keyBytes(key) as Address);
  }

  addressOf(creatorKey: string, nonce: number): string {
    return bytesKey(addressMadeBy(this.hasher, keyBytes(creatorKey), nonce));
  }

  /** What an address of this shard keeps; undefined: nothing. */
  slotsOf(key: string, shard: number): ReadonlyMap<number, bigint> | undefined {
    const contract = this.contracts.get(key);
    return contract === undefined ? this.lentSlots.get(key) : contract.home === shard ? contract.slots : undefined;
  }

  /** Whose code an account has let be its own. */
  delegateOf(key: string): string | undefined {
    return this.delegates.get(key);
  }

  /** What runs on the shard when the address is called. A delegation is followed once, and not to another shard. */
  codeOf(key: string, shard: number): ModelCode {
    const contract = this.contracts.get(key);
    if (contract !== undefined) return contract.kind;
    const delegate = this.delegates.get(key);
    if (delegate === undefined) return 'nothing';
    if (this.homeOf(delegate) !== shard || this.delegates.has(delegate)) return 'failing';
    return this.contracts.get(delegate)?.kind ?? 'nothing';
  }

  /** Applies authorizations in order (EIP-7702): of accounts of this shard, for this chain or for any, with the nonce that the account has then. Nothing takes them back. */
  authorize(books: ModelBooks, chainId: bigint, authorizations: readonly Authorization[]): void {
    for (const { authority, address, nonce, chainId: signedFor } of authorizations) {
      if (authority === undefined || (signedFor !== 0n && signedFor !== chainId)) continue;
      const key = bytesKey(authority);
      if (this.homeOf(key) !== books.shard || this.contracts.has(key) || BigInt(books.nonceOf(key)) !== nonce) continue;
      if (equalBytes(address, ZERO_ADDRESS)) this.delegates.delete(key);
      else this.delegates.set(key, bytesKey(address));
      books.nonce(key, Number(nonce) + 1);
    }
  }

  private slotsToChange(key: string): Map<number, bigint> {
    const slots = this.contracts.get(key)?.slots ?? this.lentSlots.get(key) ?? new Map<number, bigint>();
    if (!this.contracts.has(key)) this.lentSlots.set(key, slots);
    return slots;
  }

  /** Makes a contract from initcode; false for one that the model does not know. */
  create(books: ModelBooks, creatorKey: string, nonce: number, initcode: Uint8Array, value: bigint): { readonly key: string; readonly known: boolean } {
    const key = this.addressOf(creatorKey, nonce);
    const kind = kindOf(initcode);
    if (kind !== undefined) this.add(books, key, kind, value);
    else {
      const heir = emberHeir(initcode);
      if (heir === undefined) return { key, known: false };
      this.destroy({ books, journal: [] }, key, value, heir === 'self' ? key : bytesKey(heir));
    }
    return { key, known: true };
  }

  /**
   * A contract is made with `value` and destroys itself at once, for the address `heir` (EIP-6780): with what the address had before, since that is its own. For itself:
   * nobody has it any more. Elsewhere it is a credit, which leaves the shard.
   */
  private destroy({ books, journal }: { readonly books: ModelBooks; readonly journal: (() => void)[] }, key: string, value: bigint, heir: string): void {
    const before = books.balanceOf(key);
    const wei = before + value;
    const own = heir !== key && this.homeOf(heir) === books.shard;
    const change = (sign: bigint): void => {
      if (before !== 0n) books.move(key, -sign * before);
      if (own) books.move(heir, sign * wei);
      else if (heir === key) books.burn(sign * wei);
    };
    change(1n);
    journal.push(() => change(-1n));
  }

  private add(books: ModelBooks, key: string, kind: ContractKind, value: bigint): void {
    const slots = new Map<number, bigint>();
    if (kind === 'token') for (let slot = 0; slot < TOKEN_SLOTS; slot++) slots.set(slot, TOKEN_START);
    this.contracts.set(key, { kind, home: books.shard, slots });
    books.nonce(key, 1);
    books.move(key, value);
    books.changed(key);
  }

  /** Runs calls in order: all succeed, or nothing has happened. The value comes from outside the shard's books, or was taken from the sender before. */
  run(books: ModelBooks, calls: readonly ModelCall[]): ModelRun {
    const journal: (() => void)[] = [];
    const made: string[] = [];
    const run = { books, journal, made, logs: 0 };
    const ok = calls.every((call) => this.call(run, call));
    const undo = (): void => {
      for (const step of journal.splice(0).reverse()) step();
    };
    if (!ok) undo();
    return { ok, logs: ok ? run.logs : 0, made: ok ? made : [], undo };
  }

  private call(run: { readonly books: ModelBooks; readonly journal: (() => void)[]; readonly made: string[]; logs: number }, { toKey, value, data, isPlain = false }: ModelCall): boolean {
    const { books, journal } = run;
    const move = (key: string, wei: bigint): void => {
      books.move(key, wei);
      journal.push(() => books.move(key, -wei));
    };
    move(toKey, value);
    const code = this.codeOf(toKey, books.shard);
    if (isPlain || code === 'nothing') return true;
    const slots = this.slotsToChange(toKey);
    const set = (slot: number, to: bigint): void => {
      const before = slots.get(slot) ?? 0n;
      slots.set(slot, BigInt.asUintN(256, to));
      books.changed(toKey);
      journal.push(() => slots.set(slot, before));
    };
    const get = (slot: number): bigint => slots.get(slot) ?? 0n;
    switch (code) {
      case 'failing':
        return false;
      case 'counter':
        if ((wordAt(data, 0) & 1n) === 1n) return false;
        set(0, get(0) + wordAt(data, 0));
        run.logs++;
        return true;
      case 'token': {
        const [from, to, amount] = [Number(wordAt(data, 0)), Number(wordAt(data, 1)), wordAt(data, 2)];
        if (get(from) < amount) return false;
        set(from, get(from) - amount);
        set(to, get(to) + amount);
        run.logs++;
        return true;
      }
      case 'forwarder': {
        const target = bytesKey(data.length < 32 ? new Uint8Array(20) : data.subarray(12, 32));
        move(toKey, -value);
        // Elsewhere it is a credit, which leaves the shard; without value it reverts (R12).
        if (this.homeOf(target) !== books.shard) return value !== 0n;
        return this.call(run, { toKey: target, value, data: new Uint8Array(0) });
      }
      case 'factory': {
        const nonce = books.nonceOf(toKey);
        const child = this.addressOf(toKey, nonce);
        books.nonce(toKey, nonce + 1);
        move(toKey, -value);
        set(0, get(0) + 1n);
        this.add(books, child, 'child', value);
        run.made.push(child);
        journal.push(() => {
          this.contracts.delete(child);
          books.move(child, -value);
          books.nonce(child, 0);
          books.nonce(toKey, nonce);
        });
        return true;
      }
      case 'heir': {
        const target = bytesKey(data.length < 32 ? new Uint8Array(20) : data.subarray(12, 32));
        const wei = books.balanceOf(toKey);
        if (target === toKey) return true;
        move(toKey, -wei);
        if (this.homeOf(target) === books.shard) move(target, wei);
        return true;
      }
      case 'pyre': {
        const nonce = books.nonceOf(toKey);
        const child = this.addressOf(toKey, nonce);
        books.nonce(toKey, nonce + 1);
        journal.push(() => books.nonce(toKey, nonce));
        move(toKey, -value);
        set(0, get(0) + 1n);
        this.destroy(run, child, value, wordAt(data, 0) === 0n ? child : bytesKey(data.subarray(12, 32)));
        return true;
      }
      case 'child':
        return true;
    }
  }
}
