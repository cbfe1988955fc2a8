import { invariant, type Prng } from '@shardlab/crosslink';

/** How long a message takes from one node to another, in milliseconds; parts of a microsecond are rounded away. */
export type LatencyModel =
  | { readonly kind: 'constant'; readonly ms: number }
  | { readonly kind: 'uniform'; readonly minMs: number; readonly maxMs: number }
  /** Cut off below `minMs`, since nothing arrives before it was sent. */
  | { readonly kind: 'normal'; readonly meanMs: number; readonly deviationMs: number; readonly minMs: number };

/** A local network under load. */
export const LATENCY: LatencyModel = { kind: 'uniform', minMs: 1, maxMs: 5 };

const TWO_32 = 0x1_0000_0000;

/**
 * An approximately standard normal number: the sum of twelve uniform ones, less 6 (Irwin-Hall). Additions are exact everywhere, while the logarithm and
 * cosine of Box and Muller may differ in the last bit between engines, and then one seed would not give one run.
 */
function standardNormal(prng: Prng): number {
  let sum = 0;
  for (let i = 0; i < 12; i++) sum += prng.u32();
  return sum / TWO_32 - 6;
}

/** Draws one latency in whole microseconds, at least 1. */
export function drawLatencyUs(model: LatencyModel, prng: Prng): number {
  return Math.max(1, Math.round(drawMs(model, prng) * 1000));
}

function drawMs(model: LatencyModel, prng: Prng): number {
  switch (model.kind) {
    case 'constant':
      return model.ms;
    case 'uniform':
      invariant(model.maxMs >= model.minMs, 'a latency range is upside down', { ...model });
      return model.minMs + (model.maxMs - model.minMs) * prng.float();
    case 'normal':
      return Math.max(model.minMs, model.meanMs + model.deviationMs * standardNormal(prng));
  }
}
