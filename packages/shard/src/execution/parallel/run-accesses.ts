import { LIMBS } from '../evm/words/basic.ts';
import { grownInt32 } from '../evm/world/columns.ts';
import type { WorldState } from '../evm/world-state.ts';
import { ACCESS_WORDS, accountHigh, accountLow, slotHash } from './access.ts';

const START = 1 << 10;

/** Lists what the transactions of a world touched, all together. What they did one by one takes an `AccessWorld`, which is dearer. */
export class RunAccesses {
  private readonly seed: number;
  /** By account: both halves of its hash. */
  private halves: Int32Array = new Int32Array(2 * START);
  private readonly scratch: Uint32Array = new Uint32Array(LIMBS);

  /** `seed`: see `AccessWorld`. */
  constructor(options: { readonly seed: number }) {
    this.seed = options.seed | 0;
  }

  /** All accesses since the world was made or reset, {@link ACCESS_WORDS} each, at the front of the array; those behind have no bits. */
  collect(world: WorldState): Int32Array<ArrayBuffer> {
    const { accountCount } = world;
    const out = new Int32Array((accountCount + world.slotCount) * ACCESS_WORDS);
    const halves = grownInt32(this.halves, 2 * accountCount);
    this.halves = halves;
    let at = 0;
    for (let account = 0; account < accountCount; account++) {
      world.addressInto(account, this.scratch, 0);
      const low = accountLow(this.seed, this.scratch, 0);
      const high = accountHigh(this.seed, this.scratch, 0);
      halves[2 * account] = low;
      halves[2 * account + 1] = high;
      const bits = world.accountAccesses(account);
      if (bits === 0) continue;
      out[at] = low;
      out[at + 1] = high;
      out[at + 2] = bits;
      at += ACCESS_WORDS;
    }
    world.visitSlotAccesses((account, words, from, bits) => {
      out[at] = slotHash(halves[2 * account]!, words, from);
      out[at + 1] = slotHash(halves[2 * account + 1]!, words, from);
      out[at + 2] = bits;
      at += ACCESS_WORDS;
    });
    return out;
  }
}
