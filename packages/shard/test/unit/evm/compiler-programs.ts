import { Prng } from '@shardlab/crosslink';
import { OPCODES } from '../../../src/execution/evm/opcodes.ts';

/** Instructions that programs are made of, by how many words they take; those of control flow are placed by hand. */
const FREE = OPCODES.flatMap((opcode, code) =>
  opcode === undefined || opcode.halts || /^(JUMP|PUSH|CREATE|INVALID)/.test(opcode.name) || /CALL(CODE)?$/.test(opcode.name) ? [] : [code],
);
const CALLS = [0xf1, 0xf2, 0xf4, 0xfa];
const WORDS = [0n, 1n, 2n, 31n, 32n, 64n, 255n, 0xffff_ffffn, 1n << 31n, 1n << 53n, (1n << 160n) - 1n, 1n << 255n, (1n << 256n) - 1n];

/** Writes a random program that mostly runs: the stack is deep enough, jumps land, loops end, memory stays small. */
export class ProgramWriter {
  private readonly prng: Prng;
  private readonly bytes: number[] = [];
  /** Words that are certainly on the stack. */
  private height = 0;
  /** Places of 2 bytes that take the position of a label. */
  private readonly patches: { readonly at: number; readonly label: number }[] = [];
  private readonly labels: (number | undefined)[] = [];
  private readonly functions: number[] = [];

  constructor(seed: number) {
    this.prng = new Prng(seed);
  }

  /** The program: straight code, branches, loops, internal functions that are called from several places. */
  write(length: number): Uint8Array {
    for (let i = 0; i < 2; i++) this.functions.push(this.label());
    // Some programs work near the end of the stack.
    if (this.prng.below(12) === 0) this.op(...new Array<number>(980 + this.prng.below(44)).fill(0x36));
    this.statements(length, 3);
    while (this.height > 0) this.drop();
    // What was computed has run together in memory: it is the output.
    this.op(0x61, 1, 0, 0x5f, 0xf3);
    for (const label of this.functions) {
      this.place(label);
      // The return address lies on top: it is kept below what the function does.
      this.height = 1;
      this.statements(4, 1);
      this.body(0, 0, 1);
      this.op(0x56);
    }
    for (const { at, label } of this.patches) {
      const position = this.labels[label]!;
      this.bytes[at] = position >> 8;
      this.bytes[at + 1] = position & 0xff;
    }
    return Uint8Array.from(this.bytes);
  }

  private op(...codes: number[]): void {
    this.bytes.push(...codes);
  }

  private label(): number {
    return this.labels.push(undefined) - 1;
  }

  private place(label: number): void {
    this.labels[label] = this.bytes.length;
    this.op(0x5b);
  }

  private pushLabel(label: number): void {
    this.op(0x61);
    this.patches.push({ at: this.bytes.length, label });
    this.op(0, 0);
    this.height++;
  }

  private push(value: bigint): void {
    const hex = value === 0n ? '' : value.toString(16);
    const bytes = (hex.length % 2 === 0 ? hex : `0${hex}`).match(/../g) ?? [];
    this.op(0x5f + bytes.length, ...bytes.map((pair) => Number.parseInt(pair, 16)));
    this.height++;
  }

  /** Takes a word away so that it still counts: it is mixed into the next one, or into a word of memory. */
  private drop(): void {
    if (this.height > 1 && this.prng.below(4) !== 0) this.op(this.prng.below(2) === 0 ? 0x18 : 0x01);
    else return this.sink();
    this.height--;
  }

  /** Adds the top word to a word of memory. */
  private sink(): void {
    this.push(BigInt(32 * this.prng.below(8)));
    this.op(0x80, 0x51, 0x90, 0x91, 0x01, 0x90, 0x52);
    this.height -= 2;
  }

