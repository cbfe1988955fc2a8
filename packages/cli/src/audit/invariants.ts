/** What must hold of the contracts of a workload, by eth_call alone: nothing here is shared with the code that deploys and calls them. */
import { ShardlabError } from '@shardlab/crosslink';
import { bytesOf } from './rpc.ts';
import type { Source } from './source.ts';
import type { PoolRecord, ShardContracts, WorkloadRun } from './workload-file.ts';

/** Calls of one request. */
const BATCH = 100;
/** Tokens of a collection whose owners are looked at. */
const OWNERS_SAMPLED = 16;
/** Selectors: the first 4 bytes of keccak-256 of the signatures. */
const TOTAL_SUPPLY = '0x18160ddd';
const BALANCE_OF = '0x70a08231';
const NEXT = '0x4c8fe526';
const OWNER_OF = '0x6352211e';
const GET_RESERVES = '0x0902f1ac';
const SOLVENT = '0x9ad042f8';
const TOTAL_SUPPLIED = '0x630fd0ac';
const TOTAL_COLLATERAL = '0x4ac8eb5f';
const TOTAL_DEBT = '0xfc7b9c18';
const FEES = '0x9af1d35a';
const SUPPLIED = '0x155a7205';
const COLLATERAL_OF = '0x1aefb107';
const DEBT_OF = '0xd283e75f';

/** Every invariant, by the name that reports give it. */
export const INVARIANTS = ['token-supply', 'collectible-supply', 'pool-reserves', 'constant-product', 'lending-solvency'] as const;
/** One of {@link INVARIANTS}. */
export type InvariantName = (typeof INVARIANTS)[number];

/** What came of the checks of one workload. */
export interface InvariantResults {
  /** Whether each that applies holds on all shards. */
  readonly ok: Readonly<Partial<Record<InvariantName, boolean>>>;
  /** What is wrong, one line each. */
  readonly violations: readonly { readonly name: InvariantName; readonly shard: number; readonly message: string }[];
}

/** One shard's contracts at one height. */
class ContractView {
  private readonly source: Source;
  private readonly shard: number;
  private readonly tag: string;

  constructor(source: Source, shard: number, tag: string) {
    this.source = source;
    this.shard = shard;
    this.tag = tag;
  }

