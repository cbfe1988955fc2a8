import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { Bench } from '../e2e/cli-harness.ts';

const HASH = `0x${'ab'.repeat(32)}`;
const TO = `0x${'cd'.repeat(20)}`;

/** Command lines that ask for something wrong, and what the one line about it must say. */
const BAD: readonly (readonly [string, RegExp])[] = [
  ['', /name a command, such as demo or up/],
  ['upp', /unknown command 'upp'.*Did you mean up/],
  ['--frobnicate', /unknown option '--frobnicate'/],
  ['up --frobnicate', /unknown option '--frobnicate'/],
  ['up --shard 4', /unknown option '--shard'.*Did you mean --shards/],
  ['up extra', /too many arguments/],
  ['up --shards', /argument missing/],
  ['up --shards 0', /'0' is invalid. Give a whole number from 1 to 256/],
  ['up --shards 300', /'300' is invalid. Give a whole number from 1 to 256/],
  ['up --shards -4', /whole number from 1 to 256/],
  ['up --shards 4.5', /whole number from 1 to 256/],
  ['up --shards four', /whole number from 1 to 256/],
  ['up --shards 1e2', /whole number from 1 to 256/],
  ['up --validators 5', /^shardlab: --validators must be 3f \+ 1: 1, 4, 7 or 10, not 5\n$/],
  ['up --validators 0', /--validators must be 3f \+ 1: 1, 4, 7 or 10, not 0/],
  ['up --validators 04', /not 04/],
  ['up --validators four', /--validators must be 3f \+ 1: 1, 4, 7 or 10, not four/],
  ['up --beacon-validators 13', /^shardlab: --beacon-validators must be 3f \+ 1: 1, 4, 7 or 10, not 13\n$/],
  ['demo --validators 2', /--validators must be 3f \+ 1/],
  ['compose --validators 3', /--validators must be 3f \+ 1: 1, 4, 7 or 10, not 3/],
  ['compose --shards 257', /whole number from 1 to 256/],
  ['compose --image UPPER', /Give the name of an image, such as shardlab:local/],
  ['compose --out no/such/directory/f.yml', /no\/such\/directory\/f\.yml cannot be written \(ENOENT\): choose another --out/],
  ['up --accounts 0', /whole number from 1 to 2000000/],
  ['up --accounts 2000001', /whole number from 1 to 2000000/],
  ['up --base-port 65536', /whole number from 0 to 65535/],
  ['up --base-port 65530', /5 nodes need 10 ports/],
  ['up --seed -1', /whole number from 0/],
  ['up --seed 9007199254740993', /whole number from 0/],
  ['up --trace nowhere.csv', /trace .*nowhere\.csv: cannot be read: no such file/],
  ['up --trace .', /cannot be read: it is a directory/],
  ['up --trace t.csv --accounts 5', /--accounts and --trace exclude each other/],
  ['up --log-level loud', /Give one of trace, debug, info, warn, error, fatal/],
  ['up --workers 65', /whole number from 0 to 64/],
  ['demo --workers two', /whole number from 0 to 64/],
  ['demo --shards 65', /whole number from 1 to 64/],
  ['demo --duration 0', /above 0, at most 600/],
  ['demo --rate -1', /above 0/],
  ['demo --cross-shard 1.01', /number from 0 to 1/],
  ['demo --shards 1 --cross-shard 0.5', /one shard has no cross-shard transactions/],
  ['load', /no cluster in .*shardlab up/],
  ['load --rate 0', /above 0, at most 1000000/],
  ['load --rate fast', /above 0/],
  ['load --duration -5', /above 0/],
  ['load --count 0', /whole number from 1/],
  ['load --count 5 --duration 5', /--duration and --count exclude each other/],
  ['load --cross-shard 1.5', /number from 0 to 1/],
  ['load --cross-shard -0.1', /number from 0 to 1/],
  ['load --zipf -1', /number from 0 to 10/],
  ['load --seed x', /whole number from 0/],
  ['load --trace t.csv --zipf 1', /--zipf and --trace exclude each other/],
  ['load --trace t.csv --cross-shard 0.1', /--cross-shard and --trace exclude each other/],
  ['load --rpc localhost:8545', /Give a node's URL/],
  ['load --rpc ftp://x', /Give a node's URL/],
  ['status', /no cluster in /],
  ['status --rpc http://127.0.0.1:1', /no node answers at http:\/\/127\.0\.0\.1:1/],
  ['send', /required option '--from <index>' not specified/],
  [`send --from -1 --to ${TO} --value 1`, /whole number from 0/],
  ['send --from 0', /say what to send: --to <address> and --value <wei>, or --batch <file>/],
  [`send --from 0 --to ${TO}`, /say what to send/],
  [`send --from 0 --batch calls.json --to ${TO}`, /--batch and --to, --value exclude each other/],
  ['send --from 0 --batch nowhere.json', /nowhere\.json cannot be read \(ENOENT\)/],
  ['up --fork osaka', /Give one of cancun, prague/],
  ['send --from 0 --to 0x12 --value 1', /Give an address: 0x and 40 hex digits/],
  [`send --from 0 --to ${TO} --value 0.5`, /Give wei as a whole number/],
  [`send --from 0 --to ${TO} --value 1ether`, /Give wei as a whole number/],
  [`send --from 0 --to ${TO} --value ${2n ** 128n}`, /below 2\^128/],
  [`send --from 0 --to ${TO} --value 1`, /no cluster in /],
  ['kill', /name the node to kill, such as shard-0, or give --all/],
  ['kill shard-0 --all', /--all and shard-0 exclude each other/],
  ['kill --all', /no cluster in /],
  ['kill shard-0', /no cluster in /],
  ['trace', /missing required argument 'hash'/],
  ['trace 0xabc', /Give a transaction hash: 0x and 64 hex digits/],
  [`trace ${HASH}`, /no cluster in /],
  ['logs --shard 256', /whole number from 0 to 255/],
  ['logs --level 30', /Give one of trace, debug/],
  ['logs --tx abc', /Give a transaction hash/],
  ['logs', /no cluster in /],
  ['audit --ledger nowhere', /no ledger at .*nowhere/],
  ['audit', /no cluster in /],
  ['down', /no cluster in /],
  ['down --data-dir ', /Give a directory/],
  ['node --id shard-9', /there is no node shard-9: give beacon, or shard-0 to shard-3/],
  ['node --id shard-0.4 --validators 4', /there is no node shard-0\.4: give beacon to beacon\.3, or shard-0 to shard-3\.3/],
  ['node', /required option '--id <id>' not specified/],
];

for (const [line, pattern] of BAD) {
  test(`refused: shardlab ${line}`, async (t: TestContext) => {
    const bench = new Bench(t);
    // Split at single spaces, so that a trailing one gives an empty argument.
    const ran = await bench.runPlain(line === '' ? [] : line.split(' '));
    assert.match(ran.err, pattern);
    assert.match(ran.err, /^shardlab: [^\n]+\n$/, 'exactly one line');
    assert.equal(ran.code, 2);
    assert.equal(ran.out, '');
  });
}

const COMMANDS = ['demo', 'up', 'load', 'status', 'send', 'kill', 'trace', 'logs', 'audit', 'compose', 'down', 'node'];

test('every command explains itself, and knows --json and --data-dir', async (t: TestContext) => {
  const bench = new Bench(t);
  for (const name of COMMANDS) {
    const ran = await bench.runPlain([name, '--help']);
    assert.equal(ran.code, 0, name);
    assert.equal(ran.err, '');
    assert.match(ran.out, new RegExp(`^Usage: shardlab ${name} `));
    assert.match(ran.out, /--json/);
    assert.match(ran.out, /--data-dir <directory>/);
    assert.match(ran.out, name === 'demo' ? /\(default: a new one, removed at the end\)/ : /\(default:\s+\S*state\/shardlab\)/);
  }
  for (const name of ['load', 'status', 'send', 'trace', 'audit']) assert.match((await bench.runPlain([name, '-h'])).out, /--rpc <url>/, name);
});

test('the node command prepares its files, and refuses another network\'s directory', async (t: TestContext) => {
  const bench = new Bench(t);
  const args = ['node', '--id', 'shard-1', '--shards', '2', '--accounts', '3', '--listen', '/ip4/0.0.0.0/tcp/4001', '--announce', '/dns4/shard-1/tcp/4001', '--bootstrap'];
  const first = await bench.run([...args, '/dns4/beacon/tcp/4001', '--rpc-host', '0.0.0.0', '--rpc-port', '9000']);
  assert.equal(first.code, 0, first.err);
  const config = JSON.parse(readFileSync(`${bench.dataDir}/nodes/shard-1/node.json`, 'utf8')) as Record<string, unknown>;
  const { id, shard, listen, announce, bootstrap, rpc, logFile } = config;
  assert.deepEqual(
    { id, shard, listen, announce, bootstrap, rpc, logFile },
    {
      ...{ id: 'shard-1', shard: 1, listen: ['/ip4/0.0.0.0/tcp/4001'], announce: ['/dns4/shard-1/tcp/4001'], bootstrap: ['/dns4/beacon/tcp/4001'] },
      ...{ rpc: { host: '0.0.0.0', port: 9000 }, logFile: null },
    },
  );
  assert.equal((await bench.run([...args, '/dns4/beacon/tcp/4001'])).code, 0, 'again');
  const other = await bench.run(['node', '--id', 'beacon', '--shards', '2', '--accounts', '4']);
  assert.equal(other.code, 2);
  assert.match(other.err, /^shardlab: .* holds another network \(genesis 0x[0-9a-f]{64}, these options give 0x[0-9a-f]{64}\)[^\n]*\n$/);
});
