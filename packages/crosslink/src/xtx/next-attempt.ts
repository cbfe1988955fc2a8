import { bytesKey, type ShardId } from '../primitives.ts';
import { grant, keepStubs, mergeOperations, type Operation, type Stub } from './operations.ts';
import { type CoordinatorRecord, type ParticipantProgress, PARTICIPANTS_MAX } from './types.ts';

/** One shard's part in an attempt. */
type Part = Pick<ParticipantProgress, 'shard' | 'operation'>;

/** Adds a part; undefined if its shard has one that it can not be one with. */
function add(parts: readonly Part[], part: Part): readonly Part[] | undefined {
  const known = parts.find((each) => each.shard === part.shard);
  if (known === undefined) return parts.length < PARTICIPANTS_MAX ? [...parts, part] : undefined;
  const operation = mergeOperations(known.operation, part.operation);
  return operation === undefined ? undefined : parts.map((each) => (each === known ? { shard: part.shard, operation } : each));
}

/** What a participant's operation becomes when others keep the stubs that it asked for; undefined if it asked for nothing new. */
function granted({ operation, needs }: ParticipantProgress): Operation | undefined {
  const before = new Set(operation.kind === 'transfer' ? [] : operation.granted.map(bytesKey));
  const addresses = needs.map((each) => each.address).filter((address) => !before.has(bytesKey(address)));
  return addresses.length === 0 ? undefined : grant(operation, addresses);
}

/**
 * Who is asked what in the attempt after one that failed (R11): whoever sent the coordinator elsewhere is asked there, and shards that have to keep stubs take part. Parts
 * that come together on one shard become one. `undefined`: another attempt would not differ where it has to, or does not fit.
 */
export function nextAttempt(own: ShardId, record: Pick<CoordinatorRecord, 'participants' | 'sender'>): readonly Part[] | undefined {
  let parts: readonly Part[] | undefined = [];
  for (const each of record.participants) {
    const shard: ShardId = each.movedTo ?? each.shard;
    // The coordinator looks at home first: what came to live there meanwhile, its user reaches with a transaction that stays.
    if (each.movedTo === own) return undefined;
    // Stubs that were asked for lead to the old place, or stand there: what was agreed on no longer fits.
    if (each.movedTo !== undefined && each.operation.kind !== 'transfer' && each.operation.stubs.length + each.operation.granted.length > 0) return undefined;
    const operation = each.needs.length === 0 ? each.operation : granted(each);
    if (operation === undefined) return undefined;
    parts = add(parts, { shard, operation });
    if (parts === undefined) return undefined;
  }
  for (const each of record.participants) {
    for (const { shard, address } of each.needs) {
      const stub: Stub = { address, home: each.movedTo ?? each.shard };
      if (shard === stub.home) return undefined;
      parts = add(parts, { shard, operation: keepStubs(record.sender, [stub]) });
      if (parts === undefined) return undefined;
    }
  }
  return parts;
}
