/** The calls of a contract workload, generated from a seed. */
import { Prng, ShardlabError } from '@shardlab/crosslink';
import { CALL_KINDS, type CallKind, MIXES, type WorkloadName } from '../names.ts';
import type { PlannedCall, PlannedCalls } from '../signed-load.ts';
import { crossShardCount, TRANSACTIONS_MAX } from '../transfers.ts';
import { ShardedZipf } from '../zipf.ts';
import type { ShardDeployment } from './deployment.ts';
import { type Callers, contractCall, CROSS_SHARD_GAS, poolOf } from './setup.ts';

/** Gas limits: about half more than what the dearest call of the kind was measured to use. */
const GAS: Readonly<Record<Exclude<CallKind, 'transfer'>, number>> = { erc20: 80_000, mint: 140_000, swap: 190_000, lend: 220_000 };
const AMOUNT = 10n ** 15n;
const AMOUNTS = 1_000;
const SWAP_AMOUNT = 10n ** 16n;
const COLLATERAL = 10n ** 18n;
const LOAN = 5n * 10n ** 17n;
const SUPPLY = 10n ** 17n;
const DEADLINE = (1n << 256n) - 1n;
/** What a borrower does in turn; each step is possible after those before it, so that none reverts. */
const LENDING_STEPS = [
  ['deposit(uint256)', COLLATERAL],
  ['borrow(uint256)', LOAN],
  ['repay(uint256)', LOAN],
  ['supply(uint256)', SUPPLY],
  ['redeem(uint256)', SUPPLY],
] as const;

/** What to generate. */
export interface CallOptions {
  readonly workload: WorkloadName;
  readonly count: number;
  /** Share of cross-shard ones among the transfers, 0 to 1. */
  readonly transferRatio: number;
  /** Share of contract calls that go to another shard, 0 to 1. */
  readonly callRatio: number;
  /** Skew of callers, and with them of recipients and pools; 0 = uniform. */
  readonly zipf: number;
  readonly seed: number;
}

/** What the calls are made of. */
export interface CallPlaces {
  readonly shards: number;
  readonly deployments: readonly ShardDeployment[];
  readonly callers: Callers;
  /** Gas limits of plain transfers within a shard and between shards. */
  readonly gasIntraShard: number;
  readonly gasCrossShard: number;
}

/** Generated calls, with what each of them does: an index into {@link CALL_KINDS}. */
export interface GeneratedCalls extends PlannedCalls {
  readonly kinds: Uint8Array;
}

/** How many of `count` calls are of each kind, exact at every hundred. */
function kindOf(workload: WorkloadName, drawn: number): number {
  let below = 0;
  for (const [index, kind] of CALL_KINDS.entries()) {
    below += MIXES[workload].shares[kind] ?? 0;
    if (drawn < below) return index;
  }
  return 0;
}

function check({ count, callRatio, transferRatio }: CallOptions, { callers }: CallPlaces): void {
  const refuse = (what: string): never => {
    throw new ShardlabError('load/options', what);
  };
  if (!Number.isSafeInteger(count) || count < 1 || count > TRANSACTIONS_MAX) refuse(`a run sends 1 to ${TRANSACTIONS_MAX} transactions, not ${count}`);
  for (const ratio of [callRatio, transferRatio]) if (!(ratio >= 0 && ratio <= 1)) refuse(`the cross-shard ratio is 0 to 1, not ${ratio}`);
  const homes = new Set(callers.accounts.map(callers.homeOf));
  if (callRatio + transferRatio > 0 && homes.size < 2) refuse('a cross-shard ratio above 0 needs funded accounts on two shards');
}

/** Generates the calls; of the first k transfers, and of the first k contract calls, exactly the wanted share crosses shards, as in `generateTransfers`. Throws `load/options`. */
export function generateCalls(options: CallOptions, places: CallPlaces): GeneratedCalls {
  check(options, places);
  const { count, workload } = options;
  const { accounts, homeOf } = places.callers;
  const prng = new Prng(options.seed);
  const shardOf = Uint16Array.from(accounts, homeOf);
  const zipf = new ShardedZipf(shardOf, places.shards, options.zipf, prng.fork());
  const kinds = new Uint8Array(count);
  const from = new Uint32Array(count);
  const other = new Uint32Array(count);
  const toShard = new Uint16Array(count);
  const amounts = new Uint16Array(count);
  const seen = [0, 0];
  for (let i = 0; i < count; i++) {
    kinds[i] = kindOf(workload, prng.below(100));
    const group = kinds[i] === 0 ? 0 : 1;
    const ratio = group === 0 ? options.transferRatio : options.callRatio;
    const crosses = crossShardCount(seen[group]! + 1, ratio) > crossShardCount(seen[group]!, ratio);
    seen[group]!++;
    const caller = zipf.any(prng);
    const partner = crosses ? zipf.foreigner(prng, caller) : zipf.neighbour(prng, caller);
    from[i] = accounts[caller]!;
    other[i] = accounts[partner]!;
    toShard[i] = shardOf[partner]!;
    amounts[i] = 1 + prng.below(AMOUNTS);
  }
  const steps = new Map<number, number>();
  const call = (index: number): PlannedCall => {
    const [caller, partner, shard] = [from[index]!, other[index]!, toShard[index]!];
    const crosses = homeOf(caller) !== shard;
    const amount = BigInt(amounts[index]!);
    const kind = CALL_KINDS[kinds[index]!]!;
    if (kind === 'transfer') {
      const to = places.callers.addressOf(partner);
      return { to, gasLimit: crosses ? places.gasCrossShard : places.gasIntraShard, valueHigh: 0n, valueLow: amount * 1_000n, data: new Uint8Array(0) };
    }
    const gasLimit = GAS[kind] + (crosses ? CROSS_SHARD_GAS : 0);
    const deployment = places.deployments[shard]!;
    if (kind !== 'lend') return callOf(kind, deployment, places.callers, { caller, partner, amount, gasLimit });
    // Asked once for each call, in order: so a caller's steps at one pool come in turn.
    const key = caller * places.shards + shard;
    const step = steps.get(key) ?? 0;
    steps.set(key, step + 1);
    const [signature, sum] = LENDING_STEPS[step % LENDING_STEPS.length]!;
    return contractCall(deployment.lending!, 'LendingPool', signature, [sum], gasLimit);
  };
  return { count, from, toShard, kinds, call };
}

interface CallFields {
  readonly caller: number;
  readonly partner: number;
  readonly amount: bigint;
  readonly gasLimit: number;
}

function callOf(kind: 'erc20' | 'mint' | 'swap', deployment: ShardDeployment, callers: Callers, { caller, partner, amount, gasLimit }: CallFields): PlannedCall {
  const { tokens, collectible, router } = deployment;
  if (kind === 'erc20') return contractCall(tokens[0]!, 'Token', 'transfer(address,uint256)', [callers.addressOf(partner), amount * AMOUNT], gasLimit);
  if (kind === 'mint') return contractCall(collectible!, 'Collectible', 'mint(address)', [callers.addressOf(caller)], gasLimit);
  const other = tokens[poolOf(deployment, caller).token]!;
  const path = amount % 2n === 0n ? [tokens[0]!, other] : [other, tokens[0]!];
  const signature = 'swapExactTokensForTokens(uint256,uint256,address[],address,uint256)';
  return contractCall(router!, 'UniswapV2Router02', signature, [amount * SWAP_AMOUNT, 0n, path, callers.addressOf(caller), DEADLINE], gasLimit);
}
