/**
 * JavaScript text in the making. Definitions of values are pure and kept apart from statements with effects, so that what nobody uses is never printed: instructions
 * emit all eight limbs of their results, and the limbs that matter survive.
 */

/** A 32-bit limb while compiling: a known signed integer, or the name of a local variable that holds one. */
export type Limb = number | string;

interface Definition {
  readonly name: string;
  readonly expression: string;
}

const NAMES = /\bv\d+\b/g;

/** Collects lines; {@link text} prints those that are needed. */
export class Emitter {
  private readonly lines: (Definition | string)[] = [];
  private count = 0;
  /** Expressions that have a name in the open scopes. */
  private readonly known = new Map<string, string>();
  /** What to forget at the end of each open scope. */
  private readonly scopes: (() => void)[][] = [[]];
  /** Characters so far, dead ones too: bounds the work of one compilation. */
  size = 0;

  private push(line: Definition | string, length: number): void {
    this.lines.push(line);
    this.size += length;
  }

  /** Names the value of a pure expression whose operands never change; equal expressions share a name. */
  define(expression: string): string {
    const known = this.known.get(expression);
    if (known !== undefined) return known;
    const name = this.read(expression);
    this.known.set(expression, name);
    this.atScopeEnd(() => void this.known.delete(expression));
    return name;
  }

  /** Names the present value of an expression that may be another later: a read of memory or of the stack. */
  read(expression: string): string {
    const name = `v${this.count++}`;
    this.push({ name, expression }, expression.length);
    return name;
  }

  /** A statement with effects. */
  statement(text: string): void {
    this.push(text, text.length);
  }

  /** Emits a block: what is defined inside is not known behind it. */
  scope(open: string, inside: () => void, close: string): void {
    this.statement(open);
    this.scopes.push([]);
    inside();
    for (const undo of this.scopes.pop() ?? []) undo();
    this.statement(close);
  }

  /** Registers what must be undone when the innermost scope closes. */
  atScopeEnd(undo: () => void): void {
    this.scopes.at(-1)?.push(undo);
  }

  /** All lines that have an effect or are used by one, in order. */
  text(): string {
    const used = new Set<string>();
    const kept: string[] = [];
    for (let i = this.lines.length - 1; i >= 0; i--) {
      const line = this.lines[i]!;
      if (typeof line !== 'string' && !used.has(line.name)) continue;
      const expression = typeof line === 'string' ? line : line.expression;
      for (const [name] of expression.matchAll(NAMES)) used.add(name);
      kept.push(typeof line === 'string' ? line : `const ${line.name}=${expression};`);
    }
    return kept.reverse().join('\n');
  }
}
