import type { ShardId } from '@shardlab/crosslink';
import type { NetworkKit } from '../network-kit.ts';
import { simNetworkKit } from './network.ts';
import { forkOf, schemeOf, type SwarmOptions } from './options.ts';
import { makePlan, type Plan } from './plan.ts';
import { type RunWatch, SeedRun, type SeedResult } from './run.ts';

/** Runs seeds of one set of options in this thread: keys and genesis are made once for each scheme and fork. */
export class SeedRunner {
  private readonly options: SwarmOptions;
  private readonly kits = new Map<string, Promise<NetworkKit>>();

  constructor(options: SwarmOptions) {
    this.options = options;
  }

  private kit(seed: number): Promise<NetworkKit> {
    const [scheme, fork] = [schemeOf(seed), forkOf(seed)];
    const name = `${scheme} ${fork}`;
    let kit = this.kits.get(name);
    if (kit === undefined) this.kits.set(name, (kit = simNetworkKit(this.options, scheme, fork)));
    return kit;
  }

  /** What the seed does. */
  async plan(seed: number): Promise<Plan> {
    const { accounts } = await this.kit(seed);
    return makePlan(seed, this.options, accounts.map(({ home }): ShardId => home));
  }

  /** Plays a plan: that of its seed, or one that was changed. */
  async play(plan: Plan, watch: RunWatch = {}): Promise<SeedResult> {
    return new SeedRun(plan, this.options, await this.kit(plan.seed), watch).run();
  }

  async run(seed: number): Promise<SeedResult> {
    return this.play(await this.plan(seed));
  }
}
