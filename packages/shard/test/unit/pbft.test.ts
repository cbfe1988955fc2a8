import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkCertificate, DecodeError, equalBytes, type Hash32, quorumSize, type ShardId } from '@shardlab/crosslink';
import { PROPOSER_TURN } from '../../src/consensus/pbft/committee.ts';
import { decodeMessage, encodeMessage } from '../../src/consensus/pbft/messages.ts';
import type { ConsensusOutput } from '../../src/consensus/types.ts';
import { CHAIN, committeeKeys, GENESIS_HASH, GENESIS_HEAD } from '../sim/pbft-blocks.ts';
import { brief, Lab, label, labBlock, messagesOf, throwsCode } from '../sim/pbft-lab.ts';
import { testCrypto } from '../support/crypto.ts';

const crypto = testCrypto();
const A = labBlock(GENESIS_HEAD);
const B = labBlock(A);

function kinds(outputs: readonly ConsensusOutput[], kind: ConsensusOutput['kind']): ConsensusOutput[] {
  return outputs.filter((output) => output.kind === kind);
}

function decided(outputs: readonly ConsensusOutput[]): Extract<ConsensusOutput, { kind: 'decided' }>[] {
  return outputs.filter((output) => output.kind === 'decided');
}

function events(outputs: readonly ConsensusOutput[]): string[] {
  return outputs.flatMap((output) => (output.kind === 'log' ? [output.line.event] : []));
}

test('a committee is 3f + 1, two quorums share a correct validator, and each leads its turn', () => {
  for (const size of [1, 4, 7, 10]) {
    const { quorum, faulty } = new Lab({ size, validator: 0 }).committees[0]!;
    assert.equal(size, 3 * faulty + 1);
    assert.equal(quorum, 2 * faulty + 1);
    assert.equal(quorum, quorumSize(size));
    assert.ok(2 * quorum - size > faulty);
  }
  for (const size of [0, 2, 3, 5, 6, 13, 1.5]) throwsCode(() => new Lab({ size, validator: 0 }), 'consensus/committee');
  throwsCode(() => new Lab({ validator: -1 }), 'consensus/committee');
  const [committee] = new Lab().committees;
  const leaders = [1, PROPOSER_TURN - 1, PROPOSER_TURN, 2 * PROPOSER_TURN, 4 * PROPOSER_TURN].map((height) => committee!.leader(0, height));
  assert.deepEqual(leaders, [0, 0, 1, 2, 0]);
  assert.equal(committee!.leader(3, PROPOSER_TURN), 0);
});

test('three phases: nothing is voted before it was executed, and a quorum of each makes a block final', () => {
  const lab = new Lab();
  assert.equal(lab.propose(A), 'accept');
  const asked = lab.take();
  assert.deepEqual(asked.map((output) => output.kind), ['validate']);
  assert.equal(asked[0]!.kind === 'validate' && asked[0]!.fresh, true);
  lab.run(lab.engine.validated(A.hash, true));
  assert.deepEqual(lab.said().map(brief), ['prepare 1 in 0']);
  assert.equal(lab.vote(2, 'prepare', A), 'accept');
  assert.deepEqual(lab.said().map(brief), ['commit 1 in 0']);
  assert.equal(lab.vote(3, 'prepare', A), 'ignore enough');
  lab.vote(0, 'commit', A);
  assert.deepEqual(lab.take(), []);
  lab.vote(3, 'commit', A);
  const [block] = decided(lab.take());
  assert.ok(block !== undefined && equalBytes(block.hash, A.hash));
  const subject = { genesisHash: GENESIS_HASH, chain: CHAIN, epoch: 0, height: 1, phase: 'commit' as const, blockHash: A.hash };
  assert.equal(checkCertificate(crypto, committeeKeys(crypto, 4).public, subject, block.certificate), undefined);
  assert.equal(lab.vote(2, 'commit', A), 'ignore enough');
  lab.run(lab.engine.finalised(lab.head(A)));
  assert.equal(lab.vote(2, 'commit', A), 'ignore old-height');
});

