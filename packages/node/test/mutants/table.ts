/** Prints the table of mutants and the seeds that it takes to find each: `npx node packages/node/test/mutants/table.ts [NAME...]`. Exit code 1 when one is not found. */
import { MUTANTS } from './catalog.ts';
import { hunt, tableOf } from './hunt.ts';

const names = process.argv.slice(2);
for (const name of names) if (!MUTANTS.some((mutant) => mutant.name === name)) throw new Error(`there is no mutant ${name}`);
const { hunted, baseline } = await hunt(MUTANTS.filter(({ name }) => names.length === 0 || names.includes(name)));
const missed = hunted.filter(({ seeds }) => seeds === undefined).length;
process.stdout.write(`${tableOf(hunted)}\n\n${hunted.length} mutants, ${missed} not found; without any mutant the same seeds find ${baseline.length === 0 ? 'nothing' : 'this:'}\n`);
for (const line of baseline) process.stdout.write(`${line}\n`);
process.exitCode = missed + baseline.length === 0 ? 0 : 1;
