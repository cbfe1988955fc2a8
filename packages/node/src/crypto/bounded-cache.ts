/** A map of at most `entriesMax` entries; the one that was used longest ago makes room. */
export class BoundedCache<Value> {
  private readonly entries = new Map<string, Value>();
  private readonly entriesMax: number;

  constructor(entriesMax: number) {
    this.entriesMax = entriesMax;
  }

  /** Entries held now. */
  get size(): number {
    return this.entries.size;
  }

  /** The value of `key`, made by `make` when it is not held. What `make` throws is thrown, and nothing is kept. */
  get(key: string, make: () => Value): Value {
    const held = this.entries.get(key);
    if (held !== undefined) {
      this.entries.delete(key);
      this.entries.set(key, held);
      return held;
    }
    const value = make();
    if (this.entries.size >= this.entriesMax) {
      const oldest = this.entries.keys().next();
      if (!oldest.done) this.entries.delete(oldest.value);
    }
    this.entries.set(key, value);
    return value;
  }
}
