import { fork } from 'node:child_process';
import { once } from 'node:events';
import { LoadEngine } from '../../src/load/engine.ts';
import { buildReport } from '../../src/report/load-report.ts';
import { RpcClient } from '../../src/rpc/client.ts';
import { ShardEndpoints } from '../../src/rpc/endpoints.ts';
import { KeepAliveTransport } from '../../src/rpc/http.ts';
import { makeFakeLoad } from '../e2e/load-fake-load.ts';

const SHARDS = 4;
const RATE = 4000;
const SECONDS = 8;
/** Processor share that the generator may take from the network it measures, in cores. */
const CORES_MAX = 0.3;

/** Result of {@link benchLoadGenerator}. */
export interface LoadGeneratorBench {
  readonly bench: 'generator';
  /** Transactions a second that all ended. */
  readonly perSecond: number;
  readonly cores: number;
  readonly coresMax: number;
  /** Below 1: within bounds. */
  readonly ratio: number;
  readonly lagMaxMs: number;
  readonly p99Ms: number | null;
}

/** The open loop alone, after signing, against a fake network in another process: 4,000 transactions a second, 20 % cross-shard, 4 shards, 8 s. */
export async function benchLoadGenerator(): Promise<LoadGeneratorBench> {
  const child = fork(new URL('./load-fake-process.ts', import.meta.url), [String(SHARDS)]);
  const http = new KeepAliveTransport();
  try {
    const [urls] = (await once(child, 'message')) as [string[]];
    const load = makeFakeLoad({ count: RATE * SECONDS, crossShardRatio: 0.2, zipf: 0, shards: SHARDS, accounts: 1000, sizeBytes: 116 });
    const endpoints = urls.map((url) => new ShardEndpoints([new RpcClient({ url }, { http })]));
    const options = { ratePerSecond: RATE, outstandingPerSender: 64, resubmitAfterMs: 10_000, drainTimeoutMs: 30_000, fromHeights: urls.map(() => 0) };
    const nowMs = (): number => performance.timeOrigin + performance.now();
    const result = await new LoadEngine(load, options, { http, endpoints, nowMs }).run();
    const report = buildReport(result, { shards: SHARDS, validators: 1 });
    const { cores, lagMaxMs } = report.generator;
    const p99Ms = report.latencyMs.crossShard.p99;
    return { bench: 'generator', perSecond: report.committedTps, cores, coresMax: CORES_MAX, ratio: cores / CORES_MAX, lagMaxMs, p99Ms };
  } finally {
    http.close();
    child.disconnect();
    await once(child, 'exit');
  }
}

if (import.meta.main) console.log(JSON.stringify(await benchLoadGenerator()));
