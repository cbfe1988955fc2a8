import type { Failure, FileOutcome, Skip } from './outcome.ts';

/** How often the line of progress is written at most. */
const PROGRESS_MS = 100;

/** Collects outcomes and tells them. */
export class Report {
  private readonly json: boolean;
  private readonly startedMs = performance.now();
  private files = 0;
  private filesDone = 0;
  private passed = 0;
  private readonly failures: Failure[] = [];
  private readonly skips: Skip[] = [];
  private readonly problems: string[] = [];
  private readonly otherForks = new Map<string, number>();
  private progressMs = 0;

  constructor(options: { readonly json: boolean }) {
    this.json = options.json;
  }

  /** To be called when the number of files is known. */
  start(files: number): void {
    this.files = files;
  }

  add(outcome: FileOutcome): void {
    this.filesDone++;
    this.passed += outcome.passed;
    this.skips.push(...outcome.skipped);
    for (const [fork, cases] of Object.entries(outcome.otherForks)) this.otherForks.set(fork, (this.otherForks.get(fork) ?? 0) + cases);
    for (const failure of outcome.failures) {
      this.failures.push(failure);
      if (!this.json) this.line(`FAILED ${failure.name}: ${failure.reason}`);
    }
    this.progress();
  }

  /** Something that kept the run from being one. */
  addProblem(message: string): void {
    this.problems.push(message);
  }

  /** Writes the end and returns the exit code. */
  finish(): number {
    if (this.passed + this.failures.length + this.skips.length === 0 && this.problems.length === 0) this.addProblem('no case of an implemented fork was found');
    const counts = `${this.passed} passed, ${this.failures.length} failed, ${this.skips.length} skipped`;
    const failed = this.failures.length + this.problems.length > 0;
    this.clearProgress();
    for (const problem of this.problems) process.stderr.write(`test:ethereum: ${problem}\n`);
    if (this.json) {
      process.stdout.write(`${JSON.stringify(this.summary())}\n`);
      process.stderr.write(`${counts}\n`);
    } else {
      for (const { name, reason } of this.skips) process.stdout.write(`skipped ${name}: ${reason}\n`);
      if (this.otherForks.size > 0) process.stdout.write(`not counted, because the fork is not implemented: ${this.otherForksText()}\n`);
      process.stdout.write(`${this.filesDone} files in ${this.seconds()} s\n${counts}\n`);
    }
    return failed ? 1 : 0;
  }

  private summary(): Readonly<Record<string, unknown>> {
    return {
      passed: this.passed,
      failed: this.failures.length,
      skipped: this.skips.length,
      files: this.filesDone,
      seconds: this.seconds(),
      otherForks: Object.fromEntries(this.sortedForks()),
      failures: this.failures,
      skips: this.skips,
      problems: this.problems,
    };
  }

  private otherForksText(): string {
    return this.sortedForks()
      .map(([fork, cases]) => `${fork} ${cases}`)
      .join(', ');
  }

  private sortedForks(): [string, number][] {
    return [...this.otherForks].toSorted(([a], [b]) => (a < b ? -1 : 1));
  }

  private seconds(): number {
    return Math.round((performance.now() - this.startedMs) / 100) / 10;
  }

  private line(text: string): void {
    this.clearProgress();
    process.stdout.write(`${text}\n`);
  }

  private progress(): void {
    if (!process.stderr.isTTY || performance.now() - this.progressMs < PROGRESS_MS) return;
    this.progressMs = performance.now();
    process.stderr.write(`\r${this.filesDone}/${this.files} files, ${this.passed} passed, ${this.failures.length} failed`);
  }

  private clearProgress(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  }
}
