/**
 * The docker test: builds the image, starts the compose network, loads it from outside, cuts one shard's network in the middle of load and joins it
 * again, kills one container and starts it again, waits until both have caught up, audits the books, and takes everything down.
 * Started by docker-test.sh, which sees to a daemon and a base image. Every step is bounded. Exit code: 0 passed, 1 failed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SERVICES = ['beacon', 'shard-0', 'shard-1', 'shard-2', 'shard-3'] as const;
type Service = (typeof SERVICES)[number];
/** The shard whose network is cut, and the one whose container is killed. */
const CUT: Service = 'shard-2';
const KILLED: Service = 'shard-1';
const OUTPUT_CHARS_MAX = 4 * 1024 * 1024;

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, at most `timeoutMs`; a program that fails or takes longer throws, unless `tolerant`. */
async function run(command: readonly string[], timeoutMs: number, env: NodeJS.ProcessEnv, tolerant = false): Promise<Run> {
  const child = spawn(command[0]!, command.slice(1), { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs, killSignal: 'SIGKILL' });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] = (text[name] + chunk).slice(-OUTPUT_CHARS_MAX);
    });
  }
  const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((settle, fail) => {
    child.once('error', fail);
    child.once('close', (code, by) => settle([code, by]));
  });
  if (status !== 0 && !tolerant) {
    const last = (text.stderr || text.stdout).trimEnd().split('\n').slice(-15).join('\n');
    throw new Error(`${command.join(' ')}: ${signal === null ? `exit code ${status}` : `ended by ${signal} after ${timeoutMs / 1000} s`}\n${last}`);
  }
  return { status, ...text };
}

/** As many free TCP ports of the loopback interface as asked for, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((settle) => server.listen(0, '127.0.0.1', settle));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((settle) => server.close(settle))));
  return ports;
}

/** The network under test. */
class Network {
  readonly project = `shardlab-test-${process.pid}`;
  readonly image = `shardlab-test:${process.pid}`;
  readonly directory = mkdtempSync(join(tmpdir(), 'shardlab-docker-'));
  readonly ports: ReadonlyMap<Service, number>;
  readonly env: NodeJS.ProcessEnv;
  private readonly composeCommand: readonly string[];

  constructor(composeCommand: readonly string[], ports: readonly number[]) {
    this.composeCommand = composeCommand;
    this.ports = new Map(SERVICES.map((service, index) => [service, ports[index]!]));
    this.env = { ...process.env, SHARDLAB_IMAGE: this.image, COMPOSE_INTERACTIVE_NO_CLI: '1' };
    for (const [service, port] of this.ports) this.env[`SHARDLAB_${service.toUpperCase().replace('-', '_')}_PORT`] = String(port);
  }

  get rpcUrl(): string {
    return `http://127.0.0.1:${this.ports.get('beacon')}`;
  }

  compose(args: readonly string[], timeoutMs: number): Promise<Run> {
    return run([...this.composeCommand, '-p', this.project, '-f', 'docker-compose.yml', ...args], timeoutMs, this.env);
  }

  /** What is left of the network when there is no time to ask nicely. */
  abandon(): void {
    const options = { cwd: ROOT, env: this.env, timeout: 20_000 };
    const [program, ...first] = this.composeCommand;
    spawnSync(program!, [...first, '-p', this.project, '-f', 'docker-compose.yml', 'down', '-v', '--remove-orphans', '-t', '1'], options);
    spawnSync('docker', ['image', 'rm', '-f', this.image], options);
    rmSync(this.directory, { recursive: true, force: true });
  }

  docker(args: readonly string[], timeoutMs = 60_000): Promise<Run> {
    return run(['docker', ...args], timeoutMs, this.env);
  }

  async container(service: Service): Promise<string> {
    return (await this.compose(['ps', '-a', '-q', service], 60_000).catch(() => this.compose(['ps', '-q', service], 60_000))).stdout.trim();
  }

  /** Runs the program as a user outside of the containers would; returns the last line as JSON. Exit code 1 is an answer too. */
  async shardlab(args: readonly string[], timeoutMs: number): Promise<Record<string, unknown>> {
    const command = [process.execPath, 'packages/cli/bin/shardlab.js', ...args, '--rpc', this.rpcUrl, '--data-dir', this.directory, '--json'];
    const result = await run(command, timeoutMs, this.env, true);
    const last = result.stdout.trimEnd().split('\n').at(-1) ?? '';
    if (result.status !== 0) throw new Error(`shardlab ${args.join(' ')}: exit code ${result.status}\n${last}\n${result.stderr.slice(-2000)}`);
    return JSON.parse(last) as Record<string, unknown>;
  }
}

function expect(condition: boolean, what: string, found: unknown): asserts condition {
  if (!condition) throw new Error(`${what}; found ${JSON.stringify(found)}`);
}

async function healthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(3000) })).ok;
  } catch {
    return false;
  }
}

