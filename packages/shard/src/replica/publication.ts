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

/** Tells the beacon of a shard's last final block. */
function announceToBeacon(step: StepContext, { header, certificate }: FinalHead): void {
  if (certificate === undefined) return;
  // Without the pair table the bytes are others than for shards: gossip does not deliver the same ones twice.
  step.push({ kind: 'publish', topic: TOPICS.crosslinks, data: encodeAnnouncement({ header, certificate, pairs: [] }) });
}

/** Tells all shards of a shard's last final block, and what it has sent and consumed so far. */
function announce(step: StepContext, { header, certificate, pairs }: FinalHead): void {
  if (certificate === undefined) return;
  step.push({ kind: 'publish', topic: TOPICS.headers, data: encodeAnnouncement({ header, certificate, pairs }) });
}

/** Every header goes to the beacon; all shards get one a heartbeat: what is in between, its receipts show. */
export class Announcer {
  private readonly heartbeatMs: number;
  private announcedMs = 0;

  constructor(heartbeatMs: number) {
    this.heartbeatMs = heartbeatMs;
  }

  /** Tells of a shard's last final block whoever is to hear of it now. */
  tell(step: StepContext, head: FinalHead): void {
    announceToBeacon(step, head);
    // A clock that was set back must not silence it.
    if (Math.abs(step.nowMs - this.announcedMs) < this.heartbeatMs) return;
    this.announcedMs = step.nowMs;
    announce(step, head);
  }
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
