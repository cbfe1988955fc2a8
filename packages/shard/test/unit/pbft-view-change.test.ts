import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes, type Hash32 } from '@shardlab/crosslink';
import { choose } from '../../src/consensus/pbft/view-change.ts';
import type { ConsensusOutput } from '../../src/consensus/types.ts';
import { GENESIS_HEAD } from '../sim/pbft-blocks.ts';
import { brief, Lab, label, labBlock, messagesOf } from '../sim/pbft-lab.ts';

const A = labBlock(GENESIS_HEAD);
const B = labBlock(A);
/** Rivals of A and B. */
const A2 = labBlock(GENESIS_HEAD, 1, 2);
const B2 = labBlock(A2, 1, 2);

function hashes(blocks: readonly { readonly hash: Hash32 }[]): string {
  const names: readonly (readonly [string, Hash32])[] = [['A', A.hash], ['B', B.hash], ['A2', A2.hash], ['B2', B2.hash]];
  return blocks.map(({ hash }) => names.find(([, known]) => equalBytes(known, hash))?.[0] ?? '?').join(' ');
}

function fetches(outputs: readonly ConsensusOutput[]): Extract<ConsensusOutput, { kind: 'fetch' }>[] {
  return outputs.filter((output) => output.kind === 'fetch');
}

test('a new view keeps a prepared pair, and drops a child whose parent lost', () => {
  const lab = new Lab();
  const [committee] = lab.committees;
  const chosen = (...changes: Parameters<typeof choose>[1]): string => hashes(choose(committee!, changes).blocks);
  const [none0, none2] = [lab.change(0, 5), lab.change(2, 5)];
  assert.equal(chosen(none0, none2), '');
  assert.equal(chosen(none0, none2, lab.change(1, 5, [lab.prepared(A, 0), lab.prepared(B, 0)])), 'A B');
  assert.equal(chosen(none0, lab.change(2, 5, [lab.prepared(A, 0)]), lab.change(1, 5, [lab.prepared(B, 0)])), 'A B', 'from different validators');
  assert.equal(chosen(none0, none2, lab.change(1, 5, [lab.prepared(B, 0)])), '', 'a child alone');
  const older = lab.change(0, 5, [lab.prepared(A, 0), lab.prepared(B, 0)]);
  const newer = lab.change(1, 5, [lab.prepared(A2, 1)]);
  assert.equal(chosen(older, newer, none2), 'A2', 'the highest view wins, the child of the loser falls with it');
  assert.equal(chosen(none2, newer, older), 'A2', 'in any order');
  assert.equal(chosen(older, lab.change(1, 5, [lab.prepared(A2, 1), lab.prepared(B2, 2)]), none2), 'A2 B2');
});

test('the highest proven head is the base, and what does not stand on it falls', () => {
  const lab = new Lab();
  const behind = lab.change(0, 5, [lab.prepared(A2, 1), lab.prepared(B2, 1)]);
  const ahead = lab.change(2, 5, [lab.prepared(B, 0)], lab.head(A));
  const { base, witness, blocks } = choose(lab.committees[0]!, [behind, ahead, lab.change(3, 5)]);
  assert.equal(base.height, 1);
  assert.equal(witness, 2);
  assert.equal(hashes(blocks), 'B');
  assert.deepEqual(blocks[0]!.holders, [2, 0, 1], 'who says that it holds it, then who voted for it');
});

test('f + 1 validators take others along, to the highest view that one correct one wants', () => {
  const lab = new Lab();
  assert.equal(label(lab.give(lab.change(2, 9))), 'accept');
  assert.deepEqual(messagesOf(lab.take()), []);
  assert.equal(label(lab.give(lab.change(2, 9))), 'ignore known');
  assert.equal(label(lab.give(lab.change(3, 4))), 'accept');
  assert.deepEqual(lab.said().map(brief), ['view-change 4']);
  assert.equal(lab.engine.status.view, 4);
  assert.equal(lab.engine.status.active, false);
});

test('in a view change patience begins when a quorum has asked, and until then a suspicion only says it again', () => {
  const lab = new Lab({ validator: 3 });
  lab.run(lab.engine.suspect());
  const [asked] = lab.said();
  assert.equal(brief(asked!), 'view-change 1');
  assert.equal(lab.engine.patient, false);
  lab.run(lab.engine.suspect());
  assert.deepEqual(lab.said().map(brief).toSorted(), ['status 0', 'view-change 1']);
  const before = lab.engine.progress;
  lab.give(lab.change(0, 1));
  assert.equal(lab.engine.patient, false);
  lab.give(lab.change(2, 2));
  assert.equal(lab.engine.patient, true, 'who has gone further has left this view too');
  assert.ok(lab.engine.progress > before, 'waiting for the leader begins now');
  assert.deepEqual(lab.engine.status.voted, [0, 2, 3]);
  lab.run(lab.engine.suspect());
  assert.deepEqual(lab.said().map(brief), ['view-change 2']);
});

