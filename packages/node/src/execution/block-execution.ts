/** The Executor port: on the main thread alone, or with threads that find out beforehand what calls of contracts do. */
import { type AssignmentTable, type Hash32, invariant } from '@shardlab/crosslink';
import { type AheadOfBlock, type BlockExecutor, type BlockProposal, type ExecutionOutcome, type FoundAhead, InvalidBlockError, type Speculation, type StateMirror } from '@shardlab/shard';

import type { Done } from '../ports.ts';
import type { ExecuteBlock } from '../runtime/node-runtime.ts';
import type { ExecutionRequest } from './execution-request.ts';

/** Blocks that may wait: agreement works on two heights at once, and views can change in between. */
const WAITING_MAX = 64;

/** Runs a task after the caller has returned. */
export type Defer = (task: () => void) => void;

interface Order {
  readonly parentHash: Hash32;
  readonly proposal: BlockProposal;
  readonly assignment: AssignmentTable;
  readonly done: (outcome: ExecutionOutcome) => void;
}

/** Executes one block now; undefined: what failed is the node's own fault, and `failed` has heard of it. */
function outcomeOf(executor: BlockExecutor, { parentHash, proposal, assignment }: Order, found: FoundAhead | undefined, failed: (error: Error) => void): ExecutionOutcome | undefined {
  try {
    return { block: executor.executeOn(parentHash, proposal, assignment, found) };
  } catch (error) {
    // Only somebody else's block can be wrong; what is wrong with one's own is a bug.
    if (error instanceof InvalidBlockError && proposal.mode === 'verify') return { invalid: error.message };
    failed(error as Error);
    return undefined;
  }
}

/** The Executor port on this thread. */
export function inlineExecutor(executor: BlockExecutor, defer: Defer, failed: (error: Error) => void): ExecuteBlock {
  return (parentHash, proposal, assignment, done) => {
    defer(() => {
      const outcome = outcomeOf(executor, { parentHash, proposal, assignment, done }, undefined, failed);
      if (outcome !== undefined) done(outcome);
    });
  };
}

/** What a {@link speculatingExecutor} is made of. Threads may find out nothing, little, or what is not so: what a block comes to is the same. */
export interface SpeculatingModules {
  readonly executor: BlockExecutor;
  /** Of the executor's state, in what `speculate` reads; undefined if that reads the state itself. */
  readonly mirror: StateMirror | undefined;
  /** See `ExecutionPool.speculate`. What it refuses is executed without. */
  readonly speculate: (request: ExecutionRequest, done: Done<Speculation>) => void;
  readonly defer: Defer;
  readonly failed: (error: Error) => void;
}

/** The Executor port with threads: one block after the other, in the order in which they come, because the state must not change while threads read it. */
export function speculatingExecutor(modules: SpeculatingModules): ExecuteBlock {
  const { executor, mirror, speculate, defer, failed } = modules;
  const waiting: Order[] = [];
  let busy = false;

  const finish = (order: Order, found: FoundAhead | undefined): void => {
    const outcome = outcomeOf(executor, order, found, failed);
    if (outcome === undefined) return;
    busy = false;
    next();
    order.done(outcome);
  };

  const begin = (order: Order): void => {
    const { parentHash, proposal, assignment } = order;
    let ahead: AheadOfBlock | undefined;
    try {
      ahead = executor.ahead(parentHash, proposal, assignment);
      if (ahead !== undefined) mirror?.fill();
    } catch (error) {
      failed(error as Error);
      return;
    }
    if (ahead === undefined) {
      finish(order, undefined);
      return;
    }
    const { found } = ahead;
    speculate(ahead, (result) => finish(order, result.ok ? found(result.value) : undefined));
  };

  const next = (): void => {
    if (busy) return;
    const order = waiting.shift();
    if (order === undefined) return;
    busy = true;
    defer(() => begin(order));
  };

  return (parentHash, proposal, assignment, done) => {
    invariant(waiting.length < WAITING_MAX, 'few blocks wait to be executed');
    waiting.push({ parentHash, proposal, assignment, done });
    next();
  };
}
