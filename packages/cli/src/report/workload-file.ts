import { mkdir, rename, writeFile } from 'node:fs/promises';
import { ShardlabError, toHex } from '@shardlab/crosslink';
import { readWorkloadFile, RUNS_MAX, type ShardContracts, type WorkloadFile, type WorkloadRun } from '../audit/workload-file.ts';
import { clusterPaths } from '../cluster/layout.ts';
import { sortedTokens } from '../workload/contracts/addresses.ts';
import type { ShardDeployment } from '../workload/contracts/deployment.ts';
import { POOL_TOKENS } from '../workload/contracts/setup.ts';

/** What an audit needs to know of a shard's contracts. */
function contractsOf(deployment: ShardDeployment): ShardContracts {
  const { shard, tokens, collectible, pools, lending } = deployment;
  const poolRecord = ({ pair, token }: ShardDeployment['pools'][number]): ShardContracts['pools'][number] => {
    const [token0, token1] = sortedTokens([tokens[0]!, tokens[token]!]);
    return { pair: toHex(pair), token0: toHex(token0), token1: toHex(token1), productMin: String(POOL_TOKENS * POOL_TOKENS) };
  };
  return {
    shard,
    tokens: tokens.map(toHex),
    collectible: collectible === undefined ? null : toHex(collectible),
    mints: null,
    pools: pools.map(poolRecord),
    lending: lending === undefined ? null : { pool: toHex(lending), asset: toHex(tokens[0]!), collateral: toHex(tokens[1]!) },
  };
}

/** The record of a run whose contracts are `deployments`; `accounts`: everyone who may own tokens there. */
export function workloadRun(name: string, accounts: readonly Uint8Array[], deployments: readonly ShardDeployment[]): WorkloadRun {
  return { name, accounts: accounts.map(toHex), shards: deployments.map(contractsOf) };
}

/** A run with what is known after it: how many mints each shard has committed, by shard. */
export function withMints(run: WorkloadRun, mints: readonly number[]): WorkloadRun {
  return { ...run, shards: run.shards.map((contracts) => ({ ...contracts, mints: mints[contracts.shard]! })) };
}

/**
 * Adds a run to the file of a data directory, or puts it in the place of `before`, an earlier state of it; the newest {@link RUNS_MAX} stay. Rejects with
 * `report/unwritable`, or `audit/workload` for a damaged file.
 */
export async function saveWorkloadRun(dataDir: string, genesisHash: string, run: WorkloadRun, before?: WorkloadRun): Promise<void> {
  const file = clusterPaths(dataDir).workloadFile;
  const known = readWorkloadFile(file, genesisHash)?.runs ?? [];
  const text = JSON.stringify(before);
  const runs = known.filter((each) => JSON.stringify(each) !== text);
  const content: WorkloadFile = { formatVersion: 1, genesisHash, runs: [...runs, run].slice(-RUNS_MAX) };
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    await mkdir(dataDir, { recursive: true });
    await writeFile(temporary, `${JSON.stringify(content)}\n`);
    await rename(temporary, file);
  } catch (cause) {
    throw new ShardlabError('report/unwritable', `${file} cannot be written: ${(cause as Error).message}`, { file }, { cause });
  }
}
