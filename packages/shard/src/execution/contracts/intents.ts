import { type Address, type Call, type CoordinatorRecord, type Hasher, keepStubs, type Operation, type ShardId, type Stub, STUBS_MAX } from '@shardlab/crosslink';
import { dataOf } from '../../transaction/evm-transaction.ts';
import type { PoolTransaction } from '../../transaction/types.ts';
import { createAddress } from '../evm/creations.ts';

/** One shard's part in a cross-shard transaction. */
export interface Part {
  readonly shard: ShardId;
  readonly operation: Operation;
}

/** What the shard of its recipient is asked for a transaction: with data a call, without it that shard decides (R16). */
export function operationOf(tx: PoolTransaction): Operation {
  const { sender: from, to, value } = tx;
  const gasLimit = tx.gasLimit - tx.intrinsicGas;
  if (to === undefined) throw new TypeError('a creation has no recipient');
  if (tx.dataLength === 0) return { kind: 'transfer', from, to, value, gasLimit };
  return callsOf(from, [{ to, value, gasLimit, data: dataOf(tx) }], []);
}

function callsOf(from: Address, calls: readonly Call[], granted: readonly Address[]): Operation {
  const value = calls.reduce((sum, call) => sum + call.value, 0n);
  const gasLimit = calls.reduce((sum, call) => sum + call.gasLimit, 0);
  return { kind: 'call', from, value, gasLimit, calls, stubs: [], granted };
}

/** What the own shard runs of a transaction of its own, when the contracts at `granted` may be made. */
function ownOperation(tx: PoolTransaction, granted: readonly Address[]): Operation {
  const { sender: from, to, value, nonce } = tx;
  const gasLimit = tx.gasLimit - tx.intrinsicGas;
  if (tx.calls !== undefined) return callsOf(from, tx.calls, granted);
  const data = dataOf(tx);
  if (to === undefined) return { kind: 'create', from, nonce, value, gasLimit, initcode: data, stubs: [], granted };
  return callsOf(from, [{ to, value, gasLimit, data }], granted);
}

/** The parts of a transaction that makes the contracts `created` here, whose stubs the shards of `ruleOf` have to keep (R11). Undefined if they are too many. */
export function partsWithStubs(own: ShardId, tx: PoolTransaction, created: readonly Address[], ruleOf: (address: Address) => ShardId): Part[] | undefined {
  if (created.length > STUBS_MAX) return undefined;
  const stubs = new Map<ShardId, Stub[]>();
  for (const address of created) {
    const keeper = ruleOf(address);
    const known = stubs.get(keeper);
    if (known === undefined) stubs.set(keeper, [{ address, home: own }]);
    else known.push({ address, home: own });
  }
  const parts: Part[] = [{ shard: own, operation: ownOperation(tx, created) }];
  for (const [shard, kept] of stubs) parts.push({ shard, operation: keepStubs(tx.sender, kept) });
  return parts;
}

/** The parts of an atomic batch: the calls of each shard, in the batch's order; shards in the order in which they are first called. */
export function partsOfBatch({ sender: from, calls = [] }: PoolTransaction, homeOf: (address: Address) => ShardId): Part[] {
  const byShard = new Map<ShardId, Call[]>();
  for (const { to, value, gasLimit, data } of calls) {
    const home = homeOf(to);
    const known = byShard.get(home);
    if (known === undefined) byShard.set(home, [{ to, value, gasLimit, data }]);
    else known.push({ to, value, gasLimit, data });
  }
  return [...byShard].map(([shard, own]) => ({ shard, operation: callsOf(from, own, []) }));
}

/** The contract that a cross-shard creation made: its address follows from the sender and the nonce. Undefined for all else. */
export function contractOf(hasher: Pick<Hasher, 'keccak256'>, record: CoordinatorRecord): Address | undefined {
  for (const { operation } of record.participants) {
    if (operation.kind === 'create') return createAddress(hasher, record.sender, BigInt(operation.nonce));
  }
  return undefined;
}
