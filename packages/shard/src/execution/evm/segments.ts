import { OP, OPCODES, opcodeSize } from './opcodes.ts';

/** A stretch of code compiled to a JavaScript function; made and called by the compiler alone, which knows the argument's type. */
export type CompiledSegment = (machine: object, frame: object) => number;

const COLUMNS_START = 16;

function grown(column: Uint32Array, length: number): Uint32Array {
  const larger = new Uint32Array(length);
  larger.set(column);
  return larger;
}

/**
 * The segments of a code that have been entered: stretches of instructions that run from the first to the last, so that static gas and the stack are checked once. A
 * segment begins where the flow came from elsewhere, or behind an instruction that ends one; it ends before a JUMPDEST at the latest. Columns by
 * segment: they are replaced when they grow.
 */
export class Segments {
  /** By position in the code: the index of the segment that starts there, plus 1; 0 if none has been entered there. */
  readonly at: Uint32Array;
  /** First byte. */
  start: Uint32Array = new Uint32Array(COLUMNS_START);
  /** Instructions. */
  count: Uint32Array = new Uint32Array(COLUMNS_START);
  /** Static gas of all of them. */
  gas: Uint32Array = new Uint32Array(COLUMNS_START);
  /** Words that must be on the stack at the start. */
  need: Uint32Array = new Uint32Array(COLUMNS_START);
  /** Words by which the stack outgrows its height at the start. */
  growth: Uint32Array = new Uint32Array(COLUMNS_START);
  /** How often the interpreter entered; the compiler's measure of heat. */
  entered: Uint32Array = new Uint32Array(COLUMNS_START);
  /** The compiler's: how often a trace met words that it was not made for, or that there will be none. */
  missed: Uint32Array = new Uint32Array(COLUMNS_START);
  /** Compiled traces that begin with the segment. */
  readonly compiled: (CompiledSegment | undefined)[] = [];
  private readonly padded: Uint8Array;

  /** `padded`: the code and at least 33 zero bytes. */
  constructor(padded: Uint8Array, length: number) {
    this.padded = padded;
    this.at = new Uint32Array(length + 1);
  }

  /** How many there are. */
  get length(): number {
    return this.compiled.length;
  }

  /** The segment that starts at `position`, where an instruction does. */
  enter(position: number): number {
    const known = this.at[position]!;
    return known === 0 ? this.add(position) : known - 1;
  }

  private add(start: number): number {
    const index = this.compiled.length;
    if (index === this.start.length) this.grow();
    this.compiled.push(undefined);
    this.start[index] = start;
    this.at[start] = index + 1;
    let [at, count, gas, need, height, growth] = [start, 0, 0, 0, 0, 0];
    for (;;) {
      const op = this.padded[at]!;
      const opcode = OPCODES[op];
      at += opcodeSize(op);
      count++;
      if (opcode === undefined) break;
      gas += opcode.gas;
      need = Math.max(need, opcode.pops - height);
      height += opcode.pushes - opcode.pops;
      growth = Math.max(growth, height);
      // The padding's first STOP ends the last one.
      if (opcode.ends || this.padded[at] === OP.JUMPDEST) break;
    }
    this.count[index] = count;
    this.gas[index] = gas;
    this.need[index] = need;
    this.growth[index] = growth;
    return index;
  }

  private grow(): void {
    const length = 2 * this.start.length;
    this.start = grown(this.start, length);
    this.count = grown(this.count, length);
    this.gas = grown(this.gas, length);
    this.need = grown(this.need, length);
    this.growth = grown(this.growth, length);
    this.entered = grown(this.entered, length);
    this.missed = grown(this.missed, length);
  }
}
