import { availableParallelism, cpus } from 'node:os';
import type { EvmCrypto } from '../../packages/shard/src/execution/evm/types.ts';
import { ContractHost, FORK } from '../support/contract-host.ts';
import { runPeer } from './evm-peer.ts';
import { erc20Transfers, uniswapSwaps } from './evm-workloads.ts';
import type { EvmWorkload, WorkloadSize } from './evm-workloads.ts';

/** One workload on Shardlab's EVM and on `@ethereumjs/evm`, in the same process, in turns, on one core each; one JSON line of `npm run bench`. */
export interface EvmBench {
  readonly bench: string;
  /** What one call is. */
  readonly kind: string;
  /** Calls executed in a second of wall time, best round: overlay made, each call a transaction of its own, changes written to a state in memory. No root. */
  readonly perSecond: number;
  readonly perSecondMedian: number;
  /** The same of processor time, which other processes on the machine do not disturb. */
  readonly perCpuSecond: number;
  /** The same calls by `runCall` over `SimpleStateManager`, best round. */
  readonly peerPerSecond: number;
  readonly peerPerCpuSecond: number;
  readonly peer: string;
  /** `perSecond` / `peerPerSecond`. */
  readonly ratio: number;
  /** `perCpuSecond` / `peerPerCpuSecond`. */
  readonly ratioCpu: number;
  readonly ratioTarget: number;
  readonly gasPerCall: number;
  readonly megagasPerSecond: number;
  readonly accounts: number;
  readonly blockCalls: number;
  readonly peerCalls: number;
  readonly rounds: number;
  readonly roundsDiscarded: number;
  readonly fork: string;
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
}

const RATIO_TARGET = 25;
const PEER = '@ethereumjs/evm 10.1.3';
/** How a workload is measured. */
interface Plan extends WorkloadSize {
  /** First rounds that do not count: V8 compiles what is hot in the background meanwhile, and longer for a swap, whose functions are ten times as large. */
  readonly discarded: number;
  readonly peerCalls: number;
  /** The peer runs every so many rounds: it takes longest. */
  readonly peerEvery: number;
}

const PLANS: Readonly<Record<EvmWorkload['name'], Plan>> = {
  erc20: { accounts: 100_000, blocks: 14, discarded: 4, callsPerBlock: 5_000, peerCalls: 500, peerEvery: 2 },
  swap: { accounts: 2_000, blocks: 30, discarded: 14, callsPerBlock: 1_000, peerCalls: 100, peerEvery: 2 },
};

async function measure(host: ContractHost, workload: EvmWorkload): Promise<EvmBench> {
  const { callsPerBlock, blocks, discarded, peerCalls, peerEvery } = PLANS[workload.name];
  const wall: number[] = [];
  const cpu: number[] = [];
  const peerWall: number[] = [];
  const peerCpu: number[] = [];
  let gasUsed = 0;
  for (const [index, calls] of workload.blocks.entries()) {
    // Before the block, while the state is as its first calls find it.
    if (index % peerEvery === 0) {
      const round = await runPeer(host, calls.slice(0, peerCalls));
      if (index >= discarded) {
        peerWall.push(round.perSecond);
        peerCpu.push(round.perCpuSecond);
      }
    }
    globalThis.gc?.();
    const startCpu = process.cpuUsage();
    const start = performance.now();
    gasUsed = host.runBlock(calls);
    const wallMs = performance.now() - start;
    const { user, system } = process.cpuUsage(startCpu);
    if (index < discarded) continue;
    wall.push((callsPerBlock / wallMs) * 1_000);
    cpu.push((callsPerBlock / (user + system)) * 1_000_000);
  }
  const [perSecond, perCpuSecond, peerPerSecond, peerPerCpuSecond] = [wall, cpu, peerWall, peerCpu].map((rounds) => Math.max(...rounds)) as [number, number, number, number];
  const gasPerCall = gasUsed / callsPerBlock;
  return {
    bench: `evm-${workload.name}`,
    kind: workload.kind,
    perSecond: Math.round(perSecond),
    perSecondMedian: Math.round(wall.toSorted((a, b) => a - b)[wall.length >> 1]!),
    perCpuSecond: Math.round(perCpuSecond),
    peerPerSecond: Math.round(peerPerSecond),
    peerPerCpuSecond: Math.round(peerPerCpuSecond),
    peer: PEER,
    ratio: Number((perSecond / peerPerSecond).toFixed(1)),
    ratioCpu: Number((perCpuSecond / peerPerCpuSecond).toFixed(1)),
    ratioTarget: RATIO_TARGET,
    gasPerCall: Math.round(gasPerCall),
    megagasPerSecond: Math.round((perSecond * gasPerCall) / 1e6),
    accounts: workload.accounts,
    blockCalls: callsPerBlock,
    peerCalls,
    rounds: blocks - discarded,
    roundsDiscarded: discarded,
    fork: FORK,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    node: process.versions.node,
  };
}

/** Measures execution of contract calls: transfers of OpenZeppelin's ERC-20, then swaps of Uniswap V2. Senders are known, nothing is hashed to a root. */
export async function benchEvm(crypto: EvmCrypto): Promise<EvmBench[]> {
  const transfers = new ContractHost(crypto);
  const results = [await measure(transfers, erc20Transfers(transfers, crypto, PLANS.erc20))];
  const swaps = new ContractHost(crypto);
  results.push(await measure(swaps, uniswapSwaps(swaps, crypto, PLANS.swap)));
  return results;
}
