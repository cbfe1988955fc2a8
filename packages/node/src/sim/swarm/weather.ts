import type { Prng } from '@shardlab/crosslink';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';
import type { MessageInfo, NetworkFaults } from '../network-faults.ts';
import type { FaultEvent, Plan } from './plan.ts';
import type { Strikes } from './strikes.ts';

const HEALTHY: readonly number[] = [0];

/** A plan's faults between nodes. Which of them are active is looked up by time; every draw is from a generator of its own. */
export class Weather implements NetworkFaults {
  private readonly nowMs: () => number;
  private readonly prng: Prng;
  private readonly strikes: Strikes;
  private readonly cuts: readonly (FaultEvent & { readonly side: ReadonlySet<string> })[];
  private readonly breaks: readonly (FaultEvent & { readonly one: string; readonly others: ReadonlySet<string> })[];
  private readonly disturbances: readonly FaultEvent[];

  /** `nowMs`: virtual time since the start. */
  constructor(plan: Plan, modules: { readonly prng: Prng; readonly strikes: Strikes; readonly nowMs: () => number }) {
    this.nowMs = modules.nowMs;
    this.prng = modules.prng;
    this.strikes = modules.strikes;
    this.cuts = plan.events.filter(({ kind }) => kind === 'partition' || kind === 'one-way').map((event) => ({ ...event, side: new Set(event.nodes) }));
    this.breaks = plan.events.filter(({ kind }) => kind === 'disconnect').map((event) => ({ ...event, one: event.nodes[0]!, others: new Set(event.nodes.slice(1)) }));
    this.disturbances = plan.events.filter(({ kind }) => kind === 'delay' || kind === 'reorder' || kind === 'loss' || kind === 'duplicate');
  }

  broken(a: NodeName, b: NodeName): boolean {
    const now = this.nowMs();
    return this.breaks.some(({ atMs, untilMs, one, others }) => {
      if (now < atMs || now >= untilMs) return false;
      const [first, second] = [nodeLabel(a), nodeLabel(b)];
      return (first === one && others.has(second)) || (second === one && others.has(first));
    });
  }

  linked(from: NodeName, to: NodeName): boolean {
    const now = this.nowMs();
    if (this.broken(from, to)) {
      this.strikes.add('disconnect');
      return false;
    }
    for (const { kind, atMs, untilMs, side } of this.cuts) {
      if (now < atMs || now >= untilMs) continue;
      const inside = side.has(nodeLabel(from));
      const apart = inside !== side.has(nodeLabel(to));
      if (!apart || (kind === 'one-way' && !inside)) continue;
      this.strikes.add(kind);
      return false;
    }
    return true;
  }

  copies({ kind: message }: MessageInfo): readonly number[] {
    const now = this.nowMs();
    let copies = 1;
    let extraUs = 0;
    let untouched = true;
    for (const { kind, atMs, untilMs, percent, ms } of this.disturbances) {
      if (now < atMs || now >= untilMs || this.prng.below(100) >= percent) continue;
      // An answer comes once, as a stream does.
      if (kind === 'duplicate' && message !== 'gossip') continue;
      untouched = false;
      this.strikes.add(kind);
      if (kind === 'loss') return [];
      if (kind === 'duplicate') copies++;
      else extraUs += this.prng.below(ms * 1_000);
    }
    if (untouched) return HEALTHY;
    return Array.from({ length: copies }, (_, copy) => extraUs + copy * 1_000 * this.prng.below(500));
  }
}
