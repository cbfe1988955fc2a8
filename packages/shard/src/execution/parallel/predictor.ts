import { type Address, bytesKey, equalBytes, type Hasher } from '@shardlab/crosslink';
import type { EvmTransaction } from '../evm/transaction.ts';
import { fromBytes, LIMBS, setSmall } from '../evm/words/basic.ts';
import { ACCESS, ACCESS_WORDS, accountHigh, accountLow, slotHash } from './access.ts';
import type { SampledSlot } from './run-result.ts';
import type { SpeculatedTransaction } from './speculation.ts';

/** Templates that are kept; the one that was learnt first goes first. */
const TEMPLATES_MAX = 4_096;
/** Slots of a template. */
const SLOTS_MAX = 64;
/** Samples of one template that are looked at. */
const SAMPLES_MAX = 3;
/** Words of call data that may be part of a key. */
const ARGUMENTS_MAX = 6;
/** Positions of mappings that are tried: Solidity numbers variables from 0. */
const MAPPINGS_MAX = 12;
const SELECTOR_BYTES = 4;
const SENDER = -1;
const NO_KEY = -2;
/** Gas that a call is taken for before one was seen. */
const GAS_UNKNOWN = 60_000;

/** One slot that calls of a template touch: a fixed one, or that of a mapping whose keys are the sender or arguments. */
interface SlotPattern {
  /** Hash of the slot, or of the one at the mapping's position, if it is one. */
  readonly low: number;
  readonly high: number;
  /** Where the keys come from: {@link SENDER}, an argument's index, or {@link NO_KEY}. */
  readonly outer: number;
  readonly inner: number;
  readonly bits: number;
  readonly id: string;
}

/** A place in a mapping: see {@link SlotPattern}; `inner` is {@link NO_KEY} in a mapping that is not nested. */
interface MappedPlace {
  /** Of the mapping among the contract's variables. */
  readonly position: number;
  readonly outer: number;
  readonly inner: number;
}

const NO_MAPPING = { outer: NO_KEY, inner: NO_KEY };

/** Gas that is expected, whether to learn from the transaction, and its accesses, `ACCESS_WORDS` each, from {@link FOOTPRINT_START} on. */
export type Footprint = Int32Array;

/** Where a {@link Footprint}'s accesses begin. */
export const FOOTPRINT_START = 2;

/** Whether calls of that kind are still learnt from. */
export function isProvisional(footprint: Footprint): boolean {
  return footprint[1] === 1;
}

/** What every transaction does to its sender. */
const SENDER_BITS = ACCESS.CODE_READ | ACCESS.NONCE_READ | ACCESS.NONCE_WRITE | ACCESS.BALANCE_READ | ACCESS.BALANCE_ADD;

/** What is known of the calls of one function of one contract. */
export interface CallKind {
  readonly patterns: readonly SlotPattern[];
  /** Gas that a call is expected to use: a weight, no bound. */
  readonly gas: number;
  /** Whether to learn from the next. */
  readonly wanted: boolean;
}

interface Template extends CallKind {
  patterns: SlotPattern[];
  samples: number;
  gas: number;
  wanted: boolean;
}

/** Of plain transfers and creations, and of calls that nobody has seen yet. */
const PLAIN: CallKind = { patterns: [], gas: GAS_UNKNOWN, wanted: false };
const UNSEEN: CallKind = { patterns: [], gas: GAS_UNKNOWN, wanted: true };

function selectorOf(data: Uint8Array): number {
  return (data[0]! << 24) | (data[1]! << 16) | (data[2]! << 8) | data[3]!;
}

function templateKey(to: Address, data: Uint8Array): string {
  return bytesKey(to) + bytesKey(data.subarray(0, SELECTOR_BYTES));
}

/**
 * Predicts which slots a call touches, from what earlier calls of the same function of the same contract touched: each slot that they had is explained as a fixed one, or as
 * `mapping[key]` or `mapping[key][key]` where the keys are the sender or arguments. A wrong prediction costs time, never a wrong result.
 */
export class AccessPredictor {
  private readonly seed: number;
  private readonly hasher: Pick<Hasher, 'keccak256'>;
  private readonly templates = new Map<string, Template>();
  private lastTo: Address | undefined;
  private lastSelector = 0;
  private lastKind: CallKind = PLAIN;
  private readonly word: Uint32Array = new Uint32Array(LIMBS);

