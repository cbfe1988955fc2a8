import { invariant } from '@shardlab/crosslink';
import { grownInt32 } from '../evm/world/columns.ts';
import { ACCESS_WORDS, isOrdered } from './access.ts';

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
  private readonly one: Int32Array = new Int32Array(ACCESS_WORDS);

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

  /** One access; `bits`: see {@link ACCESS}. */
  add(low: number, high: number, owner: number, bits: number): void {
    this.one[0] = low;
    this.one[1] = high;
    this.one[2] = bits;
    this.addAll(this.one, 0, ACCESS_WORDS, owner);
  }

  /** The accesses of an owner that stand from `from` to `to` (exclusive) in `accesses`, {@link ACCESS_WORDS} each; those without bits are none. */
  addAll(accesses: Int32Array, from: number, to: number, owner: number): void {
    const { table, mask } = this;
    if (2 * this.count + to - from > this.added.length) this.added = grownInt32(this.added, 2 * this.count + to - from);
    const { added } = this;
    let end = 2 * this.count;
    for (let at = from; at < to; at += ACCESS_WORDS) {
      const bits = accesses[at + 2]!;
      if (bits === 0) continue;
      const [low, high] = [accesses[at]!, accesses[at + 1]!];
      let row = ((low ^ (high >>> 7)) & mask) * ROW_WORDS;
      while (table[row + 2] !== 0 && (table[row] !== low || table[row + 1] !== high)) row = (row + ROW_WORDS) & (mask * ROW_WORDS);
      added[end] = row;
      added[end + 1] = owner;
      end += 2;
      if (table[row + 2] === 0) {
        table[row] = low;
        table[row + 1] = high;
        table[row + 2] = owner + 1;
        table[row + 3] = bits;
        invariant(--this.placesLeft >= 0, 'no more places than were said');
      } else this.meet(row, owner, bits);
    }
    this.count = end >>> 1;
  }

  /** An access of a place that somebody, perhaps the same, has touched before. */
  private meet(row: number, owner: number, bits: number): void {
    const { table } = this;
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
}
