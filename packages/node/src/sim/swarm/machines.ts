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

/** Longest stall of a sync before a crash that is to find unsynced writes, in microseconds. */
const STALL_MAX_US = 800_000;

/** How many unsynced batches a kind of crash needs, for there to be what it is about: a beginning and a rest, or an order. */
export function unsyncedNeeded(kind: FaultEvent['kind']): number {
  if (kind === 'torn-write' || kind === 'misordered-write') return 2;
  return kind === 'lost-write' ? 1 : 0;
}

/**
 * A node's disk. It stalls from the time of such a crash on until that comes: a sync would be done before the next write otherwise, and no crash would find more than one
 * unsynced. What a crash leaves of unsynced batches, whatever the drive did with their pages, is a beginning of them, each whole, because the store's log ends at
 * the first record that is not whole (`leveldb/log.ts`, `commit-marker.ts`):
 * - lost-write: nothing of them was written;
 * - torn-write: some were, and the next one in part: that one is cut;
 * - misordered-write: the drive has written a later one and not an earlier one: those in front of the first that is missing are there, and no others.
 */
export class PlannedDisk implements DiskFaults {
  private readonly full: readonly FaultEvent[];
  private readonly stalls: readonly FaultEvent[];
  private readonly modules: MachineModules;
  private readonly struck = new Set<FaultEvent>();
  /** The planned crash that is about to come. */
  private crash: FaultEvent | undefined;

  constructor(plan: Plan, name: NodeName, modules: MachineModules) {
    this.full = eventsOf(plan, name, ['disk-full']);
    this.stalls = plan.events.filter(({ kind, nodes }) => unsyncedNeeded(kind) > 0 && nodes[0] === nodeLabel(name));
    this.modules = modules;
  }

  /** The crash that comes now is this one: its kind says what becomes of unsynced writes. */
  strike(event: FaultEvent): void {
    this.crash = event;
    this.struck.add(event);
  }

  stallUs(): number {
    const now = this.modules.nowMs();
    const stalled = this.stalls.some((event) => now >= event.atMs && now < event.untilMs && !this.struck.has(event));
    return stalled ? this.modules.prng.below(STALL_MAX_US) : 0;
  }

  survivors(pending: number): number {
    const { prng, strikes } = this.modules;
    const kind = this.crash?.kind ?? 'crash';
    this.crash = undefined;
    if (kind !== 'crash') strikes.add(kind);
    switch (kind) {
      case 'lost-write':
        return 0;
      case 'torn-write':
        return prng.below(pending);
      case 'misordered-write':
        // The first that is missing has one behind it that was written, and which goes with it.
        return prng.below(pending - 1);
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
