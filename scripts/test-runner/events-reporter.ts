/**
 * A reporter for `node --test-reporter`: writes one JSON line per event to file descriptor 3, at once and synchronously, so that the parent
 * knows what ran even when the process has to be killed. Nothing of what a test prints can be taken for an event.
 */
import { writeSync } from 'node:fs';
import type { TestEvent } from 'node:test/reporters';

/** The descriptor that the parent reads. */
const EVENTS_FD = 3;

/** What the parent needs of an event. `name` is cut: it comes from the file under test. */
export interface RunnerEvent {
  readonly type: 'enqueue' | 'complete' | 'pass' | 'fail' | 'summary';
  readonly name: string;
  readonly suite: boolean;
  readonly skipped: boolean;
  /** True if the only reason of a failure is a failing subtest, which has an event of its own. */
  readonly bySubtest: boolean;
}

function compact(event: TestEvent): RunnerEvent | undefined {
  const kinds = { 'test:enqueue': 'enqueue', 'test:complete': 'complete', 'test:pass': 'pass', 'test:fail': 'fail', 'test:summary': 'summary' } as const;
  const type = (kinds as Partial<Record<string, RunnerEvent['type']>>)[event.type];
  if (type === undefined) return undefined;
  const data = event.data as { name?: string; type?: string; skip?: unknown; todo?: unknown; details?: { type?: string; error?: { failureType?: string } } };
  return {
    type,
    name: (data.name ?? '').slice(0, 500),
    suite: (data.details?.type ?? data.type) === 'suite',
    skipped: (data.skip !== undefined && data.skip !== false) || (data.todo !== undefined && data.todo !== false),
    bySubtest: data.details?.error?.failureType === 'subtestsFailed',
  };
}

/** The reporter itself; the runner loads the default export. It yields nothing: all of its output goes to the descriptor. */
export default async function* eventsReporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    const line = compact(event);
    if (line !== undefined) writeSync(EVENTS_FD, `${JSON.stringify(line)}\n`);
  }
  yield* [];
}
