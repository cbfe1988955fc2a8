import { BLOCK_TRANSACTIONS_MAX, type InboxSegment, INBOX_SEGMENTS_MAX, type PairTable, type ShardHeader, type ShardId } from '@shardlab/crosslink';
import { type ChainRules, checkStatic } from '../mempool/admission.ts';
import type { BlockProposal } from './types.ts';

/**
 * Whether a proposal can follow on `parent` at all, before any of it is executed: everything that execution takes for granted. `undefined` = it can, else what is
 * wrong. Whether each transaction fits the state is found out by executing it.
 */
export function checkProposal(
  options: ChainRules,
  parent: { readonly header: ShardHeader; readonly pairs: PairTable },
  proposal: BlockProposal,
): string | undefined {
  const { header } = parent;
  const { height, timestampMs, epoch, transactions } = proposal;
  if (height !== header.height + 1) return `height ${height} does not follow on ${header.height}`;
  if (!Number.isSafeInteger(timestampMs) || timestampMs <= header.timestampMs) return 'the time is not after the parent\'s';
  if (epoch < header.epoch) return `epoch ${epoch} is before the parent's`;
  if (transactions.length > BLOCK_TRANSACTIONS_MAX) return `${transactions.length} transactions, at most ${BLOCK_TRANSACTIONS_MAX} allowed`;
  for (const tx of transactions) {
    const refused = checkStatic(tx, options);
    if (refused !== undefined) return refused.message;
  }
  return checkInbox(parent.pairs, proposal.inbox);
}

/** R7 and R14: segments by (source, sequence), each source's without a gap from what was consumed before. */
function checkInbox(pairs: PairTable, inbox: readonly InboxSegment[]): string | undefined {
  if (inbox.length > INBOX_SEGMENTS_MAX) return `${inbox.length} inbox segments, at most ${INBOX_SEGMENTS_MAX} allowed`;
  const next = new Map<ShardId, number>(pairs.map((pair) => [pair.shard, pair.consumedSequence + 1]));
  let last = -1;
  for (const { source, firstSequence, messages } of inbox) {
    if (source < last) return 'inbox not in order of source';
    last = source;
    if (messages.length === 0) return 'empty inbox segment';
    if (firstSequence !== next.get(source)) return `inbox of shard ${source} does not go on at sequence ${firstSequence}`;
    next.set(source, firstSequence + messages.length);
  }
  return undefined;
}
