import { AssignmentTable, fromHex, type Address, type Hasher, ShardlabError, type ShardId } from '@shardlab/crosslink';
import type { ShardEndpoints } from '../rpc/endpoints.ts';
import type { HttpTransport } from '../rpc/http.ts';
import { type NetworkStatus, shardStatus } from '../rpc/methods.ts';
import { workloadRun } from '../report/workload-file.ts';
import { type AccountSet, addressAt } from '../workload/account-set.ts';
import { type CallOptions, generateCalls } from '../workload/contracts/calls.ts';
import { planDeployment, type ShardDeployment } from '../workload/contracts/deployment.ts';
import { asPlannedCalls, type Callers, planSetup, type SetupCall } from '../workload/contracts/setup.ts';
import { CALL_KINDS, MIXES } from '../workload/names.ts';
import type { SigningPool } from '../workload/signing-pool.ts';
import { signCalls, type SignedLoad } from '../workload/signed-load.ts';
import type { WorkloadRun } from '../audit/workload-file.ts';
import type { LoadBook } from './book.ts';
import { LoadEngine } from './engine.ts';
import { commonTerms, transferGas, type TermsInput } from './terms.ts';

/** Accounts of all shards that call contracts: what an audit has to ask for, and what a set-up has to fund. */
const CALLERS_MAX = 2_048;
/** Callers of one shard where each needs approvals: a set-up of seconds, not of minutes. */
const APPROVERS_MAX = 128;
/** The same when callers call the contracts of all shards. */
const TRAVELLERS_MAX = 32;
/** Set-up transactions a second. */
const SETUP_RATE = 1_500;
const SETUP_DRAIN_MS = 120_000;
/** Senders' transactions of a set-up on their way at once: a deployer's are a long row. */
const SETUP_WINDOW = 64;
const ADDRESS_CHARACTERS = 42;

/** What a contract load is made from. */
export interface ContractLoadInput extends CallOptions {
  readonly status: NetworkStatus;
  readonly accounts: AccountSet;
  readonly homes: Uint16Array;
  readonly overrides: ReadonlyMap<string, number>;
  readonly endpoints: readonly ShardEndpoints[];
  readonly signal?: AbortSignal | undefined;
}

/** What a contract load works with. */
export interface ContractLoadModules {
  readonly crypto: Hasher;
  readonly pool: SigningPool;
  readonly http: HttpTransport;
  readonly nowMs: () => number;
  /** Progress by stage; throws when the run is to end. */
  readonly progress: (stage: 'nonces' | 'set-up' | 'signing', done: number, total: number) => void;
}

/** A contract load that can begin. */
export interface ContractLoad {
  readonly signed: SignedLoad;
  /** What each transaction does: an index into {@link CALL_KINDS}. */
  readonly kinds: Uint8Array;
  /** What was deployed: for the audit. */
  readonly run: WorkloadRun;
}

/** Mints that a finished run has committed, by shard; undefined if the end of some is not known. */
export function committedMints({ signed, kinds }: ContractLoad, book: LoadBook): number[] | undefined {
  const mints = Array.from({ length: signed.shards }, () => 0);
  const mint = CALL_KINDS.indexOf('mint');
  for (let index = 0; index < book.offeredCount; index++) {
    if (kinds[index] !== mint) continue;
    if (!book.isSettled(index)) return undefined;
    if (book.outcomes[index] === 1 && book.reason(index) === '') mints[signed.toShard[index]!]!++;
  }
  return mints;
}

/** First heights at which each shard's next blocks stand. */
export function nextHeights(endpoints: readonly ShardEndpoints[]): Promise<number[]> {
  return Promise.all(endpoints.map(async (ways, shard) => Number((await shardStatus(ways.current, shard))['height'] ?? 0) + 1));
}

