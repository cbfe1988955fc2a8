import type { FaultEvent } from '../../../src/sim/swarm/plan.ts';
import { type Edit, ground, type Mutant } from '../mutant.ts';

const COORDINATOR = 'crosslink/src/xtx/coordinator.ts';
const PARTICIPANT = 'crosslink/src/xtx/participant.ts';
const INBOX = 'shard/src/exchange/inbox.ts';
const CHECK = 'shard/src/execution/check-proposal.ts';
const RUN = 'shard/src/execution/block-run.ts';
const LEDGER = 'shard/src/execution/ledger.ts';
const EXECUTOR = 'shard/src/execution/block-executor.ts';

const STORM = { atMs: 0, untilMs: 20_000, nodes: [], percent: 0, ms: 0, effect: 0, before: true } as const;
const EVENTS: readonly FaultEvent[] = [
  { ...STORM, kind: 'replay-receipt', nodes: ['shard-0', 'shard-1'], percent: 100 },
  { ...STORM, kind: 'delay', percent: 40, ms: 2_500 },
];

/**
 * Whoever listens says again what was said. The attacker waits until the nodes' caches of seen messages have forgotten it (two minutes of gossipsub): here they forget at
 * once. Deadlines are short, and what has missed one is tried again, so that there are old votes and old Decisions of a transaction that is under way once more, which
 * transfers alone, with one participant each, would not bring about. All findings are kept: the first ones only say that old messages are consumed, and it is what comes of them
 * that has to be found.
 */
const EAVESDROPPER = ground('eavesdropper', { txs: 60, crossShard: 0.8 }, {
  parameters: { deadlineMs: 2_500, blockGasLimit: 42_000 },
  events: EVENTS,
  edits: [
    { file: 'node/src/sim/network.ts', find: 'seenMs: 120_000', replace: 'seenMs: 1' },
    { file: 'node/src/sim/checkers/violations.ts', find: 'const KEPT_MAX = 100;', replace: 'const KEPT_MAX = 1_000_000;' },
    { file: 'node/src/sim/swarm/run.ts', find: 'this.found.slice(0, 20)', replace: 'this.found' },
    { file: COORDINATOR, find: "new Set(['conflict', 'busy', 'moved', 'needs'])", replace: "new Set(['conflict', 'busy', 'moved', 'needs', 'deadline'])" },
  ],
});

/** Deduplication rests on the sequences alone (R14): without them, messages of some kind that come again count again. `which` is said of `message`. */
function without(which: string): readonly Edit[] {
  return [
    { file: INBOX, find: 'if (firstSequence <= source.taken || source.chunks.has(firstSequence)) return', replace: 'if (source.chunks.has(firstSequence)) return' },
    {
      file: INBOX,
      find: 'source.chunks.set(firstSequence, { segment, bytes });',
      replace: 'if (firstSequence <= source.taken) { (source.again ??= []).push(segment); return; }\n    source.chunks.set(firstSequence, { segment, bytes });',
    },
    { file: INBOX, find: 'let bytes = 0;\n    let next = consumed + 1;', replace: 'let bytes = 0;\n    taken.push(...(source?.again?.splice(0) ?? []));\n    let next = consumed + 1;' },
    { file: CHECK, find: 'if (firstSequence !== next.get(source))', replace: 'if (firstSequence > next.get(source)!)' },
    { file: CHECK, find: 'next.set(source, firstSequence + messages.length);', replace: 'next.set(source, Math.max(next.get(source)!, firstSequence + messages.length));' },
    { file: LEDGER, find: "invariant(sequence === pair.consumedSequence + 1, 'inbox sequence with a gap', { source, sequence });", replace: '' },
    { file: LEDGER, find: 'pair.consumedSequence = sequence;', replace: 'const fresh = sequence > pair.consumedSequence;\n    if (fresh) pair.consumedSequence = sequence;\n    return fresh;' },
    { file: RUN, find: 'this.ledger.consumed(source, sequence);', replace: 'return this.ledger.consumed(source, sequence);' },
    { file: EXECUTOR, find: 'run.consumed(segment.source', replace: 'const fresh = run.consumed(segment.source' },
    { file: EXECUTOR, find: 'if (message !== undefined) this.modules.protocol.receive', replace: `if (message !== undefined && (fresh || (${which}))) this.modules.protocol.receive` },
  ];
}

/** A coordinator that does not ask which attempt a vote belongs to. */
const ANY_ATTEMPT: Edit = { file: COORDINATOR, find: 'if (record === undefined || record.attempt !== vote.attempt) return false;', replace: 'if (record === undefined) return false;' };

/**
 * The replay attacks of Sonnino, Bano, Al-Bassam and Danezis, "Replay Attacks and Defenses Against Cross-shard Consensus in Sharded Distributed Ledgers" (arXiv
 * 1901.11218, EuroS&P 2020), on the messages that stand here for theirs: a Vote for `prepared`, a Decision for `accept` and `abort`, a Prepare for the transaction
 * itself.
 */
export const REPLAY: readonly Mutant[] = [
  {
    name: 'sonnino-prepared-accept',
    what: 'first phase, an old yes of an earlier attempt: the coordinator commits what the participant has not prepared',
    edits: [...without("message.kind === 'vote' && message.answer.kind === 'yes'"), ANY_ATTEMPT],
    ground: EAVESDROPPER,
    seedsMax: 40,
    finds: /^atomicity: .* commits, but no yes/,
  },
  {
    name: 'sonnino-prepared-abort',
    what: 'first phase, an old no of an earlier attempt: the coordinator gives up an attempt that the participant prepares, and which stays locked',
    edits: [...without("message.kind === 'vote' && message.answer.kind !== 'yes'"), ANY_ATTEMPT],
    ground: EAVESDROPPER,
    seedsMax: 60,
    finds: /^atomicity: .* was told no Decision/,
  },
  {
    name: 'sonnino-accepted-commit',
    what: 'second phase, an old commit Decision: its value arrives once more',
    edits: without("message.kind === 'decision' && message.commit"),
    ground: EAVESDROPPER,
    seedsMax: 20,
    finds: /^(state: .* wei burned|supply: )/,
  },
  {
    name: 'sonnino-accepted-abort',
    what: 'second phase, an old abort Decision of an earlier attempt: the participant lets go of what it has promised',
    edits: [...without("message.kind === 'decision' && !message.commit"), { file: PARTICIPANT, find: 'found.attempt === attempt && equalBytes(found.id, id)', replace: 'equalBytes(found.id, id)' }],
    ground: EAVESDROPPER,
    seedsMax: 40,
    finds: /^state: .* wei burned|gives account/,
  },
  {
    name: 'sonnino-prepare-again',
    what: 'an old Prepare: the participant locks anew for a transaction that has ended',
    edits: without("message.kind === 'prepare'"),
    ground: EAVESDROPPER,
    seedsMax: 20,
    finds: /^state: .* with their locks at rest/,
  },
];
