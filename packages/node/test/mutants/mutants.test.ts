import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MUTANTS } from './catalog.ts';
import { hunt, tableOf } from './hunt.ts';
import { patched } from './mutant.ts';

/** The suite must not shrink unnoticed. */
const MUTANTS_MIN = 60;
const HUNT_MS = 540_000;

test('the swarm finds every mutant within its seeds, and on the same seeds nothing without them', { timeout: HUNT_MS }, async (t) => {
  const { hunted, baseline } = await hunt();
  for (const line of tableOf(hunted).split('\n')) t.diagnostic(line);
  assert.deepEqual(baseline, []);
  assert.deepEqual(hunted.filter(({ seeds }) => seeds === undefined).map(({ mutant, said }) => `${mutant.name}: ${said}`), []);
});

test('there are as many mutants as ever, each of its own name and its own change', () => {
  assert.ok(MUTANTS.length >= MUTANTS_MIN, `${MUTANTS.length} mutants`);
  assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length);
  assert.equal(new Set(MUTANTS.map(({ edits }) => JSON.stringify(edits))).size, MUTANTS.length);
  const grounds = new Set(MUTANTS.map(({ ground }) => ground));
  assert.equal(new Set([...grounds].map(({ name }) => name)).size, grounds.size);
});

test('each mutant changes its files where it says', () => {
  for (const { ground, edits } of MUTANTS) {
    const all = [...(ground.edits ?? []), ...edits];
    for (const file of new Set(all.map((edit) => edit.file))) {
      const source = readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');
      assert.notEqual(patched(source, all.filter((edit) => edit.file === file)), source);
    }
  }
});

test('a change that fits no place, or two, is refused', () => {
  const edit = { file: 'a.ts', find: 'one', replace: 'two' };
  assert.equal(patched('just one', [edit]), 'just two');
  assert.throws(() => patched('none', [{ ...edit, find: 'absent' }]), /a\.ts has 0 places/);
  assert.throws(() => patched('one and one', [edit]), /a\.ts has 2 places/);
});
