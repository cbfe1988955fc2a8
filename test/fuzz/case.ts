/** What the differential fuzzer runs: accounts with programs, and transactions that call them. Plain data, so that it can be shrunk and printed. */
import type { EvmFork } from '../../packages/shard/src/execution/evm/types.ts';

/** One piece of a program. Jump targets and nested programs are named, not placed, so that pieces can be dropped and the rest still fits. */
export type Item =
  | { readonly kind: 'op'; readonly op: number }
  /** PUSH0 to PUSH32; `value` is cut to `size` bytes. */
  | { readonly kind: 'push'; readonly size: number; readonly value: bigint }
  /** A JUMPDEST. */
  | { readonly kind: 'label'; readonly id: number }
  /** PUSH2 of a label's position and `plus`; 0xffff if there is no such label. */
  | { readonly kind: 'push-label'; readonly id: number; readonly plus: number }
  /** PUSH2 of where `data[index]` begins. */
  | { readonly kind: 'push-offset'; readonly index: number }
  /** PUSH2 of how many bytes `data[index]` has. */
  | { readonly kind: 'push-size'; readonly index: number }
  | { readonly kind: 'raw'; readonly bytes: Uint8Array };

/** Code, and behind it the data and the programs (initcode, the code that it deploys) that it copies from itself. */
export interface Program {
  readonly items: readonly Item[];
  readonly data: readonly (Program | Uint8Array)[];
}

/** An account before the first transaction. */
export interface FuzzAccount {
  /** 20 bytes. */
  readonly address: Uint8Array;
  readonly balance: bigint;
  readonly nonce: bigint;
  readonly program: Program | undefined;
  /** Key and value, neither zero-valued. */
  readonly storage: readonly (readonly [bigint, bigint])[];
}

/** One message call or creation from outside. */
export interface FuzzTransaction {
  readonly caller: Uint8Array;
  /** undefined: a creation, whose initcode is `program`. */
  readonly to: Uint8Array | undefined;
  readonly program: Program | undefined;
  readonly data: Uint8Array;
  readonly value: bigint;
  readonly gas: number;
  readonly gasPrice: bigint;
  readonly blobHashes: readonly Uint8Array[];
  /** Warm from the start (EIP-2930), beside caller, target, coinbase and precompiles. */
  readonly accessList: readonly { readonly address: Uint8Array; readonly slots: readonly bigint[] }[];
}

/** How our EVM runs a case; the oracle has one way. */
export type FuzzMode = 'interpreted' | 'compiled' | 'traced';

/** Transactions that run one after the other on one state, each with its own end of transaction. */
export interface FuzzCase {
  readonly seed: number;
  readonly fork: EvmFork;
  readonly mode: FuzzMode;
  readonly accounts: readonly FuzzAccount[];
  readonly transactions: readonly FuzzTransaction[];
  readonly block: {
    readonly number: bigint;
    readonly timestamp: bigint;
    readonly gasLimit: bigint;
    readonly coinbase: Uint8Array;
    readonly prevRandao: Uint8Array;
    readonly baseFeePerGas: bigint;
    readonly blobBaseFee: bigint;
  };
}

/** Chain id of all cases: mainnet's, which is the oracle's. */
export const CHAIN_ID = 1n;

const PUSH0 = 0x5f;
const PUSH2 = 0x61;
const JUMPDEST = 0x5b;
const NOWHERE = 0xffff;

function sizeOf(item: Item): number {
  switch (item.kind) {
    case 'op':
    case 'label':
      return 1;
    case 'push':
      return 1 + item.size;
    case 'push-label':
    case 'push-offset':
    case 'push-size':
      return 3;
    case 'raw':
      return item.bytes.length;
  }
}

/** The bytes of a program. Positions above 65,535 are cut: no case is that long, except by design. */
export function assemble(program: Program): Uint8Array {
  const data = program.data.map((each) => (each instanceof Uint8Array ? each : assemble(each)));
  const labels = new Map<number, number>();
  let length = 0;
  for (const item of program.items) {
    if (item.kind === 'label') labels.set(item.id, length);
    length += sizeOf(item);
  }
  const offsets: number[] = [];
  for (const bytes of data) {
    offsets.push(length);
    length += bytes.length;
  }
  const out = new Uint8Array(length);
  let at = 0;
  const push = (size: number, value: bigint): void => {
    out[at] = PUSH0 + size;
    for (let i = 0; i < size; i++) out[at + size - i] = Number((value >> BigInt(8 * i)) & 0xffn);
    at += 1 + size;
  };
  const push2 = (value: number): void => {
    out[at] = PUSH2;
    out[at + 1] = value >>> 8;
    out[at + 2] = value;
    at += 3;
  };
  for (const item of program.items) {
    if (item.kind === 'op') out[at++] = item.op;
    else if (item.kind === 'label') out[at++] = JUMPDEST;
    else if (item.kind === 'push') push(item.size, item.value);
    else if (item.kind === 'push-label') push2((labels.get(item.id) ?? NOWHERE) + item.plus);
    else if (item.kind === 'push-offset') push2(offsets[item.index] ?? NOWHERE);
    else if (item.kind === 'push-size') push2(data[item.index]?.length ?? 0);
    else {
      out.set(item.bytes, at);
      at += item.bytes.length;
    }
  }
  data.forEach((bytes, index) => out.set(bytes, offsets[index]));
  return out;
}
