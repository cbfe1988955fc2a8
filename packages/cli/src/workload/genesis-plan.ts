import { ALLOCATION_MAX, ShardlabError, toHex } from '@shardlab/crosslink';
import { type AccountSet, addressAt, deriveAccounts } from './account-set.ts';
import { feeBudget } from './fees.ts';
import { derivedSecret, traceSecret } from './key-labels.ts';
import { SigningPool } from './signing-pool.ts';
import { readTrace, type Trace, type TraceSummary } from './trace.ts';

/** Wei that each derived account begins with: a million ether. 2,000,000 of them stay below 2^128 by a factor of 170. */
export const DERIVED_BALANCE = 10n ** 24n;
/** A trace's senders are funded for this many replays, so that a second `load` on the same network works too. */
const REPLAYS_FUNDED = 16n;
const SUPPLY_LIMIT = 1n << 128n;

/** What `up` writes into `genesis.json`, and prints of its first accounts. */
export interface GenesisPlan {
  /** Address in lower-case hex with `0x`, and wei in decimal; derived account i is entry i. */
  readonly allocation: readonly (readonly [string, string])[];
  readonly workload: { readonly seed: number; readonly accounts: number } | { readonly seed: number; readonly trace: string };
  /** 32-byte secret key of allocation entry `index`. Test money only. */
  secretKey(index: number): Uint8Array;
  /** Only for a trace. */
  readonly summary?: TraceSummary;
}

async function withPool<T>(run: (pool: SigningPool) => Promise<T>): Promise<T> {
  const pool = new SigningPool();
  try {
    return await run(pool);
  } finally {
    await pool.stop();
  }
}

function checkSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) throw new ShardlabError('workload/seed', `the seed is an integer from 0, not ${seed}`);
}

/** Funds `accounts` accounts derived from `seed` with {@link DERIVED_BALANCE} each. Throws `workload/accounts` or `workload/seed`. */
export async function planDerivedGenesis(accounts: number, seed: number): Promise<GenesisPlan> {
  checkSeed(seed);
  if (!Number.isSafeInteger(accounts) || accounts < 1 || accounts > ALLOCATION_MAX) {
    throw new ShardlabError('workload/accounts', `a network funds 1 to ${ALLOCATION_MAX} accounts, not ${accounts}`);
  }
  const set = await withPool((pool) => deriveAccounts({ kind: 'derived', seed, count: accounts }, pool));
  const balance = String(DERIVED_BALANCE);
  const allocation = Array.from({ length: accounts }, (_, index) => [toHex(addressAt(set, index)), balance] as const);
  return { allocation, workload: { seed, accounts }, secretKey: (index) => derivedSecret(seed, index) };
}

/**
 * Funds each sender of a trace for everything that it sends, with fees, in order of first appearance. Throws the errors of {@link readTrace},
 * `trace/supply` when the values add up to 2^128 or more, `trace/accounts` for too many senders, and `workload/seed`.
 */
export async function planTraceGenesis(file: string, seed: number, options: { readonly baseFeePerGas?: bigint } = {}): Promise<GenesisPlan> {
  checkSeed(seed);
  const trace = await readTrace(file);
  const { senders, required } = requirements(trace, feeBudget(options.baseFeePerGas ?? 1_000_000_000n));
  if (senders.length > ALLOCATION_MAX) {
    throw new ShardlabError('trace/accounts', `trace ${file}: ${senders.length} senders, a network funds at most ${ALLOCATION_MAX}: cut the file`);
  }
  const total = required.reduce((sum, wei) => sum + wei, 0n);
  if (total >= SUPPLY_LIMIT) throw new ShardlabError('trace/supply', `trace ${file}: its senders need ${total} wei, the supply must be below 2^128: cut the file`);
  const replays = total * REPLAYS_FUNDED < SUPPLY_LIMIT ? REPLAYS_FUNDED : 1n;
  const addresses = senders.map((index) => trace.addresses[index]!);
  const set: AccountSet = await withPool((pool) => deriveAccounts({ kind: 'trace', seed, addresses }, pool));
  const allocation = required.map((wei, index) => [toHex(addressAt(set, index)), String(wei * replays)] as const);
  const secretKey = (index: number): Uint8Array => traceSecret(seed, addresses[index]!);
  return { allocation, workload: { seed, trace: trace.digest }, secretKey, summary: trace.summary };
}

/** Indexes into the trace's addresses of all senders, and the wei that each needs to replay the trace once. */
function requirements(trace: Trace, feeBudgetWei: bigint): { readonly senders: readonly number[]; readonly required: readonly bigint[] } {
  const needed = new Map<number, bigint>();
  for (let row = 0; row < trace.from.length; row++) {
    const value = (trace.values[2 * row]! << 64n) | trace.values[2 * row + 1]!;
    const sender = trace.from[row]!;
    needed.set(sender, (needed.get(sender) ?? 0n) + value + feeBudgetWei);
  }
  return { senders: [...needed.keys()], required: [...needed.values()] };
}
