import { Prng, ShardlabError } from '@shardlab/crosslink';

import type { LatencyModel } from '../../sim/latency.ts';

/** Longest latency that can be asked for, in milliseconds. */
export const LATENCY_MAX_MS = 60_000;
/** What is right, for people. */
export const LATENCY_SYNTAX = 'none, lan, wan, constant:20ms, uniform:1ms..5ms or normal:50ms±10ms';

/** The regions of {@link LatencySpec} `wan`, named as the large clouds name theirs. */
export const REGIONS = ['us-east', 'us-west', 'eu-west', 'ap-northeast', 'ap-southeast'] as const;
/** One of {@link REGIONS}. */
export type Region = (typeof REGIONS)[number];

/** How latency is spread over a network: the same model on each link, or one for each pair of regions. */
export type LatencySpec =
  | { readonly kind: 'same'; readonly model: LatencyModel }
  | { readonly kind: 'wan' };

/**
 * One-way milliseconds between regions, in the order of {@link REGIONS}: halves of typical round trips between data centres of one provider on those
 * coasts. They approximate; what matters is that pairs differ by more than a factor of ten.
 */
const WAN_MS: readonly (readonly number[])[] = [
  [0.5, 31, 36, 76, 101],
  [31, 0.5, 66, 52, 71],
  [36, 66, 0.5, 107, 130],
  [76, 52, 107, 0.5, 53],
  [101, 71, 130, 53, 0.5],
];
/** Deviation on a wide-area link, as a share of its mean. */
const WAN_JITTER = 0.05;
/** A normal model is cut off this many deviations below its mean. */
const DEVIATIONS_BELOW = 4;

const NUMBER = String.raw`(\d{1,6}(?:\.\d{1,6})?)`;
const CONSTANT = new RegExp(`^constant:${NUMBER}ms$`);
const UNIFORM = new RegExp(`^uniform:${NUMBER}ms\\.\\.${NUMBER}ms$`);
// A terminal without ± can say +-.
const NORMAL = new RegExp(`^normal:${NUMBER}ms(?:±|\\+-)${NUMBER}ms$`);

function wrong(text: string): never {
  throw new ShardlabError('latency/model', `no latency model: ${text.slice(0, 64)} (give ${LATENCY_SYNTAX}; at most ${LATENCY_MAX_MS} ms)`);
}

function normal(meanMs: number, deviationMs: number): LatencyModel {
  return { kind: 'normal', meanMs, deviationMs, minMs: Math.max(0, meanMs - DEVIATIONS_BELOW * deviationMs) };
}

/**
 * Parses a model of one link: `constant:20ms`, `uniform:1ms..5ms`, `normal:50ms±10ms` (or `+-`). Throws `latency/model` with one line that says what would
 * be right.
 */
export function parseLatencyModel(text: string): LatencyModel {
  const constant = CONSTANT.exec(text);
  const uniform = UNIFORM.exec(text);
  const bell = NORMAL.exec(text);
  const found = constant ?? uniform ?? bell ?? wrong(text);
  const first = Number(found[1]);
  const second = Number(found[2] ?? 0);
  if (first > LATENCY_MAX_MS || second > LATENCY_MAX_MS) wrong(text);
  if (constant !== null) return { kind: 'constant', ms: first };
  if (bell !== null) return normal(first, second);
  return second < first ? wrong(text) : { kind: 'uniform', minMs: first, maxMs: second };
}

/** Writes what {@link parseLatencyModel} reads. */
export function formatLatencyModel(model: LatencyModel): string {
  switch (model.kind) {
    case 'constant':
      return `constant:${model.ms}ms`;
    case 'uniform':
      return `uniform:${model.minMs}ms..${model.maxMs}ms`;
    case 'normal':
      return `normal:${model.meanMs}ms±${model.deviationMs}ms`;
  }
}

/** Parses what a user says of a whole network: a model of one link, `lan`, `wan`, or `none`, which is undefined. Throws `latency/model`. */
export function parseLatencySpec(text: string): LatencySpec | undefined {
  if (text === 'none') return undefined;
  if (text === 'lan') return { kind: 'same', model: { kind: 'uniform', minMs: 0.1, maxMs: 1 } };
  return text === 'wan' ? { kind: 'wan' } : { kind: 'same', model: parseLatencyModel(text) };
}

/** The model of the link from one region to another. */
export function wanLatency(from: Region, to: Region): LatencyModel {
  const meanMs = WAN_MS[REGIONS.indexOf(from)]![REGIONS.indexOf(to)]!;
  // To a tenth of a microsecond: a product of decimals would not read back as it was written.
  return normal(meanMs, Number((meanMs * WAN_JITTER).toFixed(4)));
}

/** Deals `nodes` to the regions, evenly and by `seed`: equal seeds and lists give equal places. */
export function assignRegions(nodes: readonly string[], seed: number): ReadonlyMap<string, Region> {
  const prng = new Prng(seed);
  const order = [...nodes];
  for (let i = order.length - 1; i > 0; i--) {
    const j = prng.below(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  const first = prng.below(REGIONS.length);
  const regions = new Map(order.map((node, at) => [node, REGIONS[(first + at) % REGIONS.length]!]));
  return new Map(nodes.map((node) => [node, regions.get(node)!]));
}
