import { bytesKey, type CoordinatorRecord, type Moment, type Phase, type ShardId, type TxHash } from '@shardlab/crosslink';
import type { PoolTransaction } from '@shardlab/shard';
import type { ChainReader } from '../../storage/chain-store-reader.ts';
import { data } from '../format.ts';
import type { NodeHandle } from '../node-handle.ts';
import type { JsonObject } from '../transaction-json.ts';

interface TracedPhase {
  readonly phase: Phase;
  /** null where several shards share the step, and the record keeps the last one's moment only. */
  readonly shard: number | null;
  readonly height: number;
  readonly timeMs: number;
  readonly wallMs?: number;
}

/** A transaction's life as this shard knows it: as coordinator, or as the shard of an intra-shard one. null = never met. */
export async function traceTransaction(handle: NodeHandle, hash: TxHash): Promise<JsonObject | null> {
  const { chain, shard } = handle;
  const pooled = shard?.pooled(bytesKey(hash));
  const ended = await chain.tombstone(hash);
  if (ended !== undefined) {
    const { record, commit, acked } = ended;
    const phases = [...recordPhases(chain.chain, record), at('acked', chain.chain, acked)];
    return crossShard(chain, hash, record, phases, commit ? 'committed' : 'aborted');
  }
  const open = await chain.coordinating(hash);
  if (open !== undefined) return crossShard(chain, hash, open, recordPhases(chain.chain, open), 'pending');
  const place = await chain.place(hash);
  if (place?.listed !== undefined) {
    // It may have been settled since the tombstone was looked for.
    if ((await chain.tombstone(hash)) !== undefined) return traceTransaction(handle, hash);
    return intraShard(chain, hash, place.listed.height, place.listed.index);
  }
  return pooled === undefined ? null : pooledTrace(handle, pooled);
}

function at(phase: Phase, shard: number | null, moment: Moment): TracedPhase {
  return { phase, shard, height: moment.height, timeMs: moment.timestampMs };
}

function recordPhases(coordinator: ShardId, record: CoordinatorRecord): TracedPhase[] {
  const { participants, prepared, voted, decided, applied } = record;
  const other = participants.length === 1 ? participants[0]!.shard : null;
  return [
    at('prepared', coordinator, prepared),
    ...(voted === undefined ? [] : [at('voted', other, voted)]),
    ...(decided === undefined ? [] : [at('decided', coordinator, decided)]),
    ...(applied === undefined ? [] : [at('applied', other, applied)]),
  ];
}

async function crossShard(
  chain: ChainReader,
  hash: TxHash,
  record: CoordinatorRecord,
  phases: readonly TracedPhase[],
  outcome: 'pending' | 'committed' | 'aborted',
): Promise<JsonObject> {
  return {
    hash: data(hash),
    id: data(record.id),
    kind: 'crossShard',
    outcome,
    ...(record.reason === 'none' ? {} : { reason: record.reason }),
    coordinator: chain.chain,
    participants: record.participants.map((each) => each.shard),
    attempt: record.attempt,
    phases: await Promise.all(phases.map((phase) => withWallTime(chain, phase))),
  };
}

/** This node knows the wall time of its own shard's blocks alone. */
async function withWallTime(chain: ChainReader, phase: TracedPhase): Promise<TracedPhase> {
  const head = phase.shard === chain.chain ? await chain.headAt(phase.height) : undefined;
  return head === undefined ? phase : { ...phase, wallMs: head.wallMs };
}

async function intraShard(chain: ChainReader, hash: TxHash, height: number, index: number): Promise<JsonObject | null> {
  const block = (await chain.block(height))?.block;
  const receipt = block?.receipts[index];
  if (block === undefined || receipt === undefined) return null;
  const applied: TracedPhase = { phase: 'applied', shard: chain.chain, height, timeMs: block.header.timestampMs, wallMs: block.wallMs };
  return {
    hash: data(hash),
    id: data(hash),
    kind: 'intraShard',
    outcome: receipt.status === 1 ? 'committed' : 'aborted',
    ...(receipt.reason === 'none' ? {} : { reason: receipt.reason }),
    coordinator: chain.chain,
    participants: [],
    attempt: 1,
    phases: [applied],
  };
}

function pooledTrace(handle: NodeHandle, { hash, to }: PoolTransaction): JsonObject {
  const { chain: own } = handle.name;
  const home = to === undefined ? own : (handle.assignment()?.table.shardOf(to) ?? own);
  const kind = home === own ? 'intraShard' : 'crossShard';
  return { hash: data(hash), id: data(hash), kind, outcome: 'pending', coordinator: own, participants: home === own ? [] : [home], attempt: 0, phases: [] };
}
