/** Reads the source of all packages with TypeScript's own parser and checker. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { API } from 'typescript/unstable/sync';
import type { Checker } from 'typescript/unstable/sync';
import { isCallExpression, isExportDeclaration, isIdentifier, isImportDeclaration, isImportTypeNode, isNewExpression, isStringLiteral, SyntaxKind } from 'typescript/unstable/ast';
import type { Node, SourceFile } from 'typescript/unstable/ast';
import { lineOf } from './finding.ts';
import type { Finding } from './finding.ts';
import { findImpurities } from './purity.ts';

/** Packages from the bottom to the top: each may import those before it. */
export const LAYERS = ['crosslink', 'shard', 'node', 'cli'] as const;
/** Packages whose source must be pure. */
const PURE: readonly string[] = ['crosslink', 'shard'];

/** One reference from a file to another, or to a package. */
export interface Import {
  readonly line: number;
  readonly specifier: string;
  /** `code`: evaluated in the same thread. `url`: the file of a worker or a process, which is no edge of the import graph. */
  readonly kind: 'code' | 'url';
}

/** What the rules need to know of one file. */
export interface SourceFacts {
  /** Relative to the repository, with `/`. */
  readonly path: string;
  /** Folder below `packages/`. */
  readonly workspace: string;
  /** True below `test/`: its imports may use development dependencies. */
  readonly test: boolean;
  readonly imports: readonly Import[];
  readonly impurities: readonly Finding[];
}

/** What the rules need to know of one package. */
export interface Manifest {
  readonly workspace: string;
  readonly dependencies: readonly string[];
  /** For its tests alone. */
  readonly developmentDependencies: readonly string[];
}

/** The whole project, as far as layers are concerned. */
export interface ProjectFacts {
  readonly root: string;
  readonly files: readonly SourceFacts[];
  readonly manifests: readonly Manifest[];
  readonly developmentDependencies: readonly string[];
  /** Files on disk that tsconfig.json leaves out: nobody checks them. */
  readonly unread: readonly string[];
}

/** The specifier that `node` imports, if it is any kind of import. */
function importOf(node: Node): Omit<Import, 'line'> | undefined {
  if ((isImportDeclaration(node) || isExportDeclaration(node)) && node.moduleSpecifier !== undefined && isStringLiteral(node.moduleSpecifier)) {
    return { specifier: node.moduleSpecifier.text, kind: 'code' };
  }
  if (isImportTypeNode(node)) {
    const text = node.argument.getText().slice(1, -1);
    return { specifier: text, kind: 'code' };
  }
  const first = isCallExpression(node) || isNewExpression(node) ? node.arguments?.[0] : undefined;
  if (first === undefined || !isStringLiteral(first)) return undefined;
  if (isNewExpression(node)) {
    const isModuleUrl = isIdentifier(node.expression) && node.expression.text === 'URL' && node.arguments?.[1]?.getText() === 'import.meta.url';
    // With a scheme it is no file beside the module.
    return isModuleUrl && !/^[a-z]+:/.test(first.text) ? { specifier: first.text, kind: 'url' } : undefined;
  }
  if (!isCallExpression(node)) return undefined;
  const isImport = node.expression.kind === SyntaxKind.ImportKeyword;
  const isRequire = isIdentifier(node.expression) && /require$/i.test(node.expression.text);
  return isImport || isRequire ? { specifier: first.text, kind: 'code' } : undefined;
}

function readImports(file: SourceFile): Import[] {
  const imports: Import[] = [];
  const visit = (node: Node): void => {
    const found = importOf(node);
    if (found !== undefined) imports.push({ ...found, line: lineOf(file, node) });
    node.forEachChild(visit);
  };
  visit(file);
  return imports;
}

function readManifest(root: string, workspace: string): Manifest {
  const path = join(root, 'packages', workspace, 'package.json');
  const json = JSON.parse(readFileSync(path, 'utf8')) as { dependencies?: Record<string, string>; devDependencies?: Record<string, string> };
  const { dependencies = {}, devDependencies = {} } = json;
  return { workspace, dependencies: Object.keys(dependencies), developmentDependencies: Object.keys(devDependencies) };
}

function readFacts(path: string, file: SourceFile, checker: Checker): SourceFacts {
  const [, workspace = '', folder] = path.split('/');
  const impurities = PURE.includes(workspace) && folder === 'src' ? findImpurities(file, path, checker) : [];
  return { path, workspace, test: folder === 'test', imports: readImports(file), impurities };
}

/** Reads every `.ts` file below `packages/*`/`src` and `test` of the project at `root`. */
export function readProject(root: string): ProjectFacts {
  const paths = globSync('packages/*/{src,test}/**/*.ts', { cwd: root, exclude: (name) => name === 'node_modules' })
    .map((path) => path.split(sep).join('/'))
    .toSorted();
  const api = new API({ cwd: root });
  try {
    const project = api.updateSnapshot({ openProject: join(root, 'tsconfig.json') }).getProjects()[0];
    if (project === undefined) throw new Error(`no project at ${join(root, 'tsconfig.json')}`);
    const files: SourceFacts[] = [];
    const unread: string[] = [];
    for (const path of paths) {
      const file = project.program.getSourceFile(join(root, path));
      if (file === undefined) unread.push(path);
      else files.push(readFacts(path, file, project.checker));
    }
    const { devDependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { devDependencies?: Record<string, string> };
    const manifests = LAYERS.filter((workspace) => existsSync(join(root, 'packages', workspace, 'package.json'))).map((workspace) => readManifest(root, workspace));
    return { root, files, manifests, developmentDependencies: Object.keys(devDependencies), unread };
  } finally {
    api.close();
  }
}
