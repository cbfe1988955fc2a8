/** What callers need before a workload begins: tokens, approvals, and pools that are not empty. */
import type { PlannedCalls, PlannedCall } from '../signed-load.ts';
import { type AbiValue, encodeCall } from './abi.ts';
import { contractArtifact, type ContractName } from './artifacts.ts';
import type { ShardDeployment } from './deployment.ts';

/** Tokens of each kind that a caller gets. */
export const CALLER_TOKENS = 10n ** 24n;
/** Of both tokens of a pool at the start: a swap of a caller moves the price by little. */
export const POOL_TOKENS = 10n ** 27n;
/** What the treasury supplies for lending. */
export const LENDING_TOKENS = 10n ** 27n;
const UINT256_MAX = (1n << 256n) - 1n;
/** Holders of one `issue`. */
const ISSUE_HOLDERS = 64;
const ISSUE_GAS = 60_000;
const ISSUE_GAS_EACH = 40_000;
const APPROVE_GAS = 70_000;
/** Makes the pair, too. */
const LIQUIDITY_GAS = 4_000_000;
const SUPPLY_GAS = 250_000;
/** What a call costs more when it travels to another shard. */
export const CROSS_SHARD_GAS = 100_000;

/** One transaction of a set-up. */
export interface SetupCall extends PlannedCall {
  /** Index of the account. */
  readonly from: number;
  readonly toShard: number;
}

/** A pool of a caller: each trades with one, so that it needs two tokens and two approvals. */
export function poolOf(deployment: ShardDeployment, caller: number): ShardDeployment['pools'][number] {
  return deployment.pools[caller % deployment.pools.length]!;
}

/** A call that carries no wei. */
export function contractCall(to: Uint8Array, name: ContractName, signature: string, values: readonly AbiValue[], gasLimit: number): PlannedCall {
  return { to, gasLimit, valueHigh: 0n, valueLow: 0n, data: encodeCall(artifactOf(name), signature, values) };
}

const artifacts = new Map<ContractName, ReturnType<typeof contractArtifact>>();

function artifactOf(name: ContractName): ReturnType<typeof contractArtifact> {
  let found = artifacts.get(name);
  if (found === undefined) {
    found = contractArtifact(name);
    artifacts.set(name, found);
  }
  return found;
}

/** Who may call a shard's contracts. */
export interface Callers {
  /** Indexes of accounts. */
  readonly accounts: readonly number[];
  readonly addressOf: (account: number) => Uint8Array;
  readonly homeOf: (account: number) => number;
}

/** The set-up of one shard, in an order that holds for each sender: the treasury issues tokens and fills the pools, callers approve. */
export function planSetup(deployment: ShardDeployment, callers: Callers): SetupCall[] {
  const { shard, treasury, tokens, router, pools, lending } = deployment;
  const calls: SetupCall[] = [];
  const add = (from: number, call: PlannedCall): void => {
    const gasLimit = call.gasLimit + (callers.homeOf(from) === shard ? 0 : CROSS_SHARD_GAS);
    calls.push({ ...call, gasLimit, from, toShard: shard });
  };
  const approve = (from: number, token: number, spender: Uint8Array): void =>
    add(from, contractCall(tokens[token]!, 'Token', 'approve(address,uint256)', [spender, UINT256_MAX], APPROVE_GAS));
  tokens.forEach((token, index) => {
    const holders = callers.accounts.filter((caller) => index === 0 || (index === 1 && lending !== undefined) || poolOf(deployment, caller).token === index);
    for (let at = 0; at < holders.length; at += ISSUE_HOLDERS) {
      const some = holders.slice(at, at + ISSUE_HOLDERS).map(callers.addressOf);
      add(treasury, contractCall(token, 'Token', 'issue(address[],uint256)', [some, CALLER_TOKENS], ISSUE_GAS + some.length * ISSUE_GAS_EACH));
    }
  });
  if (router !== undefined) {
    tokens.forEach((_, index) => approve(treasury, index, router));
    for (const { token } of pools) add(treasury, liquidityCall(deployment, router, token, callers.addressOf(treasury)));
    for (const caller of callers.accounts) for (const token of [0, poolOf(deployment, caller).token]) approve(caller, token, router);
  }
  if (lending !== undefined) {
    approve(treasury, 0, lending);
    add(treasury, contractCall(lending, 'LendingPool', 'supply(uint256)', [LENDING_TOKENS], SUPPLY_GAS));
    for (const caller of callers.accounts) for (const token of [0, 1]) approve(caller, token, lending);
  }
  return calls;
}

function liquidityCall({ tokens }: ShardDeployment, router: Uint8Array, token: number, to: Uint8Array): PlannedCall {
  const signature = 'addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)';
  return contractCall(router, 'UniswapV2Router02', signature, [tokens[0]!, tokens[token]!, POOL_TOKENS, POOL_TOKENS, 0n, 0n, to, UINT256_MAX], LIQUIDITY_GAS);
}

/** A list of set-up calls as columns. */
export function asPlannedCalls(calls: readonly SetupCall[]): PlannedCalls {
  return {
    count: calls.length,
    from: Uint32Array.from(calls, ({ from }) => from),
    toShard: Uint16Array.from(calls, ({ toShard }) => toShard),
    call: (index) => {
      const { to, gasLimit, valueHigh, valueLow, data } = calls[index]!;
      return { to, gasLimit, valueHigh, valueLow, data };
    },
  };
}
