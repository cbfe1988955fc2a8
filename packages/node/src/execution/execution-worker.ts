/** The thread that executes runs of transactions; started by the pool. Answers each in order. */
import { threadCpuUsage } from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';

import { invariant } from '@shardlab/crosslink';
import { RunExecutor, SharedSource, SharedState, transferables, unpackBlock, unpackTransactions } from '@shardlab/shard';

import { createEvmCrypto } from '../crypto/create-evm-crypto.ts';
import { AnswerBox, AskingSource } from './answer-box.ts';
import type { ExecutionSetup, RunMessage, ThreadMessage } from './messages.ts';

const port = parentPort;
invariant(port !== null, 'this file runs as a worker thread');
const { rules, seed, size, state, answers, libraries } = workerData as ExecutionSetup;
const crypto = await createEvmCrypto({ libraries });
const shared = new SharedState({ ...size, seed }, state);
const fallback = new AskingSource(new AnswerBox(answers), (question) => port.postMessage({ kind: 'question', question } satisfies ThreadMessage));
const source = new SharedSource({ emptyHash: crypto.keccak256(new Uint8Array(0)) }, { shared, fallback });
const executor = new RunExecutor({ ...rules, seed }, { crypto, source });

port.on('message', ({ id, block, transactions, learn }: RunMessage) => {
  source.refresh();
  const result = executor.execute(source, unpackBlock(block), unpackTransactions(transactions), learn);
  const { user, system } = threadCpuUsage();
  port.postMessage({ kind: 'result', id, result, cpuUs: user + system } satisfies ThreadMessage, transferables(result));
});
port.postMessage({ kind: 'ready' } satisfies ThreadMessage);
