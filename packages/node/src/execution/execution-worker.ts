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
} from '@shardlab/shard';

import { createCrypto } from '../crypto/create-crypto.ts';
import { createEvmCrypto } from '../crypto/create-evm-crypto.ts';
import { unpackRaws } from '../recovery/wire.ts';
import { AnswerBox, AskingSource } from './answer-box.ts';
import type { ExecutionSetup, ThreadAnswer, ThreadMessage, ThreadRequest } from './messages.ts';
import { TransactionArena } from './transaction-arena.ts';
import { receiveTransactions } from './transaction-places.ts';

const port = parentPort;
invariant(port !== null, 'this file runs as a worker thread');
const { rules, seed, size, state, arena: arenaBuffer, answers, libraries, transactions, admission } = workerData as ExecutionSetup;
const crypto = await createEvmCrypto({ libraries });
const signing = await createCrypto({ libraries, transactions });
const arena = new TransactionArena(arenaBuffer);
const shared = new SharedState({ ...size, seed }, state);
const fallback = new AskingSource(new AnswerBox(answers), () => port.postMessage({ kind: 'question' } satisfies ThreadMessage));
const source = new SharedSource({ emptyHash: crypto.keccak256(new Uint8Array(0)) }, { shared, fallback });
const executor = new RunExecutor({ ...rules, seed }, { crypto, source });
const speculator = new SpeculativeExecutor({ ...rules, seed }, { crypto, source });

function answer(request: ThreadRequest): ThreadAnswer {
  switch (request.kind) {
    case 'run':
    case 'speculate': {
      const sent = receiveTransactions(arena, request.transactions);
      if (sent === undefined) return { kind: 'stale' };
      source.refresh();
      const block = unpackBlock(request.block);
      if (request.kind === 'run') return { kind: 'run', result: executor.execute(source, block, sent, request) };
      return { kind: 'speculate', packed: packSpeculated(speculator.execute(source, block, sent)) };
    }
    case 'recover':
      invariant(admission !== undefined, 'these threads recover senders');
      return { kind: 'recover', records: recoverBatch(unpackRaws(request.packed), signing, admission).buffer as ArrayBuffer };
  }
}

function movable(done: ThreadAnswer): ArrayBuffer[] {
  switch (done.kind) {
    case 'run':
      return transferables(done.result);
    case 'speculate':
      return [done.packed.buffer];
    case 'recover':
      return [done.records];
    case 'stale':
      return [];
  }
}

port.on('message', ({ id, request }: { readonly id: number; readonly request: ThreadRequest }) => {
  const done = answer(request);
  const { user, system } = threadCpuUsage();
  port.postMessage({ kind: 'answer', id, answer: done, cpuUs: user + system } satisfies ThreadMessage, movable(done));
});
port.postMessage({ kind: 'ready', library: signing.names.secp256k1 } satisfies ThreadMessage);
