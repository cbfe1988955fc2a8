import type { Prng } from '@shardlab/crosslink';
import type { NodeName } from '../../src/ports.ts';
import type { MessageInfo, NetworkFaults } from '../../src/sim/network-faults.ts';

/** A network on which no gossip arrives. */
export const NO_GOSSIP: NetworkFaults = { linked: () => true, copies: ({ kind }) => (kind === 'gossip' ? [] : [0]) };

/** Faults that a test turns on and off while it runs. */
export class SwitchedFaults implements NetworkFaults {
  faults: NetworkFaults | undefined;

  linked(from: NodeName, to: NodeName): boolean {
    return this.faults?.linked(from, to) ?? true;
  }

  broken(a: NodeName, b: NodeName): boolean {
    return this.faults?.broken?.(a, b) ?? false;
  }

  copies(message: MessageInfo): readonly number[] {
    return this.faults?.copies(message) ?? [0];
  }
}

/** How bad a network is: chances in percent, and how late a late message is. */
export interface Weather {
  readonly lost: number;
  readonly doubled: number;
  readonly late: number;
  readonly lateMsMax: number;
}

/** Loss, duplicates and reordering, of gossip, requests and answers alike, drawn from `prng`. */
export function badNetwork(prng: Prng, weather: Weather): NetworkFaults {
  const delay = (): number => (prng.below(100) < weather.late ? prng.below(weather.lateMsMax * 1000) : 0);
  return {
    linked: () => true,
    copies: ({ kind }) => {
      if (prng.below(100) < weather.lost) return [];
      // An answer comes once, as a stream does.
      return kind === 'gossip' && prng.below(100) < weather.doubled ? [delay(), delay()] : [delay()];
    },
  };
}
