import type { ShardId } from '../primitives.ts';
import type { CrossShardMessage } from './messages.ts';
import type { ProtocolHost } from './protocol.ts';

/**
 * Messages of a shard to itself: where the coordinator's own shard takes part, both halves of the protocol are here, and what they say to each other needs no sequence,
 * no proof and no other block. Bounded by what one input makes: it is empty between inputs.
 */
export class Loopback {
  private queue: CrossShardMessage[] = [];

  /** Sends a message out with the block, or into the queue if it is for the shard itself. */
  send(host: ProtocolHost, destination: ShardId, message: CrossShardMessage): void {
    if (destination === host.shard) this.queue.push(message);
    else host.emit(destination, message);
  }

  /** Delivers what is queued, in order, and what that makes. */
  drain(deliver: (message: CrossShardMessage) => void): void {
    while (this.queue.length > 0) {
      const messages = this.queue;
      this.queue = [];
      for (const message of messages) deliver(message);
    }
  }
}
