import { ground, type Mutant } from '../mutant.ts';

const RUN = 'shard/src/execution/block-run.ts';

const CALM = ground('calm transfers', { crossShard: 0.4 });
const VIEWS = ground('changing views', { validators: 4, txs: 40, faults: ['equivocate', 'partition', 'crash', 'delay'] });

/** Execution of blocks. */
export const EXECUTION: readonly Mutant[] = [
  {
    name: 'nonce-not-taken',
    what: 'a transaction that leaves its shard does not use up its nonce',
    edits: [{ file: RUN, find: 'account.nonce++;', replace: '' }],
    ground: CALM,
    seedsMax: 3,
    finds: /^(serial|atomicity|serializability): /,
  },
  {
    name: 'fee-not-burned',
    what: 'what senders pay is booked nowhere',
    edits: [{ file: RUN, find: 'this.ledger.burn(this.charged.fee * BigInt(this.chargedCount));', replace: '' }],
    ground: CALM,
    seedsMax: 3,
    finds: /^(state|supply): /,
  },
  {
    name: 'undone-but-not-in-memory',
    what: 'a block that is taken back leaves its locks and records in two-phase commit\'s memory',
    edits: [{ file: 'shard/src/execution/block-executor.ts', find: 'for (const { namespace, id, value } of this.modules.state.revert(block.delta)) this.modules.protocol.restore(namespace, id, value);', replace: 'this.modules.state.revert(block.delta);' }],
    ground: VIEWS,
    seedsMax: 30,
    finds: /certified by its committee|^it does not end|^nodes: /,
  },
  {
    name: 'undone-not-at-all',
    what: 'a second block of a height is executed on the first one\'s state',
    edits: [{ file: 'shard/src/execution/block-executor.ts', find: 'for (const { namespace, id, value } of this.modules.state.revert(block.delta)) this.modules.protocol.restore(namespace, id, value);', replace: '' }],
    ground: VIEWS,
    seedsMax: 30,
    finds: /certified by its committee|^it does not end|^nodes: /,
  },
];
