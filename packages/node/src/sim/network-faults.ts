import type { NodeName } from '../ports.ts';
import type { LatencyModel } from './latency.ts';

/** One message on its way from one node to one other, as the faults see it. */
export interface MessageInfo {
  readonly kind: 'gossip' | 'request' | 'reply';
  readonly from: NodeName;
  readonly to: NodeName;
  /** Of gossip. */
  readonly topic: string | undefined;
  readonly sizeBytes: number;
  readonly nowMs: number;
}

/** What goes wrong between nodes. Asked in a deterministic order; an implementation that draws must draw from its own seeded generator. */
export interface NetworkFaults {
  /** Whether `from` has a connection to `to`. Without one, requests fail as unreachable, and whatever else is sent is lost. */
  linked(from: NodeName, to: NodeName): boolean;
  /**
   * One entry for each copy that arrives: microseconds in addition to its latency. `[0]` is a healthy network, `[]` a loss, two entries a
   * duplicate, a large one a message that others overtake. Duplicates of gossip get past the receiver's cache of seen messages, as after its restart.
   */
  copies(message: MessageInfo): readonly number[];
  /** Whether the connection between two nodes has broken, so that both know of it: `linked` says no of both directions then. After a change, see `SimNetwork.recheck`. */
  broken?(a: NodeName, b: NodeName): boolean;
  /** How long a message from one to the other takes; the network's own model, if this is left out. */
  latency?(from: NodeName, to: NodeName): LatencyModel;
  /** What `to` gets instead of what `from` gossips, each a message of its own: what lies is a node, not a wire. Undefined = the very message. */
  tamper?(from: NodeName, to: NodeName, topic: string, data: Uint8Array): readonly GossipMessage[] | undefined;
}

/** One message of gossip. */
export interface GossipMessage {
  readonly topic: string;
  readonly data: Uint8Array;
}

const ONE_COPY: readonly number[] = [0];

/** Everyone is connected to everyone, and nothing is lost or doubled. Order still varies with the latency. */
export const NO_NETWORK_FAULTS: NetworkFaults = { linked: () => true, copies: () => ONE_COPY };
