/** Random programs, biased to be valid: operands before instructions, jumps to where they lead, loops that end. */
import type { Prng } from '@shardlab/crosslink';
import { OPS, ProgramBuilder } from './builder.ts';
import type { World } from './builder.ts';
import { call, callPrecompile, create, destroy } from './call-statements.ts';
import type { Program } from './case.ts';
import { abuse, chain, compute, copy, hash, inspect, juggle, log, memory, storage } from './statements.ts';

/** Above this, statements begin to drop words. */
const HEIGHT_MAX = 26;
/** How deep blocks nest, and initcode within initcode. */
const NESTING_MAX = 3;
/** The longest code that may be deployed, EIP-170. */
const CODE_MAX = 24_576;
const EOF_MAGIC = 0xef;

type Statement = (b: ProgramBuilder, writer: Writer) => void;

const STATEMENTS: readonly (readonly [number, Statement])[] = [
  [26, compute],
  [8, juggle],
  [12, memory],
  [7, copy],
  [4, hash],
  [14, storage],
  [5, inspect],
  [2, chain],
  [4, log],
  [8, call],
  [3, callPrecompile],
  [3, (b, writer) => create(b, (prng) => writer.initcode(prng))],
  [5, (_, writer) => writer.branch()],
  [2, (_, writer) => writer.loop()],
  [2, (_, writer) => writer.subroutine()],
  [1, (_, writer) => writer.computedJump()],
];

/** Writes the flow of one program. */
class Writer {
  private readonly b: ProgramBuilder;
  private readonly depth: number;
  private nesting = 0;
  private readonly functions: { readonly label: number; readonly statements: number; readonly parameters: number }[] = [];

  constructor(builder: ProgramBuilder, depth: number) {
    this.b = builder;
    this.depth = depth;
  }

  initcode(prng: Prng): Program {
    return initcodeOf(prng, this.b.world, this.depth + 1);
  }

  statements(count: number): void {
    const { b } = this;
    for (let i = 0; i < count; i++) {
      while (b.free > HEIGHT_MAX) b.op(OPS.POP);
      if (b.oneIn(250)) abuse(b);
      else if (b.oneIn(300)) this.end();
      else b.weighted(STATEMENTS)(b, this);
    }
  }

  /** Statements that leave the stack as high as it was; of what was there before, the uppermost `own` words may be others afterwards. */
  private block(count: number, own: number): void {
    const { b } = this;
    const { height, floor } = b;
    b.floor = Math.max(floor, height - own);
    this.nesting++;
    this.statements(count);
    this.nesting--;
    while (b.height > height) b.op(OPS.POP);
    while (b.height < height) b.operand();
    b.floor = floor;
  }

  /** `if`, and half of the time `else`: both may change the words on top of the stack, in different ways. */
  branch(): void {
    const { b } = this;
    if (this.nesting >= NESTING_MAX) return;
    const [other, after] = [b.newLabel(), b.newLabel()];
    b.operands(1);
    if (b.oneIn(2)) b.op(OPS.ISZERO);
    b.pushLabel(other);
    b.op(OPS.JUMPI);
    const own = b.prng.below(4);
    this.block(1 + b.prng.below(4), own);
    if (b.oneIn(2)) {
      b.pushLabel(after);
      b.op(OPS.JUMP);
      b.label(other);
      this.block(1 + b.prng.below(3), own);
      b.label(after);
    } else b.label(other);
  }

  /** Runs a block a few times. The counter is on the stack, below the words that each turn hands to the next. */
  loop(): void {
    const { b } = this;
    if (this.nesting >= NESTING_MAX) return;
    const again = b.newLabel();
    b.push(BigInt(1 + b.prng.below(b.oneIn(10) ? 200 : 12)));
    const words = b.prng.below(4);
    for (let i = 0; i < words; i++) b.operand();
    b.label(again);
    this.block(1 + b.prng.below(4), words);
    if (words > 0) b.op(OPS.SWAP1 + words - 1);
    b.push(1n);
    b.op(OPS.SWAP1);
    b.op(OPS.SUB);
    if (words > 0) b.op(OPS.SWAP1 + words - 1);
    b.op(OPS.DUP1 + words);
    b.pushLabel(again);
    b.op(OPS.JUMPI);
  }

