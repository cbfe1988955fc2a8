import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testCrypto } from '../support/crypto.ts';
import { type NetworkOptions, PbftNetwork } from './pbft-network.ts';

const crypto = testCrypto();
/** Virtual time within which a healed committee must have got to the target. */
const HEALED_MS = 60_000;

/** Runs seeds of one kind of bad weather; whatever fails prints its seed. */
function swarm(name: string, seeds: number, options: (seed: number) => Omit<NetworkOptions, 'seed'>): void {
  test(`${name}: ${seeds} seeds`, () => {
    const failed: number[] = [];
    let first: unknown;
    let slowestMs = 0;
    const sums = { lost: 0, duplicated: 0, crashes: 0, partitions: 0, messages: 0 };
    let views = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const network = new PbftNetwork(crypto, { seed, ...options(seed) });
      try {
        slowestMs = Math.max(slowestMs, network.run(HEALED_MS));
      } catch (error) {
        failed.push(seed);
        first ??= error;
      }
      for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += network.counts[key];
      for (const host of network.hosts.values()) {
        views += host.engine?.status.view ?? 0;
        assert.ok(host.proposalsMax <= 4, `seed ${seed}: ${host.proposalsMax} proposals stored at a time`);
      }
    }
    console.log(JSON.stringify({ name, seeds, failed: failed.length, first: failed.slice(0, 5), slowestMs, views, ...sums }));
    assert.deepEqual(failed, [], first instanceof Error ? first.message : String(first));
  });
}

/** Whatever the seed says about window and patience: half of the seeds change views all the time. */
function mood(seed: number): Pick<NetworkOptions, 'window' | 'timeoutMs'> {
  return { window: seed % 3 === 0 ? 1 : 2, timeoutMs: seed % 2 === 0 ? 300 : 30 + (seed % 7) * 10 };
}
const CALM = { window: 2, villains: 0, faultyMs: 0, lossPercent: 0, crashEveryMs: 0, delayMaxMs: 10, timeoutMs: 300 } as const;

/** Votes of one phase get lost more often than not. */
function unlucky(seed: number): Pick<NetworkOptions, 'voteLoss' | 'window' | 'timeoutMs'> {
  return { ...mood(seed), timeoutMs: 30 + (seed % 7) * 10, voteLoss: { prepare: 20 + (seed % 4) * 15, commit: 20 + (seed % 5) * 15 } };
}

swarm('4 in calm', 10, () => ({ ...CALM, size: 4, target: 70 }));
swarm('4 that lose, cut off and crash', 100, (seed) => ({ ...CALM, ...mood(seed), size: 4, faultyMs: 6_000, lossPercent: seed % 30, crashEveryMs: 400, delayMaxMs: 60, target: 50 }));
swarm('4 with a villain', 100, (seed) => ({ ...CALM, ...mood(seed), size: 4, villains: 1, faultyMs: 4_000, delayMaxMs: 40, target: 50 }));
swarm('4 with a villain, in all that', 100, (seed) => ({ ...CALM, ...mood(seed), size: 4, villains: 1, faultyMs: 6_000, lossPercent: seed % 20, crashEveryMs: 1_000, delayMaxMs: 60, target: 40 }));
swarm('4 with lost votes', 120, (seed) => ({ ...CALM, ...unlucky(seed), size: 4, faultyMs: 6_000, lossPercent: 5, crashEveryMs: 1_500, delayMaxMs: 40, target: 24 }));
swarm('4 with lost votes and a villain', 100, (seed) => ({ ...CALM, ...unlucky(seed), size: 4, villains: 1, faultyMs: 6_000, lossPercent: 5, delayMaxMs: 40, target: 24 }));
swarm('7 with two villains, in all that', 40, (seed) => ({ ...CALM, ...mood(seed), size: 7, villains: 2, faultyMs: 4_000, lossPercent: seed % 20, crashEveryMs: 1_000, delayMaxMs: 60, target: 36 }));
