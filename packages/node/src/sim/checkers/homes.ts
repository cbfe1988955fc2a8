import {
  accountOwner,
  ACCOUNTS,
  type Address,
  BASIC_DATA_POSITION,
  bytesKey,
  decodeBasicData,
  decodeFlatKey,
  decodeFlatValue,
  decodeStub,
  encodeFlatKey,
  equalBytes,
  fromHex,
  keyBytes,
  NAMESPACE_BYTES,
  STUBS,
  toHex,
} from '@shardlab/crosslink';
import { recordAt } from './record-at.ts';

/** Every shard has its own of those: where hashes of blocks are kept under Prague (EIP-2935). */
const EVERYWHERE = bytesKey(fromHex('0x0000f90827f1c53a10cb7a02335b175320002935'));

/** An account as flat values have it; undefined if there is none. */
export function basicDataOf(values: ReadonlyMap<string, Uint8Array>, address: Address): ReturnType<typeof decodeBasicData> | undefined {
  const flat = values.get(bytesKey(encodeFlatKey({ owner: accountOwner(address), treeIndex: BASIC_DATA_POSITION.treeIndex })));
  const basic = flat === undefined ? undefined : decodeFlatValue(flat).find(({ suffix }) => suffix === BASIC_DATA_POSITION.suffix);
  return basic === undefined ? undefined : decodeBasicData(basic.value);
}

/**
 * What is wrong with where accounts live, by all shards' flat values (R8, R11): no address has an account on two shards; who does not live where `ruleOf` says has a stub
 * there that leads to it; and every stub leads to a contract.
 */
export function homesOf(shards: readonly ReadonlyMap<string, Uint8Array>[], ruleOf: (address: Address) => number): string[] {
  const wrong: string[] = [];
  const homes = new Map<string, number>();
  const stubs = new Map<string, number>();
  shards.forEach((values, shard) => {
    for (const key of values.keys()) {
      const { owner } = decodeFlatKey(keyBytes(key));
      const space = owner.subarray(0, NAMESPACE_BYTES);
      const address = owner.slice(NAMESPACE_BYTES) as Address;
      const known = homes.get(bytesKey(address));
      if (equalBytes(space, STUBS)) {
        if (ruleOf(address) !== shard) wrong.push(`shard ${shard} keeps a stub of ${toHex(address)}, which is not its own`);
        stubs.set(bytesKey(address), decodeStub(recordAt(values, owner)!));
      } else if (equalBytes(space, ACCOUNTS) && known !== shard && bytesKey(address) !== EVERYWHERE) {
        if (known !== undefined) wrong.push(`account ${toHex(address)} lives on shards ${known} and ${shard}`);
        homes.set(bytesKey(address), shard);
      }
    }
  });
  for (const [key, home] of homes) {
    const leads = stubs.get(key) ?? ruleOf(keyBytes(key) as Address);
    if (leads !== home) wrong.push(`account ${toHex(keyBytes(key))} lives on shard ${home}, and what leads to it leads to ${leads}`);
  }
  for (const [key, home] of stubs) {
    if (homes.get(key) !== home) wrong.push(`the stub of ${toHex(keyBytes(key))} leads to shard ${home}, where nothing is`);
  }
  return wrong;
}
