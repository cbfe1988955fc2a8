/** Runs cases on both EVMs, compares, and describes what differs. */
import { toHex } from '@shardlab/crosslink';
import type { TraceCall } from '../../packages/shard/src/execution/evm/tracer.ts';
import type { EvmCrypto } from '../../packages/shard/src/execution/evm/types.ts';
import { assemble } from './case.ts';
import type { FuzzCase, Program } from './case.ts';
import { KNOWN_DIFFERENCES } from './known-differences.ts';
import { runOracle } from './oracle.ts';
import { differences } from './outcome.ts';
import { shrink } from './shrink.ts';
import { Subject } from './subject.ts';

/** Cases that are tried to make one smaller. */
const SHRINK_ATTEMPTS_MAX = 3_000;
/** Differences that are printed of one case. */
const LINES_MAX = 12;

/** What came of a case: nothing, a known fault of the oracle (why it is one), or a difference (the case, for people). */
export type Judgement = { readonly kind: 'equal' } | { readonly kind: 'excluded' | 'differs'; readonly text: string };

const EQUAL: Judgement = { kind: 'equal' };

/** Compares one EVM of ours with the oracle. */
export class Campaign {
  private readonly crypto: EvmCrypto;
  private subject: Subject;

  constructor(crypto: EvmCrypto) {
    this.crypto = crypto;
    this.subject = new Subject(crypto);
  }

  /** What differs between the two EVMs on this case; empty: nothing. An exception of either is a difference. */
  private async compare(what: FuzzCase, subject: Subject): Promise<string[]> {
    try {
      const outcome = await runOracle(what);
      return differences({ name: 'oracle', outcome }, { name: 'shardlab', outcome: subject.run(what) });
    } catch (error) {
      return [`exception: ${(error as Error).stack ?? String(error)}`];
    }
  }

  /** Runs a case. One that differs is made as small as can be before it is described. */
  async judge(what: FuzzCase): Promise<Judgement> {
    const found = await this.compare(what, this.subject);
    if (found.length === 0) return EQUAL;
    // What an EVM remembers of earlier cases must not matter: a new one judges whether this case alone shows the difference.
    this.subject = new Subject(this.crypto);
    const known = this.knownDifference(what);
    if (known !== undefined) return { kind: 'excluded', text: known };
    const subject = new Subject(this.crypto);
    const shows = async (candidate: FuzzCase): Promise<boolean> => (await this.compare(candidate, subject)).length > 0 && this.knownDifference(candidate) === undefined;
    if (!(await shows(what))) return { kind: 'differs', text: describe(what, ['only after the programs before it', ...found]) };
    const small = await shrink(what, shows, SHRINK_ATTEMPTS_MAX);
    return { kind: 'differs', text: describe(small, await this.compare(small, subject)) };
  }

  /** Why the oracle is wrong on this case, if it meets one of its known faults. */
  private knownDifference(what: FuzzCase): string | undefined {
    let why: string | undefined;
    const enter = (call: TraceCall): void => {
      why ??= KNOWN_DIFFERENCES.find(({ meets }) => meets(call))?.why;
    };
    try {
      this.subject.run({ ...what, mode: 'traced' }, { enter });
    } catch {
      // An exception is a difference of its own; it has been found already.
      return undefined;
    }
    return why;
  }
}

function codeText(program: Program | undefined): string {
  return program === undefined ? 'none' : toHex(assemble(program));
}

/** The case and its differences, for people. Code in hex, everything that a replay by hand needs. */
function describe(what: FuzzCase, found: readonly string[]): string {
  const accounts = what.accounts.map(({ address, balance, nonce, program, storage }) => {
    const slots = storage.map(([key, value]) => `${key}=${value}`).join(' ');
    return `  account ${toHex(address)} balance ${balance} nonce ${nonce} storage {${slots}} code ${codeText(program)}`;
  });
  const transactions = what.transactions.map(({ caller, to, program, data, value, gas, accessList }) => {
    const what = to === undefined ? `creates ${codeText(program)}` : `calls ${toHex(to)} data ${toHex(data)}`;
    const warm = accessList.map(({ address, slots }) => `${toHex(address)}[${slots.join(' ')}]`).join(' ');
    return `  transaction of ${toHex(caller)} ${what} value ${value} gas ${gas} warm {${warm}}`;
  });
  const block = `  block ${what.block.number} coinbase ${toHex(what.block.coinbase)}`;
  const lines = found.slice(0, LINES_MAX).map((line) => `  differs: ${line}`);
  return [`seed ${what.seed} ${what.fork} ${what.mode}`, block, ...accounts, ...transactions, ...lines].join('\n');
}