test('a vote counts once, however often it comes', () => {
  const lab = new Lab();
  lab.propose(A);
  lab.validate();
  lab.take();
  // The leader's proposal is its prepare vote: it and this validator's own are two of three.
  for (let i = 0; i < 5; i++) assert.equal(lab.vote(0, 'prepare', A), 'ignore known');
  assert.deepEqual(lab.take(), []);
  lab.vote(2, 'prepare', A);
  assert.deepEqual(lab.said().map(brief), ['commit 1 in 0']);
  assert.equal(lab.vote(2, 'commit', A), 'accept');
  for (let i = 0; i < 5; i++) assert.equal(lab.vote(2, 'commit', A), 'ignore known');
  assert.deepEqual(decided(lab.take()), []);
});

test('a committee of one decides at once, stores no votes and says nothing', () => {
  const lab = new Lab({ size: 1, validator: 0 });
  assert.ok(equalBytes(lab.engine.mayPropose(1)!, GENESIS_HEAD.hash));
  const outputs = lab.engine.propose(A.proposal);
  assert.deepEqual(outputs.map((output) => output.kind), ['decided']);
  assert.equal(lab.engine.mayPropose(1), undefined);
  assert.ok(equalBytes(lab.engine.mayPropose(2)!, A.hash));
  assert.deepEqual([...lab.engine.suspect(), ...lab.engine.retransmit()], []);
});

test('votes that come before their proposal are kept', () => {
  const lab = new Lab();
  for (const from of [2, 3]) {
    lab.vote(from, 'prepare', A);
    lab.vote(from, 'commit', A);
  }
  lab.propose(A);
  const asked = lab.take();
  assert.equal(asked[0]!.kind === 'validate' && asked[0]!.fresh, false, 'a quorum has vouched for it');
  lab.run(lab.engine.validated(A.hash, true));
  const outputs = lab.take();
  assert.deepEqual(messagesOf(outputs).map(brief), ['prepare 1 in 0', 'commit 1 in 0']);
  assert.equal(decided(outputs).length, 1);
  assert.equal(outputs[0]!.kind, 'vote', 'what is decided rests on votes that are stored first');
});

test('the next height is voted on when its parent is executed, and committed when its parent is prepared', () => {
  const lab = new Lab();
  lab.propose(B);
  assert.deepEqual(lab.take(), []);
  lab.propose(A);
  assert.equal(kinds(lab.take(), 'validate').length, 1);
  lab.run(lab.engine.validated(A.hash, true));
  assert.equal(kinds(lab.take(), 'validate').length, 1);
  lab.run(lab.engine.validated(B.hash, true));
  lab.vote(2, 'prepare', B);
  assert.deepEqual(lab.said().map(brief), ['prepare 2 in 0']);
  lab.vote(2, 'prepare', A);
  assert.deepEqual(lab.said().map(brief), ['commit 1 in 0', 'commit 2 in 0']);
  for (const from of [0, 2]) lab.vote(from, 'commit', B);
  assert.deepEqual(decided(lab.take()), [], 'in order of height');
  for (const from of [0, 2]) lab.vote(from, 'commit', A);
  assert.deepEqual(decided(lab.take()).map(({ fields }) => fields.height), [1, 2]);
});

test('a leader proposes its heights, the next one on a prepared block only', () => {
  const lab = new Lab({ validator: 0 });
  assert.equal(lab.engine.mayPropose(2), undefined);
  assert.ok(equalBytes(lab.engine.mayPropose(1)!, GENESIS_HEAD.hash));
  lab.run(lab.engine.propose(A.proposal));
  assert.deepEqual(lab.said().map(brief), ['proposal 1 in 0']);
  assert.equal(lab.engine.mayPropose(1), undefined);
  assert.equal(lab.engine.mayPropose(2), undefined);
  for (const from of [1, 2]) lab.vote(from, 'prepare', A);
  assert.ok(equalBytes(lab.engine.mayPropose(2)!, A.hash));
  assert.equal(lab.engine.mayPropose(3), undefined);
  assert.deepEqual(events(lab.engine.propose(labBlock(GENESIS_HEAD, 0, 5).proposal)), ['consensus.proposal-late']);
  assert.equal(new Lab().engine.mayPropose(1), undefined);
});

