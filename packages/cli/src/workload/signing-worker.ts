import { parentPort } from 'node:worker_threads';
import { invariant } from '@shardlab/crosslink';
import { createCrypto } from '@shardlab/node';
import { runSigningJob } from './sign-chunk.ts';
import type { SigningJob } from './signing-job.ts';

/** The thread of a {@link SigningPool}: one job in, one result out, in order. */
invariant(parentPort !== null, 'not a worker thread');
const port = parentPort;
const crypto = await createCrypto();
port.on('message', (job: SigningJob) => {
  const result = runSigningJob(job, crypto);
  const buffers =
    result.kind === 'sign'
      ? [result.frames.buffer, result.offsets.buffer, result.hashes.buffer]
      : [result.addresses.buffer, result.placements.buffer];
  port.postMessage(result, buffers);
});
