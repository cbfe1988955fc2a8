/**
 * `npm run bench [-- NAME…]`: prints one JSON line per measurement, the machine first; all benchmarks without a name. Seeds and sizes are fixed, and
 * each benchmark compares with a peer or a bound of the same run (`ratio`), because figures of different machines do not compare.
 * On a terminal a table follows on stderr. Exit code: 0, 1 if a benchmark failed, 2 for an unknown name.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { createInterface } from 'node:readline';
import { createCrypto } from '../packages/node/src/crypto/create-crypto.ts';
import { createEvmCrypto, createExecutionCrypto } from '../packages/node/src/crypto/create-evm-crypto.ts';
import { threadFlags } from '../packages/node/src/execution/v8-flags.ts';

/** One line of output. */
type BenchRecord = Readonly<Record<string, unknown>> & { readonly bench: string };

interface Benchmark {
  /** Relative to this file. Loaded only when it runs: one benchmark must not warm, or slow, another. */
  readonly module: string;
  readonly exportName: string;
  /** Makes the arguments, if there are any. */
  readonly args?: () => Promise<readonly unknown[]>;
  /** V8's options that it is to run with, in a process of its own. */
  readonly flags?: readonly string[];
}

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  recovery: { module: '../packages/node/test/perf/recovery.ts', exportName: 'benchRecovery' },
  trie: { module: '../packages/shard/test/perf/trie.ts', exportName: 'benchTrie', args: async () => [await createCrypto()] },
  level: { module: '../packages/node/test/perf/level.ts', exportName: 'benchLevel' },
  gossip: { module: '../packages/node/test/perf/gossip.ts', exportName: 'benchGossip' },
  execute: { module: '../packages/shard/test/perf/execute.ts', exportName: 'benchExecute', args: async () => [await createExecutionCrypto()] },
  storage: { module: '../packages/shard/test/perf/storage.ts', exportName: 'benchStorage', args: async () => [await createCrypto()] },
  'contract-blocks': { module: '../test/perf/contract-blocks.ts', exportName: 'benchContractBlocks', args: async () => [await createExecutionCrypto()] },
  evm: { module: '../test/perf/evm.ts', exportName: 'benchEvm', args: async () => [await createEvmCrypto()] },
  parallel: { module: '../test/perf/parallel.ts', exportName: 'benchParallel', args: async () => [await createEvmCrypto()], flags: threadFlags(2) },
  network: { module: '../test/perf/network.ts', exportName: 'benchNetwork' },
  'network-erc20': { module: '../test/perf/network.ts', exportName: 'benchErc20Network' },
  committees: { module: '../test/perf/network.ts', exportName: 'benchCommittees' },
  'view-change': { module: '../test/perf/view-change.ts', exportName: 'benchViewChange' },
  sim: { module: '../packages/node/test/perf/sim.ts', exportName: 'benchSim' },
};

const MACHINE = 'machine';

function machine(): BenchRecord {
  return {
    bench: MACHINE,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    node: process.versions.node,
    v8: process.versions.v8,
    platform: `${process.platform}-${process.arch}`,
  };
}

/** A benchmark returns one record or several. Throws if what it returns is no record: a benchmark that measures nothing must not pass. */
function records(name: string, value: unknown): BenchRecord[] {
  const list = Array.isArray(value) ? (value as unknown[]) : [value];
  if (list.length === 0) throw new Error(`${name} returned no record`);
  return list.map((item) => {
    if (typeof item !== 'object' || item === null || typeof (item as { bench?: unknown }).bench !== 'string') throw new Error(`${name} returned something that is no record`);
    return item as BenchRecord;
  });
}

/** This very program in a process of its own, with options of V8. */
async function runApart(name: string, flags: readonly string[]): Promise<BenchRecord[]> {
  const child = spawn(process.execPath, [...process.execArgv, ...flags, import.meta.filename, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  const found: BenchRecord[] = [];
  for await (const line of createInterface(child.stdout)) found.push(JSON.parse(line) as BenchRecord);
  const [code] = (await exit) as [number | null];
  const failed = found.find((record) => record['error'] !== undefined);
  if (code !== 0) throw new Error(typeof failed?.['error'] === 'string' ? failed['error'] : `the process of ${name} ended with ${String(code)}`);
  return found.filter(({ bench }) => bench !== MACHINE);
}

async function runBenchmark(name: string, { module, exportName, args, flags = [] }: Benchmark): Promise<BenchRecord[]> {
  if (flags.some((flag) => !process.execArgv.includes(flag))) return records(name, await runApart(name, flags));
  const loaded = (await import(new URL(module, import.meta.url).href)) as Record<string, unknown>;
  const bench = loaded[exportName];
  if (typeof bench !== 'function') throw new Error(`${module} exports no ${exportName}`);
  // What the benchmark before has left behind is not this one's to collect. Present under --expose-gc only.
  globalThis.gc?.();
  return records(name, await (bench as (...values: readonly unknown[]) => unknown)(...(args === undefined ? [] : await args())));
}

function cell(value: unknown): string {
  if (typeof value !== 'number') return typeof value === 'string' ? value : JSON.stringify(value);
  return Number.isInteger(value) ? value.toLocaleString('en') : value.toPrecision(4);
}

/** For people: name, then every figure as `field value`. */
function table(all: readonly BenchRecord[]): string {
  const width = Math.max(...all.map((record) => record.bench.length));
  return all
    .map(({ bench, ...fields }) => {
      const figures = Object.entries(fields).map(([key, value]) => `${key} ${cell(value)}`);
      return `${bench.padEnd(width)}  ${figures.join('  ')}\n`;
    })
    .join('');
}

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.find((name) => !Object.hasOwn(BENCHMARKS, name));
  if (unknown !== undefined) {
    process.stderr.write(`bench: there is no ${unknown}; there are ${Object.keys(BENCHMARKS).join(', ')}\n`);
    return 2;
  }
  const all: BenchRecord[] = [];
  let status = 0;
  const emit = (record: BenchRecord): void => {
    all.push(record);
    process.stdout.write(`${JSON.stringify(record)}\n`);
  };
  emit(machine());
  for (const name of names.length > 0 ? names : Object.keys(BENCHMARKS)) {
    try {
      for (const record of await runBenchmark(name, BENCHMARKS[name]!)) emit(record);
    } catch (error) {
      status = 1;
      emit({ bench: name, error: error instanceof Error ? error.message : String(error) });
    }
  }
  if (process.stderr.isTTY) process.stderr.write(`\n${table(all)}`);
  return status;
}

process.exitCode = await main(process.argv.slice(2));
