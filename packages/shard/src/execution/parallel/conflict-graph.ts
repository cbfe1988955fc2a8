import { invariant } from '@shardlab/crosslink';
import { isOrdered } from './access.ts';

const ROW_WORDS = 4;
const ROWS_START = 1 << 10;
const SHARED = 1 << 30;

/**
 * Finds who depends on whom: owners (transactions, or runs of them) that touch one place in ways whose order matters come into one component.
 */
export class ConflictGraph {
  /** By bucket: hash low, hash high, owner + 1 (0: empty), bits of all and whether several owners share it. */
  private table: Int32Array = new Int32Array(ROWS_START * ROW_WORDS);
  private mask = ROWS_START - 1;
  private placesLeft = 0;
  /** The accesses as they came: row, owner. */
  private added: Int32Array = new Int32Array(ROWS_START * 2);
  private count = 0;
  private contended = false;
  /** Whether a place became ordered only after several owners had shared it: those are not joined yet. */
  private late = false;
  private parents: Int32Array = new Int32Array(0);

  /** Forgets all, and goes on with owners 0 to `owners` - 1, who will touch `placesMax` places at most. */
  clear(owners: number, placesMax: number): void {
    let rows = ROWS_START;
    while (rows < 2 * placesMax) rows *= 2;
    if (rows * ROW_WORDS > this.table.length) this.table = new Int32Array(rows * ROW_WORDS);
    else this.table.fill(0, 0, rows * ROW_WORDS);
    this.mask = rows - 1;
    this.placesLeft = placesMax;
    this.count = 0;
    this.contended = false;
    this.late = false;
    if (this.parents.length < owners) this.parents = new Int32Array(owners);
    for (let i = 0; i < owners; i++) this.parents[i] = i;
  }

  /** `bits`: see {@link ACCESS}. */
  add(low: number, high: number, owner: number, bits: number): void {
    const { table } = this;
    const row = this.find(low, high);
    if (2 * this.count === this.added.length) this.added = grown(this.added);
    const at = 2 * this.count++;
    this.added[at] = row;
    this.added[at + 1] = owner;
    if (table[row + 2] === 0) {
      table[row] = low;
      table[row + 1] = high;
      table[row + 2] = owner + 1;
      table[row + 3] = bits;
      invariant(--this.placesLeft >= 0, 'no more places than were said');
      return;
    }
    const before = table[row + 3]!;
    let all = before | bits;
    if (table[row + 2] !== owner + 1) all |= SHARED;
    table[row + 3] = all;
    if ((all & SHARED) === 0 || !isOrdered(all)) return;
    this.contended = true;
    if ((before & SHARED) !== 0 && !isOrdered(before)) this.late = true;
    else this.join(owner, table[row + 2]! - 1);
  }

  /** Makes the components; false: each owner is one for itself. */
  solve(): boolean {
    if (!this.late) return this.contended;
    const { table, added } = this;
    for (let at = 0; at < 2 * this.count; at += 2) {
      const row = added[at]!;
      const all = table[row + 3]!;
      if ((all & SHARED) !== 0 && isOrdered(all)) this.join(added[at + 1]!, table[row + 2]! - 1);
    }
    this.late = false;
    return true;
  }

  /** The owner that stands for the component: its smallest. After {@link solve}. */
  root(owner: number): number {
    const { parents } = this;
    let at = owner;
    while (parents[at] !== at) {
      parents[at] = parents[parents[at]!]!;
      at = parents[at]!;
    }
    return at;
  }

  private join(a: number, b: number): void {
    const [rootA, rootB] = [this.root(a), this.root(b)];
    if (rootA < rootB) this.parents[rootB] = rootA;
    else this.parents[rootA] = rootB;
  }

  /** The row of a place, or the empty one where it would go. */
  private find(low: number, high: number): number {
    const { table, mask } = this;
    let bucket = (low ^ (high >>> 7)) & mask;
    for (;;) {
      const row = bucket * ROW_WORDS;
      if (table[row + 2] === 0 || (table[row] === low && table[row + 1] === high)) return row;
      bucket = (bucket + 1) & mask;
    }
  }
}

function grown(old: Int32Array): Int32Array<ArrayBuffer> {
  const wider = new Int32Array(2 * old.length);
  wider.set(old);
  return wider;
}
