/** One task that is due at a time, in whatever unit and from whatever origin its queue counts. `task` is gone once it ran or was cancelled. */
export interface ScheduledEvent {
  readonly at: number;
  /** Insertion number: breaks ties, so that the order is total. */
  readonly order: number;
  task: (() => void) | undefined;
}

/** Below this size cancelled entries are not worth a sweep. */
const SWEEP_MIN = 1024;

function before(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/**
 * A binary min-heap of events by (time, insertion). Cancelled events stay where they are until they surface or until they are the majority:
 * consensus cancels most of the timers that it sets, and finding each in the heap would cost more than skipping it. The order is total, so a sweep
 * cannot change what comes out. Both drivers' clocks run on it.
 */
export class EventHeap {
  private heap: ScheduledEvent[] = [];
  private count = 0;

  /** Events that were neither popped nor cancelled. */
  get live(): number {
    return this.count;
  }

  /** Adds an event that has its task. */
  push(event: ScheduledEvent): void {
    this.heap.push(event);
    this.count++;
    this.up(this.heap.length - 1);
  }

  /** Takes `event` out; nothing happens if it was popped or cancelled before. */
  cancel(event: ScheduledEvent): void {
    if (event.task === undefined) return;
    event.task = undefined;
    this.count--;
    if (this.heap.length >= SWEEP_MIN && this.count < this.heap.length / 2) this.sweep();
  }

  /** The next event, which stays. */
  peek(): ScheduledEvent | undefined {
    while (this.heap.length > 0 && this.heap[0]!.task === undefined) this.removeFirst();
    return this.heap[0];
  }

  /** The next event, which leaves. */
  pop(): ScheduledEvent | undefined {
    const first = this.peek();
    if (first === undefined) return undefined;
    this.removeFirst();
    this.count--;
    return first;
  }

  private removeFirst(): void {
    const last = this.heap.pop();
    if (last === undefined || this.heap.length === 0) return;
    this.heap[0] = last;
    this.down(0);
  }

  private sweep(): void {
    this.heap = this.heap.filter((event) => event.task !== undefined);
    for (let i = (this.heap.length >> 1) - 1; i >= 0; i--) this.down(i);
  }

  private up(start: number): void {
    const { heap } = this;
    const event = heap[start]!;
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  private down(start: number): void {
    const { heap } = this;
    const event = heap[start]!;
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, event)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = event;
  }
}
