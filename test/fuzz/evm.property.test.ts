import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex } from '@shardlab/crosslink';
import { createEvmCrypto } from '../../packages/node/src/crypto/create-evm-crypto.ts';
import { OPCODES } from '../../packages/shard/src/execution/evm/opcodes.ts';
import type { EvmCrypto, Precompile } from '../../packages/shard/src/execution/evm/types.ts';
import { Campaign } from './campaign.ts';
import { generateCase } from './case-generator.ts';
import { assemble } from './case.ts';
import type { FuzzCase } from './case.ts';
import { runOracle } from './oracle.ts';
import { Subject } from './subject.ts';

const PROGRAMS = 400;
const IDENTITY = 4;

/** The same primitives, with the precompile at 4 a gas unit too dear. */
function withPlantedFault(crypto: EvmCrypto): EvmCrypto {
  return {
    ...crypto,
    precompiles: (fork) => {
      const table = new Map<number, Precompile>(crypto.precompiles(fork));
      const right = table.get(IDENTITY)!;
      return table.set(IDENTITY, { gas: (input) => right.gas(input) + 1, run: (input) => right.run(input) });
    },
  };
}

test(`${PROGRAMS} random programs end on Shardlab's EVM as on @ethereumjs/evm`, async () => {
  const campaign = new Campaign(await createEvmCrypto());
  for (let seed = 1; seed <= PROGRAMS; seed++) deepEqual(await campaign.judge(generateCase(seed)), { kind: 'equal' }, 'the text has the seed');
});

/** A case whose one transaction calls a contract of this code. */
function caseOf(code: Uint8Array): FuzzCase {
  const base = generateCase(1);
  const contract = base.accounts.find(({ program }) => program !== undefined)!;
  const program = { items: [{ kind: 'raw', bytes: code }], data: [] } as const;
  return {
    ...base,
    accounts: [...base.accounts.filter(({ program }) => program === undefined), { ...contract, program }],
    transactions: [{ ...base.transactions[0]!, to: contract.address, program: undefined, gas: 200_000, value: 0n }],
  };
}

test('a known fault of the oracle is told apart from a difference, and counts only where it makes one', async () => {
  const campaign = new Campaign(await createEvmCrypto());
  // PUSH2 0xef00 PUSH0 MSTORE, then CREATE of the 2 bytes at 30, and of 2 zero bytes at 0.
  const judgement = await campaign.judge(caseOf(fromHex('0x61ef005f526002601e5ff0')));
  equal(judgement.kind, 'excluded');
  match((judgement as { text: string }).text, /0xef00/);
  deepEqual(await campaign.judge(caseOf(fromHex('0x61ef005f5260025f5ff0'))), { kind: 'equal' });
});

/** Programs that once differed: faults that the compiler had while it was written. */
const ONCE_DIFFERED = [
  '0x60075c66ab2d8cb93f7448808219838260046042840152',
  '0x60d366b7328c580c372819803201620000076001847ffffffffffffffffffffffffffffffffff800000000000000000000000000000061000460003d3688125ff3',
  '0x5f604460176100005f5f600261051af190603e6072620000595e55',
];

test('programs that once differed do not any more', async () => {
  const campaign = new Campaign(await createEvmCrypto());
  for (const code of ONCE_DIFFERED) {
    for (const mode of ['interpreted', 'traced', 'compiled'] as const) {
      for (const seed of [0, 1]) deepEqual(await campaign.judge({ ...caseOf(fromHex(code)), mode, seed }), { kind: 'equal' }, code);
    }
  }
});

test('a planted fault of one gas unit is found, and the program that shows it is made small', async () => {
  const campaign = new Campaign(withPlantedFault(await createEvmCrypto()));
  let found: string | undefined;
  for (let seed = 1; seed <= PROGRAMS && found === undefined; seed++) {
    const judgement = await campaign.judge(generateCase(seed));
    if (judgement.kind === 'differs') found = judgement.text;
  }
  ok(found !== undefined, `${PROGRAMS} programs do not show it`);
  match(found, /^seed \d+ (?:cancun|prague) (?:compiled|interpreted|traced)\n/);
  match(found, /differs: transaction \d gas used: oracle \d+, shardlab \d+/);
  const codes = [...found.matchAll(/ code 0x([0-9a-f]+)/g)].map(([, code]) => code!.length / 2);
  const size = codes.reduce((sum, length) => sum + length, 0);
  ok(size <= 120, `the smallest program has ${size} bytes:\n${found}`);
});

test('equal seeds make equal programs, other seeds others', () => {
  const text = (seed: number): string => JSON.stringify(generateCase(seed), (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  equal(text(7), text(7));
  ok(text(7) !== text(8));
});

test('programs are biased to be valid, and reach every kind of instruction and both executions', async () => {
  const crypto = await createEvmCrypto();
  const subject = new Subject(crypto);
  const executed = new Set<number>();
  const ends = { success: 0, revert: 0, failure: 0 };
  let traces = 0;
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const what = generateCase(seed);
    for (const { program } of what.accounts) if (program !== undefined) ok(assemble(program).length < 0x1_0000, `program ${seed} is too long for its labels`);
    for (const { status } of subject.run(what).transactions) ends[status]++;
    if (what.mode === 'compiled') traces += subject.traces(what);
    subject.run({ ...what, mode: 'traced' }, { step: ({ op }) => void executed.add(op) });
  }
  const all = ends.success + ends.revert + ends.failure;
  ok(ends.success > 0.4 * all && ends.revert > 0.05 * all && ends.failure > 0.1 * all, JSON.stringify(ends));
  ok(traces > PROGRAMS, `only ${traces} traces were compiled`);
  const missing = OPCODES.filter((opcode, op) => opcode !== undefined && !executed.has(op)).map((opcode) => opcode!.name);
  // The deep ends of SWAP and PUSH are rare; everything else must occur.
  equal(missing.filter((name) => !/^(?:SWAP|PUSH|DUP)\d+$/.test(name)).join(' '), '');
  ok(missing.length < 12, missing.join(' '));
});

test('the oracle sees what its state manager forgets: a contract that is made and destroyed leaves nothing', async () => {
  // SSTORE of a slot and SELFDESTRUCT in initcode: EIP-6780 deletes it, because it was made in the same transaction.
  const base = generateCase(1);
  const program = { items: [{ kind: 'raw', bytes: fromHex('0x60015f5530ff') }], data: [] } as const;
  const what = { ...base, transactions: [{ ...base.transactions[0]!, to: undefined, program, gas: 200_000, value: 5n }] };
  const { transactions, accounts } = await runOracle(what);
  equal(transactions[0]!.status, 'success');
  equal(accounts.has(transactions[0]!.created!), false);
});