/** Deploys, sets up and signs. Rejects with `load/setup` when a transaction of the set-up does not succeed, and as {@link planDeployment} and {@link generateCalls}. */
export async function prepareContractLoad(input: ContractLoadInput, modules: ContractLoadModules): Promise<ContractLoad> {
  const { accounts, homes, status } = input;
  const { shards } = status;
  const treasuries = treasuriesOf(homes, shards);
  const callers = callersOf(input, treasuries);
  const deployments = await deploy(input, modules, treasuries);
  const setup = deployments.flatMap((deployment) => planSetup(deployment, reachOf(callers, deployment.shard, input.callRatio > 0)));
  await runSetup(interleaved(setup), 'setting the contracts up', input, modules);
  await assertDeployed(deployments, input.endpoints);
  const [first, second] = [callers.accounts[0]!, callers.accounts.find((account) => homes[account] !== homes[callers.accounts[0]!])];
  const terms = termsInput(input, Uint32Array.from(callers.accounts), modules);
  const gasIntraShard = 21_000;
  const gasCrossShard = second === undefined || input.transferRatio === 0 ? gasIntraShard : await transferGas(terms, first, second);
  const calls = generateCalls(input, { shards, deployments, callers, gasIntraShard, gasCrossShard });
  const common = await commonTerms(terms);
  const progress = (done: number): void => modules.progress('signing', done, input.count);
  const signed = await signCalls(calls, { accounts, homes, shards, terms: common, pool: modules.pool, progress });
  const known = [...treasuries, ...callers.accounts].map((account) => addressAt(accounts, account));
  return { signed, kinds: calls.kinds, run: workloadRun(input.workload, known, deployments) };
}

/** The account of each shard that deploys: its last one. Throws `load/network` if a shard has none. */
function treasuriesOf(homes: Uint16Array, shards: number): number[] {
  return Array.from({ length: shards }, (_, shard) => {
    const treasury = homes.lastIndexOf(shard);
    if (treasury === -1) throw new ShardlabError('load/network', `no funded account lives on shard ${shard}, so nothing can be deployed there: start a network with more --accounts`);
    return treasury;
  });
}

function callersOf({ workload, callRatio, status, accounts, homes }: ContractLoadInput, treasuries: readonly number[]): Callers {
  const { shares } = MIXES[workload];
  const approves = (shares.swap ?? 0) + (shares.lend ?? 0) > 0;
  const most = Math.max(1, Math.floor(CALLERS_MAX / status.shards));
  const travellers = callRatio > 0 ? TRAVELLERS_MAX : APPROVERS_MAX;
  const bound = approves ? Math.min(most, travellers) : most;
  const counts = new Uint32Array(status.shards);
  const found: number[] = [];
  const isTreasury = new Set(treasuries);
  homes.forEach((shard, account) => {
    // A shard's only account is both.
    if (isTreasury.has(account) && counts[shard]! > 0) return;
    if (counts[shard]! < bound) found.push(account);
    counts[shard]!++;
  });
  return { accounts: found, addressOf: (account) => addressAt(accounts, account), homeOf: (account) => homes[account]! };
}

/** Who calls the contracts of a shard: its own accounts, or those of all shards. */
function reachOf(callers: Callers, shard: number, isOpen: boolean): Callers {
  return isOpen ? callers : { ...callers, accounts: callers.accounts.filter((account) => callers.homeOf(account) === shard) };
}

function termsInput({ status, accounts, homes, endpoints }: ContractLoadInput, from: Uint32Array, modules: ContractLoadModules): TermsInput {
  return { status, accounts, homes, from, endpoints, progress: (done, total) => modules.progress('nonces', done, total) };
}

