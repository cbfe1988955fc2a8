import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Genesis } from '@shardlab/crosslink';
import { type Demands, type FundedAccounts, openCluster, type OpenedCluster } from '../cluster/open-cluster.ts';
import type { NetworkSize } from '../cluster/layout.ts';
import { usageError } from '../output/cli-error.ts';
import type { LiveLine } from '../output/live-line.ts';
import type { TraceSummary } from '../workload/trace.ts';
import type { CliContext } from './context.ts';
import { firstAccounts } from './shown-accounts.ts';

/** Funded accounts of a network that is not told otherwise. */
export const ACCOUNTS_DEFAULT = 1_000;
/** Seed of a network that is not told otherwise. */
export const SEED_DEFAULT = 1;
/** Shards of a network that is not told otherwise. */
export const SHARDS_DEFAULT = 4;

/** What `up` and `demo` ask for. */
export interface StartRequest extends NetworkSize {
  readonly dataDir: string;
  readonly accounts: number;
  readonly seed: number;
  readonly basePort: number;
  /** Of Ethereum, whose rules the network has. */
  readonly fork: Genesis['forks'];
  /** Absolute path of a trace whose senders are funded, instead of derived accounts. */
  readonly traceFile: string | undefined;
  readonly logLevel: string | undefined;
  /** Execution threads of each node; undefined: as they were, none at first. */
  readonly workers: number | undefined;
  /** What an existing network must agree with, apart from the trace. */
  readonly demands: Demands;
}

/** SHA-256 of a file as it lies on disk, hex without 0x. Throws `trace/unreadable`. */
export async function fileDigest(file: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(file), hash);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const what = code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'it is a directory' : (code ?? 'unknown error');
    throw usageError('trace/unreadable', `trace ${file}: cannot be read: ${what}`, { cause });
  }
  return hash.digest('hex');
}

function traceLine(summary: TraceSummary): string {
  const { rows, replayed, leftOut } = summary;
  const out = `${leftOut.creation} contract creations and ${leftOut.type3} of type 3 are left out`;
  return `trace: ${rows} rows, ${replayed} can be replayed; ${out}`;
}

/** Makes the network or resumes it, with progress; it runs and is healthy when this resolves. */
export async function startNetwork(context: CliContext, request: StartRequest, progress: LiveLine, signal: AbortSignal): Promise<OpenedCluster> {
  const { modules, nodeCommand, env } = context;
  const { traceFile, shards, validators, beaconValidators, seed, basePort } = request;
  const trace = traceFile === undefined ? undefined : await fileDigest(traceFile);
  const fund = async (): Promise<FundedAccounts> => {
    progress.update(traceFile === undefined ? 'deriving accounts' : 'reading the trace');
    const made = await (traceFile === undefined ? modules.planDerivedGenesis(request.accounts, seed) : modules.planTraceGenesis(traceFile, seed));
    if (made.summary !== undefined) progress.note(traceLine(made.summary));
    return { plan: made, accounts: firstAccounts(made) };
  };
  const opened = await openCluster({
    dataDir: request.dataDir,
    crypto: await modules.crypto(),
    demands: { ...request.demands, trace },
    network: { shards, validators, beaconValidators, seed, basePort, forks: request.fork },
    fund,
    launch: { command: nodeCommand, env },
    logLevel: request.logLevel,
    workers: request.workers,
    signal,
    onProgress: ({ step, id, done, total }) => progress.update(`${done} of ${total} nodes ${step} (${id})`),
  });
  progress.clear();
  return opened;
}
