/**
 * Plays seeds of a ground, with or without a mutant (`patch.ts` has put it in place), and prints what they found, a line of JSON each:
 *
 *   node --import ./patch.ts child.ts GROUND MUTANT|none SEEDS
 *
 * With a mutant it stops at the first seed that finds it.
 */
import { forkOf, schemeOf } from '../../src/sim/swarm/options.ts';
import { nodeLabel } from '../../src/network/names.ts';
import { makePlan, nodesOf } from '../../src/sim/swarm/plan.ts';
import { simNetworkKit } from '../../src/sim/swarm/network.ts';
import { SeedRun } from '../../src/sim/swarm/run.ts';
import { groundOf, mutantOf } from './catalog.ts';
import { unapplied } from './patch.ts';

const [, , groundName, mutantName, seeds] = process.argv;
const { options, parameters, events } = groundOf(groundName!);
const mutant = mutantOf(mutantName);
const labels = new Set(nodesOf(options).map(nodeLabel));
for (const label of (events ?? []).flatMap(({ nodes }) => nodes)) if (!labels.has(label)) throw new Error(`there is no node ${label} in ${groundName}`);
for (const { file } of unapplied()) throw new Error(`${file} is changed by a mutant, but was never loaded`);

for (let seed = 1; seed <= Number(seeds); seed++) {
  const kit = await simNetworkKit(options, schemeOf(seed), forkOf(seed), parameters);
  const plan = makePlan(seed, options, kit.accounts.map(({ home }) => home));
  const { found } = new SeedRun(events === undefined ? plan : { ...plan, events }, options, kit).run();
  process.stdout.write(`${JSON.stringify({ seed, found })}\n`);
  if (mutant !== undefined && found.some((line) => mutant.finds.test(line))) break;
}
