import { type EvmTransaction, packTransactions, type PreparedFootprints, unpackTransactions } from '@shardlab/shard';

import type { ExecutionRequest } from './execution-request.ts';
import type { TransactionArena } from './transaction-arena.ts';

/** In place of one in the arena: the transaction is in the message. */
const IN_MESSAGE = -1;

/** Some of a block's transactions, on their way to a thread. */
export interface SentTransactions {
  /** By transaction: its place in the arena; -1: it is the next of `packed`. */
  readonly places: Float64Array<ArrayBuffer>;
  /** See `packTransactions`. */
  readonly packed: Uint8Array<ArrayBuffer>;
}

/** A block's transactions in the arena, where nothing overwrites them while the block is open. */
export class TransactionPlaces implements PreparedFootprints {
  readonly words: Int32Array;
  private readonly arena: TransactionArena;
  private readonly request: ExecutionRequest;
  /** -1: it is not in the arena, or not any more. */
  private readonly places: Float64Array;

  /** Pins what the block has in the arena; {@link release} ends that. */
  constructor(arena: TransactionArena, request: ExecutionRequest) {
    this.arena = arena;
    this.request = request;
    this.words = arena.words;
    const { transactions, prepared } = request;
    this.places = new Float64Array(transactions.length).fill(IN_MESSAGE);
    let oldest = Infinity;
    if (prepared === undefined) return;
    for (let index = 0; index < transactions.length; index++) {
      const place = prepared[index];
      if (place === undefined || !arena.has(place)) continue;
      this.places[index] = place;
      if (place < oldest) oldest = place;
    }
    arena.pin(oldest);
  }

  at(index: number): number {
    const place = this.places[index]!;
    return place < 0 ? -1 : this.arena.footprintAt(place);
  }

  /** The transactions at `indices`, for a thread. */
  send(indices: Uint32Array): SentTransactions {
    const places = new Float64Array(indices.length);
    const missing: number[] = [];
    for (let i = 0; i < indices.length; i++) {
      places[i] = this.places[indices[i]!]!;
      if (places[i]! < 0) missing.push(indices[i]!);
    }
    return { places, packed: packTransactions(this.request.transactions, missing) };
  }

  release(): void {
    this.arena.pin(Infinity);
  }
}

/** What {@link TransactionPlaces.send} has sent, in the thread; undefined: it is too late, the block has ended and other transactions stand there. */
export function receiveTransactions(arena: TransactionArena, { places, packed }: SentTransactions): EvmTransaction[] | undefined {
  const sent = unpackTransactions(packed);
  const kept = arena.read(sent.length === 0 ? places : places.filter((place) => place >= 0));
  if (sent.length === 0 || kept === undefined) return kept;
  let [fromArena, fromMessage] = [0, 0];
  return Array.from(places, (place) => (place < 0 ? sent[fromMessage++]! : kept[fromArena++]!));
}
