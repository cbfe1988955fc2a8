import type { Output } from './output.ts';
import { visibleLength } from './style.ts';

const PLAIN_INTERVAL_MS = 3_000;
const CLEAR_LINE = '\r\u001b[2K';

/**
 * Progress: on a terminal one line that is rewritten, in a pipe a plain line every few seconds. `undefined` as output: nothing is shown.
 */
export class LiveLine {
  private readonly output: Output | undefined;
  private readonly nowMs: () => number;
  private shown = false;
  private lastPlainMs = Number.NEGATIVE_INFINITY;

  constructor(output: Output | undefined, nowMs: () => number = () => performance.now()) {
    this.output = output;
    this.nowMs = nowMs;
  }

  /** Shows `text`, replacing what was shown; in a pipe only when the last line is old enough. */
  update(text: string): void {
    if (this.output === undefined) return;
    if (this.output.isTerminal) {
      const plain = visibleLength(text) < this.output.columns ? text : `${text.slice(0, Math.max(0, this.output.columns - 2))}…`;
      this.output.write(CLEAR_LINE + plain);
      this.shown = true;
      return;
    }
    if (this.nowMs() - this.lastPlainMs < PLAIN_INTERVAL_MS) return;
    this.lastPlainMs = this.nowMs();
    this.output.write(`${text}\n`);
  }

  /** Takes the line away, so that something else can be written. */
  clear(): void {
    if (this.shown) this.output?.write(CLEAR_LINE);
    this.shown = false;
  }

  /** Writes a line that stays, above the live one. */
  note(text: string): void {
    this.clear();
    this.output?.write(`${text}\n`);
  }
}
