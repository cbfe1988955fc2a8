/** Storage of one account in flat columns, by open addressing: a state as cheap as can be, so that a benchmark of execution measures execution. */
const KEY_WORDS = 8;
const VALUE_BYTES = 32;
const START = 1_024;
/** Filled up to this share, the table doubles. */
const LOAD_MAX = 0.5;

/** Slots of 32 bytes by keys of 32 bytes. Keys are hashes or small numbers, so that their ends are spread enough to hash by. */
export class FlatSlots {
  private keys = new Uint32Array(KEY_WORDS * START);
  private values = new Uint8Array(VALUE_BYTES * START);
  private used = new Uint8Array(START);
  private count = 0;
  /** The key that is looked for, as words. */
  private readonly wanted = new Uint32Array(KEY_WORDS);

  /** Writes the value of a slot into `out`, zeros if there is none. */
  read(key: Uint8Array, out: Uint8Array): void {
    const at = this.find(key);
    if (this.used[at] === 0) {
      out.fill(0);
      return;
    }
    const { values } = this;
    for (let i = 0, from = VALUE_BYTES * at; i < VALUE_BYTES; i++) out[i] = values[from + i]!;
  }

  /** Sets a slot; `value` is copied. */
  write(key: Uint8Array, value: Uint8Array): void {
    if (this.count >= LOAD_MAX * this.used.length) this.grow();
    const at = this.find(key);
    if (this.used[at] === 0) {
      this.used[at] = 1;
      this.count++;
      this.keys.set(this.wanted, KEY_WORDS * at);
    }
    this.values.set(value, VALUE_BYTES * at);
  }

  /** Where the key is, or would be. */
  private find(key: Uint8Array): number {
    const { wanted } = this;
    for (let i = 0; i < KEY_WORDS; i++) {
      const from = 4 * i;
      wanted[i] = key[from]! | (key[from + 1]! << 8) | (key[from + 2]! << 16) | (key[from + 3]! << 24);
    }
    return this.place(wanted, 0);
  }

  private place(words: Uint32Array, from: number): number {
    const { keys, used } = this;
    const mask = used.length - 1;
    const hash = Math.imul(words[from]! ^ words[from + KEY_WORDS - 1]!, 0x9e37_79b1);
    for (let at = (hash >>> 8) & mask; ; at = (at + 1) & mask) {
      if (used[at] === 0) return at;
      let same = 0;
      while (same < KEY_WORDS && keys[KEY_WORDS * at + same] === words[from + same]) same++;
      if (same === KEY_WORDS) return at;
    }
  }

  private grow(): void {
    const { keys, values, used } = this;
    this.keys = new Uint32Array(2 * keys.length);
    this.values = new Uint8Array(2 * values.length);
    this.used = new Uint8Array(2 * used.length);
    for (let from = 0; from < used.length; from++) {
      if (used[from] === 0) continue;
      const to = this.place(keys, KEY_WORDS * from);
      this.used[to] = 1;
      this.keys.set(keys.subarray(KEY_WORDS * from, KEY_WORDS * (from + 1)), KEY_WORDS * to);
      this.values.set(values.subarray(VALUE_BYTES * from, VALUE_BYTES * (from + 1)), VALUE_BYTES * to);
    }
  }
}
