import assert from 'node:assert/strict';
import test from 'node:test';
import type { ShardId } from '../../src/primitives.ts';
import { nextAttempt } from '../../src/xtx/next-attempt.ts';
import { type Call, type CallOperation, CALLS_MAX, type CreateOperation, grant, keepStubs, mergeOperations, type Operation, STUBS_MAX, withoutData } from '../../src/xtx/operations.ts';
import { type Needed, type ParticipantProgress, PARTICIPANTS_MAX } from '../../src/xtx/types.ts';
import { account } from './kit.ts';

const shard = (index: number): ShardId => index as ShardId;
const SENDER = account(1);

function callOf(...tags: number[]): CallOperation {
  const calls = tags.map((tag): Call => ({ to: account(tag), value: BigInt(tag), gasLimit: 10 * tag, data: Uint8Array.of(tag) }));
  const value = calls.reduce((sum, call) => sum + call.value, 0n);
  return { kind: 'call', from: SENDER, value, gasLimit: calls.reduce((sum, call) => sum + call.gasLimit, 0), calls, stubs: [], granted: [] };
}
const TRANSFER: Operation = { kind: 'transfer', from: SENDER, to: account(9), value: 4n, gasLimit: 6 };
const CREATE: CreateOperation = { kind: 'create', from: SENDER, nonce: 3, value: 2n, gasLimit: 50, initcode: Uint8Array.of(1), stubs: [], granted: [] };

function progress(index: number, operation: Operation, over: Partial<ParticipantProgress> = {}): ParticipantProgress {
  return { shard: shard(index), operation, status: 'ended', gasUsed: 1, movedTo: undefined, needs: [], logs: new Uint8Array(0), ...over };
}
const next = (...participants: ParticipantProgress[]) => nextAttempt(shard(0), { sender: SENDER, participants });
const needs = (...of: [number, number][]): Needed[] => of.map(([index, byte]) => ({ shard: shard(index), address: account(byte) }));

test('two parts of one shard become one: calls in order, value and gas added, nothing lost', () => {
  const merged = mergeOperations(callOf(2, 3), TRANSFER);
  assert.equal(merged?.kind, 'call');
  assert.deepEqual([merged.value, merged.gasLimit, merged.calls.map((call) => call.to[0])], [9n, 56, [2, 3, 9]]);
  assert.deepEqual(mergeOperations(TRANSFER, callOf(2))?.value, 6n);
  const stub = { address: account(7), home: shard(2) };
  const creation = { ...CREATE, stubs: [stub] };
  assert.deepEqual(mergeOperations(CREATE, keepStubs(SENDER, [stub])), creation);
  assert.deepEqual(mergeOperations(keepStubs(SENDER, [stub]), CREATE), creation);
  for (const other of [TRANSFER, callOf(2), CREATE]) assert.equal(mergeOperations(CREATE, other), undefined, 'a creation and calls are not one operation');
});

test('merging and granting end at their bounds', () => {
  const full = callOf(...Array.from({ length: CALLS_MAX }, () => 2));
  assert.equal(mergeOperations(full, TRANSFER), undefined);
  assert.notEqual(mergeOperations(full, keepStubs(SENDER, [])), undefined);
  const many = Array.from({ length: STUBS_MAX }, (_, at) => account(at));
  assert.equal(grant(TRANSFER, many)?.kind, 'call');
  assert.equal(grant(CREATE, [...many, account(99)]), undefined);
  const stubs = many.map((address) => ({ address, home: shard(1) }));
  assert.equal(mergeOperations(keepStubs(SENDER, stubs), keepStubs(SENDER, stubs.slice(0, 1))), undefined);
});

test('what is left of an operation without its data is as large as its calls are many', () => {
  assert.deepEqual(withoutData(TRANSFER), TRANSFER);
  const [call, creation] = [withoutData(callOf(2, 3)), withoutData(CREATE)];
  assert.ok(call.kind === 'call' && call.calls.every(({ data }) => data.length === 0) && call.value === 5n);
  assert.ok(creation.kind === 'create' && creation.initcode.length === 0 && creation.nonce === 3);
});

test('a conflict asks the same again; who moved is asked at the new place, and may meet another part there', () => {
  const [a, b] = [callOf(2), callOf(3)];
  assert.deepEqual(next(progress(1, a), progress(2, b)), [{ shard: 1, operation: a }, { shard: 2, operation: b }]);
  assert.deepEqual(next(progress(1, a, { movedTo: shard(3) }), progress(2, b)), [{ shard: 3, operation: a }, { shard: 2, operation: b }]);
  assert.deepEqual(next(progress(1, a, { movedTo: shard(2) }), progress(2, b)), [{ shard: 2, operation: mergeOperations(a, b) }]);
  assert.equal(next(progress(1, a, { movedTo: shard(0) })), undefined, 'home is not asked');
  assert.equal(next(progress(0, CREATE), progress(1, a, { movedTo: shard(2) }), progress(2, b))?.length, 2);
});

test('needs: keepers of stubs take part, the maker is granted; a second need adds to the first', () => {
  const first = next(progress(1, TRANSFER, { needs: needs([2, 7], [3, 8]) }), progress(3, callOf(3)));
  assert.deepEqual(first?.map((part) => part.shard), [1, 3, 2]);
  const [maker, both, keeper] = first.map((part) => part.operation as CallOperation);
  assert.deepEqual([maker!.granted, maker!.value], [[account(7), account(8)], 4n]);
  assert.deepEqual([both!.stubs, both!.calls.length], [[{ address: account(8), home: 1 }], 1]);
  assert.deepEqual(keeper, keepStubs(SENDER, [{ address: account(7), home: shard(1) }]));
  const second = next(progress(1, maker!, { needs: needs([2, 9]) }), progress(3, both!), progress(2, keeper!));
  assert.deepEqual((second![0]!.operation as CallOperation).granted, [account(7), account(8), account(9)]);
  assert.deepEqual((second![2]!.operation as CallOperation).stubs.map((stub) => stub.address[0]), [7, 9]);
});

test('needs of nothing new, of itself, or of more than there is room for, end it', () => {
  const granted = { ...callOf(2), granted: [account(7)] };
  assert.equal(next(progress(1, granted, { needs: needs([2, 7]) })), undefined, 'asked for what it had');
  assert.equal(next(progress(1, callOf(2), { needs: needs([1, 7]) })), undefined, 'its own stub');
  const crowd = Array.from({ length: PARTICIPANTS_MAX }, (_, index) => progress(index + 1, callOf(2)));
  assert.equal(next(...crowd)?.length, PARTICIPANTS_MAX);
  assert.equal(next({ ...crowd[0]!, needs: needs([99, 7]) }, ...crowd.slice(1)), undefined, 'one shard too many');
});

test('who moved after stubs were agreed on ends it: they would lead to the old place', () => {
  for (const operation of [{ ...callOf(2), granted: [account(7)] }, { ...callOf(2), stubs: [{ address: account(7), home: shard(2) }] }]) {
    assert.equal(next(progress(1, operation, { movedTo: shard(3) })), undefined);
    assert.notEqual(next(progress(1, operation)), undefined);
  }
});
