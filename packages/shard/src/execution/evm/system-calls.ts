import { type Address, fromHex, type Hash32 } from '@shardlab/crosslink';
import type { Evm } from './evm.ts';
import type { BlockEnvironment } from './types.ts';
import type { WorldState } from './world-state.ts';

/** Who makes a system call (EIP-4788, EIP-2935). */
const SYSTEM_ADDRESS = fromHex('0xfffffffffffffffffffffffffffffffffffffffe') as Address;
/** Gas of a system call; it counts against no limit. */
const SYSTEM_GAS = 30_000_000;
const NO_BLOBS: readonly Uint8Array[] = [];

/** Keeps the hashes of the last 8,191 blocks (EIP-2935, `HISTORY_STORAGE_ADDRESS`). */
export const HISTORY_ADDRESS = fromHex('0x0000f90827f1c53a10cb7a02335b175320002935') as Address;
/** The code that EIP-2935 has at {@link HISTORY_ADDRESS}, for genesis. */
export const HISTORY_CODE: Uint8Array = fromHex(
  '0x3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500',
);

/**
 * What comes before a block's first transaction: under Prague the parent's hash goes to {@link HISTORY_ADDRESS} (EIP-2935). Nothing happens where that contract is
 * not deployed. Its changes stand in `world.changes()`.
 */
export function beginBlock(evm: Evm, world: WorldState, block: BlockEnvironment, parentHash: Hash32): void {
  if (evm.fork === 'cancun') return;
  world.beginTransaction();
  const to = world.accountOf(HISTORY_ADDRESS);
  if (world.code(to).bytes.length === 0) return;
  evm.begin(block, { origin: SYSTEM_ADDRESS, gasPrice: 0n, blobHashes: NO_BLOBS });
  evm.call({ caller: world.accountOf(SYSTEM_ADDRESS), to, value: 0n, data: parentHash, gas: SYSTEM_GAS });
  world.endTransaction();
}
