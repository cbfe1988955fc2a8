import { STATE_KEY_BYTES_MAX } from '../../storage/key-space.ts';
import type { PinnedStates } from '../../storage/chain-store-pins.ts';
import { data } from '../format.ts';
import type { RpcMethod } from '../json-rpc.ts';
import { invalidParams } from '../rpc-error.ts';

/** Most bytes that a caller may ask of one page. */
const PAGE_BYTES_MAX = 1 << 20;

/**
 * Methods with which an auditor reads a whole state at one height. `shard_readState` answers flat entries in order of key, each u16 key length, key, u16 value
 * length, value; the cursor is the last key.
 */
export function pinMethods(pins: PinnedStates): [string, RpcMethod][] {
  return [
    [
      'shard_pinState',
      async (params) => {
        const { id, height, stateRoot, expiresMs } = await pins.pin(params.atMost(1).integer(0, 'a height', 0, Number.MAX_SAFE_INTEGER));
        return { pin: id, height, stateRoot: data(stateRoot), expiresMs };
      },
    ],
    [
      'shard_readState',
      async (params) => {
        const id = params.atMost(3).text(0, 'a pin', 64);
        const cursor = params.has(1) ? params.data(1, STATE_KEY_BYTES_MAX) : undefined;
        if (cursor?.length === 0) throw invalidParams('parameter 2 must be a cursor of an earlier page, or null');
        const sizeBytes = params.has(2) ? params.integer(2, 'a number of bytes', 1, PAGE_BYTES_MAX) : PAGE_BYTES_MAX;
        const { entries, next } = await pins.read(id, cursor, sizeBytes);
        return { entries: data(entries), next: next === undefined ? null : data(next) };
      },
    ],
    ['shard_unpinState', (params) => pins.unpin(params.atMost(1).text(0, 'a pin', 64))],
  ];
}
