/** Damage to a stopped network's disks: refused by name, in one line, and left as it is; an unsynced tail is cut and told. */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type LoadAnswer, nodeProcesses, startNetwork, type TestNetwork } from '../support/e2e-network.ts';
import { type Ran, startCommand } from '../support/e2e-program.ts';

const NODE_MAIN = fileURLToPath(new URL('../../packages/node/src/process/main.ts', import.meta.url));

/** `up` on a network with a damaged node: exit code 2, one line that says which node and why, and no process. */
async function assertUpRefused(network: TestNetwork, pattern: RegExp): Promise<void> {
  const up = await network.run('up', '--detach');
  assert.equal(up.code, 2, `${up.out}${up.err}`);
  assert.match(up.err, /^shardlab: [^\n]+\n$/);
  assert.match(up.err, pattern);
  assert.deepEqual(nodeProcesses(network.dataDir), []);
}

/** The node process by itself, without the program around it. */
function runNode(network: TestNetwork, id: string): Promise<Ran> {
  return startCommand([process.execPath, NODE_MAIN], ['--config', network.node(id).configFile], network.root).done;
}

const storage = (network: TestNetwork, id: string): string => join(network.node(id).directory, 'storage');

/** The newest file of a node's database with `ending`. */
function levelFile(network: TestNetwork, id: string, ending: string): string {
  const level = join(storage(network, id), 'level');
  const found = readdirSync(level).filter((name) => name.endsWith(ending)).sort();
  assert.ok(found.length > 0, `no ${ending} in ${level}`);
  return join(level, found.at(-1)!);
}

function flipByte(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at]! ^= 0x10;
  writeFileSync(file, bytes);
}

/** The whole content of a node's database, to see that a refusal has changed nothing. */
function snapshot(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(directory, name)).isFile() && !name.includes('guard')).sort()
    .map((name) => `${name} ${readFileSync(join(directory, name)).toString('base64')}`);
}

test('damage on disk', async (t) => {
  const network = await startNetwork(t);
  const load = await network.json<LoadAnswer>('load', '--rate', '100', '--duration', '3', '--cross-shard', '0.4');
  assert.equal(load.committed, 300);
  assert.equal((await network.run('down')).code, 0);
  const saved = join(network.root, 'saved');
  cpSync(storage(network, 'shard-1'), saved, { recursive: true });
  const restore = (): void => {
    rmSync(storage(network, 'shard-1'), { recursive: true });
    cpSync(saved, storage(network, 'shard-1'), { recursive: true });
  };

  await t.test('a flipped byte, a cut file, a missing file: refused by name, nothing is changed', async () => {
    const log = levelFile(network, 'shard-1', '.log');
    for (const [damage, pattern] of [
      [() => flipByte(log, Math.floor(statSync(log).size / 2)), /shard-1 could not start: the database is damaged: .*\.log/],
      [() => truncateSync(log, Math.floor(statSync(log).size / 2)), /shard-1 could not start: the database is damaged: .*synced writes are missing/],
      [() => rmSync(log), /shard-1 could not start: the database is damaged/],
      [() => rmSync(join(storage(network, 'shard-1'), 'commit-marker')), /shard-1 could not start: the database is damaged: the file commit-marker is missing/],
    ] as const) {
      damage();
      const before = snapshot(storage(network, 'shard-1'));
      const alone = await runNode(network, 'shard-1');
      assert.equal(alone.code, 2, alone.err);
      assert.match(alone.err, /^the database is damaged: [^\n]+; restore [^\n]+ from a copy[^\n]*\n$/);
      await assertUpRefused(network, pattern);
      assert.deepEqual(snapshot(storage(network, 'shard-1')), before, 'a refusal changed files');
      restore();
    }
    const lines = readFileSync(network.node('shard-1').logFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.ok(lines.filter((line) => line['event'] === 'startup-failed' && line['code'] === 'storage/damaged').length >= 4, 'the log says so too');
  });

  await t.test("another shard's database, and another network's", async (sub) => {
    const [own, other] = [storage(network, 'shard-0'), storage(network, 'shard-1')];
    renameSync(own, `${own}.away`);
    cpSync(other, own, { recursive: true });
    await assertUpRefused(network, /shard-0 could not start: .*shard/);
    rmSync(own, { recursive: true });
    renameSync(`${own}.away`, own);

    const foreign = await startNetwork(sub, { shards: 1, seed: 7 });
    assert.equal((await foreign.run('down')).code, 0);
    rmSync(storage(network, 'shard-1'), { recursive: true });
    cpSync(storage(foreign, 'shard-0'), storage(network, 'shard-1'), { recursive: true });
    await assertUpRefused(network, /shard-1 could not start: .* belongs to the network 0x[0-9a-f]{64}, this node to 0x[0-9a-f]{64}/);
    restore();
  });

  await t.test('another genesis, and one that is no genesis', async () => {
    const file = join(network.dataDir, 'genesis.json');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('"1000000000000000000000000"', '"1000000000000000000000001"'));
    await assertUpRefused(network, /genesis/);
    const alone = await runNode(network, 'shard-1');
    assert.equal(alone.code, 2);
    assert.match(alone.err, /^[^\n]*belongs to the network 0x[0-9a-f]{64}, this node to 0x[0-9a-f]{64}[^\n]*\n$/);
    writeFileSync(file, text.slice(0, 200));
    await assertUpRefused(network, /genesis/);
    const half = await runNode(network, 'shard-1');
    assert.equal(half.code, 2);
    assert.match(half.err, /^[^\n]*genesis[^\n]*\n$/);
    writeFileSync(file, text);
  });

  await t.test('a write that was under way when the power went: cut, told, and the network goes on', async () => {
    const log = levelFile(network, 'shard-1', '.log');
    // The head of a record of LevelDB's log (checksum, length, type "first"), and less than it announces.
    appendFileSync(log, Buffer.concat([Buffer.from('01020304', 'hex'), Buffer.from([0x00, 0x40, 0x02]), Buffer.alloc(100, 7)]));
    const { resumed } = await network.resume();
    assert.equal(resumed, true);
    const { out } = await network.run('logs', '--event', 'storage.cut');
    assert.match(out, /"tornBytes":\d+/);
    const again = await network.json<LoadAnswer>('load', '--rate', '100', '--duration', '2', '--cross-shard', '0.4', '--seed', '5');
    assert.equal(again.committed, 200);
    network.assertBalanced(again.audit);
  });
});
