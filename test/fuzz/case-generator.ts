/** Random cases: accounts that call each other, and one to four transactions. */
import { concatBytes, Prng } from '@shardlab/crosslink';
import { OPS, ProgramBuilder } from './builder.ts';
import type { World } from './builder.ts';
import type { FuzzAccount, FuzzCase, FuzzMode, FuzzTransaction, Program } from './case.ts';
import { initcodeOf, runtimeProgram } from './program-generator.ts';

const MODES: readonly FuzzMode[] = ['compiled', 'compiled', 'interpreted', 'traced'];
const SLOTS = 6;
const ETHER = 10n ** 18n;
/** Enough to get 1,024 calls deep, where each call gives 63/64 of its gas to the next. */
const DEEP_GAS = 200_000_000_000;
/** Once in so many cases; the oracle takes a second for it. */
const DEEP_ONE_IN = 4_000;

function wordBytes(value: bigint): Uint8Array {
  const out = new Uint8Array(32);
  for (let i = 31, rest = value; i >= 0; i--, rest >>= 8n) out[i] = Number(rest & 0xffn);
  return out;
}

function addressBytes(value: bigint): Uint8Array {
  return wordBytes(value).subarray(12);
}

function storageOf(prng: Prng): (readonly [bigint, bigint])[] {
  const out: (readonly [bigint, bigint])[] = [];
  for (let key = 0; key < SLOTS; key++) if (prng.below(2) === 0) out.push([BigInt(key), BigInt(1 + prng.below(3))]);
  return out;
}

/** A program that calls itself with all gas until no more is possible, then writes down how that ended. */
function deepProgram(): Program {
  const bytes = Uint8Array.of(0x5f, 0x5f, 0x5f, 0x5f, 0x5f, OPS.ADDRESS, OPS.GAS, OPS.CALL, 0x5f, OPS.SLOAD, OPS.ADD, 0x60, 1, OPS.ADD, 0x5f, OPS.SSTORE);
  return { items: [{ kind: 'raw', bytes }], data: [] };
}

/** EIP-7702. Under Cancun this is code that begins with an invalid instruction. */
function delegation(to: bigint): Program {
  return { items: [{ kind: 'raw', bytes: Uint8Array.of(0xef, 0x01, 0x00, ...addressBytes(to)) }], data: [] };
}

function contractProgram(prng: Prng, world: World): Program {
  if (prng.below(12) === 0) return delegation(world.contracts[prng.below(world.contracts.length)]!);
  if (prng.below(40) === 0) return { items: [{ kind: 'raw', bytes: prng.bytes(prng.below(80)) }], data: [] };
  return runtimeProgram(prng.fork(), world);
}

function gasLimit(prng: Prng): number {
  const kind = prng.below(20);
  if (kind === 0) return prng.below(3_000);
  if (kind < 4) return prng.below(60_000);
  if (kind < 17) return 60_000 + prng.below(600_000);
  return 2_000_000;
}

/** Words that mean something to arithmetic, and now and then noise. */
function callData(prng: Prng, world: World): Uint8Array {
  const kind = prng.below(8);
  if (kind === 0) return new Uint8Array(0);
  if (kind === 1) return prng.bytes(prng.below(130));
  const b = new ProgramBuilder(prng, world);
  return concatBytes(...Array.from({ length: 1 + prng.below(6) }, () => wordBytes(b.constant())));
}

function transaction(prng: Prng, world: World, callers: readonly bigint[], deep: boolean): FuzzTransaction {
  const creates = !deep && prng.below(8) === 0;
  // The first contract is the one that may call all others.
  const targets = prng.below(12) === 0 ? [...world.others, 4n, 2n] : prng.below(2) === 0 ? world.contracts : world.contracts.slice(0, 1);
  const blobs = prng.below(3);
  return {
    caller: addressBytes(callers[prng.below(callers.length)]!),
    to: creates ? undefined : addressBytes(deep ? world.contracts[0]! : targets[prng.below(targets.length)]!),
    program: creates ? initcodeOf(prng.fork(), world) : undefined,
    data: creates ? new Uint8Array(0) : callData(prng, world),
    value: prng.below(3) === 0 ? BigInt(prng.below(1_000)) : 0n,
    gas: deep ? DEEP_GAS : gasLimit(prng),
    gasPrice: BigInt(prng.below(1_000)),
    blobHashes: Array.from({ length: blobs }, () => prng.bytes(32)),
    accessList: prng.below(4) === 0 ? [{ address: addressBytes(world.contracts[prng.below(world.contracts.length)]!), slots: [0n, BigInt(prng.below(SLOTS))] }] : [],
  };
}

/** The case of a seed. Seeds are safe integers; equal seeds give equal cases. */
export function generateCase(seed: number): FuzzCase {
  const prng = new Prng(seed);
  const fork = prng.below(2) === 0 ? 'cancun' : 'prague';
  const mode = MODES[prng.below(MODES.length)]!;
  const deep = prng.below(DEEP_ONE_IN) === 0;
  const address = (tag: number, index: number): bigint => (BigInt(0xa0 + tag) << 152n) | (BigInt(prng.u32()) << 40n) | BigInt(index);
  const contracts = Array.from({ length: 1 + prng.below(4) }, (_, index) => address(1, index));
  const callers = Array.from({ length: 2 }, (_, index) => address(2, index));
  const coinbase = address(3, 0);
  const world: World = { contracts, callees: contracts, others: [...callers, coinbase, address(4, 0), address(4, 1)], precompileMax: fork === 'cancun' ? 0x0a : 0x11 };
  const accounts: FuzzAccount[] = [
    ...callers.map((caller) => ({ address: addressBytes(caller), balance: ETHER, nonce: BigInt(prng.below(300)), program: undefined, storage: [] })),
    ...contracts.map((contract, index) => ({
      address: addressBytes(contract),
      balance: prng.below(3) === 0 ? 0n : BigInt(prng.below(2_000)),
      nonce: 1n,
      program: deep && index === 0 ? deepProgram() : contractProgram(prng, { ...world, callees: contracts.slice(index + 1) }),
      storage: storageOf(prng),
    })),
  ];
  const transactions = Array.from({ length: deep ? 1 : 1 + prng.below(4) }, () => transaction(prng, world, callers, deep));
  const block = {
    number: BigInt(prng.below(3) === 0 ? prng.below(400) : 20_000_000 + prng.below(1_000)),
    timestamp: 1_750_000_000n,
    gasLimit: 30_000_000n,
    coinbase: addressBytes(coinbase),
    prevRandao: prng.bytes(32),
    baseFeePerGas: BigInt(prng.below(100)),
    blobBaseFee: BigInt(1 + prng.below(100)),
  };
  return { seed, fork, mode, accounts, transactions, block };
}