  /** A call of a function within the code, as compilers make them: the return address lies below the parameters, which become the results. */
  subroutine(): void {
    const { b } = this;
    const known = this.functions.length > 0 && b.oneIn(2);
    const callee = known ? b.pick(this.functions) : { label: b.newLabel(), statements: 1 + b.prng.below(4), parameters: b.prng.below(4) };
    if (!known) this.functions.push(callee);
    const back = b.newLabel();
    b.pushLabel(back);
    for (let i = 0; i < callee.parameters; i++) b.operand();
    b.pushLabel(callee.label);
    b.op(OPS.JUMP);
    b.height--;
    b.label(back);
  }

  /** A jump whose target is the result of arithmetic. */
  computedJump(): void {
    const { b } = this;
    const target = b.newLabel();
    const key = BigInt(b.prng.below(0xffff));
    b.pushLabel(target);
    b.push(key);
    b.op(OPS.XOR);
    b.push(key);
    b.op(OPS.XOR);
    b.op(OPS.JUMP);
    b.label(target);
  }

  /** Shows the stack to whoever called, in memory from 0 on, and ends the frame. */
  end(): void {
    const { b } = this;
    const { height } = b;
    const kind = b.prng.below(20);
    if (kind === 0) b.op(OPS.STOP);
    else if (kind <= 2) destroy(b);
    else {
      const words = b.free;
      for (let i = 0; i < words; i++) {
        b.push(BigInt(32 * i));
        b.op(OPS.MSTORE);
      }
      if (kind < 6) b.op(OPS.MSIZE);
      else b.push(BigInt(32 * words));
      b.push(0n);
      b.op(kind % 4 === 3 ? OPS.REVERT : OPS.RETURN);
    }
    b.height = height;
  }

  /** The bodies of the functions that were called. */
  finish(): Program {
    const { b } = this;
    // Bodies may ask for further functions: the list grows while it is read, and the nesting says where that ends.
    for (let i = 0; i < this.functions.length; i++) {
      const { label, statements, parameters } = this.functions[i]!;
      b.height = 1 + parameters;
      b.floor = 1;
      b.label(label);
      this.nesting = i < NESTING_MAX ? NESTING_MAX - 1 : NESTING_MAX;
      this.block(i < 2 * NESTING_MAX ? statements : 0, parameters);
      if (parameters > 0) b.op(OPS.SWAP1 + parameters - 1);
      b.op(OPS.JUMP);
    }
    return b.finish();
  }
}

/** Code that runs when it is called. `depth`: how many programs it is nested in. */
export function runtimeProgram(prng: Prng, world: World, depth = 0): Program {
  const b = new ProgramBuilder(prng, world);
  const writer = new Writer(b, depth);
  writer.statements(depth >= NESTING_MAX ? 2 : 2 + prng.below(depth === 0 ? 24 : 8));
  writer.end();
  return writer.finish();
}

/** Initcode: some statements, and then mostly the return of a program; rarely of something that may not be deployed. */
export function initcodeOf(prng: Prng, world: World, depth = 0): Program {
  const b = new ProgramBuilder(prng, world);
  const writer = new Writer(b, depth);
  if (depth <= NESTING_MAX) writer.statements(prng.below(5));
  const kind = prng.below(20);
  if (depth > NESTING_MAX || kind < 3) writer.end();
  else if (kind === 3) {
    b.push(BigInt(CODE_MAX - 1 + prng.below(4)));
    b.push(0n);
    b.op(OPS.RETURN);
  } else {
    const index = b.addData(kind === 4 ? Uint8Array.of(EOF_MAGIC, 0) : runtimeProgram(prng.fork(), world, depth + 1));
    b.copyData(index, 0);
    b.pushSize(index);
    b.push(0n);
    b.op(OPS.RETURN);
  }
  return writer.finish();
}
