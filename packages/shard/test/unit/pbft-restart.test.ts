import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes } from '@shardlab/crosslink';
import { GENESIS_HEAD } from '../sim/pbft-blocks.ts';
import { brief, Lab, labBlock, messagesOf, throwsCode } from '../sim/pbft-lab.ts';

const A = labBlock(GENESIS_HEAD);
const A2 = labBlock(GENESIS_HEAD, 0, 2);
const B = labBlock(A);

/** A lab whose validator has voted to prepare and to commit A in view 0. */
function committedA(): Lab {
  const lab = new Lab();
  lab.propose(A);
  lab.validate();
  lab.vote(2, 'prepare', A);
  lab.take();
  return lab;
}

test('a leader that was restarted says its stored proposal again, and no other', () => {
  const lab = new Lab({ validator: 0 });
  lab.run(lab.engine.propose(A.proposal));
  const again = lab.restart({ validator: 0 });
  assert.equal(again.engine.mayPropose(1), undefined);
  again.run(again.engine.propose(A2.proposal));
  const late = again.take();
  assert.deepEqual(messagesOf(late), []);
  again.run(again.engine.retransmit());
  const [said] = messagesOf(again.take());
  assert.ok(said?.kind === 'proposal' && equalBytes(said.proposal.header, A.proposal.header));
  assert.deepEqual(late.flatMap((output) => (output.kind === 'validate' ? [output.fresh] : [])), [false], 'it has to be executed anew, and its time was judged');
});

test('a restarted validator repeats its votes, takes no rival, and decides after it has executed again', () => {
  const again = committedA().restart();
  assert.equal(again.propose(A2), 'ignore equivocation');
  again.run(again.engine.retransmit());
  const outputs = again.take();
  assert.deepEqual(messagesOf(outputs).map(brief), ['prepare 1 in 0', 'commit 1 in 0', 'status 0']);
  for (const message of messagesOf(outputs)) if (message.kind === 'vote') assert.ok(equalBytes(message.hash, A.hash));
  for (const from of [0, 2]) again.vote(from, 'commit', A);
  assert.equal(again.take().some((output) => output.kind === 'decided'), false);
  again.run(again.engine.validated(A.hash, true));
  assert.equal(again.take().some((output) => output.kind === 'decided'), true);
});

test('a validator restarted in a view change asks for the same view, and shows what it had prepared', () => {
  const lab = committedA();
  lab.run(lab.engine.suspect());
  const again = lab.restart();
  assert.deepEqual([again.engine.status.view, again.engine.status.active], [1, false]);
  assert.equal(again.propose(B), 'accept');
  again.validate();
  again.run(again.engine.retransmit());
  const said = messagesOf(again.take());
  const [change] = said;
  assert.deepEqual(said.map(brief), ['view-change 1', 'status 0'], 'and no vote in the view that it has left');
  assert.ok(change?.kind === 'view-change' && equalBytes(change.prepared[0]!.header, A.proposal.header));
});

test('a validator restarted in a later view knows what that view has chosen', () => {
  const lab = new Lab({ validator: 3 });
  const changes = [lab.change(0, 1), lab.change(1, 1), lab.change(2, 1, [lab.prepared(A, 0), lab.prepared(B, 0)])];
  lab.give(lab.newView(1, 1, changes));
  lab.run(lab.engine.supply(A.proposal));
  lab.validate();
  lab.take();
  const again = lab.restart({ validator: 3 });
  assert.deepEqual([again.engine.status.view, again.engine.status.active], [1, true]);
  again.run(again.engine.retransmit());
  const outputs = again.take();
  assert.ok(messagesOf(outputs).map(brief).includes('prepare 1 in 1'));
  assert.deepEqual(outputs.flatMap((output) => (output.kind === 'fetch' ? [output.height] : [])), [2]);
  assert.equal(again.propose(A2, 1), 'ignore not-chosen');
});

test('nothing that binds leaves but with the state that remembers it', () => {
  const lab = committedA();
  for (const outputs of [lab.engine.retransmit(), lab.engine.suspect(), lab.engine.retransmit()]) {
    for (const output of outputs) {
      if (output.kind !== 'send') continue;
      assert.deepEqual(messagesOf([output]).map(({ kind }) => kind), ['status']);
    }
    assert.ok(outputs.some((output) => output.kind === 'vote' && output.state.length > 0));
  }
});

test('proposals are forgotten when they are final, with the next vote', () => {
  const lab = committedA();
  assert.deepEqual([...lab.proposals.keys()], [1]);
  for (const from of [0, 2]) lab.vote(from, 'commit', A);
  lab.run(lab.engine.finalised(lab.head(A)));
  lab.propose(B);
  lab.validate();
  assert.deepEqual([...lab.proposals.keys()], [2]);
  const stale = new Lab({ start: { state: lab.state, head: lab.head(B), proposals: [...lab.proposals].map(([height, proposal]) => ({ height, proposal })) } });
  stale.propose(labBlock(B));
  stale.validate();
  assert.deepEqual([...stale.proposals.keys()], [3]);
});

test('messages after a restart have other bytes than before it', () => {
  const lab = committedA();
  const before = lab.engine.retransmit().flatMap((output) => (output.kind === 'vote' ? output.messages : []));
  const after = lab.restart().engine.retransmit().flatMap((output) => (output.kind === 'vote' ? output.messages : []));
  assert.equal(before.length, after.length);
  before.forEach((data, at) => assert.ok(!equalBytes(data, after[at]!)));
});

test('stored votes that are damaged, foreign or without their proposals are refused by name', () => {
  const lab = committedA();
  const state = lab.state!;
  const start = (changed: Uint8Array, proposals = [{ height: 1, proposal: A.proposal }]): (() => Lab) => () => new Lab({ start: { state: changed, proposals } });
  start(state)();
  throwsCode(start(state.subarray(0, state.length - 1)), 'consensus/stored-state');
  throwsCode(start(Uint8Array.of(...state, 0)), 'consensus/stored-state');
  throwsCode(start(state.map((byte, at) => (at === 0 ? 2 : byte))), 'consensus/stored-state');
  throwsCode(() => new Lab({ validator: 2, start: { state, proposals: [] } }), 'consensus/stored-foreign');
  throwsCode(start(state, []), 'consensus/stored-proposal');
  throwsCode(start(state, [{ height: 1, proposal: A2.proposal }]), 'consensus/stored-proposal');
});
