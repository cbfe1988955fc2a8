/** Whole networks of real processes for the end-to-end tests: up, commands, questions, and a teardown that leaves nothing. */
import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster, ClusterNode } from '@shardlab/cli';
import { readCluster } from '@shardlab/cli';
import type { Ran, Running } from './e2e-program.ts';
import { startShardlab } from './e2e-program.ts';

/** Lines of each node's log that a failure shows, apart from those of every block. */
const TAIL_LINES = 24;
/** What is read of a log for that. */
const TAIL_BYTES = 1 << 20;
const EVERY_BLOCK = /"event":"(block|beacon)\.committed"/;
const POLL_MS = 50;

/** One of the accounts that `up` prints. */
export interface ShownAccount {
  readonly address: `0x${string}`;
  readonly secretKey: `0x${string}`;
  readonly shard: number;
  readonly url: string;
}

/** The answer of `up --json`. */
export interface UpAnswer {
  readonly ok: boolean;
  readonly resumed: boolean;
  readonly started: readonly string[];
  readonly genesisHash: `0x${string}`;
  readonly chainId: number;
  readonly rpcUrl: string;
  readonly accounts: readonly ShownAccount[];
}

/** One entry of `status --json`, as far as the tests read it. */
export interface StatusNode {
  readonly id: string;
  readonly role: string;
  readonly shard: number | null;
  readonly height: number;
  readonly stateRoot: string | null;
  readonly peers: number;
  readonly healthy: boolean;
  readonly reason?: string;
  readonly rpcUrl: string;
  readonly pid: number;
  readonly mempool: { readonly pending: number };
  readonly receiptBatches: { readonly gossip: number; readonly pull: number };
  readonly crossShard: { readonly coordinating: number; readonly participating: number; readonly locksHeld: number };
  /** Where there are committees. */
  readonly consensus?: { readonly view: number; readonly active: boolean; readonly leader: number; readonly voted: readonly number[]; readonly quorum: number };
}

/** The answer of `status --json`. */
export interface StatusAnswer {
  readonly nodes: readonly StatusNode[];
  readonly chains: readonly { readonly chain: string; readonly validators: number; readonly quorum: number; readonly answering: number; readonly stands?: string }[];
  readonly beacon: { readonly height: number; readonly epoch: number };
}

/** The answer of `audit --json`. */
export interface AuditAnswer {
  readonly ok: boolean;
  readonly supply: { readonly genesis: string; readonly balances: string; readonly burned: string; readonly difference: string };
  readonly atomicity: { readonly checked: number; readonly violations: number };
  readonly locks: { readonly held: number; readonly stuck: number };
  readonly sequences: { readonly gaps: number; readonly duplicates: number };
  readonly proofs: { readonly batchesChecked: number; readonly bad: number };
  readonly validators: { readonly compared: number; readonly forks: number };
}

/** The last line of `load --json`. */
export interface LoadAnswer {
  readonly ok: boolean;
  readonly submitted: number;
  readonly committed: number;
  readonly aborted: number;
  readonly rejected: number;
  readonly rejections: Readonly<Record<string, number>>;
  readonly pending: number;
  readonly crossShard: { readonly count: number; readonly ratio: number };
  readonly latencyMs: { readonly intraShard: Latency; readonly crossShard: Latency };
  readonly leftOut?: Readonly<Record<string, number>>;
  readonly audit?: AuditAnswer;
}

interface Latency {
  readonly p50: number | null;
  readonly p99: number | null;
}

/** How a network differs from the usual: two shards, 40 accounts. */
export interface NetworkOptions {
  readonly shards?: number;
  /** Of each shard. */
  readonly validators?: number;
  readonly beaconValidators?: number;
  readonly seed?: number;
  /** Instead of `--accounts`. */
  readonly trace?: string;
  readonly logLevel?: string;
  readonly accounts?: number;
  /** Execution threads of each node. */
  readonly workers?: number;
}

/** Pids of live node processes whose configuration lies below `directory`. Linux only; elsewhere `down` itself has to be believed. */
export function nodeProcesses(directory: string): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc').map(Number).filter((pid) => {
    if (!Number.isInteger(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`--config\0${directory}`);
    } catch {
      // Ended in between.
      return false;
    }
  });
}

