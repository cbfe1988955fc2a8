import { ShardlabError } from '@shardlab/crosslink';
import { LATENCY, type LatencyModel } from '../latency.ts';

/** Names of latency models and what they are. `wan` has one region for each of a committee's first four validators: see `REGIONS`. */
const NAMED: Readonly<Record<string, LatencyModel>> = {
  lan: LATENCY,
  constant: { kind: 'constant', ms: 20 },
  normal: { kind: 'normal', meanMs: 50, deviationMs: 15, minMs: 1 },
};

/** Reads `lan`, `constant[:MS]` or `normal[:MEAN,DEVIATION]`. Throws `sim/latency`. */
export function latencyOf(text: string): LatencyModel {
  const known = NAMED[text];
  if (known !== undefined) return known;
  const constant = /^constant:(\d{1,5})$/.exec(text);
  if (constant !== null) return { kind: 'constant', ms: Number(constant[1]) };
  const normal = /^normal:(\d{1,5}),(\d{1,5})$/.exec(text);
  if (normal !== null) return { kind: 'normal', meanMs: Number(normal[1]), deviationMs: Number(normal[2]), minMs: 1 };
  throw new ShardlabError('sim/latency', `there is no latency model "${text}": give lan, constant:20, normal:50,15 or wan`);
}
