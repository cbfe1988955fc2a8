import { type Hash32, type Hasher, type Height, ShardlabError, type ShardHeader } from '@shardlab/crosslink';
import type { ShardState } from '../../../state/shard-state.ts';
import { blockEnvironment } from '../../block-environment.ts';
import { nextBaseFee } from '../../fees.ts';
import type { BlockEnvironment } from '../types.ts';

/** Blocks whose hash BLOCKHASH tells (Yellow Paper 9.4.1). */
const HASHES_MAX = 256n;

/** A simulation asked for the hash of a block that was not at hand: it can be run again with it. */
export class BlockHashWanted extends ShardlabError {
  readonly height: number;

  constructor(height: number) {
    super('simulate/block-hash', `the hash of block ${height} is wanted`, { height });
    this.height = height;
  }
}

/**
 * What the block after `parent` will probably say of itself: for what a transaction will meet that is sent now. At least a second later, so that estimates count what
 * contracts do once a second.
 */
export function nextHeader(hasher: Pick<Hasher, 'sha256'>, parent: ShardHeader, nowMs: number): ShardHeader {
  const timestampMs = Math.max(nowMs, parent.timestampMs + 1_000);
  return { ...parent, height: (parent.height + 1) as Height, timestampMs, baseFeePerGas: nextBaseFee(parent), prevRandao: hasher.sha256(parent.prevRandao) };
}

/**
 * The environment of a block, for what is run on its state. `hashes` has the hashes of earlier blocks that are at hand, by height: for another one,
 * BLOCKHASH throws {@link BlockHashWanted}. A free call (no price of gas) sees a base fee of 0, as go-ethereum has it.
 */
export function pastEnvironment(header: ShardHeader, state: ShardState, hashes: ReadonlyMap<number, Hash32>, options: { readonly isFree: boolean } = { isFree: false }): BlockEnvironment {
  const environment = blockEnvironment(header, state);
  return {
    ...environment,
    baseFeePerGas: options.isFree ? 0n : environment.baseFeePerGas,
    blockHash: (number) => {
      if (number < 0n || number >= environment.number || number < environment.number - HASHES_MAX) return undefined;
      const hash = hashes.get(Number(number));
      if (hash === undefined) throw new BlockHashWanted(Number(number));
      return hash;
    },
  };
}
