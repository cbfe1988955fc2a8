import { Writer } from '../codec/writer.ts';
import type { Hasher } from '../crypto.ts';
import { ascii, bytesKey, type Hash32, type ShardId, type TxHash } from '../primitives.ts';

const DOMAIN = ascii('shardlab/xtx/1');
/** Bytes of a record's id under its namespace. */
export const RECORD_ID_BYTES = 20;

/** R15: the id of a cross-shard transaction, H(domain, chain, coordinator, transaction hash). Attempt and phase stand beside it in messages. */
export function crossShardId(hasher: Hasher, chainId: number, coordinator: ShardId, txHash: TxHash): Hash32 {
  const writer = new Writer(64).fixed(DOMAIN, DOMAIN.length).u64(chainId).u16(coordinator).fixed(txHash, 32);
  return hasher.sha256(writer.finish());
}

/** The first 20 bytes of an id: the record's place under its namespace. */
export function recordId(id: Hash32): Uint8Array {
  return id.subarray(0, RECORD_ID_BYTES);
}

/** {@link recordId} as a map key. */
export function recordKey(id: Uint8Array): string {
  return bytesKey(id.subarray(0, RECORD_ID_BYTES));
}
