import { ShardlabError } from '@shardlab/crosslink';
import { assignRegions, type LatencySpec, parseLatencySpec, wanLatency } from '../../network/shim/latency-spec.ts';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';
import { LATENCY, type LatencyModel } from '../latency.ts';

/** What `shardlab chaos` and `shardlab sim` both read: see `parseLatencySpec`. Throws `sim/latency` where there is no network without latency. */
export function latencyOf(text: string): LatencySpec {
  // A local network under load: the simulation's own, wider than one that stands idle.
  if (text === 'lan') return { kind: 'same', model: LATENCY };
  const spec = parseLatencySpec(text);
  if (spec === undefined) throw new ShardlabError('sim/latency', 'messages take some time: give lan, wan, constant:20ms, uniform:1ms..5ms or normal:50ms±10ms');
  return spec;
}

/** The latency of each link: the same everywhere, or by the regions that the seed has dealt the nodes to. */
export function linkLatency(text: string, names: readonly NodeName[], seed: number): (from: NodeName, to: NodeName) => LatencyModel {
  const spec = latencyOf(text);
  if (spec.kind === 'same') return () => spec.model;
  const regions = assignRegions(names.map(nodeLabel), seed);
  return (from, to) => wanLatency(regions.get(nodeLabel(from))!, regions.get(nodeLabel(to))!);
}
