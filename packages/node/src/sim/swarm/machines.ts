import type { Prng } from '@shardlab/crosslink';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';
import type { ClockFaults } from '../clock.ts';
import type { DiskFaults } from '../disk.ts';
import type { FaultEvent, Plan } from './plan.ts';
import type { Strikes } from './strikes.ts';

/** What a plan's machine faults need of the run. */
export interface MachineModules {
  readonly prng: Prng;
  readonly strikes: Strikes;
  /** Virtual milliseconds since the start. */
  readonly nowMs: () => number;
}

/** The plan's events of one node and some kinds. */
function eventsOf(plan: Plan, name: NodeName, kinds: readonly string[]): FaultEvent[] {
  const label = nodeLabel(name);
  return plan.events.filter((event) => kinds.includes(event.kind) && event.nodes.includes(label));
}

/** A node's wrong clock. */
export function clockFaults(plan: Plan, name: NodeName, modules: MachineModules): ClockFaults {
  const skews = eventsOf(plan, name, ['skew']);
  return {
    offsetMs: () => {
      const now = modules.nowMs();
      let offset = 0;
      for (const { atMs, untilMs, ms } of skews) {
        if (now < atMs || now >= untilMs) continue;
        modules.strikes.add('skew');
        offset += ms;
      }
      return offset;
    },
  };
}

/**
 * A node's disk. What a crash leaves of unsynced batches, whatever the drive did with their pages, is a beginning of them, each whole, because the store's log ends at
 * the first record that is not whole (`leveldb/log.ts`, `commit-marker.ts`):
 * - lost-write: nothing of them was written;
 * - torn-write: some were, and the next one in part: that one is cut;
 * - misordered-write: the drive has written any of them, in any order: those in front of the first that is missing are there.
 */
export class PlannedDisk implements DiskFaults {
  private readonly full: readonly FaultEvent[];
  private readonly modules: MachineModules;
  /** What the crash that is about to come does to unsynced writes. */
  crashKind: FaultEvent['kind'] = 'crash';

  constructor(plan: Plan, name: NodeName, modules: MachineModules) {
    this.full = eventsOf(plan, name, ['disk-full']);
    this.modules = modules;
  }

  survivors(pending: number): number {
    const { prng, strikes } = this.modules;
    const kind = this.crashKind;
    this.crashKind = 'crash';
    switch (kind) {
      case 'lost-write':
        strikes.add(kind);
        return 0;
      case 'torn-write':
        strikes.add(kind);
        return prng.below(pending);
      case 'misordered-write': {
        strikes.add(kind);
        let whole = 0;
        while (whole < pending && prng.below(3) > 0) whole++;
        return whole;
      }
      default:
        return prng.below(pending + 1);
    }
  }

  isFull(): boolean {
    const now = this.modules.nowMs();
    const full = this.full.some(({ atMs, untilMs }) => now >= atMs && now < untilMs);
    if (full) this.modules.strikes.add('disk-full');
    return full;
  }
}
