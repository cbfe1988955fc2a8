import { type GossipSub, gossipsub, type GossipSubComponents, type GossipsubOpts } from '@chainsafe/libp2p-gossipsub';
import type { Connection, Stream } from '@libp2p/interface';

import { guarded, type GuardHooks } from './gossip-guard.ts';
import type { Session } from './sessions.ts';
import { asError, type Streams } from './streams.ts';

type Registrar = GossipSubComponents['registrar'];
type Topology = Parameters<Registrar['register']>[1];

/** What the gate asks of the host. */
export interface GateModules {
  readonly streams: Streams;
  /** Resolves when the peer of a connection has proven its name; `undefined` when it has not. */
  proven(connection: Connection): Promise<Session | undefined>;
  /** The guard's hooks for one peer. */
  hooks(peer: string): GuardHooks;
}

/** Streams of one gossip protocol that a connection may open. */
const STREAMS_MAX = 4;

/**
 * Stands between gossipsub and libp2p. gossipsub would talk to everybody who speaks its protocol, whatever network they are of; here it is told of
 * nodes that have proven their names alone, when they have, and its streams go through {@link Streams} like all others. Its own way, to be told by the
 * identify protocol, races with the handshake, and what it ignores from a peer that is unknown yet (its subscriptions) is never sent again.
 */
export class GossipGate {
  private readonly modules: GateModules;
  private readonly openTimeoutMs: number;
  private readonly topologies = new Map<string, Topology>();
  private router: GossipSub | undefined;

  constructor(modules: GateModules, openTimeoutMs: number) {
    this.modules = modules;
    this.openTimeoutMs = openTimeoutMs;
  }

  /** Makes the service that libp2p runs. */
  service(options: Partial<GossipsubOpts>): (components: GossipSubComponents) => GossipSub {
    return (components) => {
      const { privateKey, peerId, peerStore, connectionManager, logger } = components;
      const registrar = this.registrar(components.registrar);
      // Typed as the interface that all routers share; verdicts and streams are of this one.
      this.router = gossipsub(options)({ privateKey, peerId, peerStore, connectionManager, logger, registrar }) as GossipSub;
      return this.router;
    };
  }

  /** The router; there is one as soon as libp2p was built. */
  get gossipsub(): GossipSub {
    if (this.router === undefined) throw new Error('libp2p was not built');
    return this.router;
  }

  /** Lets gossip begin with a node. */
  open(session: Session): void {
    for (const topology of new Set(this.topologies.values())) topology.onConnect?.(session.connection.remotePeer, this.through(session.connection));
  }

  /** Ends gossip with a node. */
  close(session: Session): void {
    for (const topology of new Set(this.topologies.values())) topology.onDisconnect?.(session.connection.remotePeer);
  }

  /** Whether we have a stream to the node: gossipsub tries once, and never again. */
  speaksTo(session: Session): boolean {
    return this.gossipsub.streamsOutbound.has(session.peer);
  }

  private registrar(real: Registrar): Registrar {
    const { streams } = this.modules;
    const gated: Pick<Registrar, 'handle' | 'unhandle' | 'register' | 'unregister'> = {
      handle: (protocol, handler) =>
        streams.handle(protocol, STREAMS_MAX, (stream, connection) => {
          this.accept(stream, connection, handler).catch((error: unknown) => stream.abort(asError(error)));
        }),
      unhandle: (protocol) => streams.unhandle(protocol),
      register: (protocol, topology) => {
        this.topologies.set(protocol, topology);
        return Promise.resolve(protocol);
      },
      unregister: (protocol) => {
        this.topologies.delete(protocol);
      },
    };
    return Object.assign(Object.create(real) as Registrar, gated);
  }

  private async accept(stream: Stream, connection: Connection, handler: Parameters<Registrar['handle']>[1]): Promise<void> {
    const session = await this.modules.proven(connection);
    if (session === undefined) {
      stream.abort(new Error('not proven'));
      return;
    }
    const hooks = this.modules.hooks(session.peer);
    const violated = (reason: string): void => {
      stream.abort(new Error(reason));
      hooks.violated(reason);
    };
    stream.source = guarded(stream.source, { ...hooks, violated });
    await handler({ stream, connection: this.through(connection) });
  }

  /** The connection with our way to open streams: gossipsub's own would wait twice as long, and all other nodes behind it. */
  private through(connection: Connection): Connection {
    const newStream: Connection['newStream'] = (protocols) => this.modules.streams.open(connection, protocols, this.openTimeoutMs);
    return Object.assign(Object.create(connection) as Connection, { newStream });
  }
}
