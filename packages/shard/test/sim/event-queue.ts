/** Virtual time: tasks run in order of time, then of scheduling. */
export class EventQueue {
  private readonly tasks: { readonly atMs: number; readonly order: number; readonly run: () => void }[] = [];
  private order = 0;
  private time: number;

  constructor(startMs: number) {
    this.time = startMs;
  }

  get nowMs(): number {
    return this.time;
  }

  /** Runs `run` after `delayMs`. */
  after(delayMs: number, run: () => void): void {
    const task = { atMs: this.time + Math.max(0, delayMs), order: this.order++, run };
    let at = this.tasks.length;
    while (at > 0 && this.tasks[at - 1]!.atMs > task.atMs) at--;
    this.tasks.splice(at, 0, task);
  }

  /** The whole machine sleeps: time passes, nothing runs, and everything is overdue afterwards. */
  sleep(ms: number): void {
    this.time += ms;
  }

  /** Runs what is due up to `untilMs`, or until `done`. Returns whether `done` came true. */
  run(untilMs: number, done: () => boolean = () => false): boolean {
    for (;;) {
      if (done()) return true;
      const next = this.tasks[0];
      if (next === undefined || next.atMs > untilMs) {
        this.time = Math.max(this.time, untilMs);
        return false;
      }
      this.tasks.shift();
      this.time = Math.max(this.time, next.atMs);
      next.run();
    }
  }
}
