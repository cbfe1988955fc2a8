import { formatLatencyModel, type Region, wanLatency } from '@shardlab/node';
import type { ChaosEvent } from './schedule.ts';

/** Faults of the links from one node, as `shardlab_setFaults` takes them. */
export interface LinkFaultsJson {
  readonly to: readonly string[];
  readonly cut?: true;
  readonly delay?: string;
  readonly loss?: number;
  readonly bytesPerSecond?: number;
}

function isCut(from: string, to: string, partitions: readonly ChaosEvent[]): boolean {
  return partitions.some(({ nodes, parameters }) => {
    const { direction } = parameters;
    const [fromInside, toInside] = [nodes.includes(from), nodes.includes(to)];
    if (fromInside === toInside) return false;
    return direction === 'both' || (direction === 'out') === fromInside;
  });
}

function delayOf(from: string, to: string, delays: readonly ChaosEvent[]): string | undefined {
  const parameters = delays[0]?.parameters;
  if (parameters === undefined) return undefined;
  const regions = parameters['regions'] as Readonly<Record<string, Region>> | undefined;
  if (regions === undefined) return parameters['model'] as string;
  return formatLatencyModel(wanLatency(regions[from]!, regions[to]!));
}

/** What node `from` has to do to its links while `active` lasts; links of one kind stand together. None: it is healthy. */
export function linkFaults(from: string, nodes: readonly string[], active: readonly ChaosEvent[]): LinkFaultsJson[] {
  const of = (kind: ChaosEvent['kind']): ChaosEvent[] => active.filter((event) => event.kind === kind);
  const [partitions, delays] = [of('partition'), of('delay')];
  const loss = of('loss')[0]?.parameters['probability'] as number | undefined;
  const bytesPerSecond = of('bandwidth')[0]?.parameters['bytesPerSecond'] as number | undefined;
  const groups = new Map<string, { readonly to: string[]; readonly faults: Omit<LinkFaultsJson, 'to'> }>();
  for (const to of nodes) {
    if (to === from) continue;
    const delay = delayOf(from, to, delays);
    const faults = {
      ...(isCut(from, to, partitions) ? { cut: true as const } : {}),
      ...(delay === undefined ? {} : { delay }),
      ...(loss === undefined ? {} : { loss }),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    };
    const key = JSON.stringify(faults);
    if (key === '{}') continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { to: [to], faults });
    else group.to.push(to);
  }
  return [...groups.values()].map(({ to, faults }) => ({ to, ...faults }));
}
