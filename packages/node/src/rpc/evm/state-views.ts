import { type Address, type AssignmentTable, type Hash32, shardByRule, type ShardHeader, type ShardId } from '@shardlab/crosslink';
import { type BlockEnvironment, BlockHashWanted, type FlatChange, Homes, pastEnvironment, PastSource, PastStems, type ShardState, type StateSource } from '@shardlab/shard';
import type { ExecutedState, NodeHandle } from '../node-handle.ts';
import { limitExceeded, serverError } from '../rpc-error.ts';
import { Turns } from './turns.ts';

/** Blocks whose hash BLOCKHASH tells. */
const HASHES_MAX = 256;
/** Stems that may differ between the state in memory and the one that is asked for: some 100 MB. */
const CHANGES_MAX = 500_000;
/** Times that a state may run away while it is being looked for: blocks are made meanwhile. */
const ATTEMPTS_MAX = 64;

/** A state as it was after a block, for as long as a task runs. */
export interface StateView {
  readonly source: StateSource;
  /** The state in memory, and what differs between it and this one. */
  readonly state: ShardState;
  readonly past: PastStems;
  /** The block itself. */
  readonly header: ShardHeader;
  /** The environment of this block or of a later one. A free call sees a base fee of 0. */
  environment(header: ShardHeader, options?: { readonly isFree: boolean }): BlockEnvironment;
}

/** The words for a height whose state a node does not have. */
function missingState(): Error {
  return serverError('missing historical state: only the latest 256 heights of a shard have theirs');
}

/**
 * Past states of a shard, to run contracts on: the state in memory, which may be a block or two ahead of what is final, under the undo records of the blocks since.
 * A task is synchronous, so that no block executes while it runs.
 */
export class StateViews {
  private readonly shard: ShardId;
  private readonly handle: NodeHandle;
  private readonly executed: ExecutedState;
  private readonly turns = new Turns();
  /** What the newest blocks that are not final have changed; most calls ask for the state before those. */
  private latest: { readonly tip: object; readonly height: number; readonly past: PastStems } | undefined;

  constructor(shard: ShardId, handle: NodeHandle, executed: ExecutedState) {
    this.shard = shard;
    this.handle = handle;
    this.executed = executed;
  }

  /** Where an address lives, as the state in memory says. */
  homeOf(address: Address): ShardId {
    return this.homes().homeOf(address);
  }

  /** Whether this shard keeps a stub of an address, which it would have by rule (R11). */
  isStub(address: Address): boolean {
    const homes = this.homes();
    return homes.ruleOf(address) === this.shard && homes.homeOf(address) !== this.shard;
  }

  /**
   * Runs `task` on the state after the final block at `height`. Rejects with what it throws, and when the state is not kept (256 heights are). It may be run again,
   * with hashes of blocks that it asked for.
   */
  async at<T>(height: number | 'latest', task: (view: StateView) => T): Promise<T> {
    const loaded = new Map<number, readonly FlatChange[]>();
    const hashes = new Map<number, Hash32>();
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const { header } = await this.blockAt(height);
      await this.load(header.height, loaded);
      try {
        const done = await this.turns.run(() => this.tried(header, loaded, hashes, task));
        if (done !== undefined) return done.result;
      } catch (error) {
        if (!(error instanceof BlockHashWanted)) throw error;
        await this.loadHashes(error.height, hashes);
      }
    }
    throw limitExceeded('this node is busy: try again');
  }

  /** undefined: blocks were executed since the changes were loaded. */
  private tried<T>(header: ShardHeader, loaded: ReadonlyMap<number, readonly FlatChange[]>, hashes: ReadonlyMap<number, Hash32>, task: (view: StateView) => T): { readonly result: T } | undefined {
    if (this.missing(header.height, loaded).length > 0) return undefined;
    const { state } = this.executed;
    const past = this.past(header.height, loaded);
    const source = new PastSource({ shard: this.shard }, { hasher: this.handle.crypto, state, homes: this.homes(), past });
    const environment: StateView['environment'] = (of, options) => pastEnvironment(of, state, hashes, options);
    return { result: task({ source, state, past, header, environment }) };
  }

  private async blockAt(height: number | 'latest'): Promise<{ readonly header: ShardHeader }> {
    const { chain } = this.handle;
    const { head } = chain;
    if (head === undefined) throw serverError('this shard has no block yet');
    if (height === 'latest' || height === head.header.height) return head;
    const found = height > head.header.height ? undefined : await chain.headAt(height);
    if (found === undefined) throw missingState();
    return found;
  }

  /** Heights above `height` whose changes are neither loaded nor in memory. */
  private missing(height: number, loaded: ReadonlyMap<number, unknown>): number[] {
    const { executor } = this.executed;
    const recent = new Set<number>(executor.recent.map((block) => block.header.height));
    const out: number[] = [];
    for (let above = height + 1; above <= executor.head.header.height; above++) if (!recent.has(above) && !loaded.has(above)) out.push(above);
    return out;
  }

  private async load(height: number, loaded: Map<number, readonly FlatChange[]>): Promise<void> {
    let changes = 0;
    for (const undo of loaded.values()) changes += undo.length;
    for (const above of this.missing(height, loaded)) {
      const undo = await this.handle.chain.undoAt(above);
      // Final blocks are stored in order: what is not there is no longer kept, or is not final and will be executed anew.
      if (undo === undefined && above <= (this.handle.chain.head?.header.height ?? 0)) throw missingState();
      if (undo === undefined) return;
      changes += undo.length;
      if (changes > CHANGES_MAX) throw limitExceeded(`more than ${CHANGES_MAX} entries of the state have changed since block ${height}: ask for a later one`);
      loaded.set(above, undo);
    }
  }

  private async loadHashes(wanted: number, hashes: Map<number, Hash32>): Promise<void> {
    for (let height = Math.max(0, wanted - HASHES_MAX); height <= wanted + HASHES_MAX; height++) {
      if (hashes.has(height)) continue;
      const found = await this.handle.chain.headAt(height);
      if (found === undefined && height === wanted) throw this.handle.chain.missingBlock(height);
      if (found !== undefined) hashes.set(height, found.hash);
    }
  }

  private past(height: number, loaded: ReadonlyMap<number, readonly FlatChange[]>): PastStems {
    const { executor } = this.executed;
    const tip = executor.head;
    if (this.latest?.tip === tip && this.latest.height === height) return this.latest.past;
    const recent = new Map(executor.recent.map((block): [number, readonly FlatChange[]] => [block.header.height, block.delta.undo]));
    const past = new PastStems();
    for (let above: number = tip.header.height; above > height; above--) past.add(recent.get(above) ?? loaded.get(above)!);
    if (tip.header.height - height <= recent.size) this.latest = { tip, height, past };
    return past;
  }

  private homes(): Homes {
    return new Homes(this.shard, { state: this.executed.state, assignment: this.assignment() });
  }

  private assignment(): Pick<AssignmentTable, 'shardOf'> {
    const { crypto, genesis } = this.handle;
    return this.handle.assignment()?.table ?? { shardOf: (address) => shardByRule(crypto, address, genesis.shards) };
  }
}
