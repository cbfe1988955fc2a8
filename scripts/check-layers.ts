/**
 * `node scripts/check-layers.ts [ROOT]`: checks the real import graph of all packages. Imports go cli -> node -> shard -> crosslink, by package
 * root, without circles between files (types included); declared dependencies are those that are imported; the audit stands apart; the
 * cores are pure. The linter checks much of this too, by patterns; this check resolves every name and every path.
 * Prints one line per broken rule. Exit code: 0 none, 1 some.
 */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readProject } from './layers/project.ts';
import { findViolations } from './layers/rules.ts';

const root = resolve(process.argv[2] ?? fileURLToPath(new URL('..', import.meta.url)));
const project = readProject(root);
const violations = findViolations(project);
for (const { rule, where, what } of violations) console.log(`${where} ${rule}: ${what}`);
console.log(`layers: ${project.files.length} files, ${violations.length} violations`);
process.exitCode = violations.length === 0 ? 0 : 1;
