import { spawn } from 'node:child_process';
import { argv, execArgv, execPath, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import type { Plan } from '../../src/sim/swarm/plan.ts';
import { SeedRunner, SWARM_DEFAULTS, type SwarmOptions } from '../../src/sim/swarm/simulator.ts';

/** One transfer a virtual second, for this many. */
const SECONDS = 300;
/** Runs before the measured one: compiled code is what a swarm runs. */
const WARM_RUNS = 3;
const LARGE: SwarmOptions = { ...SWARM_DEFAULTS, shards: 64, txs: 256, faults: [] };

/**
 * How fast virtual time runs: 3 shards with committees of four and a beacon of four, one transfer a virtual second, 20 % of
 * them cross-shard, no faults, one core.
 */
export interface SimSpeedBench {
  readonly bench: 'sim-speed';
  /** Virtual seconds a second of wall time: the bound is real time, which is 1. */
  readonly ratio: number;
  readonly virtualSeconds: number;
  readonly wallSeconds: number;
  readonly committed: number;
  readonly events: number;
  readonly signatures: string;
}

/** A large network in one process: 64 shards with committees of four. */
export interface SimLargeBench {
  readonly bench: 'sim-large';
  readonly shards: number;
  readonly validators: number;
  readonly committed: number;
  readonly virtualSeconds: number;
  readonly wallSeconds: number;
  readonly residentBytesMax: number;
}

/** The seed's own transfers, one each virtual second. */
function steady(plan: Plan): Plan {
  const transfers = plan.transfers.map((transfer, second) => ({ ...transfer, atMs: 1_500 + second * 1_000 }));
  return { ...plan, healMs: 1_500 + transfers.length * 1_000, transfers };
}

async function speed(): Promise<SimSpeedBench> {
  const options: SwarmOptions = { ...SWARM_DEFAULTS, txs: SECONDS, contracts: 0, faults: [] };
  const runner = new SeedRunner(options);
  const play = async (seed: number): ReturnType<SeedRunner['play']> => runner.play(steady(await runner.plan(seed)));
  for (let seed = 1; seed <= WARM_RUNS; seed++) await play(seed);
  const began = performance.now();
  const result = await play(WARM_RUNS + 1);
  const wallSeconds = (performance.now() - began) / 1_000;
  if (!result.ok) throw new Error(`a run without faults fails: ${result.found.join('; ')}`);
  const virtualSeconds = result.virtualMs / 1_000;
  const ratio = Number((virtualSeconds / wallSeconds).toFixed(1));
  return { bench: 'sim-speed', ratio, virtualSeconds, wallSeconds, committed: result.committed, events: result.events, signatures: 'keyed hashes in place of ed25519 and secp256k1' };
}

async function large(): Promise<SimLargeBench> {
  const runner = new SeedRunner(LARGE);
  const began = performance.now();
  const result = await runner.run(1);
  if (!result.ok) throw new Error(`64 shards without faults fail: ${result.found.join('; ')}`);
  return {
    bench: 'sim-large',
    shards: LARGE.shards,
    validators: LARGE.validators,
    committed: result.committed,
    virtualSeconds: result.virtualMs / 1_000,
    wallSeconds: (performance.now() - began) / 1_000,
    // Kilobytes, says getrusage(2).
    residentBytesMax: process.resourceUsage().maxRSS * 1_024,
  };
}

/** In a process of its own: what ran before must not count as its memory. */
function inOwnProcess(part: 'speed' | 'large'): Promise<SimSpeedBench | SimLargeBench> {
  const child = spawn(execPath, [...execArgv, fileURLToPath(import.meta.url), part], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve(JSON.parse(out) as SimSpeedBench | SimLargeBench) : reject(new Error(`the simulation ended with ${code}`))));
  });
}

/** Speed of the simulator against real time, and the memory of a large network. */
export async function benchSim(): Promise<(SimSpeedBench | SimLargeBench)[]> {
  return [await inOwnProcess('speed'), await inOwnProcess('large')];
}

if (import.meta.main) stdout.write(`${JSON.stringify(await (argv[2] === 'large' ? large() : speed()))}\n`);
