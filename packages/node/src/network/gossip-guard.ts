import { RPC } from '@chainsafe/libp2p-gossipsub/message';
import type { Stream } from '@libp2p/interface';

/** Protobuf around the one message that a frame usually carries, and control lists. */
const FRAME_OVERHEAD_BYTES = 64 << 10;
/** Bytes of a varint that a frame's length may take: up to 2^28 - 1. */
const VARINT_BYTES_MAX = 4;

/** What one frame may hold; nodes of this network send far less. */
const LISTS_MAX = { subscriptions: 1_024, messages: 16, control: 1_024 } as const;

/** The same bounds for gossipsub's own decoder, and none of what is switched off here (see `gossip-config.ts`). */
export const DECODE_LIMITS = {
  maxSubscriptions: LISTS_MAX.subscriptions,
  maxMessages: LISTS_MAX.messages,
  maxIhaveMessageIDs: 0,
  maxIwantMessageIDs: 0,
  maxIdontwantMessageIDs: LISTS_MAX.control,
  maxControlMessages: LISTS_MAX.control,
  maxPeerInfos: 0,
} as const;

/** Topics that one peer may name. */
const TOPICS_PER_PEER_MAX = 1_024;

/** What the guard is told, and what it tells. */
export interface GuardHooks {
  /** Bytes of one message. */
  readonly gossipBytesMax: number;
  /** Before every topic of this network. */
  readonly topicPrefix: string;
  /** Longest topic, prefix included. */
  readonly topicLengthMax: number;
  /** Whether this node has subscribed to `topic`. */
  subscribed(topic: string): boolean;
  /** A frame of this many bytes has arrived. */
  received(sizeBytes: number): void;
  /** A frame was wrong, for a stable `reason`; it and all that follows on the stream is dropped. */
  violated(reason: string): void;
}

/** Longest frame: one message of the greatest size, and what is around it. */
export function frameBytesMax(gossipBytesMax: number): number {
  return gossipBytesMax + FRAME_OVERHEAD_BYTES;
}

/**
 * Looks at a peer's gossip before gossipsub does. gossipsub drops what it cannot decode without a word, keeps every topic that a peer names and bounds
 * frames only by closing the stream; so each frame is checked here first, and the sender held to account. Frames come out as fresh buffers of their
 * own size, so that a small message that is kept does not pin the large chunk that it arrived in.
 */
export async function* guarded(source: Stream['source'], hooks: GuardHooks): Stream['source'] {
  const topics = new Set<string>();
  try {
    for await (const part of frames(source, frameBytesMax(hooks.gossipBytesMax))) {
      if (typeof part === 'string') return hooks.violated(part);
      const { chunk, bodyAt } = part;
      hooks.received(chunk.length);
      const reason = inspect(chunk.subarray(bodyAt), topics, hooks);
      if (reason !== undefined) return hooks.violated(reason);
      // gossipsub's reader takes plain arrays as well as lists: it wraps them itself.
      yield chunk as unknown as Awaited<ReturnType<Stream['source']['next']>>['value'];
    }
  } finally {
    await source.return(undefined);
  }
}

/** A stable reason against one frame, or `undefined` when it is in order. */
function inspect(body: Uint8Array, topics: Set<string>, hooks: GuardHooks): string | undefined {
  let rpc: RPC;
  try {
    rpc = RPC.decode(body, {
      limits: {
        subscriptions: LISTS_MAX.subscriptions,
        messages: LISTS_MAX.messages,
        control$: { graft: LISTS_MAX.control, prune: LISTS_MAX.control, idontwant: LISTS_MAX.control },
      },
    });
  } catch {
    return 'undecodable';
  }
  const wrong = (topic: string | undefined): boolean =>
    topic === undefined || topic.length > hooks.topicLengthMax || !topic.startsWith(hooks.topicPrefix);
  for (const { topic } of rpc.subscriptions) {
    if (topic === undefined || wrong(topic)) return 'topic';
    topics.add(topic);
    if (topics.size > TOPICS_PER_PEER_MAX) return 'topics';
  }
  for (const message of rpc.messages) {
    if (wrong(message.topic) || !hooks.subscribed(message.topic)) return 'unsubscribed';
    if (message.from !== undefined || message.seqno !== undefined || message.signature !== undefined) return 'signed';
    if ((message.data?.length ?? 0) > hooks.gossipBytesMax) return 'oversized';
  }
  const { control } = rpc;
  if (control === undefined) return undefined;
  if (control.ihave.length > 0 || control.iwant.length > 0) return 'lazy_gossip';
  for (const { topicID } of control.graft) if (wrong(topicID)) return 'topic';
  for (const { topicID, peers } of control.prune) if (wrong(topicID) || peers.length > 0) return 'topic';
  return undefined;
}

/** Cuts a stream into frames with their varint lengths; a string is the reason why it cannot be cut further. */
async function* frames(source: Stream['source'], bytesMax: number): AsyncGenerator<{ chunk: Uint8Array; bodyAt: number } | string> {
  let prefix = 0;
  let prefixBytes = 0;
  let current: Uint8Array | undefined;
  let filled = 0;
  for await (const list of source) {
    const input = list.subarray();
    let at = 0;
    while (at < input.length) {
      if (current === undefined) {
        const byte = input[at++]!;
        prefix += (byte & 0x7f) * 2 ** (7 * prefixBytes++);
        if (byte >= 0x80) {
          if (prefixBytes === VARINT_BYTES_MAX) return yield 'length';
          continue;
        }
        if (prefix > bytesMax) return yield 'length';
        const written = startFrame(prefix, prefixBytes);
        current = written;
        filled = prefixBytes;
      }
      const part = input.subarray(at, at + current.length - filled);
      current.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled < current.length) continue;
      yield { chunk: current, bodyAt: prefixBytes };
      current = undefined;
      prefix = prefixBytes = 0;
    }
  }
  // A stream that ends inside a frame: the peer went away, which is no offence.
}

/** A buffer for one frame, with its length written as it came. */
function startFrame(length: number, prefixBytes: number): Uint8Array {
  const chunk = new Uint8Array(prefixBytes + length);
  let rest = length;
  for (let i = 0; i < prefixBytes; i++) {
    chunk[i] = (rest & 0x7f) | (i + 1 < prefixBytes ? 0x80 : 0);
    rest = Math.floor(rest / 128);
  }
  return chunk;
}