test('who has asked for a view votes in no lower one, but decides by the votes of the others', () => {
  const lab = new Lab();
  lab.propose(A);
  lab.run(lab.engine.suspect());
  lab.validate();
  lab.vote(2, 'prepare', A);
  assert.deepEqual(messagesOf(lab.take()).map(brief), ['view-change 1']);
  assert.equal(lab.engine.mayPropose(1), undefined);
  for (const from of [0, 2, 3]) lab.vote(from, 'commit', A);
  assert.equal(lab.take().filter((output) => output.kind === 'decided').length, 1);
});

/** A validator with A prepared, or A and B, in view 0. */
function withPrepared(blocks: readonly ReturnType<typeof labBlock>[], validator = 1): Lab {
  const lab = new Lab({ validator });
  for (const block of blocks) {
    lab.propose(block);
    lab.validate();
    lab.validate();
    for (const from of [2, 3]) lab.vote(from, 'prepare', block);
  }
  lab.take();
  return lab;
}

test('the leader brings the view into force with what is prepared, which is voted for once more and not proposed anew', () => {
  const lab = withPrepared([A, B]);
  lab.run(lab.engine.suspect());
  const [change] = lab.said();
  assert.ok(change?.kind === 'view-change' && change.prepared.length === 2);
  lab.give(lab.change(2, 1));
  assert.deepEqual(messagesOf(lab.take()), []);
  lab.give(lab.change(3, 1));
  assert.deepEqual(lab.said().map(brief).toSorted(), ['new-view 1', 'prepare 1 in 1', 'prepare 2 in 1']);
  assert.equal(lab.engine.status.active, true);
  assert.equal(lab.engine.mayPropose(1), undefined);
  for (const from of [2, 3]) for (const block of [A, B]) lab.vote(from, 'prepare', block, 1);
  assert.deepEqual(lab.said().map(brief).toSorted(), ['commit 1 in 1', 'commit 2 in 1']);
  lab.run(lab.engine.retransmit());
  assert.ok(lab.said().map(brief).includes('new-view 1'), 'until it bears fruit');
});

test('a certificate that the new view did not choose is dropped, and the next leader is free', () => {
  const lab = withPrepared([A], 3);
  lab.give(lab.newView(1, 1, [0, 1, 2].map((from) => lab.change(from, 1))));
  assert.equal(lab.engine.status.view, 1);
  lab.propose(A2, 1);
  lab.validate();
  assert.deepEqual(lab.said().map(brief), ['prepare 1 in 1']);
  lab.run(lab.engine.suspect());
  const [change] = lab.said();
  assert.ok(change?.kind === 'view-change' && change.prepared.length === 0);
});

test('at a chosen height only the chosen block is voted for; whoever lacks it fetches it from those that hold it', () => {
  const lab = new Lab({ validator: 3 });
  const changes = [lab.change(0, 1), lab.change(1, 1), lab.change(2, 1, [lab.prepared(A, 0, [0, 1, 2])])];
  assert.equal(label(lab.give(lab.newView(1, 1, changes))), 'accept');
  const [wanted] = fetches(lab.take());
  assert.ok(wanted !== undefined && wanted.height === 1 && equalBytes(wanted.hash, A.hash));
  assert.deepEqual(wanted.from, [2, 0, 1]);
  assert.equal(lab.propose(A2, 1), 'ignore not-chosen');
  lab.run(lab.engine.supply(A2.proposal));
  assert.deepEqual(lab.take(), []);
  lab.run(lab.engine.supply(A.proposal));
  const [validate] = lab.take();
  assert.ok(validate?.kind === 'validate' && !validate.fresh);
  lab.run(lab.engine.validated(A.hash, true));
  assert.deepEqual(lab.said().map(brief), ['prepare 1 in 1']);
});

test('a leader waits for no block that only a faulty validator shows', () => {
  const lab = new Lab();
  lab.give(lab.change(2, 1));
  lab.give(lab.change(0, 1, [lab.prepared(A, 0)]));
  const [wanted] = fetches(lab.take());
  assert.ok(wanted !== undefined && equalBytes(wanted.hash, A.hash), 'it might be a correct one');
  assert.equal(lab.engine.status.active, false);
  lab.give(lab.change(3, 1));
  assert.equal(lab.engine.status.active, true, 'three others do without it');
  const late = new Lab();
  late.give(late.change(2, 1));
  late.give(late.change(0, 1, [late.prepared(A, 0)]));
  late.run(late.engine.supply(A.proposal));
  assert.equal(late.engine.status.active, true, 'or it comes');
});

test('nothing at or below the proven base of a view is voted on in it', () => {
  const lab = new Lab({ validator: 3 });
  const changes = [lab.change(0, 1), lab.change(1, 1), lab.change(2, 1, [], lab.head(A))];
  lab.give(lab.newView(1, 1, changes));
  assert.deepEqual(lab.take().filter((output) => output.kind === 'behind'), [{ kind: 'behind', height: 1, from: 2 }]);
  assert.equal(lab.propose(A2, 1), 'ignore old-height');
});

test('a certified head decides a block that is here', () => {
  const lab = new Lab();
  lab.propose(A);
  lab.validate();
  lab.take();
  assert.equal(label(lab.give(lab.status(2, 0, lab.head(A)))), 'accept');
  assert.deepEqual(lab.take().filter((output) => output.kind === 'decided' || output.kind === 'behind').map(({ kind }) => kind), ['decided']);
});

