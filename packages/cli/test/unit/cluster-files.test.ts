import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { parseGenesis, toHex } from '@shardlab/crosslink';
import { type Cluster, formatCluster, parseCluster } from '../../src/cluster/cluster-file.ts';
import { genesisText, nameGenesis } from '../../src/cluster/genesis-file.ts';
import { defaultDataDir, idsInWords, nodeIdentities } from '../../src/cluster/layout.ts';
import { withClusterLock } from '../../src/cluster/lock.ts';
import { planPorts } from '../../src/cluster/ports.ts';
import { isNodeProcess, processStartToken } from '../../src/cluster/process-identity.ts';
import { p2pSecretKey, validatorSecretKey } from '../../src/cluster/secrets.ts';
import { testCrypto } from '../e2e/cli-harness.ts';

const SIZE = { shards: 1, validators: 1, beaconValidators: 1 };

const CLUSTER: Cluster = {
  formatVersion: 1,
  genesisHash: `0x${'ab'.repeat(32)}`,
  chainId: 1337,
  ...SIZE,
  seed: 1,
  nodes: nodeIdentities(SIZE).map((identity) => ({ ...identity, pid: null, rpcUrl: '', p2p: '', logFile: '/l', directory: '/d', configFile: '/c' })),
};

test('cluster.json: written and read again; each damage is named', () => {
  assert.deepEqual(parseCluster(formatCluster(CLUSTER), 'f'), CLUSTER);
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ formatVersion: 2 }, /"formatVersion" must be a whole number from 1 to 1/],
    [{ genesisHash: 'x' }, /"genesisHash"/],
    [{ shards: 2 }, /must list 3 nodes in order, beacon to shard-1/],
    [{ validators: 4 }, /must list 5 nodes in order, beacon to shard-0\.3/],
    [{ validators: 11 }, /"validators" must be a whole number from 1 to 10/],
    [{ nodes: [CLUSTER.nodes[1], CLUSTER.nodes[0]] }, /must list 2 nodes in order/],
    [{ shards: 0 }, /"shards" must be a whole number from 1 to 256/],
    [{ nodes: {} }, /"nodes" must be a list/],
    [{ nodes: [{ ...CLUSTER.nodes[0], pid: 0 }, CLUSTER.nodes[1]] }, /nodes\[0\] is damaged \("pid"/],
    [{ nodes: [{ ...CLUSTER.nodes[0], role: 'king' }, CLUSTER.nodes[1]] }, /"role" must be beacon or shard/],
  ];
  for (const [change, pattern] of cases) assert.throws(() => parseCluster(JSON.stringify({ ...CLUSTER, ...change }), 'f'), pattern);
  assert.throws(() => parseCluster('[]', 'f'), /f is damaged \(not an object\): restore it, or choose another --data-dir/);
});

test('the genesis text is what the protocol parses, and a function of the options alone', () => {
  const options = { shards: 3, validators: 1, beaconValidators: 1, seed: 7, forks: 'cancun' as const, accounts: { workload: { seed: 7, accounts: 1 }, allocation: [[`0x${'cd'.repeat(20)}`, '5']] as const } };
  const text = genesisText(testCrypto, options);
  const genesis = parseGenesis(text);
  assert.deepEqual([genesis.shards, genesis.chainId, genesis.allocation.length, genesis.workload], [3, 1337, 1, { seed: 7, accounts: 1 }]);
  assert.equal(toHex(genesis.shardValidators[2]![0]!), toHex(testCrypto.publicKey(validatorSecretKey(7, 'shard-2'))));
  assert.equal(genesisText(testCrypto, options), text);
  assert.notEqual(nameGenesis(testCrypto, genesisText(testCrypto, { ...options, seed: 8 })).hash, nameGenesis(testCrypto, text).hash);
  const prague = nameGenesis(testCrypto, genesisText(testCrypto, { ...options, forks: 'prague' }));
  assert.equal(prague.genesis.forks, 'prague');
  assert.notEqual(prague.hash, nameGenesis(testCrypto, text).hash);
  assert.doesNotThrow(() => parseGenesis(genesisText(testCrypto, { ...options, accounts: { ...options.accounts, allocation: [] } })));
});

