/**
 * Preloaded with `--import` into a process that runs a mutant, whose name is the second argument after a ground's: changes the mutant's source files while they are loaded, so that no
 * product code has a switch for it. Throws when an edit does not apply exactly once.
 */
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { groundOf, mutantOf } from './catalog.ts';
import { type Edit, patched } from './mutant.ts';

const PACKAGES = `${pathToFileURL(join(import.meta.dirname, '..', '..', '..')).href}/`;

const edits = new Map<string, Edit[]>();
for (const edit of [...(groundOf(process.argv[2]!).edits ?? []), ...(mutantOf(process.argv[3])?.edits ?? [])]) {
  const url = PACKAGES + edit.file;
  edits.set(url, [...(edits.get(url) ?? []), edit]);
}

/** Edits of files that were not loaded yet. */
export function unapplied(): readonly Edit[] {
  return [...edits.values()].flat();
}

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const changes = edits.get(url);
    if (changes === undefined) return loaded;
    edits.delete(url);
    if (loaded.source === null || loaded.source === undefined) throw new Error(`${url} has no source to change`);
    const source = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source);
    return { ...loaded, source: patched(source, changes) };
  },
});