test('view changes and new views are refused whole for anything wrong in them', () => {
  const lab = new Lab({ validator: 3 });
  const verdict = (message: Parameters<Lab['give']>[0]): string => label(lab.give(message));
  const changes = [0, 1, 2].map((from) => lab.change(from, 1));
  const high = { ...lab.head(A), height: 2 };
  assert.equal(verdict(lab.change(2, 1, [], high)), 'reject certificate-signature');
  assert.equal(verdict(lab.change(2, 1, [], { ...lab.head(A), certificate: undefined })), 'reject head-unproven');
  assert.equal(verdict(lab.change(2, 1, [], { ...GENESIS_HEAD, certificate: lab.head(A).certificate })), 'reject head-genesis');
  assert.equal(verdict(lab.change(2, 1, [lab.prepared(A, 1)])), 'reject prepared-view');
  assert.equal(verdict(lab.change(2, 1, [lab.prepared(B, 0), lab.prepared(A, 0)])), 'reject prepared-height');
  assert.equal(verdict(lab.change(2, 1, [lab.prepared(labBlock(B), 0)])), 'reject prepared-height');
  const small = { header: A.proposal.header, certificate: { ...lab.prepared(A, 0).certificate, bitmap: Uint8Array.of(3), signatures: lab.prepared(A, 0).certificate.signatures.slice(0, 2) } };
  assert.equal(verdict(lab.change(2, 1, [small])), 'reject certificate-quorum');
  assert.equal(verdict({ ...lab.change(2, 1), signature: new Uint8Array(64) }), 'reject signature');
  assert.equal(verdict(lab.newView(1, 1, changes.slice(1))), 'reject new-view-quorum');
  assert.equal(verdict(lab.newView(1, 1, [...changes.slice(1), changes[1]!])), 'reject new-view-changes');
  assert.equal(verdict(lab.newView(1, 1, [...changes.slice(1), lab.change(0, 2)])), 'reject new-view-changes');
  assert.equal(verdict(lab.newView(2, 1, changes)), 'reject new-view-leader');
  assert.equal(verdict({ ...lab.newView(1, 1, changes), signature: new Uint8Array(64) } as never), 'reject signature');
  assert.equal(verdict(lab.newView(1, 1, [...changes.slice(1), { ...changes[0]!, signature: new Uint8Array(64) }])), 'reject signature');
  assert.equal(lab.engine.status.view, 0);
  assert.equal(verdict(lab.newView(1, 1, changes)), 'accept');
  assert.equal(verdict(lab.newView(1, 1, changes)), 'ignore old-view');
  assert.equal(verdict(lab.change(2, 1)), 'ignore old-view');
});

test('who is behind is told what it has missed, by f + 1 others, so often and no more until a block is final', () => {
  const changes = (lab: Lab): ReturnType<Lab['change']>[] => [0, 1, 2].map((from) => lab.change(from, 1));
  for (const [validator, helps] of [[1, true], [2, true], [3, false]] as const) {
    const lab = new Lab({ validator });
    if (validator === 1) {
      lab.run(lab.engine.suspect());
      for (const from of [2, 3]) lab.give(lab.change(from, 1));
    } else lab.give(lab.newView(1, 1, changes(lab)));
    lab.run(lab.engine.finalised(lab.head(A, 1)));
    lab.take();
    let answers = 0;
    for (let i = 0; i < 50; i++) {
      lab.give(lab.status(0, 0, GENESIS_HEAD));
      const said = lab.said().map(brief);
      assert.deepEqual(said, said.length === 0 ? [] : ['new-view 1', 'status 1']);
      answers += said.length > 0 ? 1 : 0;
    }
    assert.equal(answers, helps ? 16 : 0);
    lab.run(lab.engine.finalised(lab.head(labBlock(A), 1)));
    lab.give(lab.change(0, 1));
    assert.equal(lab.said().length > 0, helps);
  }
});

test('a validator in an old view asks when f + 1 others are ahead of it, once for each block', () => {
  const lab = new Lab();
  lab.vote(2, 'prepare', A, 3);
  assert.deepEqual(lab.said(), []);
  lab.vote(3, 'prepare', A, 3);
  assert.deepEqual(lab.said().map(brief), ['status 0']);
  lab.vote(2, 'commit', A, 3);
  assert.deepEqual(lab.said(), []);
  lab.run(lab.engine.finalised(lab.head(A, 3)));
  assert.deepEqual(lab.said().map(brief), ['status 0']);
});

test('who hears somebody in an older view says once more what brought its own', () => {
  const lab = new Lab({ validator: 3 });
  lab.give(lab.newView(1, 1, [0, 1, 2].map((from) => lab.change(from, 1))));
  lab.run(lab.engine.retransmit());
  assert.deepEqual(lab.said().map(brief), ['status 1']);
  assert.equal(lab.vote(2, 'prepare', A, 0), 'ignore old-view');
  lab.run(lab.engine.retransmit());
  assert.deepEqual(lab.said().map(brief), ['new-view 1', 'status 1']);
});