test('committees: every validator has an id as nodes log it, and a key of its own in the genesis', () => {
  const size = { shards: 2, validators: 4, beaconValidators: 7 };
  const nodes = nodeIdentities(size);
  const ids = ['beacon', 'beacon.1', 'beacon.2', 'beacon.3', 'beacon.4', 'beacon.5', 'beacon.6', ...['0', '1'].flatMap((shard) => ['', '.1', '.2', '.3'].map((at) => `shard-${shard}${at}`))];
  assert.deepEqual(nodes.map((node) => node.id), ids);
  assert.deepEqual(nodes.slice(6, 9).map(({ role, shard, validator }) => [role, shard, validator]), [['beacon', null, 6], ['shard', 0, 0], ['shard', 0, 1]]);
  assert.equal(idsInWords(size), 'beacon to beacon.6, or shard-0 to shard-1.3');
  const genesis = parseGenesis(genesisText(testCrypto, { ...size, seed: 3, forks: 'cancun', accounts: { workload: { seed: 3, accounts: 0 }, allocation: [] } }));
  assert.deepEqual([genesis.beaconValidators.length, ...genesis.shardValidators.map((keys) => keys.length)], [7, 4, 4]);
  const keys = [...genesis.beaconValidators, ...genesis.shardValidators.flat()].map(toHex);
  assert.deepEqual(keys, nodes.map((node) => toHex(testCrypto.publicKey(validatorSecretKey(3, node.id)))));
  assert.equal(new Set(keys).size, 15);
});

test('secrets are the ones that the contract names', () => {
  // SHA-256 of "shardlab/validator/1/beacon" and of "shardlab/p2p/1/shard-0", by sha256sum.
  assert.equal(toHex(validatorSecretKey(1, 'beacon')), '0xd6092bed240ee21400eeb0a50990d80688f9b277d654432f027bac84f5d8cf80');
  assert.equal(toHex(p2pSecretKey(1, 'shard-0')), '0x290d61da58e32d51f59d7fc15808a1a361c856e0ead4363089349a9f1d316e44');
});

test('ports: JSON-RPC first, then libp2p, none twice', () => {
  assert.deepEqual(planPorts(8_545, 3), [{ rpc: 8_545, p2p: 8_548 }, { rpc: 8_546, p2p: 8_549 }, { rpc: 8_547, p2p: 8_550 }]);
  assert.deepEqual(planPorts(0, 1), [{ rpc: 0, p2p: 0 }]);
  assert.equal(planPorts(65_535 - 5, 3)[2]!.p2p, 65_535);
  assert.throws(() => planPorts(65_535 - 4, 3), /3 nodes need 6 ports .* up to 65530/);
});

test('the default data directory follows XDG', () => {
  assert.equal(defaultDataDir({ XDG_STATE_HOME: '/s', HOME: '/h' }), '/s/shardlab');
  assert.equal(defaultDataDir({ XDG_STATE_HOME: 'relative', HOME: '/h' }), '/h/.local/state/shardlab');
  assert.equal(defaultDataDir({ HOME: '/h' }), '/h/.local/state/shardlab');
});

test('the lock: one at a time, a dead holder is not waited for, a live one is named', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'shardlab-lock-'));
  try {
    let inside = 0;
    let most = 0;
    const task = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    };
    await Promise.all([1, 2, 3].map(() => withClusterLock(directory, task)));
    assert.equal(most, 1);
    assert.deepEqual(readdirSync(directory), []);

    const lockFile = join(directory, 'cluster.lock');
    // This process's pid with another start time: a holder that died, whose pid was given away again.
    for (const stale of [`${process.pid} 1\n`, '999999999 5\n', 'rubbish']) {
      writeFileSync(lockFile, stale);
      assert.equal(await withClusterLock(directory, () => Promise.resolve(readFileSync(lockFile, 'utf8') === stale)), false);
    }
    writeFileSync(lockFile, `${process.ppid} ${processStartToken(process.ppid) ?? 'unknown'}\n`);
    await assert.rejects(withClusterLock(directory, task, 50), new RegExp(`another shardlab command \\(pid ${process.ppid}\\) is changing`));
    assert.equal(readdirSync(directory).length, 1, 'the lock of a live holder stays');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('a process is a node only by its command line', () => {
  assert.equal(isNodeProcess(null, '/x'), false);
  assert.equal(isNodeProcess(process.pid, '/x/node.json'), false);
  assert.equal(isNodeProcess(999_999_999, '/x'), false);
  assert.equal(processStartToken(999_999_999), undefined);
  assert.equal(processStartToken(process.pid), processStartToken(process.pid));
});
