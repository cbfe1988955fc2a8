import type { LoadProgress } from '../load/run-load.ts';
import { paint, thousands } from './table.ts';

/** How often a pipe gets a line. */
const PIPE_INTERVAL_MS = 3000;
/** How often a terminal's line is drawn again. */
const TERMINAL_INTERVAL_MS = 200;

/** Where progress is shown. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const WORDS: Readonly<Record<Exclude<LoadProgress['stage'], 'sending'>, string>> = {
  accounts: 'deriving accounts',
  nonces: 'reading nonces',
  'set-up': 'setting contracts up',
  signing: 'signing',
};

/**
 * Shows how a load stands: one line that is drawn again and again on a terminal, a plain line every few seconds in a pipe. Rates are of the last
 * interval. Call {@link ProgressView.end} before anything else is printed.
 */
export class ProgressView {
  private readonly stream: ProgressStream;
  private readonly colour: boolean;
  private readonly nowMs: () => number;
  private shownMs = Number.NEGATIVE_INFINITY;
  private stage = '';
  private committed = 0;
  private committedMs = 0;
  private drawn = false;

  constructor(stream: ProgressStream, options: { readonly colour: boolean; readonly nowMs: () => number }) {
    this.stream = stream;
    this.colour = options.colour;
    this.nowMs = options.nowMs;
  }

  /** Takes the newest state; shows it when it is time, and always at a new stage. */
  update(progress: LoadProgress): void {
    const now = this.nowMs();
    const intervalMs = this.stream.isTTY === true ? TERMINAL_INTERVAL_MS : PIPE_INTERVAL_MS;
    if (progress.stage === this.stage && now - this.shownMs < intervalMs) return;
    this.stage = progress.stage;
    this.shownMs = now;
    const text = progress.stage === 'sending' ? this.sending(progress) : `${WORDS[progress.stage]} ${thousands(progress.done)} of ${thousands(progress.total)}`;
    if (this.stream.isTTY !== true) {
      this.stream.write(`${text}\n`);
      return;
    }
    // Cut to the width: a line that wraps cannot be drawn over. Colour goes around the whole, so cutting is safe.
    const cut = text.slice(0, Math.max(20, (this.stream.columns ?? 80) - 1));
    this.stream.write(`\r\u001b[K${paint(this.colour).dim(cut)}`);
    this.drawn = true;
  }

  /** Clears the terminal's line. */
  end(): void {
    if (this.drawn) this.stream.write('\r\u001b[K');
    this.drawn = false;
  }

  private sending(progress: Extract<LoadProgress, { stage: 'sending' }>): string {
    const spanMs = progress.elapsedMs - this.committedMs;
    const tps = spanMs > 0 ? ((progress.committed - this.committed) * 1000) / spanMs : 0;
    this.committed = progress.committed;
    this.committedMs = progress.elapsedMs;
    const parts = [
      `${(progress.elapsedMs / 1000).toFixed(0)} s`,
      `sent ${thousands(progress.submitted)} of ${thousands(progress.planned)}`,
      `committed ${thousands(progress.committed)} (${thousands(Math.round(tps))} TPS)`,
      `open ${thousands(progress.pending)}`,
    ];
    if (progress.aborted > 0) parts.push(`aborted ${thousands(progress.aborted)}`);
    if (progress.rejected > 0) parts.push(`rejected ${thousands(progress.rejected)}`);
    for (const [shard, problem] of progress.problems) parts.push(`shard ${shard}: ${problem}`);
    return parts.join('  ');
  }
}
