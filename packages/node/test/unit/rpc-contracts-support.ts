/** Contracts for the RPC tests: compiled ones, and a few bytes by hand; signed calls of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Address, AssignmentTable, concatBytes, fromHex, type Genesis, toHex } from '@shardlab/crosslink';
import { signTransaction } from '@shardlab/shard';
import { accountsOf, addressOf, CHAIN_ID, CRYPTO, secretOf } from './chain-store-support.ts';
import type { TestNetwork } from './rpc-support.ts';

interface Artifacts {
  readonly contracts: Readonly<Record<string, { readonly initcode: string; readonly methods: Readonly<Record<string, string>> }>>;
}

/** Data, not a module: these tests read what the compiler has written, and import nothing of the program. */
const ARTIFACTS = JSON.parse(readFileSync(join(import.meta.dirname, '../../../cli/src/workload/contracts/artifacts.json'), 'utf8')) as Artifacts;

export const SUPPLY = 10n ** 24n;
/** First topic of `Transfer(address,address,uint256)`. */
export const TRANSFER = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef';

/** A number or an address as a word of an ABI. */
export function word(value: bigint | Uint8Array): Uint8Array {
  return fromHex(`0x${(typeof value === 'bigint' ? value.toString(16) : toHex(value).slice(2)).padStart(64, '0')}`);
}

/** A short text in the tail of an ABI. */
function text(value: string): Uint8Array {
  const out = new Uint8Array(64);
  out.set(word(BigInt(value.length)));
  out.set(new TextEncoder().encode(value), 32);
  return out;
}

/** Initcode of OpenZeppelin's ERC-20 with {@link SUPPLY} for its deployer. */
export function tokenInitcode(): Uint8Array {
  const code = fromHex(`0x${ARTIFACTS.contracts['Token']!.initcode.replace(/^0x/, '')}`);
  return concatBytes(code, word(96n), word(160n), word(SUPPLY), text('Token'), text('TKN'));
}

/** Call data of a token's method. */
export function tokenCall(signature: string, ...values: (bigint | Uint8Array)[]): Uint8Array {
  return concatBytes(CRYPTO.keccak256(new TextEncoder().encode(signature)).subarray(0, 4), ...values.map(word));
}

/** A signed transaction of type 2 that calls, or creates. */
export function signed(from: number, nonce: number, to: Address | undefined, data: Uint8Array, gasLimit = 2_000_000, value = 0n): string {
  const fees = { maxPriorityFeePerGas: 1_000_000_000n, maxFeePerGas: 4_000_000_000n };
  return toHex(signTransaction({ type: 2, chainId: CHAIN_ID, nonce, gasLimit, to, value, data, accessList: [], ...fees }, secretOf(from), CRYPTO).raw);
}

/** The address of what an account makes with its first transaction. */
export function firstContractOf(account: number): Address {
  return CRYPTO.keccak256(concatBytes(Uint8Array.of(0xd6, 0x94), addressOf(account), Uint8Array.of(0x80))).slice(12) as Address;
}

/** An account of `shard` whose first contract the assignment gives to shard `home`. */
export function deployerOn(genesis: Genesis, shard: number, home: number): number {
  const table = new AssignmentTable(CRYPTO, { shards: genesis.shards, overrides: [] });
  const found = accountsOf(genesis, shard, 100).find((account) => table.shardOf(firstContractOf(account)) === home);
  if (found === undefined) throw new Error('no such account: use more of them');
  return found;
}

/** Puts a token onto shard 0, in its first block. */
export async function deployToken(net: TestNetwork): Promise<{ readonly owner: number; readonly token: Address; readonly hash: string }> {
  const owner = deployerOn(net.genesis, 0, 0);
  const hash = (await net.result(net.node(0), 0, 'eth_sendRawTransaction', signed(owner, 0, undefined, tokenInitcode()))) as string;
  await net.block(0);
  return { owner, token: firstContractOf(owner), hash };
}

/** Runtime code that reverts with `data` of at most 255 bytes, which stands behind it. */
export function revertingCode(data: Uint8Array): Uint8Array {
  const size = data.length;
  // PUSH1 size, PUSH1 12, PUSH0, CODECOPY, PUSH1 size, PUSH0, REVERT
  const code = Uint8Array.of(0x60, size, 0x60, 10, 0x5f, 0x39, 0x60, size, 0x5f, 0xfd);
  return concatBytes(code, data);
}

/** ABI data of `Error(string)`. */
export function errorData(reason: string): Uint8Array {
  return concatBytes(fromHex('0x08c379a0'), word(32n), text(reason));
}

/** ABI data of `Panic(uint256)`. */
export function panicData(code: bigint): Uint8Array {
  return concatBytes(fromHex('0x4e487b71'), word(code));
}
