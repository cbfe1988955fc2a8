/** A thread of the runner: takes the path of a file, answers with its outcome, until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { createTestCrypto } from './crypto.ts';
import { failedFile, messageOf } from './outcome.ts';
import { CaseRunner } from './run-case.ts';
import { type FileOptions, runFile } from './run-file.ts';

/** A file to run. */
export interface FileJob {
  readonly path: string;
  readonly name: string;
}

if (parentPort === null) throw new Error('worker.ts runs in a worker thread');
const port = parentPort;
const runner = new CaseRunner(await createTestCrypto());
port.on('message', ({ path, name }: FileJob) => {
  runFile(runner, path, name, workerData as FileOptions).then(
    (outcome) => port.postMessage(outcome),
    (error: unknown) => port.postMessage(failedFile(name, messageOf(error))),
  );
});