  /** First words of what the calls return, in their order. Rejects with `audit/rpc` if one reverts, and as {@link Source.shardBatch}. */
  async words(calls: readonly (readonly [to: string, data: string])[], index = 0): Promise<bigint[]> {
    const words: bigint[] = [];
    for (let at = 0; at < calls.length; at += BATCH) {
      const params = calls.slice(at, at + BATCH).map(([to, data]) => [{ to, data }, this.tag]);
      for (const answer of await this.source.shardBatch(this.shard, 'eth_call', params)) {
        const bytes = bytesOf(answer, 'eth_call').subarray(32 * index, 32 * index + 32);
        if (bytes.length !== 32) throw new ShardlabError('audit/bad-answer', 'eth_call: a contract of the workload answers nothing', { shard: this.shard });
        words.push(BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
      }
    }
    return words;
  }

  async word(to: string, data: string): Promise<bigint> {
    const [word] = await this.words([[to, data]]);
    return word!;
  }

  /** The sum over all `accounts` of a function of an account. */
  async sum(to: string, selector: string, accounts: readonly string[]): Promise<bigint> {
    const words = await this.words(accounts.map((account) => [to, withAddress(selector, account)] as const));
    return words.reduce((sum, word) => sum + word, 0n);
  }
}

function withAddress(selector: string, account: string): string {
  return selector + account.slice(2).padStart(64, '0');
}

/** Checks all invariants of a run, each shard at one of its heights. Rejects with `audit/rpc`, `audit/unreachable` or `audit/bad-answer`. */
export async function checkInvariants(run: WorkloadRun, source: Source): Promise<InvariantResults> {
  const ok: Partial<Record<InvariantName, boolean>> = {};
  const violations: InvariantResults['violations'][number][] = [];
  for (const contracts of run.shards) {
    source.checkCancelled();
    const { shard } = contracts;
    const tag = await source.shard(shard, 'eth_blockNumber', []);
    const view = new ContractView(source, shard, String(tag));
    const judge = (name: InvariantName, message: string | undefined): void => {
      ok[name] = (ok[name] ?? true) && message === undefined;
      if (message !== undefined) violations.push({ name, shard, message });
    };
    const holders = [...new Set([...run.accounts, ...addressesOf(contracts)])];
    for (const token of contracts.tokens) judge('token-supply', await tokenSupply(view, token, holders));
    if (contracts.collectible !== null) judge('collectible-supply', await collectibleSupply(view, contracts.collectible, contracts.mints, run.accounts));
    for (const pool of contracts.pools) {
      const { reserves, product } = await poolState(view, pool);
      judge('pool-reserves', reserves);
      judge('constant-product', product);
    }
    if (contracts.lending !== null) judge('lending-solvency', await lendingSolvency(view, contracts.lending, run.accounts));
  }
  return { ok, violations };
}

function addressesOf({ tokens, pools, lending }: ShardContracts): string[] {
  return [...tokens, ...pools.map((pool) => pool.pair), ...(lending === null ? [] : [lending.pool])];
}

/** ERC-20: nobody makes or burns tokens, so the balances of all who can have any come to the supply. */
async function tokenSupply(view: ContractView, token: string, holders: readonly string[]): Promise<string | undefined> {
  const supply = await view.word(token, TOTAL_SUPPLY);
  const held = await view.sum(token, BALANCE_OF, holders);
  return held === supply ? undefined : `token ${token} has a supply of ${supply}, its holders have ${held}`;
}

/** ERC-721: ids are given in turn, each has one owner, and all owners are known. */
async function collectibleSupply(view: ContractView, collectible: string, mints: number | null, accounts: readonly string[]): Promise<string | undefined> {
  const minted = await view.word(collectible, NEXT);
  if (mints !== null && minted !== BigInt(mints)) return `collectible ${collectible} has minted ${minted}, ${mints} mints were committed`;
  const held = await view.sum(collectible, BALANCE_OF, accounts);
  if (held !== minted) return `collectible ${collectible} has minted ${minted}, its owners have ${held}`;
  const count = Number(minted);
  const step = Math.max(1, Math.floor(count / OWNERS_SAMPLED));
  const ids = Array.from({ length: Math.ceil(count / step) }, (_, at) => at * step);
  const owners = await view.words(ids.map((id) => [collectible, OWNER_OF + id.toString(16).padStart(64, '0')] as const));
  const known = new Set(accounts.map((account) => BigInt(account)));
  const stray = owners.findIndex((owner) => !known.has(owner));
  return stray === -1 ? undefined : `token ${ids[stray]} of collectible ${collectible} belongs to nobody who minted`;
}

/** Uniswap V2: reserves are the pair's own tokens, and fees only ever raise their product. */
async function poolState(view: ContractView, pool: PoolRecord): Promise<{ reserves: string | undefined; product: string | undefined }> {
  const reserve0 = await view.word(pool.pair, GET_RESERVES);
  const [reserve1] = await view.words([[pool.pair, GET_RESERVES]], 1);
  const balance0 = await view.word(pool.token0, withAddress(BALANCE_OF, pool.pair));
  const balance1 = await view.word(pool.token1, withAddress(BALANCE_OF, pool.pair));
  const equal = reserve0 === balance0 && reserve1 === balance1;
  const product = reserve0 * reserve1!;
  return {
    reserves: equal ? undefined : `pair ${pool.pair} counts reserves of ${reserve0} and ${reserve1}, it has ${balance0} and ${balance1}`,
    product: product >= BigInt(pool.productMin) ? undefined : `pair ${pool.pair}: the product of the reserves fell from ${pool.productMin} to ${product}`,
  };
}

/** Cash and debts cover what suppliers are owed and fees, the collateral is there, and the totals are the sums of all accounts. */
async function lendingSolvency(view: ContractView, { pool, asset, collateral }: NonNullable<ShardContracts['lending']>, accounts: readonly string[]): Promise<string | undefined> {
  const cash = await view.word(asset, withAddress(BALANCE_OF, pool));
  const locked = await view.word(collateral, withAddress(BALANCE_OF, pool));
  const totals = await view.words([TOTAL_SUPPLIED, TOTAL_DEBT, FEES, TOTAL_COLLATERAL, SOLVENT].map((selector) => [pool, selector] as const));
  const [supplied, debt, fees, pledged, solvent] = totals as [bigint, bigint, bigint, bigint, bigint];
  if (solvent !== 1n) return `lending pool ${pool} calls itself insolvent`;
  if (cash + debt !== supplied + fees) return `lending pool ${pool}: cash ${cash} and debts ${debt} are not what it owes, ${supplied}, and fees, ${fees}`;
  if (locked !== pledged) return `lending pool ${pool} has ${locked} of collateral, borrowers gave ${pledged}`;
  for (const [selector, total, name] of [[SUPPLIED, supplied, 'supplied'], [DEBT_OF, debt, 'owed'], [COLLATERAL_OF, pledged, 'pledged']] as const) {
    const sum = await view.sum(pool, selector, accounts);
    if (sum !== total) return `lending pool ${pool}: ${total} ${name} in all, ${sum} by its accounts`;
  }
  return undefined;
}
