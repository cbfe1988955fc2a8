/** One core of the recovery benchmark: measures for a given time, and answers how often it was done. Started by `recovery.ts`. */
import { parentPort, workerData } from 'node:worker_threads';

import { invariant } from '@shardlab/crosslink';
import { recoverBatch } from '@shardlab/shard';

import { createCrypto } from '../../src/crypto/create-crypto.ts';
import { POLICY, signedTransfers } from '../unit/recovery-support.ts';

/** What a worker is asked. */
export interface BenchRequest {
  readonly what: 'recover' | 'pipeline';
  readonly durationMs: number;
}

/** What it answers: how many in how long. */
export interface BenchAnswer {
  readonly library: string;
  readonly count: number;
  readonly elapsedMs: number;
}

const { seed, batch } = workerData as { readonly seed: number; readonly batch: number };
const port = parentPort;
invariant(port !== null, 'this file runs as a worker thread');
const crypto = await createCrypto();
const raws = signedTransfers(batch, seed, crypto);
const secretKey = new Uint8Array(32).fill(7);
const signatures = raws.map((raw) => {
  const hash = crypto.keccak256(raw);
  return { hash, ...crypto.secpSign(hash, secretKey) };
});

/** Recovers of 32-byte hashes, nothing else: the bound. */
function recoverOnce(): void {
  const output = new Uint8Array(65);
  for (const { hash, signature, yParity } of signatures) {
    invariant(crypto.recoverPublicKey(hash, signature, yParity, output), 'every signature recovers');
  }
}

/** Everything that a node's worker does for a batch. */
function pipelineOnce(): void {
  const records = recoverBatch(raws, crypto, POLICY);
  invariant(records[1] === 0 && records.length > 0, 'every transaction is good');
}

function measure(run: () => void, durationMs: number): BenchAnswer {
  const start = performance.now();
  let rounds = 0;
  let elapsedMs = 0;
  while (elapsedMs < durationMs) {
    run();
    rounds++;
    elapsedMs = performance.now() - start;
  }
  return { library: crypto.names.secp256k1, count: rounds * batch, elapsedMs };
}

port.on('message', ({ what, durationMs }: BenchRequest) => {
  port.postMessage(measure(what === 'recover' ? recoverOnce : pipelineOnce, durationMs));
});
