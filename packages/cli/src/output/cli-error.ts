import { ShardlabError } from '@shardlab/crosslink';

/** 0: good. */
export const EXIT_GOOD = 0;
/** 1: the command did its work, and the answer is bad. */
export const EXIT_BAD = 1;
/** 2: the command could not start on what was asked. */
export const EXIT_USAGE = 2;
/** 130: stopped by Ctrl-C, as shells report it. */
export const EXIT_INTERRUPTED = 130;

/** An error whose message is the one line that the user sees, and which knows the exit code. */
export class CliError extends ShardlabError {
  readonly exitCode: number;

  constructor(code: string, message: string, exitCode: number, options?: ErrorOptions) {
    super(code, message, {}, options);
    this.exitCode = exitCode;
  }
}

/** What was asked cannot be done: exit code 2. `message` says what is wrong and what would be right. */
export function usageError(code: string, message: string, options?: ErrorOptions): CliError {
  return new CliError(code, message, EXIT_USAGE, options);
}

/** The work was done or begun, and the answer is bad: exit code 1. */
export function badAnswer(code: string, message: string, options?: ErrorOptions): CliError {
  return new CliError(code, message, EXIT_BAD, options);
}

/** Stopped by Ctrl-C or a termination signal, after cleaning up: exit code 130. */
export function interrupted(message = 'interrupted'): CliError {
  return new CliError('cli/interrupted', message, EXIT_INTERRUPTED);
}
