import type { Effect } from '@shardlab/shard';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';
import type { Violations } from './violations.ts';

/** Requests that a node may make within one second: four times the most that was seen in forty seeds with all faults. */
const PER_SECOND_MAX = 100;

interface Window {
  readonly second: number;
  count: number;
}

/** No node asks in a circle: a request that fails at once, because nobody is connected, must not be made again at once for ever. */
export class RequestPaceChecker {
  private readonly windows = new Map<string, Window>();
  private readonly violations: Violations;

  constructor(modules: { readonly violations: Violations }) {
    this.violations = modules.violations;
  }

  /** A node does something at this moment of virtual time, in milliseconds. */
  effect(name: NodeName, effect: Effect, nowMs: number): void {
    if (effect.kind !== 'request') return;
    const label = nodeLabel(name);
    const second = Math.floor(nowMs / 1_000);
    let window = this.windows.get(label);
    if (window?.second !== second) this.windows.set(label, (window = { second, count: 0 }));
    window.count++;
    if (window.count === PER_SECOND_MAX + 1) this.violations.add('requests', `${label} has made more than ${PER_SECOND_MAX} within the second before ${nowMs} virtual ms`);
  }
}
