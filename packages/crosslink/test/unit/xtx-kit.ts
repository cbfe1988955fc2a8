/** One shard under a microscope: a replica whose peers are played by the test. */
import assert from 'node:assert/strict';
import { bytesKey, type Hash32, type Height, type ShardId, type TxHash } from '../../src/primitives.ts';
import { crossShardId } from '../../src/xtx/identity.ts';
import type { CrossShardMessage, Prepare, VoteAnswer } from '../../src/xtx/messages.ts';
import { encodeMessage } from '../../src/xtx/messages.ts';
import { decodeCoordinatorRecord, decodeParticipantRecord } from '../../src/xtx/records.ts';
import type { TwoPhaseCommitOptions } from '../../src/xtx/two-phase-commit.ts';
import type { CoordinatorRecord, CrossShardIntent, ParticipantRecord } from '../../src/xtx/types.ts';
import { type ModelInput, ModelReplica, type ModelResult, scripted, senderOf } from '../sim/xtx-replica.ts';
import { HASHER } from './kit.ts';

export const SHARDS = 4;
export const FUNDS = 1_000_000n;
const DEFAULTS: TwoPhaseCommitOptions = { openPreparesMax: 8, deadlineMs: 1_000, attemptsMax: 4, lockWaitersMax: 4, shards: SHARDS };

/** `index` as a transaction hash. */
export function txOf(index: number): TxHash {
  const hash = new Uint8Array(32);
  new DataView(hash.buffer).setUint32(28, index);
  return hash as TxHash;
}

/** The id of transaction `tx` that shard `coordinator` coordinates. */
export function idOf(coordinator: number, tx: number): Hash32 {
  return crossShardId(HASHER, 1, coordinator as ShardId, txOf(tx));
}

/** A Prepare as `coordinator` would send it. */
export function prepareOf(coordinator: number, tx: number, over: Partial<Prepare> & { to?: Uint8Array; value?: bigint } = {}): Prepare {
  const { to = scripted(0), value = 5n, ...rest } = over;
  const operation = { kind: 'transfer' as const, from: senderOf(coordinator, 0), to: to as never, value, gasLimit: 1_000 };
  return { kind: 'prepare', id: idOf(coordinator, tx), attempt: 0, txHash: txOf(tx), ageMs: 1_000 + tx, deadlineMs: 9_000, gasPrice: 2n, operation, ...rest };
}

/** An intent of transaction `tx` with one credit of 5 wei for each of `shards`. */
export function intentOf(tx: number, shards: readonly number[], over: Partial<CrossShardIntent> = {}): CrossShardIntent {
  const operations = shards.map((shard) => ({ shard: shard as ShardId, operation: prepareOf(0, tx).operation }));
  return {
    txHash: txOf(tx),
    sender: senderOf(0, 0),
    to: scripted(0),
    transactionType: 2,
    operations,
    value: 5n * BigInt(shards.length),
    gasPrice: 2n,
    gasLimit: 5_000,
    intrinsicGas: 100,
    locks: [],
    bodyIndex: 0,
    ...over,
  };
}

/** What one block of the shard under test is made of. */
export interface BenchBlock {
  readonly inbox?: readonly (readonly [source: number, message: CrossShardMessage])[];
  readonly intents?: readonly CrossShardIntent[];
  readonly timestampMs?: number;
}

/** See the head of this file. */
export class Bench {
  readonly replica: ModelReplica;
  readonly options: TwoPhaseCommitOptions;

  constructor(shard = 0, options: Partial<TwoPhaseCommitOptions> = {}) {
    this.options = { ...DEFAULTS, ...options };
    this.replica = new ModelReplica(shard, SHARDS, this.options);
    this.replica.balances.set(bytesKey(senderOf(shard, 0)), FUNDS);
  }

  /** Executes one block, ten milliseconds after the last one unless told otherwise. */
  block({ inbox = [], intents = [], timestampMs }: BenchBlock = {}): ModelResult {
    const { now } = this.replica;
    const next = { height: (now.height + 1) as Height, timestampMs: timestampMs ?? now.timestampMs + 10 };
    const inputs = inbox.map(([source, message]): ModelInput => ({ source: source as ShardId, origin: { height: 1 as Height, timestampMs: 1 }, bytes: encodeMessage(message) }));
    return this.replica.run({ now: next, inbox: inputs, intents });
  }

  /** One block that consumes `messages` of `source`; what it sent. */
  feed(source: number, ...messages: CrossShardMessage[]): CrossShardMessage[] {
    return this.block({ inbox: messages.map((message) => [source, message] as const) }).sent.map(({ message }) => message);
  }

  /** Begins a transaction and returns its id. */
  begin(intent: CrossShardIntent): Hash32 {
    assert.deepEqual(this.block({ intents: [intent] }).begun, ['begun']);
    return crossShardId(HASHER, 1, this.replica.shard, intent.txHash);
  }

  vote(from: number, id: Hash32, answer: VoteAnswer, attempt = 0, gasUsed = 0): ModelResult {
    return this.block({ inbox: [[from, { kind: 'vote', id, attempt, answer, gasUsed }]] });
  }

  ack(from: number, id: Hash32, commit: boolean, attempt = 0): ModelResult {
    return this.block({ inbox: [[from, { kind: 'ack', id, attempt, commit, logs: new Uint8Array(0) }]] });
  }

  get coordinating(): CoordinatorRecord[] {
    return [...this.replica.records.values()].filter(({ namespace }) => namespace === 'coordinator').map(({ value }) => decodeCoordinatorRecord(value));
  }

  get participating(): ParticipantRecord[] {
    return [...this.replica.records.values()].filter(({ namespace }) => namespace === 'participant').map(({ value }) => decodeParticipantRecord(value));
  }

  balance(address: Uint8Array): bigint {
    return this.replica.balances.get(bytesKey(address)) ?? 0n;
  }

  /** Everything that counts, as text: to show that something changed nothing. */
  state(): string {
    const { records, balances, escrowed, burned, sent, received, protocol } = this.replica;
    const { ignoredMessages: _, ...counts } = protocol.counts();
    const stored = [...records].map(([key, { value }]) => `${key}=${value.join()}`).sort();
    const money = [...balances].map(([key, wei]) => `${key}=${wei}`).sort();
    return [...stored, ...money, escrowed, burned, sent, received, JSON.stringify(counts), JSON.stringify(protocol.nextDue())].join('\n');
  }

  get ignored(): number {
    return this.replica.protocol.counts().ignoredMessages;
  }
}

/** The kinds of `messages`, with answers and verdicts, for short assertions. */
export function kinds(messages: readonly CrossShardMessage[]): string[] {
  return messages.map((message) => {
    switch (message.kind) {
      case 'prepare':
        return `prepare ${message.attempt}`;
      case 'vote':
        return `vote ${message.answer.kind}`;
      case 'decision':
        return message.commit ? 'commit' : 'abort';
      case 'ack':
        return message.commit ? 'ack commit' : 'ack abort';
      case 'credit':
        return `credit ${message.value}`;
    }
  });
}