/** A temporary directory that lives as long as the test. */
export function temporaryDirectory(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'shardlab-e2e-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

/** A data directory, the commands on it, and what is asked of its nodes. */
export class TestNetwork {
  readonly root: string;
  readonly dataDir: string;
  private answer: UpAnswer | undefined;
  private readonly running = new Set<Running>();

  /** Registers the teardown: it stops every process and fails the test when one is left. */
  constructor(t: TestContext) {
    this.root = mkdtempSync(join(tmpdir(), 'shardlab-e2e-'));
    this.dataDir = join(this.root, 'data');
    t.after(() => this.tearDown());
  }

  private async tearDown(): Promise<void> {
    try {
      for (const command of this.running) command.child.kill('SIGKILL');
      if (!existsSync(join(this.dataDir, 'cluster.json'))) return;
      const down = await this.run('down');
      const left = nodeProcesses(this.dataDir);
      // They would outlive the test run; the failure below tells.
      for (const pid of left) process.kill(pid, 'SIGKILL');
      assert.equal(down.code, 0, `${down.out}${down.err}`);
      assert.deepEqual(left, [], 'down left processes');
    } finally {
      rmSync(this.root, { recursive: true, force: true });
    }
  }

  /** Starts a network, detached, on ports that the system chooses. */
  async up(options: NetworkOptions = {}): Promise<UpAnswer> {
    const { shards = 2, validators = 1, beaconValidators = validators, seed = 1, trace, logLevel, accounts = 40, workers } = options;
    const funded = trace === undefined ? ['--accounts', String(accounts)] : ['--trace', trace];
    const level = logLevel === undefined ? [] : ['--log-level', logLevel];
    const threads = workers === undefined ? [] : ['--workers', String(workers)];
    const size = ['--shards', String(shards), '--validators', String(validators), '--beacon-validators', String(beaconValidators)];
    this.answer = await this.json<UpAnswer>('up', ...size, '--seed', String(seed), ...funded, ...level, ...threads, '--base-port', '0', '--detach');
    return this.answer;
  }

  /** `up --detach` on the network that is there. */
  async resume(): Promise<UpAnswer> {
    this.answer = await this.json<UpAnswer>('up', '--detach');
    return this.answer;
  }

  /** What `up` has said last. */
  get network(): UpAnswer {
    assert.ok(this.answer !== undefined, 'the network was not started');
    return this.answer;
  }

  /** `cluster.json` as it stands now. */
  get cluster(): Cluster {
    return readCluster(this.dataDir);
  }

  /** One node of `cluster.json`. */
  node(id: string): ClusterNode {
    const node = this.cluster.nodes.find((candidate) => candidate.id === id);
    assert.ok(node !== undefined, `no node ${id}`);
    return node;
  }

  /** The first `count` of the printed accounts that live on `shard`. */
  accountsOn(shard: number, count: number): readonly ShownAccount[] {
    const found = this.network.accounts.filter((account) => account.shard === shard).slice(0, count);
    assert.equal(found.length, count, `only ${found.length} of the printed accounts live on shard ${shard}`);
    return found;
  }

  /** Starts a command on this data directory. */
  start(...args: readonly string[]): Running {
    const command = startShardlab([...args, '--data-dir', this.dataDir], this.root);
    this.running.add(command);
    void command.done.finally(() => this.running.delete(command));
    return command;
  }

  /** Runs a command on this data directory. */
  run(...args: readonly string[]): Promise<Ran> {
    return this.start(...args).done;
  }

  /** Runs a command line as it is: no data directory. */
  runPlain(...args: readonly string[]): Promise<Ran> {
    return startShardlab(args, this.root).done;
  }

  /** Runs a command with `--json` that must succeed; its last line. */
  async json<T>(...args: readonly string[]): Promise<T> {
    return this.lastLine<T>(args, await this.run(...args, '--json'));
  }

  /** The JSON of the last line of a command that must have succeeded; the nodes' logs in the error if not. */
  lastLine<T>(args: readonly string[], ran: Ran): T {
    if (ran.code !== 0) assert.fail(`shardlab ${args.join(' ')} exited with ${ran.code}\n${ran.err}${ran.out}\n${this.diagnosis()}`);
    return JSON.parse(ran.out.trim().split('\n').at(-1)!) as T;
  }

  status(): Promise<StatusAnswer> {
    return this.json<StatusAnswer>('status');
  }

  /** Waits until every node is healthy and connected to all others: a node that has just come back is dialled within seconds, not at once. */
  async meshed(): Promise<StatusAnswer> {
    let status: StatusAnswer | undefined;
    await this.until('every node is healthy and connected to all others', async () => {
      const ran = await this.run('status', '--json');
      status = ran.code === 0 ? (JSON.parse(ran.out) as StatusAnswer) : undefined;
      return status?.nodes.every((node) => node.healthy && node.peers === status!.nodes.length - 1) === true;
    });
    return status!;
  }

  /** Audits; fails unless the books balance in every respect. */
  async audit(): Promise<AuditAnswer> {
    const audit = await this.json<AuditAnswer>('audit');
    this.assertBalanced(audit);
    return audit;
  }

  /** Every part of an audit by itself: a verdict alone would hide which. */
  assertBalanced(audit: AuditAnswer | undefined): void {
    assert.ok(audit !== undefined, 'there was no audit');
    const { ok, supply, atomicity, locks, sequences, proofs } = audit;
    const found = { ok, difference: supply.difference, violations: atomicity.violations, stuck: locks.stuck, ...sequences, bad: proofs.bad };
    assert.deepEqual(found, { ok: true, difference: '0', violations: 0, stuck: 0, gaps: 0, duplicates: 0, bad: 0 }, JSON.stringify(audit));
  }

  /** One JSON-RPC call; throws what the node answers as an error. */
  async call<T>(method: string, params: readonly unknown[] = [], path = '/', url = this.network.rpcUrl): Promise<T> {
    const answer = await fetch(new URL(path, url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      signal: AbortSignal.timeout(20_000),
    });
    const { result, error } = (await answer.json()) as { result?: T; error?: { code: number; message: string } };
    if (error !== undefined) throw Object.assign(new Error(error.message), { code: error.code });
    return result as T;
  }

  /** Waits for a condition outside this process; fails with the nodes' logs after `deadlineMs`. */
  async until(what: string, condition: () => boolean | Promise<boolean>, deadlineMs = 30_000): Promise<void> {
    const end = performance.now() + deadlineMs;
    while (!(await condition())) {
      if (performance.now() > end) assert.fail(`not within ${deadlineMs / 1000} s: ${what}\n${this.diagnosis()}`);
      await sleep(POLL_MS);
    }
  }

  /** The last lines of every node's log and stderr. */
  diagnosis(): string {
    if (!existsSync(join(this.dataDir, 'cluster.json'))) return '(no cluster)';
    const tail = (file: string): string[] => {
      if (!existsSync(file)) return [];
      const { size } = statSync(file);
      const lines = endOf(file, size).trim().split('\n');
      return [...(size > TAIL_BYTES ? [`(${size} bytes)`] : []), ...lines.filter((line) => !EVERY_BLOCK.test(line)).slice(-TAIL_LINES)];
    };
    return this.cluster.nodes
      .map((node) => [`--- ${node.id}, pid ${node.pid}`, ...tail(node.logFile), ...tail(join(node.directory, 'stderr.log'))].join('\n'))
      .join('\n');
  }
}

/** The end of a file: a node that has gone wild can write more than a string holds. */
function endOf(file: string, size: number): string {
  const length = Math.min(size, TAIL_BYTES);
  const bytes = Buffer.alloc(length);
  const descriptor = openSync(file, 'r');
  try {
    return bytes.toString('utf8', 0, readSync(descriptor, bytes, 0, length, size - length));
  } finally {
    closeSync(descriptor);
  }
}

/** A network that runs, for the time of the test. */
export async function startNetwork(t: TestContext, options: NetworkOptions = {}): Promise<TestNetwork> {
  const network = new TestNetwork(t);
  await network.up(options);
  return network;
}