async function heightOf(network: Network, service: Service): Promise<number> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'shard_status', params: [] });
  const path = `/shard/${service.slice('shard-'.length)}`;
  const url = `http://127.0.0.1:${network.ports.get(service)}${path}`;
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body, signal: AbortSignal.timeout(5000) });
  const { result } = (await answer.json()) as { result?: { height?: number } };
  expect(typeof result?.height === 'number', `shard_status of ${service} has a height`, result);
  return result.height;
}

/** Asks again and again until `condition` holds. An error counts as "not yet", and the last one is told at the end. */
async function until(what: string, timeoutMs: number, condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + timeoutMs;
  let last: unknown = 'it answered no';
  while (Date.now() < end) {
    try {
      if (await condition()) return;
    } catch (error) {
      last = error;
    }
    await delay(500);
  }
  throw new Error(`${what}: not within ${timeoutMs / 1000} s`, { cause: last });
}

async function allHealthy(network: Network): Promise<boolean> {
  const answers = await Promise.all([...network.ports.values()].map((port) => healthy(`http://127.0.0.1:${port}`)));
  return answers.every(Boolean);
}

/** Load that must end with everything settled. Aborts are an answer, lost transactions are not. */
async function load(network: Network, rate: number, seconds: number, seed: number): Promise<void> {
  const args = ['load', '--rate', String(rate), '--duration', String(seconds), '--cross-shard', '0.3', '--seed', String(seed)];
  const report = await network.shardlab(args, (seconds + 180) * 1000);
  expect(report['ok'] === true && report['pending'] === 0, 'load: everything settled', report);
  expect(Number(report['committed']) > 0 && Number((report['crossShard'] as { count?: unknown } | undefined)?.count) > 0, 'load: something committed, also across shards', report);
  step(`loaded: ${['submitted', 'committed', 'aborted', 'rejected'].map((name) => `${String(report[name])} ${name}`).join(', ')}`);
}

async function cutAndJoin(network: Network): Promise<void> {
  const container = await network.container(CUT);
  const before = await heightOf(network, CUT);
  await network.docker(['network', 'disconnect', `${network.project}_default`, container]);
  step(`${CUT} is cut off at height ${before}`);
  expect(!(await healthy(`http://127.0.0.1:${network.ports.get(CUT)}`)), 'a shard that is cut off cannot be reached', CUT);
  await delay(8000);
  // Without the alias the service's name would be gone.
  await network.docker(['network', 'connect', '--alias', CUT, `${network.project}_default`, container]);
  await until(`${CUT} goes on after it was joined again`, 120_000, async () => (await heightOf(network, CUT)) > before);
  step(`${CUT} is back and makes blocks`);
}

async function killAndStart(network: Network): Promise<void> {
  const container = await network.container(KILLED);
  const before = await heightOf(network, KILLED);
  await network.docker(['kill', '--signal', 'KILL', container]);
  step(`${KILLED} is killed at height ${before}`);
  await delay(3000);
  await network.docker(['start', container]);
  await until(`${KILLED} goes on after it was started again`, 120_000, async () => (await heightOf(network, KILLED)) > before);
  step(`${KILLED} is back and makes blocks`);
}

async function audit(network: Network): Promise<void> {
  const report = await network.shardlab(['audit'], 180_000);
  const difference = (report['supply'] as { difference?: unknown } | undefined)?.difference;
  expect(report['ok'] === true && difference === '0', 'audit: the books balance', report);
  step(`audited: ${JSON.stringify(report)}`);
}

function step(text: string): void {
  console.log(`docker-test: ${text}`);
}

async function testNetwork(network: Network): Promise<void> {
  step('building the image');
  await network.compose(['build'], 600_000);
  step('starting a beacon and four shards');
  await network.compose(['up', '-d'], 180_000);
  await until('all nodes are healthy', 120_000, () => allHealthy(network));
  await load(network, 100, 10, 7);
  const background = load(network, 50, 45, 8);
  // It is awaited below; without this a failure before that would end the process without a clean-up.
  background.catch(() => undefined);
  await delay(3000);
  await cutAndJoin(network);
  await killAndStart(network);
  await until('all nodes are healthy again', 120_000, () => allHealthy(network));
  await background;
  await audit(network);
}

async function main(): Promise<number> {
  const plugin = await run(['docker', 'compose', 'version'], 30_000, process.env, true);
  const network = new Network(plugin.status === 0 ? ['docker', 'compose'] : ['docker-compose'], await freePorts(SERVICES.length));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      console.error(`docker-test: ended by ${signal}`);
      network.abandon();
      process.exit(1);
    });
  }
  let failed = false;
  try {
    await testNetwork(network);
  } catch (error) {
    failed = true;
    console.error(error);
    const logs = await network.compose(['logs', '--tail=40'], 60_000).catch((problem: unknown) => ({ stdout: String(problem) }));
    console.error(logs.stdout.slice(-20_000));
  }
  try {
    await network.compose(['down', '-v', '--remove-orphans', '-t', '20'], 180_000);
    await network.docker(['image', 'rm', '-f', network.image]);
    step('taken down');
  } catch (error) {
    failed = true;
    console.error(error);
  }
  rmSync(network.directory, { recursive: true, force: true });
  return failed ? 1 : 0;
}

process.exitCode = await main();
