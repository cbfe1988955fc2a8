/**
 * Purity of the cores: no clock, timer, randomness, I/O, logging, `async`, and nothing that depends on the machine. Globals are allowed by name
 * rather than forbidden by name, so that what the platform grows tomorrow is refused until somebody has thought about it. A local variable
 * or parameter that happens to be called `process` is none: the checker resolves every name.
 */
import { isIdentifier, isPropertyAccessExpression, isTypeNode, SyntaxKind } from 'typescript/unstable/ast';
import type { Identifier, Node, SourceFile } from 'typescript/unstable/ast';
import type { Checker } from 'typescript/unstable/sync';
import { lineOf } from './finding.ts';
import type { Finding } from './finding.ts';

/** Globals that a core may use as values. */
const ALLOWED_GLOBALS: ReadonlySet<string> = new Set([
  'Array', 'ArrayBuffer', 'BigInt', 'BigInt64Array', 'BigUint64Array', 'Boolean', 'DataView', 'Error', 'Float64Array', 'Infinity', 'Int8Array',
  'Int16Array', 'Int32Array', 'JSON', 'Map', 'Math', 'NaN', 'Number', 'Object', 'RangeError', 'RegExp', 'Set', 'String', 'Symbol', 'TextDecoder',
  'TextEncoder', 'TypeError', 'URL', 'Uint8Array', 'Uint8ClampedArray', 'Uint16Array', 'Uint32Array', 'WeakMap', 'WeakSet', 'undefined',
]);
/** Globals that one file may use besides, because its task is nothing else. */
const ALLOWED_IN: Readonly<Record<string, string>> = {
  // Hot contracts become JavaScript functions, and this is the one way to hand V8 a function made at run time. It computes nothing by itself.
  Function: 'packages/shard/src/execution/evm/compiler/compiler.ts',
};
/** Globals that a core may not even name as a type. */
const FORBIDDEN_TYPES: ReadonlySet<string> = new Set(['AsyncGenerator', 'AsyncIterable', 'AsyncIterator', 'Buffer', 'Date', 'NodeJS', 'Promise', 'PromiseLike']);
/** Members of Math whose result the language defines exactly; the others may differ from engine to engine in the last bit, or are random. */
const EXACT_MATH: ReadonlySet<string> = new Set(['abs', 'ceil', 'clz32', 'floor', 'fround', 'imul', 'max', 'min', 'round', 'sign', 'sqrt', 'trunc']);
/** Methods whose result depends on the locale of the machine. */
const LOCALE = /^(?:localeCompare|toLocale\w+)$/;

interface Candidate {
  readonly node: Identifier;
  readonly type: boolean;
}

/** True for a name that is looked up in scope, not in an object, a module or a declaration. */
function isReference(node: Identifier): boolean {
  const parent = node.parent as (Node & { readonly name?: Node; readonly right?: Node; readonly propertyName?: Node; readonly label?: Node }) | undefined;
  if (parent === undefined) return false;
  if (parent.kind === SyntaxKind.ShorthandPropertyAssignment) return true;
  return parent.name !== node && parent.right !== node && parent.propertyName !== node && parent.label !== node;
}

/** Identifiers to look up, and what is forbidden whatever it resolves to. */
function collect(file: SourceFile): { readonly candidates: Candidate[]; readonly findings: Finding[] } {
  const candidates: Candidate[] = [];
  const findings: Finding[] = [];
  const visit = (node: Node, type: boolean): void => {
    if (node.kind === SyntaxKind.AsyncKeyword || node.kind === SyntaxKind.AwaitExpression || node.kind === SyntaxKind.AwaitKeyword) {
      findings.push({ line: lineOf(file, node), what: 'async code: a core is step(state, input) -> effects' });
    }
    if (isPropertyAccessExpression(node) && LOCALE.test(node.name.text)) {
      findings.push({ line: lineOf(file, node.name), what: `${node.name.text}, which depends on the machine` });
    }
    // The only global that no file declares.
    if (isIdentifier(node) && node.text === 'globalThis') findings.push({ line: lineOf(file, node), what: 'the global globalThis' });
    if (isIdentifier(node) && isReference(node)) candidates.push({ node, type });
    const inType = type || isTypeNode(node);
    node.forEachChild((child) => {
      visit(child, inType);
    });
  };
  visit(file, false);
  return { candidates, findings };
}

/** What is wrong with the global `node`, if anything. */
function judge({ node, type }: Candidate): string | undefined {
  const name = node.text;
  if (FORBIDDEN_TYPES.has(name)) return `the global ${name}`;
  if (type) return undefined;
  if (!ALLOWED_GLOBALS.has(name)) return `the global ${name}`;
  if (name !== 'Math') return undefined;
  const parent = node.parent;
  if (!isPropertyAccessExpression(parent)) return 'Math other than by Math.NAME';
  const member = parent.name.text;
  return EXACT_MATH.has(member) || member === member.toUpperCase() ? undefined : `Math.${member}, which is not exact on every engine`;
}

/** Everything impure in `file`, which stands at `path` (relative to the project), in line order. */
export function findImpurities(file: SourceFile, path: string, checker: Checker): Finding[] {
  const { candidates, findings } = collect(file);
  const symbols = checker.getSymbolAtLocation(candidates.map((candidate) => candidate.node));
  candidates.forEach((candidate, index) => {
    const declarations = symbols[index]?.declarations ?? [];
    // Declared by the language's library or by Node's types, hence global: imported names are declared by their import.
    const global = declarations.length > 0 && declarations.every(({ path }) => /\/lib\.[^/]*\.d\.ts$|\/@types\/node\/|\/undici-types\//.test(path));
    const what = global && ALLOWED_IN[candidate.node.text] !== path ? judge(candidate) : undefined;
    if (what !== undefined) findings.push({ line: lineOf(file, candidate.node), what });
  });
  return findings.toSorted((a, b) => a.line - b.line);
}
