import type { Connection, Stream } from '@libp2p/interface';

/** Takes streams that peers open. It must not throw; what it returns is awaited by nobody. */
export type StreamHandler = (stream: Stream, connection: Connection) => void;

/**
 * Everything that nodes say to each other, hello, gossip and requests alike, goes through streams opened and accepted here, and nowhere else. Whoever
 * wants to delay, lose or cut between nodes wraps this interface: a stream's `source` is what comes in, its `sink` takes what goes out.
 */
export interface Streams {
  /** Opens a stream to the peer at the other end, with the first of `protocols` that it speaks. Rejects when that takes longer than `timeoutMs`. */
  open(connection: Connection, protocols: string | string[], timeoutMs: number): Promise<Stream>;
  /** Sets what takes the peers' streams of `protocol`, at most `perConnectionMax` at once on one connection. */
  handle(protocol: string, perConnectionMax: number, handler: StreamHandler): Promise<void>;
  /** Ends {@link handle}. */
  unhandle(protocol: string): Promise<void>;
}

/** Knows which node a transport peer is. */
export interface PeerLabels {
  /** The label of the node that a peer has proven to be, or whose record names it; undefined for a peer that we do not know. */
  of(peer: string): string | undefined;
}

/** The part of libp2p that the streams need. */
export interface ProtocolRegistry {
  handle(
    protocol: string,
    handler: (data: { stream: Stream; connection: Connection }) => void,
    options: { maxInboundStreams: number; maxOutboundStreams: number },
  ): Promise<void>;
  unhandle(protocol: string): Promise<void>;
}

/** libp2p's streams as they are. `registry` is asked when it is needed, because libp2p is built after the services that use it. */
export function libp2pStreams(registry: () => ProtocolRegistry, outboundMax: number): Streams {
  return {
    open: (connection, protocols, timeoutMs) =>
      connection.newStream(protocols, { signal: AbortSignal.timeout(timeoutMs), maxOutboundStreams: outboundMax }),
    handle: (protocol, perConnectionMax, handler) =>
      registry().handle(protocol, ({ stream, connection }) => handler(stream, connection), {
        maxInboundStreams: perConnectionMax,
        maxOutboundStreams: outboundMax,
      }),
    unhandle: (protocol) => registry().unhandle(protocol),
  };
}

/** Sends `parts` and closes the writing side. Rejects when the stream or the connection dies before. */
export function send(stream: Stream, parts: readonly Uint8Array[]): Promise<void> {
  return stream.sink(parts);
}

/** Ends a stream that is done with, gracefully if the peer lets us. */
export function release(stream: Stream): void {
  stream.close({ signal: AbortSignal.timeout(1_000) }).catch((error: unknown) => stream.abort(asError(error)));
}

/** What was thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
