import { type DecodeError, Reader } from '@shardlab/crosslink';
import type { SubmitResult } from '@shardlab/shard';

/** Transactions in one bulk submit. */
export const SUBMIT_MAX = 2_000;
/** Bulk submits that one node works on at a time; more are told that it is busy. */
export const SUBMITS_MAX = 64;

/** The answer to a bulk submit: JSON, and HTTP's status for it. */
export interface SubmitAnswer {
  readonly status: number;
  readonly text: string;
}

const STATUS_OF: Readonly<Record<string, number>> = { malformed: 400, busy: 429, unavailable: 503 };

/** An answer that refuses the whole batch: `malformed` (400), `busy` (429) or `unavailable` (503). */
export function submitRefusal(code: 'malformed' | 'busy' | 'unavailable', message: string): SubmitAnswer {
  return { status: STATUS_OF[code]!, text: JSON.stringify({ error: { code, message } }) };
}

/** The answer that another node gave: its status follows from its text. */
export function forwardedAnswer(text: string): SubmitAnswer {
  let code: unknown;
  try {
    code = (JSON.parse(text) as { error?: { code?: unknown } } | null)?.error?.code;
  } catch {
    return submitRefusal('unavailable', 'the shard gave an answer that is not understood');
  }
  return { status: code === undefined ? 200 : ((typeof code === 'string' ? STATUS_OF[code] : undefined) ?? 503), text };
}

/** Reads a bulk submit: u32 count, then a u32 length and the raw transaction each; the raws are views of `body`. Throws {@link DecodeError}. */
export function readSubmit(body: Uint8Array): Uint8Array[] {
  const reader = new Reader(body);
  const raws = reader.list(SUBMIT_MAX, (input) => input.bytes(body.length));
  reader.end();
  return raws;
}

/** The answer to the pool's results. A batch of which nothing was even looked at is `busy` as a whole, so that the caller slows down. */
export function submitAnswer(results: readonly SubmitResult[]): SubmitAnswer {
  const rejected: { index: number; code: string; message: string }[] = [];
  let busy = 0;
  results.forEach(({ rejection }, index) => {
    if (rejection === undefined) return;
    rejected.push({ index, ...rejection });
    if (rejection.code === 'busy') busy++;
  });
  if (busy > 0 && busy === results.length) return submitRefusal('busy', rejected[0]!.message);
  return { status: 200, text: JSON.stringify({ accepted: results.length - rejected.length, rejected }) };
}

/** What was wrong with a body that {@link readSubmit} refused, in one line. */
export function malformedSubmit(error: DecodeError): SubmitAnswer {
  return submitRefusal('malformed', `a bulk submit is a u32 count (at most ${SUBMIT_MAX}), then u32 length and bytes each: ${error.message}`);
}
