/** Makes a copy of the deliberate violations (`test/fixtures/violations`) that the linter and the layering check take for a project. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Text files carry this extension behind their own, so that no tool takes them for source. */
const EXTENSION = '.txt';

/** The project's real configuration, which the copy is checked with. */
const CONFIGURATION = ['.oxlintrc.json', 'tsconfig.json', 'package.json'] as const;

function linkModules(copy: string): void {
  const modules = join(copy, 'node_modules');
  mkdirSync(join(modules, '@shardlab'), { recursive: true });
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (name !== '@shardlab') symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
  for (const name of readdirSync(join(copy, 'packages'))) symlinkSync(join(copy, 'packages', name), join(modules, '@shardlab', name));
}

/** A temporary folder with the copy; disposing it removes it. */
export function copyViolations(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'shardlab-violations-'));
  cpSync(join(ROOT, 'test/fixtures/violations'), path, { recursive: true });
  for (const entry of readdirSync(path, { recursive: true, encoding: 'utf8' })) {
    if (entry.endsWith(EXTENSION)) renameSync(join(path, entry), join(path, entry.slice(0, -EXTENSION.length)));
  }
  for (const name of CONFIGURATION) cpSync(join(ROOT, name), join(path, name));
  linkModules(path);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
