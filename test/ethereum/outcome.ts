/** One case that did not pass, or a test or file that could not be read. */
export interface Failure {
  /** `FILE::TEST [FORK dD gG vV]`, or as much of it as there is. */
  readonly name: string;
  /** One line. */
  readonly reason: string;
}

/** A case that was not run, for a reason of the list in skips.ts. */
export interface Skip {
  readonly name: string;
  readonly reason: string;
}

/** What came of one file. */
export interface FileOutcome {
  readonly passed: number;
  readonly failures: readonly Failure[];
  readonly skipped: readonly Skip[];
  /** Cases of forks that are not implemented, by fork: they are not counted. */
  readonly otherForks: Readonly<Record<string, number>>;
}

/** What came of a file that could not be run at all. */
export function failedFile(name: string, reason: string): FileOutcome {
  return { passed: 0, failures: [{ name, reason }], skipped: [], otherForks: {} };
}

/** The first line of an error's message. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0]!.slice(0, 500);
}