test('verdicts: what is wrong costs its sender, what is late or early does not', () => {
  const lab = new Lab({ unknownEpoch: 1 });
  const far = labBlock({ height: 4, hash: A.hash });
  const farther = labBlock({ height: 7, hash: A.hash });
  const forged = { ...lab.message(2, 'prepare', A), validator: 3 } as Parameters<Lab['give']>[0];
  assert.equal(label(lab.give(forged)), 'reject signature');
  assert.equal(label(lab.give({ ...lab.message(2, 'prepare', A), validator: 4 } as never)), 'reject validator');
  assert.equal(label(lab.give({ ...lab.message(2, 'prepare', A), phase: 'commit' } as never)), 'reject signature');
  assert.equal(label(lab.give({ ...lab.message(2, 'prepare', A), epoch: 1 } as never)), 'ignore epoch-unknown');
  assert.equal(lab.vote(1, 'prepare', A), 'ignore own');
  assert.equal(lab.vote(2, 'prepare', A, 3), 'ignore view-ahead');
  assert.equal(label(lab.give({ ...lab.message(2, 'prepare', far), signature: new Uint8Array(64) } as never)), 'reject signature');
  assert.equal(lab.propose(labBlock(GENESIS_HEAD, 2)), 'reject proposer');
  assert.equal(label(lab.give({ kind: 'proposal', view: 0, proposal: A.proposal, signature: lab.committees[2]!.signVote('prepare', 0, A) })), 'reject signature');
  assert.deepEqual(kinds(lab.take(), 'behind'), []);
  assert.equal(lab.vote(2, 'prepare', far), 'ignore ahead');
  assert.deepEqual(kinds(lab.take(), 'behind'), [{ kind: 'behind', height: 3, from: 2 }]);
  assert.equal(lab.propose(farther), 'ignore ahead');
  assert.deepEqual(kinds(lab.take(), 'behind'), [{ kind: 'behind', height: 6, from: 0 }]);
  const foreign = encodeMessage(9 as ShardId, 1, lab.message(2, 'prepare', A));
  assert.equal(label(lab.engine.receive(foreign).verdict), 'reject chain');
  assert.throws(() => lab.engine.receive(foreign.subarray(0, 50)), DecodeError);
});

test('a validator that votes twice is named once, and its first vote stands', () => {
  const lab = new Lab();
  const other = labBlock(GENESIS_HEAD, 0, 9);
  lab.vote(2, 'prepare', A);
  assert.equal(lab.vote(2, 'prepare', other), 'ignore equivocation');
  assert.equal(lab.vote(2, 'prepare', other), 'ignore equivocation');
  assert.deepEqual(events(lab.take()), ['consensus.equivocation']);
  lab.propose(A);
  assert.equal(lab.propose(other), 'ignore equivocation');
  lab.validate();
  const said = lab.said().map(brief);
  assert.deepEqual(said, ['prepare 1 in 0', 'commit 1 in 0'], 'the first vote of 2 counts');
});

test('a commit quorum for a block that is not here says that this validator is behind', () => {
  const lab = new Lab();
  for (const from of [0, 2, 3]) lab.vote(from, 'commit', A);
  assert.deepEqual(kinds(lab.take(), 'behind'), [{ kind: 'behind', height: 1, from: 0 }]);
  assert.deepEqual(kinds(lab.engine.retransmit(), 'behind'), [{ kind: 'behind', height: 1, from: 0 }]);
  assert.equal(lab.propose(labBlock(GENESIS_HEAD, 0, 3)), 'ignore not-final');
  lab.propose(A);
  lab.validate();
  assert.equal(decided(lab.take()).length, 1);
});

test('what a quorum commits and this validator finds wrong is never voted for, and said', () => {
  const lab = new Lab();
  lab.propose(A);
  lab.vote(2, 'prepare', A);
  lab.vote(3, 'prepare', A);
  // Judged as fresh before the quorum came, so its time may have been the fault: it is judged once more without.
  lab.run(lab.engine.validated(A.hash, false));
  const again = kinds(lab.take(), 'validate');
  assert.deepEqual(again.map((output) => output.kind === 'validate' && output.fresh), [true, false]);
  lab.run(lab.engine.validated(A.hash, false));
  for (const from of [0, 2, 3]) lab.vote(from, 'commit', A);
  const outputs = lab.take();
  assert.deepEqual(events(outputs), ['consensus.diverged']);
  assert.deepEqual([...messagesOf(outputs), ...decided(outputs)], []);
});

