import assert from 'node:assert/strict';

import { BEACON, shardId } from '@shardlab/crosslink';

import type { NodeName } from '../../src/ports.ts';
import type { Scheduler } from '../../src/sim/scheduler.ts';
import { SimWorld } from '../../src/sim/world.ts';
import { clockCompliance } from './clock-compliance.ts';
import type { Drive } from './drive.ts';
import { networkCompliance } from './network-compliance.ts';
import { storageCompliance } from './storage-compliance.ts';

const EVENTS_MAX = 1_000_000;
const NAME: NodeName = { chain: shardId(0), validator: 0 };

function simDrive(scheduler: Scheduler): Drive {
  return {
    until: async (condition, what) => {
      const end = scheduler.run({ eventsMax: EVENTS_MAX, until: condition });
      assert.equal(end, 'until', `the simulation ended (${end}) without: ${what}`);
    },
    within: async (withinMs, condition) =>
      scheduler.run({ eventsMax: EVENTS_MAX, untilMs: scheduler.nowMs() + withinMs, until: condition }) === 'until',
  };
}

// Whatever the seed, the promises hold.
for (const seed of [1, 2, 3]) {
  clockCompliance(`simulation, seed ${seed}`, async () => {
    const world = new SimWorld({ seed });
    return { clock: world.boot(NAME).clock, drive: simDrive(world.scheduler), stop: async () => undefined };
  });

  clockCompliance(`simulation, seed ${seed}, 3 s slow`, async () => {
    const world = new SimWorld({ seed }, { clock: () => ({ offsetMs: () => -3000 }) });
    return { clock: world.boot(NAME).clock, drive: simDrive(world.scheduler), stop: async () => undefined };
  });

  storageCompliance(`simulation, seed ${seed}`, async () => {
    const world = new SimWorld({ seed });
    const { storage } = world.boot(NAME);
    const reopen = async () => {
      world.crash(NAME);
      return world.boot(NAME).storage;
    };
    return { storage, drive: simDrive(world.scheduler), reopen, stop: async () => undefined };
  });

  networkCompliance(`simulation, seed ${seed}`, async (count) => {
    const world = new SimWorld({ seed });
    const nodes = Array.from({ length: count }, (_, index) => {
      const name: NodeName = index === 0 ? { chain: BEACON, validator: 0 } : { chain: shardId(index - 1), validator: 0 };
      return { name, network: world.boot(name).network };
    });
    const crash = async (index: number) => {
      const { name } = nodes[index]!;
      world.crash(name);
      return async () => void world.boot(name);
    };
    return { nodes, absent: { chain: shardId(77), validator: 0 }, drive: simDrive(world.scheduler), crash, stop: async () => undefined };
  });
}
