import { parentPort, workerData } from 'node:worker_threads';
import type { SwarmOptions } from './options.ts';
import { SeedRunner } from './seed-runner.ts';

const runner = new SeedRunner(workerData as SwarmOptions);
const port = parentPort;
if (port === null) throw new Error('this file is a worker thread');

port.on('message', (seed: number) => {
  // A run never throws: what goes wrong in it is its result. What is thrown here is a bug of the swarm, and ends the worker.
  void runner.run(seed).then((result) => port.postMessage(result));
});
