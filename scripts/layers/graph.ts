/** The graph of files: where an import leads, and which files hang in a circle. */
import { existsSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, posix } from 'node:path';
import type { Import, ProjectFacts, SourceFacts } from './project.ts';

/** Where one import leads. */
export type Target =
  | { readonly kind: 'file'; readonly path: string; readonly exists: boolean }
  | { readonly kind: 'workspace'; readonly workspace: string; readonly deep: boolean }
  | { readonly kind: 'package'; readonly name: string }
  | { readonly kind: 'builtin' };

/** Resolves as Node does for this project: relative files by their full name, workspaces by their root, the rest by package name. */
export function resolveImport(root: string, from: string, { specifier, kind }: Pick<Import, 'specifier' | 'kind'>): Target {
  if (specifier.startsWith('.') || kind === 'url') {
    const path = posix.normalize(posix.join(posix.dirname(from), specifier));
    return { kind: 'file', path, exists: existsSync(join(root, path)) };
  }
  const workspace = /^@shardlab\/([^/]+)(\/.*)?$/.exec(specifier);
  if (workspace !== null) return { kind: 'workspace', workspace: workspace[1]!, deep: workspace[2] !== undefined };
  if (isBuiltin(specifier)) return { kind: 'builtin' };
  const parts = specifier.split('/');
  return { kind: 'package', name: parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/') };
}

/** Files that `file` imports, types included; a workspace counts as its index. */
function edges(root: string, file: SourceFacts): string[] {
  const out = new Set<string>();
  for (const item of file.imports) {
    if (item.kind !== 'code') continue;
    const target = resolveImport(root, file.path, item);
    if (target.kind === 'file') out.add(target.path);
    if (target.kind === 'workspace') out.add(`packages/${target.workspace}/src/index.ts`);
  }
  return [...out].toSorted();
}

/** Circles, each as the shortest way from a file back to itself. Every file that hangs in some circle is in one of them or shares one's files. */
export function findCircles(project: ProjectFacts): string[][] {
  const graph = new Map(project.files.map((file) => [file.path, edges(project.root, file)]));
  const circles: string[][] = [];
  const settled = new Set<string>();
  for (const start of graph.keys()) {
    if (settled.has(start)) continue;
    const circle = shortestWayBack(graph, start);
    if (circle === undefined) continue;
    circles.push(circle);
    for (const path of circle) settled.add(path);
  }
  return circles;
}

/** Breadth-first search from `start` for `start`. */
function shortestWayBack(graph: ReadonlyMap<string, readonly string[]>, start: string): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const path of queue) {
    for (const next of graph.get(path) ?? []) {
      if (next === start) {
        const way = [start];
        for (let at: string | undefined = path; at !== undefined && at !== start; at = cameFrom.get(at)) way.splice(1, 0, at);
        return [...way, start];
      }
      if (cameFrom.has(next) || !graph.has(next)) continue;
      cameFrom.set(next, path);
      queue.push(next);
    }
  }
  return undefined;
}
