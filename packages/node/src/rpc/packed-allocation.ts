import type { Address, Genesis } from '@shardlab/crosslink';

const ADDRESS_BYTES = 20;
const ENTRY_BYTES = ADDRESS_BYTES + 16;

/**
 * A genesis' allocation in 36 bytes an account, in its order: a node needs it only to tell load tools, and as objects it would take ten times as much for as
 * long as the node lives.
 */
export class PackedAllocation {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;

  constructor(allocation: Genesis['allocation']) {
    this.bytes = new Uint8Array(allocation.length * ENTRY_BYTES);
    this.view = new DataView(this.bytes.buffer);
    allocation.forEach(({ address, balance }, index) => {
      const at = index * ENTRY_BYTES;
      this.bytes.set(address, at);
      this.view.setBigUint64(at + ADDRESS_BYTES, balance >> 64n);
      this.view.setBigUint64(at + ADDRESS_BYTES + 8, balance & 0xffff_ffff_ffff_ffffn);
    });
  }

  /** Number of funded accounts. */
  get length(): number {
    return this.bytes.length / ENTRY_BYTES;
  }

  /** Entries from index `from` on, at most `count`. */
  page(from: number, count: number): { readonly address: Address; readonly balance: bigint }[] {
    const entries: { address: Address; balance: bigint }[] = [];
    for (let index = from; index < Math.min(this.length, from + count); index++) {
      const at = index * ENTRY_BYTES;
      const high = this.view.getBigUint64(at + ADDRESS_BYTES);
      const low = this.view.getBigUint64(at + ADDRESS_BYTES + 8);
      entries.push({ address: this.bytes.slice(at, at + ADDRESS_BYTES) as Address, balance: (high << 64n) | low });
    }
    return entries;
  }
}
