import assert from 'node:assert/strict';

import type { ShardlabError } from '@shardlab/crosslink';

import type { Done, Result } from '../../src/ports.ts';

/** Lets the world that is under test go on: the simulation pumps its scheduler, the process driver waits. */
export interface Drive {
  /** Until `condition` holds; fails, naming `what`, if it never does. `condition` only looks. */
  until(condition: () => boolean, what: string): Promise<void>;
  /** Until `condition` holds or `withinMs` have passed; whether it held. */
  within(withinMs: number, condition: () => boolean): Promise<boolean>;
}

/** The process driver's: real time, looked at between turns of the event loop. */
export function realDrive(deadlineMs: number): Drive {
  const within = async (withinMs: number, condition: () => boolean): Promise<boolean> => {
    const endMs = performance.now() + withinMs;
    while (!condition()) {
      if (performance.now() > endMs) return false;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return true;
  };
  return {
    within,
    until: async (condition, what) => {
      assert.ok(await within(deadlineMs, condition), `within ${deadlineMs} ms there was no: ${what}`);
    },
  };
}

/** How long a callback too many is waited for. */
const AFTERMATH_MS = 20;

interface Call {
  readonly what: string;
  count: number;
}

/** An operation that was started; `result` is there once it has ended. */
export interface Started<T> {
  readonly result: Result<T> | undefined;
}

/** Starts operations and holds them to what the ports promise of every callback: never before the call has returned, and exactly once. */
export class Calls {
  private readonly drive: Drive;
  private readonly calls: Call[] = [];

  constructor(drive: Drive) {
    this.drive = drive;
  }

  /** Starts an operation and does not wait for it. */
  start<T>(what: string, operation: (done: Done<T>) => void, ended: (result: Result<T>) => void = () => undefined): Started<T> {
    const call: Call = { what, count: 0 };
    this.calls.push(call);
    const started: { result: Result<T> | undefined } = { result: undefined };
    operation((result) => {
      call.count++;
      started.result = result;
      ended(result);
    });
    assert.equal(call.count, 0, `${what}: called back before the call had returned`);
    return started;
  }

  /** The result of one operation, or of one that was started. */
  async result<T>(what: string, operation: ((done: Done<T>) => void) | Started<T>): Promise<Result<T>> {
    const started = typeof operation === 'function' ? this.start(what, operation) : operation;
    await this.drive.until(() => started.result !== undefined, `end of ${what}`);
    return started.result!;
  }

  /** The value of an operation that must succeed. */
  async value<T>(what: string, operation: ((done: Done<T>) => void) | Started<T>): Promise<T> {
    const result = await this.result(what, operation);
    if (!result.ok) throw new Error(`${what} failed: ${result.error.code}`, { cause: result.error });
    return result.value;
  }

  /** The error of an operation that must fail. */
  async error<T>(what: string, operation: ((done: Done<T>) => void) | Started<T>): Promise<ShardlabError> {
    const result = await this.result(what, operation);
    assert.ok(!result.ok, `${what} succeeded`);
    return result.error;
  }

  /** Fails unless each operation that was started has called back exactly once, also after a while in which a second call would come. */
  async verify(): Promise<void> {
    await this.drive.within(AFTERMATH_MS, () => false);
    for (const { what, count } of this.calls) assert.equal(count, 1, `${what}: called back ${count} times`);
  }
}
