import type * as Simulator from './sim/swarm/simulator.ts';
export { createCrypto } from './crypto/create-crypto.ts';
export { createEvmCrypto, createExecutionCrypto } from './crypto/create-evm-crypto.ts';
export { type CryptoNames, type CryptoOptions, type ExecutionCrypto, type NodeCrypto } from './crypto/types.ts';
export { threadFlags } from './execution/v8-flags.ts';
export {
  assignRegions,
  formatLatencyModel,
  LATENCY_SYNTAX,
  type LatencySpec,
  parseLatencyModel,
  parseLatencySpec,
  type Region,
  wanLatency,
} from './network/shim/latency-spec.ts';
export { type NodeName } from './ports.ts';

/**
 * Becomes the node that a `node.json` describes; resolves when it serves. Its parts are imported here, at the first use: who only wants the crypto (a signing
 * thread) shall not load a network.
 */
export async function runNode(configFile: string): Promise<void> {
  const { runNode: run } = await import('./process/run-node.ts');
  await run(configFile);
}

export { type Plan } from './sim/swarm/plan.ts';
export { type SeedResult } from './sim/swarm/run.ts';
export { type SwarmOptions } from './sim/swarm/options.ts';
export { type SwarmSummary, type SwarmTally } from './sim/swarm/swarm.ts';

/** The swarm of simulated networks, loaded at the first use as {@link runNode}'s parts are. */
export async function loadSimulator(): Promise<typeof Simulator> {
  return import('./sim/swarm/simulator.ts');
}
