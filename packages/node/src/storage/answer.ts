import type { ShardlabError } from '@shardlab/crosslink';
import type { Done, Result } from '../ports.ts';

/** Calls `done` after the caller has returned; what it throws is its own and ends the process, as any uncaught error does. */
export function answer<T>(done: Done<T>, result: Result<T>): void {
  queueMicrotask(() => done(result));
}

/** A failed {@link Result}. */
export function failed(error: ShardlabError): { readonly ok: false; readonly error: ShardlabError } {
  return { ok: false, error };
}
