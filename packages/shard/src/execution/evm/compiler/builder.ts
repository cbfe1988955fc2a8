import { invariant } from '@shardlab/crosslink';
import { LIMBS } from '../words/basic.ts';
import { Emitter } from './emitter.ts';
import { TEMPORARIES_MAX } from './temporaries.ts';
import { limbsOfValue, type Place, placedValue, placeIndex, type Value } from './value.ts';

/** What instructions emit into: the text, and temporaries for what library functions take and give. */
export class Builder {
  readonly emitter = new Emitter();
  /** Words of temporaries in use. Each is written once, so that values may be loaded from it at any later time. */
  temporaries = 0;
  private readonly copies = new Map<Value, Place>();
  /** Values whose place on the stack has been overwritten: their limbs are all in variables. */
  private readonly displaced = new Set<Value>();

  /** A place among the temporaries for `words` words in a row. */
  temporary(words = 1): Place {
    const place: Place = { array: 'T', base: '', offset: LIMBS * this.temporaries };
    this.temporaries += words;
    invariant(this.temporaries <= TEMPORARIES_MAX, 'a trace with too many temporaries');
    return place;
  }

  /** Emits the stores of a word to a place. */
  store(value: Value, to: Place): void {
    const limbs = limbsOfValue(this.emitter, value);
    this.emitter.statement(limbs.map((limb, i) => `${to.array}[${placeIndex(to, i)}]=${limb};`).join(''));
  }

  /** Loads a word whose place on the stack is about to be overwritten. */
  displace(value: Value): void {
    limbsOfValue(this.emitter, value);
    this.displaced.add(value);
    this.emitter.atScopeEnd(() => void this.displaced.delete(value));
  }

  /** Where a word lies, among the temporaries or on the stack; undefined if it does not. */
  placeOf(value: Value): Place | undefined {
    return value.place === undefined || value.place.array === 'E' || this.displaced.has(value) ? undefined : value.place;
  }

  /** Where a word lies, among the temporaries or on the stack; a copy is made if it does not yet. */
  placed(value: Value): Place {
    return this.placeOf(value) ?? this.inTemporary(value);
  }

  /** Where a word lies among the temporaries; a copy is made if it does not yet. */
  inTemporary(value: Value): Place {
    if (value.place?.array === 'T') return value.place;
    const known = this.copies.get(value);
    if (known !== undefined) return known;
    const place = this.temporary();
    this.store(value, place);
    this.copies.set(value, place);
    this.emitter.atScopeEnd(() => void this.copies.delete(value));
    return place;
  }

  /** Whether two words are certainly the same. */
  same(a: Value, b: Value): boolean {
    if (a === b) return true;
    if (a.constant !== undefined || b.constant !== undefined) return a.constant === b.constant;
    const limbs = limbsOfValue(this.emitter, b);
    return limbsOfValue(this.emitter, a).every((limb, i) => limb === limbs[i]);
  }

  /** A new word that `write` (text of a statement, given the limb among the temporaries) leaves among the temporaries. */
  result(write: (at: number) => string): Value {
    const place = this.temporary();
    this.emitter.statement(write(place.offset));
    return placedValue(place);
  }
}

/** The unsigned array that a word of that place is handed to library functions in. */
export function arrayText(place: Place): string {
  return place.array === 'S' ? 'W' : 'U';
}
