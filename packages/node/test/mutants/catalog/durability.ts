import type { FaultEvent } from '../../../src/sim/swarm/plan.ts';
import { ground, type Mutant } from '../mutant.ts';

const ASSEMBLE = 'node/src/runtime/assemble.ts';

const CRASHES = ground('crashes', { faults: ['crash', 'crash-all', 'lost-write', 'torn-write'] });
const LOSSY_CRASHES = ground('crashes and loss', { faults: ['crash', 'crash-all', 'loss'] });
const EVENT = { atMs: 0, untilMs: 20_000, nodes: [], percent: 0, ms: 0, effect: 0, before: true } as const;
const COMMITTEE_OF_FOUR = { shards: 1, validators: 4, txs: 120, crossShard: 0 } as const;

/** One validator hears everything and is not heard: what it has committed, the others may not know. In each burst of the load, all lose their power. */
function powerCuts(afterMs: number): FaultEvent[] {
  const cuts = Array.from({ length: 12 }, (_, burst) => 1_500 + 1_541 * burst + afterMs + ((burst * 37) % 120));
  return [{ ...EVENT, kind: 'one-way', nodes: ['shard-0.3'] }, ...cuts.map((atMs): FaultEvent => ({ ...EVENT, kind: 'crash-all', atMs, untilMs: atMs, ms: 50 }))];
}

const POWER_CUTS = ground('power cuts', { ...COMMITTEE_OF_FOUR, latency: 'uniform:5ms..250ms' }, { events: powerCuts(400) });
/** The other three have disks that stall, so that they have said more than they have stored: each waits for a crash that never comes. */
const SLOW_DISKS = ground('power cuts with slow disks', { ...COMMITTEE_OF_FOUR, latency: 'uniform:5ms..60ms' }, {
  events: [...powerCuts(60), ...['shard-0', 'shard-0.1', 'shard-0.2'].map((node): FaultEvent => ({ ...EVENT, kind: 'lost-write', nodes: [node], effect: 1_000_000 }))],
});

/** What must not be forgotten (R2, R10). */
export const DURABILITY: readonly Mutant[] = [
  {
    name: 'lock-not-persisted',
    what: 'a participant keeps its yes and its locks in memory only, not under the state root',
    edits: [{ file: 'crosslink/src/xtx/participant.ts', find: "if (record !== undefined) host.putRecord('participant', recordId(record.id), encodeParticipantRecord(record));", replace: '' }],
    ground: CRASHES,
    seedsMax: 20,
    finds: /^state: .* wei burned|gives account|^serial: /,
  },
  {
    name: 'records-not-restored',
    what: 'a node that starts again does not read its open transactions',
    edits: [{ file: ASSEMBLE, find: 'for (const { namespace, id, value } of state.protocolRecords()) protocol.restore(namespace, id, value);', replace: '' }],
    ground: CRASHES,
    seedsMax: 20,
    finds: /^it does not end|^sequences: |^state: |gives account/,
  },
  {
    name: 'told-before-stored',
    what: 'receipts leave before the block that sends them is synced',
    edits: [
      {
        file: 'shard/src/replica/production.ts',
        find: "step.push({ kind: 'persist', request, record });",
        replace: "publishBlock(step, this.modules.crypto, first, certificate);\n    step.push({ kind: 'persist', request, record });",
      },
    ],
    ground: CRASHES,
    seedsMax: 20,
    finds: /^it does not end|^sequences: /,
  },
  {
    name: 'outbox-not-restored',
    what: 'a node that starts again does not know which of its messages were not consumed yet',
    edits: [{ file: ASSEMBLE, find: 'for (const { destination, entry } of recovered.outbox) outbox.adopt(destination, entry);', replace: '' }],
    ground: LOSSY_CRASHES,
    seedsMax: 30,
    finds: /^it does not end/,
  },
  {
    name: 'votes-told-before-stored',
    what: 'votes leave before they are synced',
    edits: [{ file: 'shard/src/consensus/agreement.ts', find: 'this.unsynced.set(request, output.messages);', replace: 'this.publish(output.messages);\n          this.unsynced.set(request, []);' }],
    ground: SLOW_DISKS,
    seedsMax: 60,
    finds: /^nodes: .* another block|certified by its committee/,
  },
  {
    name: 'votes-not-restored',
    what: 'a validator that starts again does not know what it has voted for',
    edits: [{ file: ASSEMBLE, find: '{ ...recovered.votes, head: agreed },', replace: '{ state: undefined, proposals: [], head: agreed },' }],
    ground: POWER_CUTS,
    seedsMax: 60,
    finds: /^nodes: .* another block|certified by its committee/,
  },
];
