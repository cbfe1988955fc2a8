/**
 * Finds a transaction by its hash without making a string or an object for it: open addressing over typed arrays, 8 to 16 bytes an entry. A `Map` of
 * 240,000 string keys costs the run more time in garbage collection than all its HTTP.
 */
export class HashIndex {
  private readonly hashes: Uint8Array;
  private readonly slots: Int32Array;
  private readonly mask: number;

  /** `hashes`: 32 bytes each, all different; kept, not copied. */
  constructor(hashes: Uint8Array) {
    const count = hashes.length / 32;
    let size = 16;
    while (size < 2 * count) size *= 2;
    this.hashes = hashes;
    this.mask = size - 1;
    this.slots = new Int32Array(size).fill(-1);
    for (let index = 0; index < count; index++) {
      let slot = this.home(hashes, 32 * index);
      while (this.slots[slot] !== -1) slot = (slot + 1) & this.mask;
      this.slots[slot] = index;
    }
  }

  /** Index of the transaction with this 32-byte hash, or -1. */
  find(hash: Uint8Array): number {
    for (let slot = this.home(hash, 0); ; slot = (slot + 1) & this.mask) {
      const index = this.slots[slot]!;
      if (index === -1 || this.matches(index, hash)) return index;
    }
  }

  private home(bytes: Uint8Array, at: number): number {
    return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) & this.mask;
  }

  private matches(index: number, hash: Uint8Array): boolean {
    const start = 32 * index;
    for (let i = 0; i < 32; i++) if (this.hashes[start + i] !== hash[i]) return false;
    return true;
  }
}
