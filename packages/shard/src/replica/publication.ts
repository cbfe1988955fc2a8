import { buildAllBatches, type Crypto, encodeAnnouncement, encodeBatch, type QuorumCertificate, TOPICS } from '@shardlab/crosslink';
import type { LogLine } from '../log-line.ts';
import type { ExecutedBlock } from '../execution/types.ts';
import type { StepContext } from '../step-context.ts';
import type { FinalHead } from './types.ts';

/** Tells the network of a final block: its receipts to each destination, and its header to all. */
export function publishBlock(step: StepContext, crypto: Crypto, block: ExecutedBlock, certificate: QuorumCertificate): void {
  for (const batch of buildAllBatches(crypto, block.header, certificate, block.outgoing)) {
    step.push({ kind: 'publish', topic: TOPICS.receipts(batch.entry.destination), data: encodeBatch(batch) });
  }
}

/** Tells all shards of a shard's last final block, and what it has sent and consumed so far. */
export function announce(step: StepContext, head: FinalHead): void {
  if (head.certificate === undefined) return;
  const data = encodeAnnouncement({ header: head.header, certificate: head.certificate, pairs: head.pairs });
  step.push({ kind: 'publish', topic: TOPICS.headers, data });
}

/** The log line of a final block. */
export function blockLine(block: ExecutedBlock): LogLine {
  const { header } = block;
  const messagesIn = block.body.inbox.reduce((sum, segment) => sum + segment.messages.length, 0);
  const messagesOut = block.outgoing.reduce((sum, each) => sum + each.messages.length, 0);
  return {
    level: 'info',
    event: 'block.committed',
    fields: {
      height: header.height,
      proposer: header.proposer,
      blockTimeMs: header.timestampMs,
      taken: block.transactions.length,
      listed: block.receipts.length,
      gasUsed: header.gasUsed,
      messagesIn,
      messagesOut,
      settled: block.settled.length,
    },
  };
}
