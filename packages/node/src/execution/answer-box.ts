import { type Address, type Hash32, Reader, ShardlabError, Writer } from '@shardlab/crosslink';
import type { SourceAccount, StateSource } from '@shardlab/shard';

import type { Question } from './messages.ts';

/** Flag (an int32), length (an int32), and the question or the answer: a code is the longest. */
const HEADER_BYTES = 8;
const CODE_BYTES_MAX = 1 << 16;
const BOX_BYTES = HEADER_BYTES + CODE_BYTES_MAX + 64;
/** What the flag says. The thread sets IDLE and ASKED, the main thread the others; the bytes belong to the main thread from ASKED on, and to the thread from then on. */
const IDLE = 0;
const ASKED = 1;
const ANSWERED = 2;
const FAILED = 3;
/** Kinds of questions, as the first byte. */
const KINDS = ['account', 'home', 'has-storage', 'storage', 'code'] as const;
const NO_BYTES = new Uint8Array(0);

function encodeQuestion(question: Question): Uint8Array {
  const writer = new Writer();
  writer.u8(KINDS.indexOf(question.what));
  if (question.what === 'code') return writer.fixed(question.codeHash, 32).finish();
  return writer.fixed(question.address, 20).fixed(question.what === 'storage' ? question.key : NO_BYTES, question.what === 'storage' ? 32 : 0).finish();
}

function decodeQuestion(reader: Reader): Question {
  const what = KINDS[reader.u8()]!;
  if (what === 'code') return { what, codeHash: reader.hash() };
  const address = reader.address();
  return what === 'storage' ? { what, address, key: reader.fixed(32) } : { what, address };
}

function encodeAnswer(question: Question, source: StateSource): Uint8Array {
  const writer = new Writer();
  switch (question.what) {
    case 'account': {
      const account = source.account(question.address as Address);
      writer.bool(account !== undefined);
      if (account !== undefined) writer.u256(account.nonce).u256(account.balance).fixed(account.codeHash, 32);
      break;
    }
    case 'home':
      writer.u32(source.homeOf(question.address as Address) >>> 0);
      break;
    case 'has-storage':
      writer.bool(source.hasStorage(question.address as Address));
      break;
    case 'storage': {
      const value = new Uint8Array(32);
      source.storage(question.address as Address, question.key, value);
      writer.fixed(value, 32);
      break;
    }
    case 'code':
      writer.bytes(source.code(question.codeHash as Hash32), CODE_BYTES_MAX);
  }
  return writer.finish();
}

/**
 * How a thread asks the main thread about state that is not shared, in the middle of a run: it stands still until the answer is in this box: a round trip
 * between threads for each question, which is why there is a `SharedState`. The question is in the box too, so that the main thread finds it in the middle of work of its own.
 */
export class AnswerBox {
  readonly buffer: SharedArrayBuffer;
  private readonly flags: Int32Array;
  private readonly bytes: Uint8Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(BOX_BYTES)) {
    this.buffer = buffer;
    this.flags = new Int32Array(buffer, 0, 2);
    this.bytes = new Uint8Array(buffer, HEADER_BYTES);
  }

  /** Main thread: answers from `source` if there is a question; without a source, or if it throws, the thread fails. Throws what the source throws. */
  answer(source: StateSource | undefined): void {
    if (Atomics.load(this.flags, 0) !== ASKED) return;
    let flag = FAILED;
    try {
      if (source !== undefined) {
        this.put(encodeAnswer(decodeQuestion(this.take()), source));
        flag = ANSWERED;
      }
    } finally {
      Atomics.store(this.flags, 0, flag);
      Atomics.notify(this.flags, 0);
    }
  }

  /** Thread: asks, calls `wake`, and waits for the answer. Throws `execution/state` if there is none. */
  ask(question: Question, wake: () => void): Reader {
    this.put(encodeQuestion(question));
    Atomics.store(this.flags, 0, ASKED);
    wake();
    while (Atomics.load(this.flags, 0) === ASKED) Atomics.wait(this.flags, 0, ASKED);
    const flag = Atomics.exchange(this.flags, 0, IDLE);
    if (flag === FAILED) throw new ShardlabError('execution/state', 'the state could not be read');
    return this.take();
  }

  private put(bytes: Uint8Array): void {
    this.bytes.set(bytes);
    this.flags[1] = bytes.length;
  }

  private take(): Reader {
    return new Reader(this.bytes.slice(0, this.flags[1]));
  }
}

/** The state as a thread sees it through questions. */
export class AskingSource implements StateSource {
  private readonly box: AnswerBox;
  private readonly wake: () => void;

  /** `wake` tells the main thread to look into the box. */
  constructor(box: AnswerBox, wake: () => void) {
    this.box = box;
    this.wake = wake;
  }

  account(address: Address): SourceAccount | undefined {
    const reader = this.ask({ what: 'account', address });
    return reader.bool() ? { nonce: reader.u256(), balance: reader.u256(), codeHash: reader.hash() } : undefined;
  }

  code(codeHash: Hash32): Uint8Array {
    return this.ask({ what: 'code', codeHash }).bytes(CODE_BYTES_MAX);
  }

  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    out.set(this.ask({ what: 'storage', address, key }).fixed(32));
  }

  hasStorage(address: Address): boolean {
    return this.ask({ what: 'has-storage', address }).bool();
  }

  homeOf(address: Address): number {
    return this.ask({ what: 'home', address }).u32() | 0;
  }

  private ask(question: Question): Reader {
    return this.box.ask(question, this.wake);
  }
}
