import type { ShardState } from './shard-state.ts';

/** What executing a block does with the state of its shard. */
export type ExecutionState = Pick<
  ShardState,
  | 'version'
  | 'account'
  | 'open'
  | 'touch'
  | 'untouch'
  | 'code'
  | 'codeHashOf'
  | 'codeByHash'
  | 'storageOf'
  | 'hasStorage'
  | 'setCode'
  | 'setStorage'
  | 'clearStorage'
  | 'record'
  | 'putRecord'
  | 'commit'
  | 'revert'
>;