async function deploy(input: ContractLoadInput, modules: ContractLoadModules, treasuries: readonly number[]): Promise<ShardDeployment[]> {
  const { accounts, status, overrides } = input;
  const { nonces } = await commonTerms(termsInput(input, Uint32Array.from(treasuries), modules));
  const moved = [...overrides].map(([address, shard]) => ({ address: fromHex(address) as Address, shard: shard as ShardId }));
  const table = new AssignmentTable(modules.crypto, { shards: status.shards, overrides: moved });
  const homeOf = (address: Uint8Array): number => table.shardOf(address as Address);
  const plans = treasuries.map((treasury, shard) =>
    planDeployment(input.workload, { shard, treasury, address: addressAt(accounts, treasury), nonce: nonces[treasury]!, homeOf }, modules.crypto),
  );
  const calls = plans.flatMap(({ deployment, calls: own }) => own.map((call) => ({ ...call, from: deployment.treasury, toShard: deployment.shard })));
  await runSetup(interleaved(calls), 'deploying the contracts', input, modules);
  return plans.map(({ deployment }) => deployment);
}

/** The calls with the shards' turns mixed, each sender's in their order, so that all shards work at once. */
function interleaved(calls: readonly SetupCall[]): SetupCall[] {
  const bySender = [...Map.groupBy(calls, ({ from }) => from).values()];
  const rounds = Math.max(0, ...bySender.map((own) => own.length));
  return Array.from({ length: rounds }, (_, round) => bySender.flatMap((own) => (round < own.length ? [own[round]!] : []))).flat();
}

/** Sends the calls and waits until all have succeeded. Rejects with `load/setup`. */
async function runSetup(calls: readonly SetupCall[], what: string, input: ContractLoadInput, modules: ContractLoadModules): Promise<void> {
  const { accounts, homes, status, endpoints, signal } = input;
  if (calls.length === 0) return;
  const planned = asPlannedCalls(calls);
  const terms = await commonTerms(termsInput(input, planned.from, modules));
  const signed = await signCalls(planned, { accounts, homes, shards: status.shards, terms, pool: modules.pool });
  const fromHeights = await nextHeights(endpoints);
  const options = { ratePerSecond: SETUP_RATE, outstandingPerSender: SETUP_WINDOW, resubmitAfterMs: 3_000, drainTimeoutMs: SETUP_DRAIN_MS, fromHeights };
  const onProgress = ({ committed }: { readonly committed: number }): void => modules.progress('set-up', committed, calls.length);
  const engine = new LoadEngine(signed, { ...options, ...(signal === undefined ? {} : { signal }) }, { http: modules.http, endpoints, nowMs: modules.nowMs, onProgress });
  const { book } = await engine.run();
  if (signal?.aborted === true) throw new ShardlabError('load/cancelled', `cancelled while ${what}`);
  for (let index = 0; index < calls.length; index++) {
    const reason = book.reason(index);
    if (book.outcomes[index] === 1 && reason === '') continue;
    const { committed } = book.totals();
    throw new ShardlabError('load/setup', `${what}: ${committed} of ${calls.length} transactions committed, number ${index} on shard ${homes[calls[index]!.from]!} did not succeed (${reason === '' ? 'no end in time' : reason})`);
  }
}

/** Checks that code stands where contracts should be; receipts alone do not say that a pair was made. */
async function assertDeployed(deployments: readonly ShardDeployment[], endpoints: readonly ShardEndpoints[]): Promise<void> {
  for (const { shard, tokens, collectible, router, factory, pools, lending } of deployments) {
    const wanted = [...tokens, collectible, router, factory, ...pools.map(({ pair }) => pair), lending].filter((address) => address !== undefined);
    const calls = wanted.map((address) => ({ method: 'eth_getCode', params: [`0x${Buffer.from(address).toString('hex')}`, 'latest'] }));
    const outcomes = await endpoints[shard]!.current.batch(`/shard/${shard}`, calls);
    outcomes.forEach((outcome, index) => {
      if (!outcome.ok) throw outcome.error;
      if (typeof outcome.result === 'string' && outcome.result.length > ADDRESS_CHARACTERS) return;
      throw new ShardlabError('load/setup', `no contract stands at 0x${Buffer.from(wanted[index]!).toString('hex')} on shard ${shard} after its creation`);
    });
  }
}
