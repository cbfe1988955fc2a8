/** The swarm: whole networks of the real core in virtual time, seed by seed, under faults and checkers. */
export { ChromeTrace } from './chrome-trace.ts';
export { latencyOf } from './latency.ts';
export { checkSizes, FAULT_KINDS, type FaultKind, parseFaults, parseSeeds, REAL_SCHEME_EVERY, schemeOf, SWARM_DEFAULTS, type SwarmOptions } from './options.ts';
export { type FaultEvent, type Plan } from './plan.ts';
export { readPlan } from './plan-file.ts';
export { type SeedResult } from './run.ts';
export { SeedRunner } from './seed-runner.ts';
export { shrink, type Shrunk } from './shrink.ts';
export { runSwarm, type SwarmSummary, SwarmTally } from './swarm.ts';
