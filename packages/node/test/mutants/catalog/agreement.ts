import type { FaultEvent } from '../../../src/sim/swarm/plan.ts';
import { ground, type Mutant } from '../mutant.ts';

const COMMITTEE = 'shard/src/consensus/pbft/committee.ts';
const HEIGHTS = 'shard/src/consensus/pbft/heights.ts';
const SLOT = 'shard/src/consensus/pbft/slot.ts';
const PRODUCTION = 'shard/src/replica/production.ts';

const TRAITORS = ground('traitors', { shards: 1, validators: 4, txs: 30, crossShard: 0, faults: ['equivocate', 'double-vote', 'wrong-root'] });
const EVENT = { atMs: 0, untilMs: 20_000, nodes: [], percent: 0, ms: 0, effect: 0, before: true } as const;
const COMMITTEE_OF_FOUR = { shards: 1, validators: 4, crossShard: 0 } as const;

/** The leader of the first view lies to some. */
const LIAR = ground('a lying leader', { ...COMMITTEE_OF_FOUR, txs: 30 }, { events: [{ ...EVENT, kind: 'wrong-root', nodes: ['shard-0'], percent: 60 }] });

/** Two and two do not hear each other. */
const SPLIT = ground('two halves', { ...COMMITTEE_OF_FOUR, txs: 30 }, { events: [{ ...EVENT, kind: 'partition', atMs: 3_000, untilMs: 15_000, nodes: ['shard-0', 'shard-0.1'] }] });

/** When a burst of the load has its first block about prepared, and committed by some: `afterMs` after the burst begins. */
function burst(number: number, afterMs: number): number {
  return 1_500 + 1_541 * number + afterMs;
}

/**
 * One validator hears everything and is not heard: what it has committed, the others may not know. Twice all lose their power just then, and the leader is cut off, so that
 * the others agree in another view, first without it and then with it.
 */
const WITNESS = ground('a mute witness', { ...COMMITTEE_OF_FOUR, txs: 120, latency: 'uniform:5ms..250ms' }, {
  events: [
    { ...EVENT, kind: 'one-way', nodes: ['shard-0.3'] },
    ...[burst(0, 400), burst(7, 400)].flatMap((atMs): FaultEvent[] => [
      { ...EVENT, kind: 'crash-all', atMs, untilMs: atMs, ms: 50 },
      { ...EVENT, kind: 'partition', atMs, untilMs: atMs + 4_500, nodes: ['shard-0'] },
    ]),
  ],
});

/** Agreement within a committee. */
export const AGREEMENT: readonly Mutant[] = [
  {
    name: 'quorum-of-f-plus-1',
    what: 'f + 1 votes are a quorum: two quorums need share nobody',
    edits: [{ file: 'crosslink/src/certificate.ts', find: 'return validators - Math.floor((validators - 1) / 3);', replace: 'return Math.floor((validators - 1) / 3) + 1;' }],
    ground: SPLIT,
    seedsMax: 30,
    finds: /^nodes: .* (?:another block|make a quorum)|diverged|certified by its committee/,
  },
  {
    name: 'votes-for-different-blocks',
    what: 'votes are counted, whatever block they are for',
    edits: [
      { file: SLOT, find: 'const key = `${vote.epoch} ${bytesKey(vote.hash)}`;', replace: "const key = '';" },
      { file: SLOT, find: '[...this.votes[phase]].filter(([, other]) => sameVote(other, vote))', replace: '[...this.votes[phase]]' },
    ],
    ground: TRAITORS,
    seedsMax: 30,
    finds: /^chain: .* certificate-signature|^nodes: .* another block/,
  },
  {
    name: 'vote-counted-twice',
    what: 'a validator\'s vote counts twice',
    edits: [
      { file: SLOT, find: 'const count = (counts.get(key) ?? 0) + 1;', replace: 'const count = (counts.get(key) ?? 0) + 2;' },
      { file: SLOT, find: 'if (votes.size < this.committee.quorum) return undefined;', replace: '' },
      { file: COMMITTEE, find: "invariant(votes.size >= this.quorum, 'a certificate of less than a quorum', { votes: votes.size, quorum: this.quorum });", replace: '' },
    ],
    ground: TRAITORS,
    seedsMax: 3,
    finds: /^chain: .* certificate-quorum|the committee decides what holds/,
  },
  {
    name: 'root-not-compared',
    what: 'a validator executes a proposal and votes for it whatever comes out',
    edits: [{ file: PRODUCTION, find: 'if (block === undefined || !equalBytes(block.hash, check.hash)) {', replace: 'if (block === undefined) {' }],
    ground: LIAR,
    seedsMax: 30,
    finds: /certified by its committee|^it does not end|^nodes: /,
  },
  {
    name: 'vote-unexecuted',
    what: 'a validator votes for a proposal that it has not executed',
    edits: [{ file: HEIGHTS, find: "if (held?.verdict !== 'good' || slot.proposedIn", replace: 'if (held === undefined || slot.proposedIn' }],
    ground: LIAR,
    seedsMax: 30,
    finds: /certified by its committee|^it does not end|^nodes: /,
  },
  {
    name: 'commit-unprepared',
    what: 'a validator votes to commit what nobody else has prepared',
    edits: [
      { file: HEIGHTS, find: 'if (slot.prepared?.view === view && slot.commitView !== view && parent.settled)', replace: 'if (slot.commitView !== view)' },
    ],
    ground: WITNESS,
    seedsMax: 60,
    finds: /^nodes: .* another block|diverged|certified by its committee/,
  },
  {
    name: 'view-change-forgets',
    what: 'a new view takes up nothing of what was prepared in an earlier one',
    edits: [{ file: 'shard/src/consensus/pbft/view-change.ts', find: 'const next = chooseAt(committee, changes, base, blocks.at(-1));', replace: 'const next = blocks.at(-1);' }],
    ground: WITNESS,
    seedsMax: 60,
    finds: /^nodes: .* another block|diverged|certified by its committee/,
  },
];
