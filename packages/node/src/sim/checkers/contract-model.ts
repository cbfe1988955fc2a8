import { type Address, bytesKey, concatBytes, type Hasher, keyBytes } from '@shardlab/crosslink';
import { type ContractKind, emberHeir, kindOf, TOKEN_SLOTS, TOKEN_START, wordAt } from '../contracts/bytecode.ts';

/** A contract as the model knows it. */
export interface ModelContract {
  readonly kind: ContractKind;
  /** The shard where it was made, and lives. */
  readonly home: number;
  readonly slots: Map<number, bigint>;
}

/** A call that the model is to run. */
export interface ModelCall {
  readonly toKey: string;
  readonly value: bigint;
  readonly data: Uint8Array;
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

  private call(run: { readonly books: ModelBooks; readonly journal: (() => void)[]; readonly made: string[]; logs: number }, { toKey, value, data }: ModelCall): boolean {
    const { books, journal } = run;
    const move = (key: string, wei: bigint): void => {
      books.move(key, wei);
      journal.push(() => books.move(key, -wei));
    };
    move(toKey, value);
    const contract = this.contracts.get(toKey);
    if (contract === undefined) return true;
    const set = (slot: number, to: bigint): void => {
      const before = contract.slots.get(slot) ?? 0n;
      contract.slots.set(slot, BigInt.asUintN(256, to));
      books.changed(toKey);
      journal.push(() => contract.slots.set(slot, before));
    };
    const get = (slot: number): bigint => contract.slots.get(slot) ?? 0n;
    switch (contract.kind) {
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
