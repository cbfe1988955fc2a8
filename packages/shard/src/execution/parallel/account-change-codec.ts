import type { Reader, Writer } from '@shardlab/crosslink';
import type { AccountChange } from '../evm/world/accounts.ts';

const CODE_BYTES_MAX = 1 << 16;

/** Appends a change, for another thread. */
export function writeAccountChange(writer: Writer, change: AccountChange): void {
  writer.fixed(change.address, 20).bool(change.deleted).bool(change.storageEmptied).u256(change.nonce).u256(change.nonceBefore).u256(change.balance).u256(change.balanceBefore);
  writer.fixed(change.codeHash, 32).bool(change.code !== undefined);
  if (change.code !== undefined) writer.bytes(change.code, CODE_BYTES_MAX);
}

/** Reads what {@link writeAccountChange} wrote; bytes are views. */
export function readAccountChange(reader: Reader): AccountChange {
  const [address, deleted, storageEmptied] = [reader.address(), reader.bool(), reader.bool()];
  const [nonce, nonceBefore, balance, balanceBefore] = [reader.u256(), reader.u256(), reader.u256(), reader.u256()];
  const codeHash = reader.hash();
  return { address, deleted, storageEmptied, nonce, nonceBefore, balance, balanceBefore, codeHash, code: reader.bool() ? reader.bytes(CODE_BYTES_MAX) : undefined };
}
