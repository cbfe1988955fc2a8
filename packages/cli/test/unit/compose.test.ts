import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test, type TestContext } from 'node:test';
import { composeFile } from '../../src/cluster/compose-file.ts';
import { nodeIdentities } from '../../src/cluster/layout.ts';
import { runCli } from '../../src/commands/program.ts';
import { Bench, memoryOutput } from '../e2e/cli-harness.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..', '..');
const PLAIN = { shards: 4, validators: 1, beaconValidators: 1, accounts: 1_000, seed: 1, fork: 'cancun' as const, workers: 0, image: undefined, context: '.' };

test("the project's own compose file is what the command prints there", async (t: TestContext) => {
  const bench = new Bench(t);
  const [stdout, stderr] = [memoryOutput(), memoryOutput()];
  assert.equal(await runCli(['compose', '--shards', '4', '--validators', '1'], { ...bench.context(stdout, stderr), cwd: ROOT }), 0, stderr.text());
  assert.equal(stdout.text(), readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'));
});

test('committees: every validator is a service with an id, a host name that URLs take, a port and a volume of its own', () => {
  const size = { shards: 2, validators: 4, beaconValidators: 4 };
  const text = composeFile({ ...PLAIN, ...size });
  const services = [...text.slice(text.indexOf('\nservices:'), text.indexOf('\nvolumes:')).matchAll(/^ {2}([\w-]+):$/gm)].map((found) => found[1]!);
  assert.equal(services.length, 12);
  assert.deepEqual([...text.matchAll(/^ {6}- --id=(.*)$/gm)].map((found) => found[1]), nodeIdentities(size).map((node) => node.id));
  assert.deepEqual([...text.matchAll(/_PORT:-(\d+)\}:8545"/g)].map((found) => Number(found[1])), services.map((_, at) => 8_545 + at));
  for (const service of services) {
    assert.equal(new URL(`http://${service}:8545`).hostname, service);
    for (const line of [`--announce=/dns4/${service}/tcp/4001\n`, `volumes: ["${service}:/data"]`, `\n  ${service}:\n`]) assert.ok(text.includes(line), line);
  }
  assert.equal(new Set([...text.matchAll(/\$\{(SHARDLAB_\w+_PORT)/g)].map((found) => found[1])).size, 12);
  const words = (name: string): string[] => [...text.matchAll(new RegExp(`^ {6}- --${name}=(.*)$`, 'gm'))].map((found) => found[1]!);
  assert.deepEqual(words('validators'), services.map(() => '4'));
  assert.equal(words('bootstrap').length, 4 * 3 + 8 * 4, 'everybody looks at all of the beacon, nobody at itself');
  assert.equal(words('beacon-validators').length, 0);
  assert.equal(text.split('build:').length, 2);
});

test('seed, accounts, fork, threads, an image that exists, another size of the beacon', () => {
  const text = composeFile({ ...PLAIN, shards: 1, validators: 4, beaconValidators: 1, accounts: 7, seed: 9, fork: 'prague', workers: 2, image: 'registry:5000/lab:2' });
  for (const word of ['--fork=prague', '--workers=2', '--single-threaded-gc']) assert.equal(text.split(`- ${word}\n`).length, 6, word);
  assert.ok(text.includes('image: ${SHARDLAB_IMAGE:-registry:5000/lab:2}\n') && !text.includes('build'));
  assert.equal(text.split('--seed=${SHARDLAB_SEED:-9}').length, 6);
  assert.equal(text.split('--accounts=${SHARDLAB_ACCOUNTS:-7}').length, 6);
  assert.equal(text.split('--beacon-validators=1').length, 6);
});

test('a file that is written elsewhere still finds the project', async (t: TestContext) => {
  const bench = new Bench(t);
  mkdirSync(join(bench.root, 'deep'));
  const ran = await bench.runPlain(['compose', '--out', 'deep/net.yml', '--validators', '4', '--json']);
  assert.equal(ran.code, 0, ran.err);
  const file = join(bench.root, 'deep', 'net.yml');
  assert.deepEqual(JSON.parse(ran.out), { ok: true, file });
  assert.ok(readFileSync(file, 'utf8').includes(`      context: ${relative(join(bench.root, 'deep'), ROOT)}\n`));
});