  /** `seed`: 32 bits, keys the hashes. */
  constructor(options: { readonly seed: number }, modules: { readonly hasher: Pick<Hasher, 'keccak256'> }) {
    this.seed = options.seed | 0;
    this.hasher = modules.hasher;
  }

  /** What is known of calls like this one. */
  kindOf({ to, data }: EvmTransaction): CallKind {
    if (to === undefined || data.length < SELECTOR_BYTES) return PLAIN;
    // Most blocks call a few functions: the one before is looked at first.
    if (this.lastTo !== undefined && selectorOf(data) === this.lastSelector && (to === this.lastTo || equalBytes(to, this.lastTo))) return this.lastKind;
    this.lastTo = to;
    this.lastSelector = selectorOf(data);
    this.lastKind = this.templates.get(templateKey(to, data)) ?? UNSEEN;
    return this.lastKind;
  }

  /** What the transaction is predicted to touch: its sender, whom it pays, and slots as far as is known. To be kept, where a transaction waits for its block. */
  footprint(tx: EvmTransaction): Footprint {
    const { patterns, gas, wanted } = this.kindOf(tx);
    const pays = tx.to !== undefined && tx.value !== 0n;
    const out = new Int32Array(FOOTPRINT_START + ACCESS_WORDS * (patterns.length + (pays ? 2 : 1)));
    out[0] = Math.min(gas, Number(tx.gasLimit));
    out[1] = wanted ? 1 : 0;
    let at = this.addAccount(out, FOOTPRINT_START, tx.sender, SENDER_BITS);
    if (pays) at = this.addAccount(out, at, tx.to!, ACCESS.BALANCE_ADD);
    for (const pattern of patterns) {
      let { low, high } = pattern;
      if (pattern.outer !== NO_KEY) {
        this.readKey(tx, pattern.outer);
        low = slotHash(low, this.word, 0);
        high = slotHash(high, this.word, 0);
      }
      if (pattern.inner !== NO_KEY) {
        this.readKey(tx, pattern.inner);
        low = slotHash(low, this.word, 0);
        high = slotHash(high, this.word, 0);
      }
      out[at] = low;
      out[at + 1] = high;
      out[at + 2] = pattern.bits;
      at += ACCESS_WORDS;
    }
    return out;
  }

  /** Learns from what a transaction touched, and the gas that it used. */
  learn(tx: EvmTransaction, slots: readonly SampledSlot[], gas: number): void {
    if (tx.to === undefined || tx.data.length < SELECTOR_BYTES) return;
    const key = templateKey(tx.to, tx.data);
    let template = this.templates.get(key);
    if (template === undefined) {
      template = { patterns: [], samples: 0, gas, wanted: true };
      this.lastTo = undefined;
      this.templates.set(key, template);
      for (const oldest of this.templates.keys()) {
        if (this.templates.size <= TEMPLATES_MAX) break;
        this.templates.delete(oldest);
      }
    }
    template.gas = Math.max(template.gas, gas);
    if (template.samples >= SAMPLES_MAX) return;
    const sampled = slots.slice(0, SLOTS_MAX);
    const places = this.mappedPlaces(tx, sampled);
    const found = sampled.map((slot) => this.describe(slot, places.get(bytesKey(slot.key))));
    // A fixed slot that one call had and the other has not was a key that nobody could explain.
    const first = template.samples === 0;
    const kept = template.patterns.filter(({ outer, id }) => outer !== NO_KEY || found.some((pattern) => pattern.id === id));
    for (const pattern of found) {
      const at = kept.findIndex(({ id }) => id === pattern.id);
      if (at >= 0) kept[at] = { ...kept[at]!, bits: kept[at]!.bits | pattern.bits };
      else if (kept.length < SLOTS_MAX && (first || pattern.outer !== NO_KEY)) kept.push(pattern);
    }
    template.patterns = kept;
    template.samples++;
    template.wanted = template.samples < SAMPLES_MAX;
  }

