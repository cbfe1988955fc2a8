import { type Address, type Hash32, Reader, ShardlabError, Writer } from '@shardlab/crosslink';
import type { SourceAccount, StateSource } from '@shardlab/shard';

import type { Question } from './messages.ts';

/** Flag (an int32), length (an int32), and the answer: a code is the longest. */
const HEADER_BYTES = 8;
const CODE_BYTES_MAX = 1 << 16;
const BOX_BYTES = HEADER_BYTES + CODE_BYTES_MAX + 64;
const WAITING = 0;
const ANSWERED = 1;
const FAILED = 2;

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
 * between threads for each question, which is why there is a `SharedState`.
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

  /** Main thread: answers from `source`; undefined, or a source that throws, lets the thread fail. */
  answer(question: Question, source: StateSource | undefined): void {
    let flag = FAILED;
    try {
      if (source !== undefined) {
        const answer = encodeAnswer(question, source);
        this.bytes.set(answer);
        this.flags[1] = answer.length;
        flag = ANSWERED;
      }
    } finally {
      Atomics.store(this.flags, 0, flag);
      Atomics.notify(this.flags, 0);
    }
  }

  /** Thread: waits for the answer to what was just asked. Throws `execution/state` if there is none. */
  await(): Reader {
    Atomics.wait(this.flags, 0, WAITING);
    const flag = Atomics.exchange(this.flags, 0, WAITING);
    if (flag === FAILED) throw new ShardlabError('execution/state', 'the state could not be read');
    return new Reader(this.bytes.slice(0, this.flags[1]));
  }
}

/** The state as a thread sees it through questions. */
export class AskingSource implements StateSource {
  private readonly box: AnswerBox;
  private readonly post: (question: Question) => void;

  constructor(box: AnswerBox, post: (question: Question) => void) {
    this.box = box;
    this.post = post;
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
    this.post(question);
    return this.box.await();
  }
}