test('a wrong clock here does not keep this validator from deciding', () => {
  const lab = new Lab();
  lab.propose(A);
  lab.run(lab.engine.validated(A.hash, false));
  assert.deepEqual(messagesOf(lab.take()).map(brief), ['view-change 1']);
  for (const from of [0, 2, 3]) lab.vote(from, 'commit', A);
  assert.deepEqual(kinds(lab.take(), 'validate').map((output) => output.kind === 'validate' && output.fresh), [false]);
  lab.run(lab.engine.validated(A.hash, true));
  const outputs = lab.take();
  assert.equal(decided(outputs).length, 1);
  assert.deepEqual(messagesOf(outputs), [], 'it has left the view');
});

test('extensions of commit votes: checked when the block is known, and handed over with it', () => {
  const wanted = (validator: number): Uint8Array<ArrayBuffer> => new Uint8Array(64).fill(validator + 1);
  const extension = { make: () => wanted(1), check: (_: unknown, validator: number, bytes: Uint8Array) => equalBytes(bytes, wanted(validator)) };
  const lab = new Lab({ extension });
  assert.equal(lab.vote(3, 'commit', A, 0, wanted(2)), 'accept', 'cannot be told yet');
  lab.propose(A);
  lab.validate();
  assert.equal(lab.vote(2, 'commit', A), 'reject extension');
  assert.equal(lab.vote(2, 'commit', A, 0, wanted(3)), 'reject extension');
  lab.vote(2, 'prepare', A);
  for (const from of [0, 2]) assert.equal(lab.vote(from, 'commit', A, 0, wanted(from)), 'accept');
  const [block] = decided(lab.take());
  assert.deepEqual([...block!.extensions], [0, 1, 2].map((validator) => [validator, wanted(validator)]));
  assert.equal(new Lab().vote(2, 'commit', A, 0, wanted(2)), 'accept', 'unknown block');
});

test('memory is bounded whatever peers send', () => {
  const lab = new Lab();
  const internals = lab.engine as unknown as { heights: { slots: Map<number, unknown> }; askers: { changes: Map<number, unknown> } };
  for (let i = 0; i < 3_000; i++) {
    const block = { epoch: 0, height: 1 + (i % 40), hash: crypto.sha256(Uint8Array.of(i >> 8, i)) as Hash32 };
    lab.vote(2, i % 2 === 0 ? 'prepare' : 'commit', block, i % 3);
    if (i % 10 === 0) lab.give(lab.change(2, 1 + i));
    if (i % 10 === 0) lab.propose(labBlock({ height: i % 40, hash: block.hash }, 0, i));
    lab.take();
  }
  assert.ok(internals.heights.slots.size <= 4);
  assert.equal(internals.askers.changes.size, 1);
  assert.equal(lab.engine.status.view, 0, 'one validator alone changes no view');
});

test('bytes of any kind are decoded or refused with a DecodeError', () => {
  const lab = new Lab();
  const samples = [
    encodeMessage(CHAIN, 1, lab.message(2, 'commit', A, 3, new Uint8Array(64))),
    encodeMessage(CHAIN, 2, lab.newView(1, 1, [0, 1, 2].map((from) => lab.change(from, 1, [lab.prepared(A, 0), lab.prepared(B, 0)])))),
    encodeMessage(CHAIN, 3, lab.status(2, 5, lab.head(A))),
    encodeMessage(CHAIN, 4, { kind: 'proposal', view: 1, proposal: A.proposal, signature: new Uint8Array(64) }),
  ];
  for (const bytes of samples) assert.deepEqual(encodeMessage(CHAIN, bytes[5]!, decodeMessage(CHAIN, bytes)!), bytes);
  const damaged = fc.tuple(fc.constantFrom(...samples), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.boolean()).map(([bytes, at, value, cut]) => {
    const copy = bytes.slice();
    copy[at % copy.length] = value;
    return cut ? copy.subarray(0, at % copy.length) : copy;
  });
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (bytes) => {
      try {
        lab.engine.receive(bytes.slice());
      } catch (error) {
        assert.ok(error instanceof DecodeError);
      }
    }),
    { numRuns: 500, seed: 3 },
  );
});
