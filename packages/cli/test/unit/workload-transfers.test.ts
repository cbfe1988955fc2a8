import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Prng } from '@shardlab/crosslink';
import fc from 'fast-check';
import { crossShardCount, generateTransfers } from '../../src/workload/transfers.ts';
import { ShardedZipf } from '../../src/workload/zipf.ts';

const HOMES = Uint16Array.from({ length: 200 }, (_, account) => (account * 7) % 4);

describe('generateTransfers', () => {
  test('every prefix holds exactly floor(k x ratio) cross-shard transfers, for any ratio, skew, seed and spread of accounts', () => {
    const options = fc.record({
      count: fc.integer({ min: 1, max: 400 }),
      crossShardRatio: fc.integer({ min: 0, max: 1000 }).map((mille) => mille / 1000),
      zipf: fc.constantFrom(0, 0.5, 1, 2, 10),
      seed: fc.nat(),
    });
    const homes = fc.array(fc.nat(4), { minLength: 1, maxLength: 40 }).map((list) => Uint16Array.from([0, 5, ...list]));
    fc.assert(
      fc.property(options, homes, (given, shardOf) => {
        const { from, to } = generateTransfers(given, shardOf, 6);
        let crossed = 0;
        for (let i = 0; i < given.count; i++) {
          if (shardOf[from[i]!] !== shardOf[to[i]!]) crossed += 1;
          assert.equal(crossed, crossShardCount(i + 1, given.crossShardRatio));
          // Only an account that is alone in its shard pays itself.
          if (from[i] === to[i]) assert.equal(shardOf.filter((shard) => shard === shardOf[from[i]!]).length, 1);
        }
      }),
    );
  });

  test('a ratio of 0.2 puts one in five across, 1 all, 0 none', () => {
    for (const [ratio, expected] of [[0.2, 20_000], [1, 100_000], [0, 0], [1 / 3, 33_333]] as const) {
      assert.equal(crossShardCount(100_000, ratio), expected);
    }
  });

  test('one seed gives one plan, another seed another', () => {
    const plan = (seed: number): ReturnType<typeof generateTransfers> => generateTransfers({ count: 500, crossShardRatio: 0.2, zipf: 1, seed }, HOMES, 4);
    assert.deepEqual(plan(7), plan(7));
    assert.notDeepEqual(plan(7).from, plan(8).from);
    assert.ok(plan(7).values.every((word, at) => (at % 2 === 0 ? word === 0n : word >= 1n && word <= 10n ** 15n)));
  });

  test('refuses what cannot be generated, in one line', () => {
    const good = { count: 10, crossShardRatio: 0.2, zipf: 0, seed: 1 };
    const refused = (change: object, homes: Uint16Array, message: RegExp): void => {
      assert.throws(() => generateTransfers({ ...good, ...change }, homes, 4), { code: 'load/options', message });
    };
    refused({ crossShardRatio: 1.1 }, HOMES, /0 to 1, not 1\.1/);
    refused({ zipf: -1 }, HOMES, /0 to 10, not -1/);
    refused({ count: 0 }, HOMES, /not 0/);
    refused({}, new Uint16Array(5).fill(2), /all 5 live on shard 2/);
    refused({}, new Uint16Array(0), /no funded accounts/);
  });
});

describe('ShardedZipf', () => {
  function frequencies(exponent: number, draws: number): number[] {
    const zipf = new ShardedZipf(HOMES, 4, exponent, new Prng(1));
    const prng = new Prng(2);
    const counts = new Array<number>(HOMES.length).fill(0);
    for (let i = 0; i < draws; i++) counts[zipf.any(prng)]! += 1;
    return counts.sort((a, b) => b - a).map((count) => count / draws);
  }

  test('exponent 1: the hottest gets 1 / H(n), the second half of that', () => {
    const harmonic = HOMES.reduce((sum, _, rank) => sum + 1 / (rank + 1), 0);
    const [first, second] = frequencies(1, 100_000) as [number, number];
    assert.ok(Math.abs(first - 1 / harmonic) < 0.01, `first ${first}, expected ${1 / harmonic}`);
    assert.ok(Math.abs(second - 0.5 / harmonic) < 0.01, `second ${second}, expected ${0.5 / harmonic}`);
  });

  test('exponent 0 is uniform', () => {
    const found = frequencies(0, 100_000);
    assert.ok(found[0]! < 0.007 && found.at(-1)! > 0.003, `${found[0]} to ${found.at(-1)}`);
  });

  test('neighbours are of the shard and not oneself, foreigners never of the shard, also where weights underflow', () => {
    for (const exponent of [0, 1, 10]) {
      const zipf = new ShardedZipf(HOMES, 4, exponent, new Prng(3));
      const prng = new Prng(4);
      for (let i = 0; i < 20_000; i++) {
        const account = i % HOMES.length;
        const neighbour = zipf.neighbour(prng, account);
        assert.equal(HOMES[neighbour], HOMES[account]);
        assert.notEqual(neighbour, account);
        assert.notEqual(HOMES[zipf.foreigner(prng, account)], HOMES[account]);
      }
    }
  });
});
