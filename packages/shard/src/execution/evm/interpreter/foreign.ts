import type { AccountId } from '../types.ts';
import { toBytes } from '../words/basic.ts';
import type { Machine } from './machine.ts';
import { FOREIGN_ACCOUNT, type Outcome } from './outcome.ts';

/** First 4 bytes of keccak-256 of `ForeignAccount(address,uint256)`. */
const SELECTOR = [0x9b, 0x3f, 0x8c, 0xdc] as const;
const DATA_BYTES = 4 + 32 + 32;

/**
 * Ends the frame as a revert with the custom error `ForeignAccount(address account, uint256 shard)`: what code may not ask of an account of another shard (R12).
 */
export function foreignAccount(machine: Machine, account: AccountId): Outcome {
  const data = new Uint8Array(DATA_BYTES);
  data.set(SELECTOR);
  const words = new Uint32Array(16);
  machine.world.addressInto(account, words, 0);
  words[8] = machine.world.homeOf(account);
  toBytes(words, 0, data, 4);
  toBytes(words, 8, data, 36);
  machine.setOutput(data, 0, DATA_BYTES);
  return FOREIGN_ACCOUNT;
}
