/** The thread that executes runs of transactions and recovers senders; started by the pool. Answers each request in order. */
import { threadCpuUsage } from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';

import { invariant } from '@shardlab/crosslink';
import {
  packSpeculated,
  recoverBatch,
  RunExecutor,
  SharedSource,
  SharedState,
  SpeculativeExecutor,
  transferables,
  unpackBlock,
  unpackTransactions,
} from '@shardlab/shard';

import { createCrypto } from '../crypto/create-crypto.ts';
import { createEvmCrypto } from '../crypto/create-evm-crypto.ts';
import { unpackRaws } from '../recovery/wire.ts';
import { AnswerBox, AskingSource } from './answer-box.ts';
import type { ExecutionSetup, ThreadAnswer, ThreadMessage, ThreadRequest } from './messages.ts';

const port = parentPort;
invariant(port !== null, 'this file runs as a worker thread');
const { rules, seed, size, state, answers, libraries, transactions, admission } = workerData as ExecutionSetup;
const crypto = await createEvmCrypto({ libraries });
const signing = await createCrypto({ libraries, transactions });
const shared = new SharedState({ ...size, seed }, state);
const fallback = new AskingSource(new AnswerBox(answers), () => port.postMessage({ kind: 'question' } satisfies ThreadMessage));
const source = new SharedSource({ emptyHash: crypto.keccak256(new Uint8Array(0)) }, { shared, fallback });
const executor = new RunExecutor({ ...rules, seed }, { crypto, source });
const speculator = new SpeculativeExecutor({ ...rules, seed }, { crypto, source });

function answer(request: ThreadRequest): ThreadAnswer {
  switch (request.kind) {
    case 'run':
      source.refresh();
      return { kind: 'run', result: executor.execute(source, unpackBlock(request.block), unpackTransactions(request.transactions), request.learn) };
    case 'speculate':
      source.refresh();
      return { kind: 'speculate', packed: packSpeculated(speculator.execute(source, unpackBlock(request.block), unpackTransactions(request.transactions))) };
    case 'recover':
      invariant(admission !== undefined, 'these threads recover senders');
      return { kind: 'recover', records: recoverBatch(unpackRaws(request.packed), signing, admission).buffer as ArrayBuffer };
  }
}

function movable(done: ThreadAnswer): ArrayBuffer[] {
  if (done.kind === 'run') return transferables(done.result);
  return done.kind === 'speculate' ? [done.packed.buffer] : [done.records];
}

port.on('message', ({ id, request }: { readonly id: number; readonly request: ThreadRequest }) => {
  const done = answer(request);
  const { user, system } = threadCpuUsage();
  port.postMessage({ kind: 'answer', id, answer: done, cpuUs: user + system } satisfies ThreadMessage, movable(done));
});
port.postMessage({ kind: 'ready', library: signing.names.secp256k1 } satisfies ThreadMessage);