  /** Learns from a transaction that was executed on a thread. */
  learnFrom(tx: EvmTransaction, { outcome, reads, changes }: SpeculatedTransaction): void {
    const written = new Set(changes.slots.map(({ address, key }) => bytesKey(address) + bytesKey(key)));
    const slots = reads.slots.map(({ address, key }): SampledSlot => {
      const write = written.has(bytesKey(address) + bytesKey(key)) ? ACCESS.SLOT_WRITE : 0;
      return { address, key, bits: ACCESS.SLOT_READ | write };
    });
    this.learn(tx, slots, outcome.gasUsed);
  }

  /** Learns anew what calls of that function touch: the prediction has failed. */
  doubt(tx: EvmTransaction): void {
    if (tx.to === undefined) return;
    const template = this.templates.get(templateKey(tx.to, tx.data));
    if (template !== undefined && template.samples === SAMPLES_MAX) {
      template.samples = SAMPLES_MAX - 1;
      template.wanted = true;
    }
  }

  private addAccount(out: Int32Array, at: number, address: Address, bits: number): number {
    fromBytes(this.word, 0, address, 0, 20);
    out[at] = accountLow(this.seed, this.word, 0);
    out[at + 1] = accountHigh(this.seed, this.word, 0);
    out[at + 2] = bits;
    return at + ACCESS_WORDS;
  }

  private readKey(tx: EvmTransaction, key: number): void {
    if (key === SENDER) {
      fromBytes(this.word, 0, tx.sender, 0, 20);
      return;
    }
    const from = SELECTOR_BYTES + 32 * key;
    if (from + 32 <= tx.data.length) fromBytes(this.word, 0, tx.data, from, 32);
    else setSmall(this.word, 0, 0);
  }

  private describe({ address, key, bits }: SampledSlot, mapping: MappedPlace | undefined): SlotPattern {
    const account = new Uint32Array(LIMBS);
    fromBytes(account, 0, address, 0, 20);
    const base = new Uint32Array(LIMBS);
    if (mapping === undefined) fromBytes(base, 0, key, 0, 32);
    else setSmall(base, 0, mapping.position);
    const { outer, inner } = mapping ?? NO_MAPPING;
    const [low, high] = [accountLow(this.seed, account, 0), accountHigh(this.seed, account, 0)];
    return { low: slotHash(low, base, 0), high: slotHash(high, base, 0), outer, inner, bits, id: `${bytesKey(address)}:${base.join()}:${outer}:${inner}` };
  }

  /**
   * Which of a call's slots are places in mappings, by `bytesKey` of the slot. Each place is hashed once for all slots: a call may touch many that nothing explains, and it is not paid
   * for what is looked for here.
   */
  private mappedPlaces(tx: EvmTransaction, slots: readonly SampledSlot[]): ReadonlyMap<string, MappedPlace> {
    const found = new Map<string, MappedPlace>();
    const missing = new Set(slots.map(({ key }) => bytesKey(key)));
    const note = (slot: Uint8Array, place: MappedPlace): void => {
      const key = bytesKey(slot);
      if (missing.delete(key)) found.set(key, place);
    };
    const words = this.keyWords(tx);
    const ones: (MappedPlace & { readonly slot: Uint8Array })[] = [];
    const base = new Uint8Array(32);
    for (let position = 0; position < MAPPINGS_MAX; position++) {
      base[31] = position;
      for (const [outer, word] of words) ones.push({ slot: this.mapped(word, base), position, outer, inner: NO_KEY });
    }
    for (const one of ones) note(one.slot, one);
    for (const { slot, position, outer } of ones) {
      if (missing.size === 0) break;
      for (const [inner, word] of words) note(this.mapped(word, slot), { position, outer, inner });
    }
    return found;
  }

  /** What may be a mapping's key, as words of 32 bytes. */
  private keyWords(tx: EvmTransaction): [number, Uint8Array][] {
    const sender = new Uint8Array(32);
    sender.set(tx.sender, 12);
    const words: [number, Uint8Array][] = [[SENDER, sender]];
    for (let index = 0; index < ARGUMENTS_MAX; index++) {
      const from = SELECTOR_BYTES + 32 * index;
      if (from + 32 <= tx.data.length) words.push([index, tx.data.subarray(from, from + 32)]);
    }
    return words;
  }

  /** The slot of `mapping[key]` (Solidity's storage layout). */
  private mapped(key: Uint8Array, place: Uint8Array): Uint8Array {
    const both = new Uint8Array(64);
    both.set(key);
    both.set(place, 32);
    return this.hasher.keccak256(both);
  }
}
