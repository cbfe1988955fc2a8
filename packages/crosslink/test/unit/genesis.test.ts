import assert from 'node:assert/strict';
import test from 'node:test';
import { genesisHash, parseGenesis } from '../../src/genesis.ts';
import { SAMPLE_GENESIS } from './genesis-sample.ts';
import { HASHER } from './kit.ts';

type Json = { [key: string]: Json } & Json[];

/** The sample with what stands at `path` (dots between names and indices) replaced, or removed. */
function changed(path: string, value: unknown): string {
  const copy = structuredClone(SAMPLE_GENESIS) as unknown as Json;
  const names = path.split('.');
  const last = names.pop()!;
  const holder = names.reduce<Json>((at, name) => at[name] as Json, copy);
  if (value === undefined) delete (holder as Record<string, unknown>)[last];
  else (holder as Record<string, unknown>)[last] = value;
  return JSON.stringify(copy);
}

const hashOf = (text: string): string => HASHER.sha256(genesisHash(HASHER, parseGenesis(text))).join();

test('a good genesis is read as it stands', () => {
  const genesis = parseGenesis(JSON.stringify(SAMPLE_GENESIS));
  assert.equal(genesis.shards, 2);
  assert.equal(genesis.shardValidators[1]!.length, 4);
  assert.equal(genesis.parameters.baseFeePerGas, 1_000_000_000n);
  assert.deepEqual(genesis.allocation[1], { address: new Uint8Array(20).fill(11), balance: 2n });
});

const KEY = `0x${'b0'.repeat(32)}`;
const BAD: readonly [string, unknown, RegExp][] = [
  ['formatVersion', 2, /formatVersion must be an integer from 1 to 1, not 2/],
  ['chainId', 0, /chainId must be an integer from 1 to /],
  ['chainId', 2 ** 53, /chainId must be an integer/],
  ['chainId', 4_503_599_627_370_477, /chainId must be an integer/],
  ['chainId', '31337', /chainId must be an integer .*, not "31337"/],
  ['shards', 0, /shards must be an integer from 1 to 256, not 0/],
  ['shards', 257, /shards must be an integer from 1 to 256, not 257/],
  ['shards', 1.5, /shards must be an integer/],
  ['shards', 3, /validators\.shards must have 3 entries/],
  ['shards', undefined, /shards must be an integer from 1 to 256, not nothing/],
  ['validators', undefined, /validators must be an object/],
  ['validators.beacon', [], /validators\.beacon must list 1 to 256 public keys/],
  ['validators.beacon', [KEY, KEY], /2 validators: a committee has 3f \+ 1/],
  ['validators.beacon', [KEY, KEY, KEY, KEY], /validators\.beacon names a public key twice/],
  ['validators.beacon', ['0x00'], /validators\.beacon\[0\] must be 0x and 32 bytes in hex/],
  ['validators.shards.0', 'x', /validators\.shards\[0\] must list/],
  ['parameters', [], /parameters must be an object/],
  ['parameters.deadlineMs', 0, /parameters\.deadlineMs must be an integer from 1/],
  ['parameters.deadlineMs', Number.MAX_SAFE_INTEGER, /parameters\.deadlineMs must be/],
  ['parameters.blockGasLimit', 1e13, /parameters\.blockGasLimit must be/],
  ['parameters.attemptsMax', 256, /parameters\.attemptsMax must be an integer from 1 to 255, not 256/],
  ['parameters.openPreparesMax', null, /parameters\.openPreparesMax must be an integer .*, not null/],
  ['parameters.baseFeePerGas', 7, /parameters\.baseFeePerGas must be wei as a decimal string/],
  ['parameters.baseFeePerGas', '-1', /decimal string/],
  ['parameters.baseFeePerGas', String(1n << 128n), /parameters\.baseFeePerGas must be below 2\^128/],
  ['forks', 'osaka', /forks must be "cancun" or "prague", not "osaka"/],
  ['feePolicy', 'ethereum', /feePolicy must be "burn"/],
  ['crossShardProtocol', { long: 'x'.repeat(1_000) }, /crossShardProtocol must be "two-phase-commit", not \{"long".{50,60}\.\.\.$/],
  ['timestampMs', -1, /timestampMs must be an integer from 0/],
  ['timestampMs', 2 ** 52, /timestampMs must be an integer/],
  ['workload', null, /workload must be an object/],
  ['workload.seed', undefined, /workload\.seed must be an integer/],
  ['workload.accounts', 2_000_001, /workload\.accounts must be an integer from 0 to 2000000/],
  ['workload.trace', 7, /workload\.trace must be a SHA-256 in 64 lower-case hex digits, not 7/],
  ['workload.trace', `0x${'00'.repeat(32)}`, /workload\.trace must be/],
  ['allocation', {}, /allocation must list at most 2000000 accounts/],
  ['allocation.0', ['0x', '1', '2'], /allocation\[0\] must be \[address, wei\]/],
  ['allocation.1.0', `0x${'0A'.repeat(20)}`, /allocation\[1\] names 0x0a.* twice/],
  ['allocation.1.0', '0b'.repeat(20), /allocation\[1\]\[0\] must be 0x and 20 bytes/],
  ['allocation.0.1', '1e18', /allocation\[0\]\[1\] must be wei/],
  ['allocation.0.1', '9'.repeat(40), /allocation\[0\]\[1\] must be wei/],
  ['allocation.0.1', String((1n << 128n) - 1n), /the supply must be below 2\^128 wei/],
];

for (const [path, value, message] of BAD) {
  test(`refused in one clear line: ${path} = ${JSON.stringify(value)?.slice(0, 40)}`, () => {
    assert.throws(
      () => parseGenesis(changed(path, value)),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'genesis/invalid');
        assert.match(error.message, message);
        assert.ok(error.message.startsWith('genesis.json: ') && !error.message.includes('\n') && error.message.length < 250, error.message);
        return true;
      },
    );
  });
}

test('what is not JSON, or no object, is refused', () => {
  for (const [text, message] of [['{', /not JSON/], ['', /not JSON/], ['[]', /the file must be an object/], ['null', /the file must be an object/]] as const) {
    assert.throws(() => parseGenesis(text), { code: 'genesis/invalid', message });
  }
});

test('the hash depends on everything that counts, and on nothing else', () => {
  const base = hashOf(JSON.stringify(SAMPLE_GENESIS));
  const reordered = JSON.stringify(Object.fromEntries(Object.entries({ ...SAMPLE_GENESIS, comment: 'for people' }).reverse()), undefined, 2);
  assert.equal(hashOf(reordered), base);
  const changes: [string, unknown][] = [
    ['chainId', 1],
    ['validators.beacon.0', `0x${'b1'.repeat(32)}`],
    ['validators.shards.0.0', `0x${'11'.repeat(32)}`],
    ...Object.keys(SAMPLE_GENESIS.parameters).map((name): [string, unknown] => [`parameters.${name}`, name === 'baseFeePerGas' ? '8' : 9]),
    ['timestampMs', 1],
    ['workload.seed', 2],
    ['workload.accounts', 3],
    ['workload.trace', 'ab'.repeat(32)],
    ['allocation.0.0', `0x${'0c'.repeat(20)}`],
    ['allocation.0.1', '1'],
    ['allocation.2', [`0x${'0c'.repeat(20)}`, '1']],
  ];
  const hashes = new Set(changes.map(([path, value]) => hashOf(changed(path, value))));
  hashes.add(base);
  assert.equal(hashes.size, changes.length + 1);
});
