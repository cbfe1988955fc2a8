import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Crypto, type Hash32, toHex } from '@shardlab/crosslink';
import { keccak256, toBytes } from 'viem';
import { privateKeyToAccount, privateKeyToAddress } from 'viem/accounts';
import type { AuditReport } from '../../src/audit/report.ts';
import type { AuditRequest, CliContext, CliModules } from '../../src/commands/context.ts';
import { systemModules } from '../../src/commands/modules.ts';
import { runCli } from '../../src/commands/program.ts';
import type { Output } from '../../src/output/output.ts';
import { PLAIN_STYLE } from '../../src/output/style.ts';
import { derivedSecret } from '../../src/workload/key-labels.ts';

/** Script of the fake node. */
export const FAKE_NODE = fileURLToPath(new URL('cluster-fake-node.ts', import.meta.url));
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

function privateKey(secretKey: Uint8Array): ReturnType<typeof createPrivateKey> {
  return createPrivateKey({ key: Buffer.concat([PKCS8, secretKey]), format: 'der', type: 'pkcs8' });
}

/** From other libraries than the product's, so that a genesis made here checks the product's too. */
export const testCrypto: Crypto = {
  sha256: (data) => new Uint8Array(createHash('sha256').update(data).digest()) as Hash32,
  keccak256: (data) => toBytes(keccak256(data)) as Hash32,
  hashPairs: () => {
    throw new Error('not needed here');
  },
  scheme: 1,
  publicKey: (secretKey) => new Uint8Array(createPublicKey(privateKey(secretKey)).export({ format: 'der', type: 'spki' }).subarray(-32)),
  sign: (secretKey, message) => new Uint8Array(sign(null, message, privateKey(secretKey))),
  verify: () => {
    throw new Error('not needed here');
  },
};

/** What the stand-ins for load and audit were asked, and what they answer. */
export interface Script {
  loads: unknown[];
  audits: AuditRequest[];
  loadFails?: Error;
  /** Called when a load is asked for. */
  onLoad?: () => void;
  auditOk: boolean;
}

/** A script in which everything goes well. */
export function newScript(): Script {
  return { loads: [], audits: [], auditOk: true };
}

/** What the stand-in auditor finds: balanced books, or one wei too few. */
export function auditReport(ok: boolean): AuditReport {
  return {
    ok,
    supply: { genesis: '5', balances: ok ? '3' : '2', escrow: '0', inFlight: '0', burned: '2', difference: ok ? '0' : '-1' },
    atomicity: { checked: 2, violations: 0 },
    locks: { held: 0, stuck: 0 },
    sequences: { gaps: 0, duplicates: 0 },
    proofs: { batchesChecked: 4, bad: 0 },
    ledger: { checked: 10, violations: 0 },
    contracts: { runs: 0, invariants: {}, violations: 0 },
    validators: { compared: 0, forks: 0 },
    blocks: 7,
    transactions: 10,
    reverted: 0,
    beaconBlocks: 3,
    cut: { 0: 4, 1: 3 },
    checks: ok ? {} : { supply: 1 },
    findings: ok ? [] : [{ check: 'supply', message: 'one wei too few' }],
  };
}

