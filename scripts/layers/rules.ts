/** The rules of the layers, and what of a project breaks them. */
import { findCircles, resolveImport } from './graph.ts';
import type { Target } from './graph.ts';
import { LAYERS } from './project.ts';
import type { Import, ProjectFacts, SourceFacts } from './project.ts';

/** One broken rule. */
export interface Violation {
  /** Stable name of the rule. */
  readonly rule: 'empty' | 'unread' | 'direction' | 'root-only' | 'missing-file' | 'undeclared' | 'unused-dependency' | 'audit' | 'purity' | 'index' | 'circle';
  /** File, and line where there is one. */
  readonly where: string;
  readonly what: string;
}

/** The audit judges the node's answers, so it must not be built of the node's code. */
const AUDIT = 'packages/cli/src/audit/';
/** A project with fewer source files than this is not Shardlab: the reading went wrong. */
const FILES_MIN = 4;

function rank(workspace: string): number {
  return (LAYERS as readonly string[]).indexOf(workspace);
}

function judgeFileTarget(file: SourceFacts, target: Target & { kind: 'file' }): Omit<Violation, 'where'> | undefined {
  if (!target.exists) return { rule: 'missing-file', what: `there is no ${target.path}` };
  if (!target.path.startsWith(`packages/${file.workspace}/`)) return { rule: 'root-only', what: `${target.path} belongs to another package: import that package by its name` };
  if (!file.test && target.path.endsWith('.ts') && !target.path.startsWith(`packages/${file.workspace}/src/`)) return { rule: 'root-only', what: `source imports ${target.path}, which is no source` };
  return undefined;
}

function judgeWorkspaceTarget(file: SourceFacts, target: Target & { kind: 'workspace' }): Omit<Violation, 'where'> | undefined {
  const name = `@shardlab/${target.workspace}`;
  if (target.deep) return { rule: 'root-only', what: `${name} is imported by its root only` };
  // A package's own tests may use its public face.
  if (file.test && target.workspace === file.workspace) return undefined;
  if (rank(target.workspace) >= 0 && rank(target.workspace) < rank(file.workspace)) return undefined;
  return { rule: 'direction', what: `${file.workspace} imports ${name}; imports go ${LAYERS.toReversed().join(' -> ')}` };
}

function judgeImport(project: ProjectFacts, file: SourceFacts, item: Import): Omit<Violation, 'where'>[] {
  const { specifier } = item;
  const found: Omit<Violation, 'where'>[] = [];
  const target = resolveImport(project.root, file.path, item);
  if (target.kind === 'file') found.push(...[judgeFileTarget(file, target)].filter((violation) => violation !== undefined));
  if (target.kind === 'workspace') found.push(...[judgeWorkspaceTarget(file, target)].filter((violation) => violation !== undefined));
  if (target.kind === 'builtin' && !file.test && rank(file.workspace) < rank('node')) found.push({ rule: 'purity', what: `${specifier}: a core has no I/O` });
  const manifest = project.manifests.find(({ workspace }) => workspace === file.workspace);
  const declared = manifest?.dependencies ?? [];
  const forTests = [...project.developmentDependencies, ...(manifest?.developmentDependencies ?? [])];
  const name = target.kind === 'package' ? target.name : target.kind === 'workspace' ? `@shardlab/${target.workspace}` : undefined;
  const own = name === `@shardlab/${file.workspace}`;
  if (name !== undefined && !own && !declared.includes(name) && !(file.test && forTests.includes(name))) {
    found.push({ rule: 'undeclared', what: `${name} is not among the dependencies of packages/${file.workspace}/package.json` });
  }
  if (file.path.startsWith(AUDIT)) {
    const allowed = target.kind === 'builtin' || (target.kind === 'file' && target.path.startsWith(AUDIT)) || name === '@shardlab/crosslink';
    if (!allowed) found.push({ rule: 'audit', what: `the audit imports ${specifier}; of the project it may use @shardlab/crosslink only` });
  }
  return found;
}

function judgeDependencies(project: ProjectFacts): Violation[] {
  const found: Violation[] = [];
  for (const { workspace, dependencies } of project.manifests) {
    const used = new Set<string>();
    for (const file of project.files) {
      if (file.workspace !== workspace || file.test) continue;
      for (const item of file.imports) {
        const target = resolveImport(project.root, file.path, item);
        if (target.kind === 'package') used.add(target.name);
        if (target.kind === 'workspace') used.add(`@shardlab/${target.workspace}`);
      }
    }
    for (const name of dependencies) {
      if (!used.has(name)) found.push({ rule: 'unused-dependency', where: `packages/${workspace}/package.json`, what: `no source file imports ${name}` });
    }
  }
  return found;
}

/** Everything in `project` that breaks a rule. An empty project breaks one too: a check of nothing passes nothing. */
export function findViolations(project: ProjectFacts): Violation[] {
  const found: Violation[] = [];
  const sources = project.files.filter((file) => !file.test);
  if (sources.length < FILES_MIN) found.push({ rule: 'empty', where: 'packages', what: `only ${sources.length} source files were read` });
  for (const workspace of LAYERS) {
    if (!sources.some((file) => file.workspace === workspace)) found.push({ rule: 'empty', where: `packages/${workspace}`, what: 'no source file was read' });
  }
  for (const path of project.unread) found.push({ rule: 'unread', where: path, what: 'tsconfig.json leaves this file out, so nothing checks it' });
  for (const file of project.files) {
    if (/\/src\/.+\/index\.ts$/.test(file.path)) found.push({ rule: 'index', where: file.path, what: 'index.ts belongs to the root of a package only' });
    for (const item of file.imports) {
      for (const violation of judgeImport(project, file, item)) found.push({ ...violation, where: `${file.path}:${item.line}` });
    }
    for (const { line, what } of file.impurities) found.push({ rule: 'purity', where: `${file.path}:${line}`, what });
  }
  for (const circle of findCircles(project)) found.push({ rule: 'circle', where: circle[0]!, what: circle.join(' -> ') });
  return [...found, ...judgeDependencies(project)];
}
