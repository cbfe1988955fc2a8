import { Evm } from '../evm/evm.ts';
import type { EvmCrypto, EvmFork, StateSource } from '../evm/types.ts';
import type { WorldState } from '../evm/world-state.ts';

/** An EVM and its world, with what they remember: code, what was compiled of it, and hashes. Several executors of one thread may take turns with it. */
export class ExecutionMachine<World extends WorldState = WorldState> {
  readonly world: World;
  readonly evm: Evm;
  private settle: () => unknown = () => undefined;

  /** `compileAfter`: see {@link Evm}. */
  constructor(options: { readonly fork: EvmFork; readonly compileAfter?: number }, modules: { readonly crypto: EvmCrypto; readonly world: World }) {
    const { fork, compileAfter } = options;
    this.world = modules.world;
    this.evm = new Evm({ fork, ...(compileAfter === undefined ? {} : { compileAfter }) }, modules);
  }

  /** Forgets what was executed, and goes on over another source. */
  reset(source: StateSource): void {
    this.settle();
    this.settle = () => undefined;
    this.world.reset(source);
  }

  /** What stands in the world is still to be collected: at the latest when the machine is reset, by `settle`. */
  keep(settle: () => unknown): void {
    this.settle = settle;
  }
}
