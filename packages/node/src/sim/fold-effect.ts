import { encodeHeader } from '@shardlab/crosslink';
import type { Effect, PersistRecord } from '@shardlab/shard';
import type { TraceHash } from './trace-hash.ts';

/** Folds one effect of one node with all that it carries, so that two runs with equal digests did the same, not only as much. */
export function foldEffect(trace: TraceHash, node: string, effect: Effect): void {
  if (!trace.enabled) return;
  trace.text(node).text(effect.kind);
  switch (effect.kind) {
    case 'recover-senders':
      trace.integer(effect.request).integer(effect.raws.length);
      for (const raw of effect.raws) trace.bytes(raw);
      break;
    case 'execute-block':
      trace.integer(effect.request).bytes(effect.parentHash);
      foldProposal(trace, effect.proposal);
      break;
    case 'persist':
      trace.integer(effect.request);
      foldRecord(trace, effect.record);
      break;
    case 'publish':
      trace.text(effect.topic).bytes(effect.data);
      break;
    case 'request':
      trace.integer(effect.request).integer(effect.to.chain).integer(effect.to.validator).bytes(effect.body).integer(effect.timeoutMs);
      break;
    case 'set-timer':
      trace.text(effect.timer).text(String(effect.delayMs));
      break;
    case 'reply':
      trace.integer(effect.token).integer(effect.results.length);
      for (const { hash, rejection } of effect.results) trace.bytes(hash ?? NONE).text(rejection?.code ?? '');
      break;
    case 'verdict':
      trace.integer(effect.token).text(effect.verdict.kind).text(effect.verdict.kind === 'accept' ? '' : effect.verdict.reason);
      break;
    case 'penalise':
      trace.integer(effect.to.chain).integer(effect.to.validator).text(effect.reason);
      break;
    case 'log':
      trace.text(effect.line.level).text(effect.line.event);
      for (const [name, value] of Object.entries(effect.line.fields)) trace.text(name).text(String(value));
      break;
  }
}

function foldProposal(trace: TraceHash, proposal: Extract<Effect, { kind: 'execute-block' }>['proposal']): void {
  trace.integer(proposal.height).integer(proposal.timestampMs).integer(proposal.epoch).bytes(proposal.epochCertificateHash).text(proposal.mode);
  trace.integer(proposal.inbox.length).integer(proposal.transactions.length);
  for (const { source, sourceHash, firstSequence, messages } of proposal.inbox) {
    trace.integer(source).bytes(sourceHash).integer(firstSequence).integer(messages.length);
  }
  for (const { hash } of proposal.transactions) trace.bytes(hash);
}

/** Hashes stand for what they commit to; the disk folds the bytes of the write itself. */
function foldRecord(trace: TraceHash, record: PersistRecord): void {
  switch (record.kind) {
    case 'beacon-block':
      trace.bytes(record.hash).integer(record.block.crosslinks.length);
      return;
    case 'votes':
      trace.bytes(record.state).integer(record.proposals.length);
      return;
    case 'snapshot':
      trace.bytes(record.snapshot.hash).integer(record.snapshot.entries.length);
      return;
    case 'shard-block':
      foldBlock(trace, record);
  }
}

function foldBlock(trace: TraceHash, record: Extract<PersistRecord, { kind: 'shard-block' }>): void {
  trace.bytes(encodeHeader(record.block.header)).integer(record.wallMs).integer(record.consumed.length);
  for (const { destination, firstSequence } of record.consumed) trace.integer(destination).integer(firstSequence);
}

const NONE = new Uint8Array(0);
