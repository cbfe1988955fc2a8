import { ground, type Mutant } from '../mutant.ts';

const INBOX = 'shard/src/exchange/inbox.ts';

const EVENT = { atMs: 0, untilMs: 20_000, nodes: ['shard-0'], ms: 0, effect: 0, before: true } as const;
/** The validator of shard 0 that leads it, and so speaks to the other shards, lies to all of them. */
const FORGER = ground('a forger', { validators: 4, txs: 40 }, { events: [{ ...EVENT, kind: 'forge-receipt', percent: 100 }] });
const STALE = ground('stale certificates', { validators: 4, txs: 40 }, { events: [{ ...EVENT, kind: 'stale-certificate', percent: 70 }] });
const LOSSY = ground('loss', { faults: ['loss', 'one-way', 'reorder', 'delay'] });
/** Some of what a shard was sent has not reached all of its validators when nobody else can be reached any more. */
const APART = ground('a shard apart', { validators: 4 }, {
  events: [
    { ...EVENT, kind: 'loss', percent: 20, nodes: [] },
    { ...EVENT, kind: 'partition', percent: 0, atMs: 3_000, untilMs: 6_000, nodes: ['shard-0', 'shard-0.1', 'shard-0.2', 'shard-0.3'] },
    { ...EVENT, kind: 'partition', percent: 0, atMs: 7_000, untilMs: 10_000, nodes: ['shard-0', 'shard-0.1', 'shard-0.2', 'shard-0.3'] },
  ],
});
const THREE = ground('three shards', { shards: 3, txs: 40 });

/** What crosses shards: proofs, certificates, order, delivery. */
export const RECEIPTS: readonly Mutant[] = [
  {
    name: 'receipt-proof-unchecked',
    what: 'a receipt batch is believed without the proof of its messages under the header',
    edits: [{ file: INBOX, find: 'checkBatchProof(this.crypto, batch)', replace: 'undefined' }],
    ground: FORGER,
    seedsMax: 20,
    finds: /^sequences: .* other bytes than it was sent with|^it does not end/,
  },
  {
    name: 'header-certificate-unchecked',
    what: 'a header of another shard is believed without its committee\'s certificate',
    edits: [{ file: 'shard/src/exchange/header-check.ts', find: 'if (wrong !== undefined) return reject(wrong);', replace: '' }],
    ground: STALE,
    seedsMax: 20,
    finds: /^beacon: .* is not stored there|^sequences: /,
  },
  {
    name: 'stale-certificate-accepted',
    what: 'a vote names neither height nor block, so that an old certificate fits every header',
    edits: [
      { file: 'crosslink/src/certificate.ts', find: '.u64(subject.height).u8(', replace: '.u8(' },
      { file: 'crosslink/src/certificate.ts', find: '.fixed(subject.blockHash, 32);', replace: ';' },
    ],
    ground: STALE,
    seedsMax: 20,
    finds: /^beacon: .* is not stored there|^sequences: /,
  },
  {
    name: 'receipt-gap-skipped',
    what: 'a shard consumes the next batch that is there, though an earlier one is missing',
    edits: [
      {
        file: INBOX,
        find: 'const chunk = source?.chunks.get(next);',
        replace: 'next = Math.min(...[...(source?.chunks.keys() ?? [])].filter((first) => first >= next));\n      const chunk = source?.chunks.get(next);',
      },
      { file: 'shard/src/execution/check-proposal.ts', find: 'if (firstSequence !== next.get(source))', replace: 'if (firstSequence < next.get(source)!)' },
      { file: 'shard/src/execution/ledger.ts', find: "invariant(sequence === pair.consumedSequence + 1, 'inbox sequence with a gap', { source, sequence });", replace: '' },
      { file: INBOX, find: 'return after.some(({ shard, consumedSequence }) => this.sources.get(shard)?.chunks.has(consumedSequence + 1) === true);', replace: 'return this.size > 0;' },
    ],
    ground: LOSSY,
    seedsMax: 20,
    finds: /^sequences: .* was consumed after/,
  },
  {
    name: 'outbox-dropped-early',
    what: 'a shard forgets the batch that its destination is about to ask for',
    edits: [{ file: 'shard/src/exchange/outbox.ts', find: 'list[count]!.lastSequence <= sequence', replace: 'list[count]!.firstSequence <= sequence + 1' }],
    ground: LOSSY,
    seedsMax: 20,
    finds: /^it does not end/,
  },
  {
    name: 'messages-unsorted',
    what: 'what leaves with a block stands in the order in which it came up, not in that of the destinations',
    edits: [{ file: 'shard/src/execution/ledger.ts', find: 'each.sort((a, b) => a.destination - b.destination)', replace: 'each' }],
    ground: THREE,
    seedsMax: 5,
    finds: /^sequences: .* out of order/,
  },
  {
    name: 'failures-unrested',
    what: 'a node asks again at once whoever could not be reached',
    edits: [{ file: 'shard/src/exchange/requests.ts', find: '?.untilMs ?? 0) > this.step.nowMs;', replace: '?.untilMs ?? 0) > Infinity;' }],
    ground: APART,
    seedsMax: 20,
    finds: /^requests: .* within the second/,
  },
];
