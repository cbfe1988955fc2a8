/** The thread that recovers senders; started by the pool. Answers each request in order. */
import { parentPort, workerData } from 'node:worker_threads';

import { invariant } from '@shardlab/crosslink';
import { recoverBatch } from '@shardlab/shard';

import { createCrypto } from '../crypto/create-crypto.ts';
import { unpackRaws, type WorkerMessage, type WorkerRequest, type WorkerSetup } from './wire.ts';

const port = parentPort;
invariant(port !== null, 'this file runs as a worker thread');
const { policy, libraries, transactions } = workerData as WorkerSetup;
const crypto = await createCrypto({ libraries, transactions });

port.on('message', ({ id, packed }: WorkerRequest) => {
  const records = recoverBatch(unpackRaws(packed), crypto, policy).buffer as ArrayBuffer;
  port.postMessage({ kind: 'records', id, records } satisfies WorkerMessage, [records]);
});
port.postMessage({ kind: 'ready', library: crypto.names.secp256k1 } satisfies WorkerMessage);
