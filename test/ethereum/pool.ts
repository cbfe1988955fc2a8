import { Worker } from 'node:worker_threads';
import { failedFile, type FileOutcome, messageOf } from './outcome.ts';
import type { FileOptions } from './run-file.ts';
import type { FileJob } from './worker.ts';

/** Runs one file after the other in a thread, and starts another thread when that one dies or takes too long. */
class Lane {
  private readonly options: FileOptions;
  private readonly timeoutMs: number;
  private worker: Worker | undefined;

  constructor(options: FileOptions, timeoutMs: number) {
    this.options = options;
    this.timeoutMs = timeoutMs;
  }

  async run(job: FileJob): Promise<FileOutcome> {
    this.worker ??= new Worker(new URL('worker.ts', import.meta.url), { workerData: this.options });
    const { worker } = this;
    const { promise, resolve } = Promise.withResolvers<FileOutcome>();
    const give = (reason: string): void => {
      this.worker = undefined;
      resolve(failedFile(job.name, reason));
    };
    const onMessage = (outcome: FileOutcome): void => resolve(outcome);
    const onError = (error: unknown): void => give(`the thread that ran the file died: ${messageOf(error)}`);
    const onExit = (): void => give('the thread that ran the file ended');
    const timer = setTimeout(() => give(`not done after ${this.timeoutMs / 1000} s`), this.timeoutMs);
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    worker.postMessage(job);
    const outcome = await promise;
    clearTimeout(timer);
    worker.off('message', onMessage).off('error', onError).off('exit', onExit);
    if (this.worker === undefined) await worker.terminate();
    return outcome;
  }

  async stop(): Promise<void> {
    await this.worker?.terminate();
  }
}

/** Runs all jobs in `workers` threads; `done` is told of each. A file that takes longer than `timeoutMs` has failed. */
export async function runAll(
  jobs: readonly FileJob[],
  options: FileOptions & { readonly workers: number; readonly timeoutMs: number },
  done: (job: FileJob, outcome: FileOutcome) => void,
): Promise<void> {
  const { workers, timeoutMs, filter } = options;
  let next = 0;
  const work = async (): Promise<void> => {
    const lane = new Lane({ filter }, timeoutMs);
    for (let job = jobs[next++]; job !== undefined; job = jobs[next++]) done(job, await lane.run(job));
    await lane.stop();
  };
  await Promise.all(Array.from({ length: Math.min(workers, jobs.length) }, work));
}