  private word(): bigint {
    const { prng } = this;
    if (prng.below(3) === 0) return BigInt(prng.below(300));
    if (prng.below(2) === 0) return WORDS[prng.below(WORDS.length)]!;
    return prng.bytes(1 + prng.below(32)).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  private statements(count: number, depth: number): void {
    for (let i = 0; i < count; i++) this.statement(depth);
  }

  private statement(depth: number): void {
    const kind = this.prng.below(20);
    if (depth > 0 && kind === 0) this.branch(depth);
    else if (depth > 0 && kind === 1) this.loop(depth);
    else if (depth > 0 && kind === 2 && this.functions.length > 0) this.callFunction();
    else if (kind === 3) this.callAccount();
    else if (kind < 7) this.memory();
    else if (kind < 9) this.shuffle();
    else this.instruction();
  }

  private shuffle(): void {
    const { prng } = this;
    while (this.height < 4) this.push(this.word());
    const reach = Math.min(16, this.height - 1);
    if (prng.below(2) === 0) {
      this.op(0x80 + prng.below(reach));
      this.height++;
    } else if (this.height > 2) this.op(0x90 + prng.below(reach - 1));
  }

  /** Any instruction, with operands that may be what lies there, or are made up. */
  private instruction(): void {
    const { prng } = this;
    const code = FREE[prng.below(FREE.length)]!;
    const { pops, pushes } = OPCODES[code]!;
    const wanted = pops + 1;
    // Once in a while nobody looks whether the operands are there.
    if (prng.below(60) === 0) {
      this.op(code);
      this.height = Math.max(0, this.height - pops) + pushes;
      return;
    }
    const fresh = prng.below(3) !== 0;
    // Operands that are offsets and lengths are small, nearly always: else everything ends out of gas.
    const small = code === 0x20 || (code >= 0x35 && code <= 0x3e) || (code >= 0x51 && code <= 0x5e) || code >= 0xa0;
    if (fresh || small) for (let i = 0; i < pops; i++) this.push(small && prng.below(200) !== 0 ? BigInt(prng.below(100)) : this.word());
    else while (this.height < wanted) this.push(this.word());
    this.op(code);
    this.height += pushes - pops;
    if (this.height > 24) while (this.height > 6) this.drop();
  }

  private memory(): void {
    const { prng } = this;
    if (prng.below(2) === 0) {
      this.push(BigInt(32 * prng.below(6)));
      this.op(0x51);
    } else {
      if (prng.below(2) === 0 || this.height < 2) this.push(this.word());
      this.push(BigInt(prng.below(4) === 0 ? prng.below(200) : 32 * prng.below(6)));
      this.op(0x52);
      this.height -= 2;
    }
  }

  /** if (…) { … }: both ways leave the stack as high as it was. */
  private branch(depth: number): void {
    const end = this.label();
    if (this.prng.below(2) === 0) this.instruction();
    if (this.height < 2) this.push(this.word());
    this.pushLabel(end);
    this.op(0x57);
    this.height -= 2;
    const before = this.height;
    this.body(2, depth - 1, before);
    this.place(end);
  }

  /** Statements that leave the stack `height` words high; those below the top are mixed away where they lie. */
  private body(count: number, depth: number, height: number): void {
    this.statements(count, depth);
    while (this.height > height) {
      if (height > 0 && this.height === height + 1) this.sink();
      else this.drop();
    }
    while (this.height < height) this.push(this.word());
  }

  /** A counter on the stack runs down to 0. */
  private loop(depth: number): void {
    const start = this.label();
    this.push(BigInt(2 + this.prng.below(6)));
    this.place(start);
    // The body works above the counter.
    const below = this.height;
    this.height = 0;
    this.body(3, depth - 1, 0);
    this.height = below;
    this.push(1n);
    this.op(0x90, 0x03, 0x80);
    this.pushLabel(start);
    this.op(0x57);
    this.height = below;
    this.drop();
  }

  private callFunction(): void {
    const back = this.label();
    this.pushLabel(back);
    this.pushLabel(this.functions[this.prng.below(this.functions.length)]!);
    this.op(0x56);
    this.height -= 2;
    this.place(back);
  }

  /** A call of one of the accounts 0xc0… to 0xc3…, or of a precompile. */
  private callAccount(): void {
    const { prng } = this;
    const code = CALLS[prng.below(CALLS.length)]!;
    for (let i = 0; i < 4; i++) this.push(BigInt(prng.below(70)));
    if (code <= 0xf2) this.push(BigInt(prng.below(2)));
    const target = prng.below(6);
    this.push(target < 4 ? BigInt(`0x${(0xc0 + target).toString(16).repeat(20)}`) : BigInt(target === 4 ? 4 : 9));
    if (prng.below(3) === 0) this.op(0x5a);
    else this.op(0x61, prng.below(256), 0);
    this.height++;
    this.op(code);
    this.height -= OPCODES[code]!.pops - 1;
  }
}
