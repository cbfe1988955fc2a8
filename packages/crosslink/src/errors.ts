/**
 * The one error style of the project: every error carries a `code` and exactly the data that belongs to it.
 * Verdicts on peers' messages are values (see {@link Verdict}), operational failures are thrown.
 */
export class ShardlabError extends Error {
  /** Stable, machine-readable reason, in kebab case, for example `decode/truncated`. */
  readonly code: string;
  /** Values that belong to this code, for logs and messages. */
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, data: Readonly<Record<string, unknown>> = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.data = data;
  }
}

/** Bytes that are not the canonical encoding of what was expected. */
export class DecodeError extends ShardlabError {}

/** An invariant of our own code does not hold: a bug, never a peer's fault. */
export class InvariantError extends ShardlabError {
  constructor(message: string, data: Readonly<Record<string, unknown>> = {}) {
    super('invariant', message, data);
  }
}

/** Throws an {@link InvariantError} unless `condition` holds. */
export function invariant(condition: boolean, message: string, data?: Readonly<Record<string, unknown>>): asserts condition {
  if (!condition) throw new InvariantError(message, data);
}

/**
 * What a receiver thinks of a peer's message. `reject` costs the sender (it is wrong and was knowable to be wrong), `ignore` does not (late,
 * duplicate, or not verifiable yet), `accept` means that it was used.
 */
export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'ignore'; readonly reason: string }
  | { readonly kind: 'reject'; readonly reason: string };

/** The only `accept` value. */
export const ACCEPT: Verdict = { kind: 'accept' };
/** Builds an `ignore` verdict; `reason` is a stable metric label. */
export function ignore(reason: string): Verdict {
  return { kind: 'ignore', reason };
}
/** Builds a `reject` verdict; `reason` is a stable metric label. */
export function reject(reason: string): Verdict {
  return { kind: 'reject', reason };
}
