import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from '../../src/rpc/evm/turns.ts';

test('tasks run one at a time, in order, and a failure does not stop the next', async () => {
  const turns = new Turns();
  const ran: number[] = [];
  const tasks = [1, 2, 3].map((task) =>
    turns.run(() => {
      ran.push(task);
      if (task === 2) throw new Error('two');
      return task;
    }),
  );
  const settled = await Promise.allSettled(tasks);
  assert.deepEqual(ran, [1, 2, 3]);
  assert.deepEqual(settled.map((each) => (each.status === 'fulfilled' ? each.value : (each.reason as Error).message)), [1, 'two', 3]);
  assert.equal(await turns.run(() => 4), 4);
});

test('after a long task others wait as long; too many are turned away', async () => {
  const turns = new Turns();
  const busy = (ms: number): void => {
    const end = performance.now() + ms;
    while (performance.now() < end);
  };
  const first = turns.run(() => busy(40));
  const waiting = Array.from({ length: 256 }, () => turns.run(() => performance.now()));
  await assert.rejects(turns.run(() => 0), { rpcCode: -32_005 });
  await first;
  const endedMs = performance.now();
  const [startedMs] = await Promise.all(waiting);
  assert.ok(startedMs! - endedMs >= 30, `${startedMs! - endedMs} ms of pause after 40 ms of work`);
});
