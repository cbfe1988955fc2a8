import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPT, type Hash32, type ShardId, ZERO_HASH } from '@shardlab/crosslink';
import { Agreement } from '../../src/consensus/agreement.ts';
import { Patience } from '../../src/consensus/patience.ts';
import type { Consensus, ConsensusOutput } from '../../src/consensus/types.ts';
import type { Effect } from '../../src/effects.ts';
import { Requests } from '../../src/exchange/requests.ts';
import { StepContext } from '../../src/step-context.ts';

const CHAIN = 2 as ShardId;
const BASE_MS = 1_000;

/** An engine whose answers a test decides. */
class ScriptedConsensus implements Consensus {
  progress = 0;
  patient = true;
  busy = true;
  nextLeader = 1;
  readonly status = { view: 3, active: true, leader: 1, voted: [0, 2], quorum: 3 };
  readonly calls: string[] = [];
  next: readonly ConsensusOutput[] = [];

  private say(call: string): readonly ConsensusOutput[] {
    this.calls.push(call);
    const outputs = this.next;
    this.next = [];
    return outputs;
  }
  leader(): number {
    return 1;
  }
  mayPropose(): Hash32 | undefined {
    return undefined;
  }
  propose(): readonly ConsensusOutput[] {
    return this.say('propose');
  }
  receive(): ReturnType<Consensus['receive']> {
    return { verdict: ACCEPT, outputs: this.say('receive') };
  }
  validated(): readonly ConsensusOutput[] {
    return this.say('validated');
  }
  supply(): readonly ConsensusOutput[] {
    return this.say('supply');
  }
  finalised(): readonly ConsensusOutput[] {
    return this.say('finalised');
  }
  suspect(): readonly ConsensusOutput[] {
    return this.say('suspect');
  }
  retransmit(): readonly ConsensusOutput[] {
    return this.say('retransmit');
  }
}

function setUp(blockIntervalMs = BASE_MS / 4): { consensus: ScriptedConsensus; agreement: Agreement; at: (nowMs: number, run: () => void) => readonly Effect[]; told: string[] } {
  const consensus = new ScriptedConsensus();
  const step = new StepContext();
  const requests = new Requests({ own: { chain: CHAIN, validator: 0 }, size: () => 4, timeoutMs: 500 }, step);
  const told: string[] = [];
  const host = {
    validate: () => void told.push('validate'),
    decided: () => void told.push('decided'),
    behind: (height: number, from: number) => void told.push(`behind ${height} ${from}`),
    stuck: () => void told.push('stuck'),
  };
  const agreement = new Agreement({ chain: CHAIN, size: 4, blockIntervalMs }, { step, requests, consensus }, host);
  const at = (nowMs: number, run: () => void): readonly Effect[] => {
    step.begin(nowMs);
    run();
    return step.end();
  };
  return { consensus, agreement, at, told };
}

const timers = (effects: readonly Effect[]): string[] => effects.flatMap((effect) => (effect.kind === 'set-timer' ? [`${effect.timer} ${effect.delayMs}`] : []));

test('votes are on the disk before their messages leave (R2), whatever else happens', () => {
  const { consensus, agreement, at } = setUp();
  const message = new Uint8Array([7]);
  consensus.next = [{ kind: 'vote', state: new Uint8Array([1]), proposals: [], messages: [message] }];
  const [persist, ...rest] = at(1, () => void agreement.take(new Uint8Array(1)));
  assert.ok(persist?.kind === 'persist' && persist.record.kind === 'votes');
  assert.deepEqual(rest, []);
  assert.equal(agreement.persisted(persist.request + 1), false, 'another write');
  const sent = at(2, () => assert.equal(agreement.persisted(persist.request), true));
  assert.deepEqual(sent, [{ kind: 'publish', topic: 'consensus/2', data: message }]);
  assert.equal(agreement.persisted(persist.request), false, 'once');
});

test('a leader is suspected after its time, not before, and not while it makes progress', () => {
  const { consensus, agreement, at } = setUp();
  assert.deepEqual(timers(at(0, () => agreement.watch(0))), ['retransmit 500', 'view 1000']);
  at(999, () => agreement.viewTimer(999));
  assert.deepEqual(consensus.calls, []);
  consensus.progress++;
  assert.deepEqual(timers(at(999, () => agreement.watch(999))), ['view 1000']);
  at(1_500, () => agreement.viewTimer(1_500));
  assert.deepEqual(consensus.calls, [], 'the clock began anew');
  at(2_000, () => agreement.viewTimer(2_000));
  assert.deepEqual(consensus.calls, ['suspect']);
  at(3_100, () => agreement.viewTimer(3_100));
  assert.deepEqual(consensus.calls, ['suspect'], 'the next leader has twice the time');
  at(4_000, () => agreement.viewTimer(4_000));
  assert.deepEqual(consensus.calls, ['suspect', 'suspect']);
});