/** Stand-ins for the heavy parts. */
export function testModules(script: Script): CliModules {
  return {
    crypto: () => Promise.resolve(testCrypto),
    addressOf: (secretKey) => Promise.resolve(toBytes(privateKeyToAddress(toHex(secretKey) as `0x${string}`))),
    async signTransfer(fields, secretKey) {
      const account = privateKeyToAccount(toHex(secretKey) as `0x${string}`);
      const raw = await account.signTransaction({ ...fields, type: 'eip1559', gas: BigInt(fields.gasLimit), to: toHex(fields.to) as `0x${string}` });
      return { raw: toBytes(raw), hash: toBytes(keccak256(raw)) };
    },
    signBatch: (fields, secretKey) => systemModules.signBatch(fields, secretKey),
    planDerivedGenesis: (accounts, seed) =>
      Promise.resolve({
        allocation: Array.from({ length: accounts }, (_, index) => {
          const address = privateKeyToAddress(toHex(derivedSecret(seed, index)) as `0x${string}`).toLowerCase();
          return [address, String(10n ** 24n)] as const;
        }),
        workload: { seed, accounts },
        secretKey: (index) => derivedSecret(seed, index),
      }),
    async planTraceGenesis(file, seed) {
      const plan = await this.planDerivedGenesis(3, seed);
      const trace = createHash('sha256').update(readFileSync(file)).digest('hex');
      return { ...plan, workload: { seed, trace }, summary: { rows: 5, replayed: 3, leftOut: { creation: 1, type3: 1 } } };
    },
    runLoad(options, { onProgress }) {
      script.loads.push(options);
      script.onLoad?.();
      if (script.loadFails !== undefined) return Promise.reject(script.loadFails);
      onProgress?.({ stage: 'signing', done: 1, total: 2 });
      const latency = { p50: 1, p95: 2, p99: 3, max: 4 };
      return Promise.resolve({
        ...{ ok: true, shards: 2, validators: 1, submitted: 10, committed: 10, reverted: 0, aborted: 0, rejected: 0, rejections: {}, aborts: {}, pending: 0 },
        ...{ crossShard: { count: 2, ratio: 0.2 }, offeredTps: 10, committedTps: 10, latencyMs: { intraShard: latency, crossShard: latency } },
        generator: { cores: 0.1, lagMaxMs: 1, resubmitted: 0 },
        workload: { name: options.workload ?? 'transfer', calls: 10, invariants: {}, violations: [] },
      });
    },
    runAudit(request) {
      script.audits.push(request);
      request.onProgress('auditing');
      return Promise.resolve(auditReport(script.auditOk));
    },
    runNode: () => Promise.resolve(),
  };
}

/** An output that remembers. */
export function memoryOutput(terminal = false): Output & { text(): string; close(): void } {
  let all = '';
  const closed = new AbortController();
  return {
    write: (text) => void (all += text),
    isTerminal: terminal,
    columns: 120,
    style: PLAIN_STYLE,
    closed: closed.signal,
    text: () => all,
    close: () => closed.abort(),
  };
}

/** What one command line came to. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A data directory of its own with the commands to use it; everything is stopped and removed at the end of the test. */
export class Bench {
  readonly root = mkdtempSync(join(tmpdir(), 'shardlab-cli-'));
  readonly dataDir = join(this.root, 'data');
  readonly script = newScript();
  env: Record<string, string | undefined> = { ...process.env, XDG_STATE_HOME: join(this.root, 'state') };
  readonly interrupt = new AbortController();

  constructor(test: TestContext) {
    test.after(async () => {
      this.env = { ...process.env };
      await this.run(['down']);
      rmSync(this.root, { recursive: true, force: true });
    });
  }

  context(stdout: Output, stderr: Output): CliContext {
    return {
      env: this.env,
      cwd: this.root,
      stdout,
      stderr,
      nodeCommand: [process.execPath, FAKE_NODE],
      modules: testModules(this.script),
      interruptible: (task) => task(this.interrupt.signal),
    };
  }

  /** Runs a command line against this data directory. */
  async run(args: readonly string[], terminal = false): Promise<Ran> {
    const [stdout, stderr] = [memoryOutput(terminal), memoryOutput(terminal)];
    const code = await runCli([...args, '--data-dir', this.dataDir], this.context(stdout, stderr));
    return { code, out: stdout.text(), err: stderr.text() };
  }

  /** Runs a command line as it is. */
  async runPlain(args: readonly string[]): Promise<Ran> {
    const [stdout, stderr] = [memoryOutput(), memoryOutput()];
    const code = await runCli(args, this.context(stdout, stderr));
    return { code, out: stdout.text(), err: stderr.text() };
  }
}

/** Pids of live processes whose command line names `directory`: what a test must not leave behind. Linux only; elsewhere undefined. */
export function processesOf(directory: string): number[] | undefined {
  if (process.platform !== 'linux') return undefined;
  return readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)).map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`--config\0${directory}`);
    } catch {
      return false;
    }
  });
}