test('a leader to whom the connection has broken gets a quarter of its time from then on, unless it is back', () => {
  const { consensus, agreement, at } = setUp();
  const deadlines = (nowMs: number): string[] => timers(at(nowMs, () => agreement.watch(nowMs))).filter((text) => text.startsWith('view '));
  const told = (nowMs: number, validator: number, connected: boolean): void => void at(nowMs, () => agreement.connected(validator, connected));
  const fire = (nowMs: number): void => void at(nowMs, () => agreement.viewTimer(nowMs));
  assert.deepEqual(deadlines(0), ['view 1000']);
  told(100, 4, false);
  told(100, 2, false);
  assert.deepEqual(deadlines(100), [], 'nobody whom this committee has, and one whose turn it is not');
  told(100, 2, true);
  told(600, 1, false);
  told(700, 1, false);
  assert.deepEqual(deadlines(700), ['view 150'], 'from when it broke, not from when the block was due: a connection that breaks by chance is made anew meanwhile');
  told(800, 1, true);
  fire(850);
  assert.deepEqual(consensus.calls, [], 'it is back');
  assert.deepEqual(deadlines(850), ['view 150'], 'and has what is left of its time');
  told(900, 1, false);
  fire(999);
  assert.deepEqual(consensus.calls, []);
  fire(1_000);
  assert.deepEqual(consensus.calls, ['suspect'], 'never longer than without the hint');
});

test('with more than f gone it is oneself who is cut off: nobody gets less time', () => {
  const { agreement, at } = setUp();
  at(0, () => agreement.connected(1, false));
  at(0, () => agreement.connected(3, false));
  assert.deepEqual(timers(at(0, () => agreement.watch(0))).at(-1), 'view 1000');
  at(10, () => agreement.connected(3, true));
  assert.deepEqual(timers(at(10, () => agreement.watch(10))), ['view 240']);
});

test('a leader gets a second, or two block intervals where that is more', () => {
  for (const [intervalMs, timeoutMs] of [[10, 1_000], [250, 1_000], [500, 1_000], [501, 1_002], [1_000, 2_000]] as const) {
    const { agreement, at } = setUp(intervalMs);
    const [timer] = timers(at(0, () => agreement.watch(0))).filter((text) => text.startsWith('view '));
    assert.equal(timer, `view ${timeoutMs}`);
  }
});

test('without work no timer runs, and a view change that no quorum wants suspects nobody', () => {
  const { consensus, agreement, at } = setUp();
  assert.deepEqual(at(0, () => agreement.watch(undefined)), []);
  at(90_000, () => agreement.viewTimer(undefined));
  consensus.patient = false;
  assert.deepEqual(timers(at(90_000, () => agreement.watch(90_000))), ['retransmit 500']);
  at(99_000, () => agreement.viewTimer(99_000));
  assert.deepEqual(consensus.calls, []);
});

test('what was said is said again while nothing moves, and other help is asked for', () => {
  const { consensus, agreement, at, told } = setUp();
  at(0, () => agreement.watch(0));
  at(500, () => agreement.retransmitTimer(500));
  assert.deepEqual([consensus.calls, told], [['retransmit'], ['stuck']]);
  consensus.progress++;
  at(800, () => agreement.watch(800));
  at(900, () => agreement.retransmitTimer(900));
  assert.deepEqual(consensus.calls, ['retransmit'], 'it has just moved');
});

test('a committee that stands says so once, with who is missing, and says when it goes on', () => {
  const { consensus, agreement, at } = setUp();
  const events: string[] = [];
  for (let nowMs = 0; nowMs < 20_000; nowMs += 100) {
    const effects = at(nowMs, () => {
      agreement.viewTimer(nowMs);
      agreement.watch(nowMs);
    });
    for (const effect of effects) if (effect.kind === 'log') events.push(`${effect.line.event} ${String(effect.line.fields['voted'])} of ${String(effect.line.fields['quorum'])}`);
  }
  assert.deepEqual(events, ['consensus.stalled 0,2 of 3']);
  consensus.progress++;
  const resumed = at(20_000, () => {
    agreement.finalised({ epoch: 0, height: 1, hash: ZERO_HASH, certificate: undefined });
    agreement.watch(20_000);
  });
  assert.ok(resumed.some((effect) => effect.kind === 'log' && effect.line.event === 'consensus.resumed'));
});

test('a chosen proposal is fetched from one holder after the other until it is here', () => {
  const { consensus, agreement, at } = setUp();
  consensus.next = [{ kind: 'fetch', height: 9, hash: ZERO_HASH, from: [1, 3] }];
  const [first] = at(0, () => void agreement.take(new Uint8Array(1)));
  assert.deepEqual(first?.kind === 'request' ? first.to : undefined, { chain: CHAIN, validator: 1 });
  assert.equal(agreement.fetched([]).kind, 'ignore');
  at(1, () => assert.equal(agreement.fetched([new Uint8Array(1), new Uint8Array(1)]).kind, 'accept'));
  assert.equal(consensus.calls.at(-1), 'supply');
});

test('patience adapts to what blocks take, doubles with failures, and has bounds', () => {
  const patience = new Patience(BASE_MS);
  assert.equal(patience.deadline(0, 0, 0), BASE_MS);
  for (let nowMs = 0; nowMs < 400_000; nowMs += 2_000) {
    patience.deadline(nowMs, nowMs, nowMs);
    patience.decided(nowMs + 1_500);
  }
  const slow = patience.deadline(500_000, 500_000, 500_000)! - 500_000;
  assert.ok(slow > 5_000 && slow <= 6_100, `four times what blocks take: ${slow}`);
  for (let i = 0; i < 40; i++) patience.lost(600_000);
  const longest = patience.deadline(600_000, 600_000, 500_000)! - 600_000;
  assert.equal(longest, 30_000);
  patience.decided(700_000);
  // That block took 100 s in the view that decided it: the next leader gets the most that a first view is given, not what blocks took before.
  assert.equal(patience.deadline(700_000, 700_000, 700_001)! - 700_000, 10_000);
});
