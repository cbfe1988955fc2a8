import type { Connection, Stream } from '@libp2p/interface';

import type { Clock, NodeName } from '../ports.ts';
import type { AddressBook, Offered } from './address-book.ts';
import { frame, FrameReader, isMalformed } from './frame.ts';
import { decodeHello, decodeWelcome, encodeHello, encodeWelcome, HELLO_BYTES_MAX, WELCOME_BYTES_MAX } from './hello.ts';
import { NO_LABELS, type NetworkLog, type NetworkMetrics } from './metrics.ts';
import { compareNodes, nodeLabel, type ProtocolNames, sameNode } from './names.ts';
import type { NetworkLimits } from './options.ts';
import type { SignedPeerRecord } from './peer-record.ts';
import type { Penalties } from './penalties.ts';
import { asError, release, send, type Streams } from './streams.ts';

/** A node that is connected and has proven its name. Its connections live and die together: gossip keeps streams on one of them only. */
export interface Session {
  readonly node: NodeName;
  /** Its name as text. */
  readonly label: string;
  /** libp2p's peer id, as text. */
  readonly peer: string;
  /** Of the record that it came with. */
  readonly sequence: number;
  /** The first connection; gossip and requests use it. */
  readonly connection: Connection;
  readonly connections: Set<Connection>;
}

/** What the host does when nodes come and go. */
export interface SessionEvents {
  up(session: Session): void;
  down(session: Session): void;
  /** A record came first-hand or by a list. */
  learned(offered: Offered, firstHand: boolean): void;
}

interface Handshake {
  readonly connection: Connection;
  readonly proven: Promise<Session | undefined>;
  readonly settle: (session: Session | undefined) => void;
  readonly cancelTimer: () => void;
  greeted: boolean;
}

interface Modules {
  readonly streams: Streams;
  readonly book: AddressBook;
  readonly penalties: Penalties;
  readonly clock: Clock;
  readonly log: NetworkLog;
  readonly metrics: NetworkMetrics;
}

/** Streams of the handshake on one connection: one is right, a second is looked at to be refused. */
const STREAMS_MAX = 2;

/**
 * The handshake: on each new connection the dialling side sends its record, the other answers with its own and all that it knows. A record counts only
 * if it is signed by the validator, newest, and for the key that the connection was encrypted with: so a record of somebody else proves nothing.
 */
export class Sessions {
  private readonly self: NodeName;
  private readonly names: ProtocolNames;
  private readonly limits: NetworkLimits;
  private readonly modules: Modules;
  private readonly events: SessionEvents;
  private readonly handshakes = new Map<string, Handshake>();
  private readonly byNodeLabel = new Map<string, Session>();
  private readonly byPeerId = new Map<string, Session>();
  private sorted: readonly NodeName[] | undefined;
  private announced = false;
  private stopped = false;

  constructor(self: NodeName, names: ProtocolNames, limits: NetworkLimits, modules: Modules, events: SessionEvents) {
    this.self = self;
    this.names = names;
    this.limits = limits;
    this.modules = modules;
    this.events = events;
  }

  /** Accepts handshakes from now on. */
  start(): Promise<void> {
    return this.modules.streams.handle(this.names.hello, STREAMS_MAX, (stream, connection) => {
      this.answer(stream, connection).catch((error: unknown) => this.fail(stream, connection, error));
    });
  }

  /** This node's record is made: hellos are answered. Before that they are broken off, and tried again by the other side. */
  announce(): void {
    this.announced = true;
  }

  /** Ends all sessions. */
  stop(): void {
    this.stopped = true;
    for (const handshake of [...this.handshakes.values()]) this.forget(handshake);
    for (const session of [...this.byNodeLabel.values()]) this.end(session);
  }

  /** The session of a node, by its label. */
  byNode(label: string): Session | undefined {
    return this.byNodeLabel.get(label);
  }

  /** The session of a transport peer. */
  byPeer(peer: string): Session | undefined {
    return this.byPeerId.get(peer);
  }

  /** All sessions. */
  all(): Iterable<Session> {
    return this.byNodeLabel.values();
  }

  /** The nodes that are connected, in their order. */
  nodes(): readonly NodeName[] {
    this.sorted ??= [...this.byNodeLabel.values()].map((session) => session.node).sort(compareNodes);
    return this.sorted;
  }

  /** Resolves when the peer at the other end has proven its name, with `undefined` when it has not in time. */
  proven(connection: Connection): Promise<Session | undefined> {
    return this.handshakes.get(connection.id)?.proven ?? Promise.resolve(undefined);
  }

  /** A connection was opened, by either side. */
  opened(connection: Connection): void {
    if (this.stopped || this.handshakes.has(connection.id)) return;
    const { promise, resolve } = Promise.withResolvers<Session | undefined>();
    const cancelTimer = this.modules.clock.schedule(this.limits.helloTimeoutMs, () => {
      this.count('timeout');
      this.drop(connection, 'hello timeout');
    });
    this.handshakes.set(connection.id, { connection, proven: promise, settle: resolve, cancelTimer, greeted: false });
    if (connection.direction === 'outbound') this.greet(connection).catch((error: unknown) => this.fail(undefined, connection, error));
  }

  /** A connection was closed. */
  closed(connection: Connection): void {
    const handshake = this.handshakes.get(connection.id);
    if (handshake !== undefined) this.forget(handshake);
    const session = this.byPeerId.get(connection.remotePeer.toString());
    if (session?.connections.has(connection) === true) this.end(session);
  }

  /** Disconnects a peer at once. */
  disconnect(peer: string): void {
    const session = this.byPeerId.get(peer);
    if (session !== undefined) this.end(session);
    for (const { connection } of [...this.handshakes.values()]) if (connection.remotePeer.toString() === peer) this.drop(connection, 'penalised');
  }

  private async greet(connection: Connection): Promise<void> {
    const stream = await this.modules.streams.open(connection, this.names.hello, this.limits.dialTimeoutMs);
    const self = this.modules.book.self;
    if (self === undefined || this.stopped) return;
    const sent = send(stream, [frame(encodeHello(self.encoded))]);
    // What breaks the writing breaks the reading too, and is told there.
    sent.catch(() => {});
    const answer = await new FrameReader(stream).frame(WELCOME_BYTES_MAX);
    release(stream);
    const welcome = decodeWelcome(answer!);
    const offered = this.modules.book.offer(welcome.record);
    this.events.learned(offered, true);
    let wrong = 0;
    this.modules.book.offerAll(welcome.records, (each) => {
      if (!('record' in each) && each.outcome !== 'full') wrong++;
      this.events.learned(each, false);
    });
    // Honest nodes pass on what they have verified themselves.
    if (wrong > 0) this.modules.penalties.penalise(connection.remotePeer.toString(), 'hello_records');
    const refusal = this.refusal(offered, connection) ?? (welcome.accepted ? undefined : 'unwelcome');
    if (refusal === undefined) this.admit((offered as { record: SignedPeerRecord }).record, connection);
    else this.refuse(connection, refusal);
  }

  private async answer(stream: Stream, connection: Connection): Promise<void> {
    const handshake = this.handshakes.get(connection.id);
    const { book } = this.modules;
    const { self } = book;
    if (handshake === undefined || self === undefined || !this.announced) {
      stream.abort(new Error('not ready'));
      return;
    }
    if (handshake.greeted) {
      stream.abort(new Error('second hello'));
      this.modules.penalties.penalise(connection.remotePeer.toString(), 'hello_twice');
      return;
    }
    handshake.greeted = true;
    const hello = await new FrameReader(stream).frame(HELLO_BYTES_MAX);
    const offered = book.offer(decodeHello(hello!));
    this.events.learned(offered, true);
    const refusal = this.refusal(offered, connection);
    if (refusal !== undefined && refusal !== 'stale') {
      stream.abort(new Error('refused'));
      this.refuse(connection, refusal);
      return;
    }
    // Known before it knows that it is: its first streams may follow at once.
    if (refusal === undefined) this.admit((offered as { record: SignedPeerRecord }).record, connection);
    const welcome = encodeWelcome({ accepted: refusal === undefined, record: self.encoded, records: book.encodeAll() });
    await send(stream, [frame(welcome)]);
    release(stream);
    // The dialling side closes when it has read why; should it not, the handshake's timer does.
    if (refusal !== undefined) this.count(refusal);
  }

  /** Why this peer is not the node that its record names; `undefined` when it is. */
  private refusal(offered: Offered, connection: Connection): string | undefined {
    if (!('record' in offered)) return offered.outcome;
    const { record } = offered;
    const { penalties } = this.modules;
    if (record.peer !== connection.remotePeer.toString()) return 'impostor';
    if (offered.outcome === 'stale') return 'stale';
    if (sameNode(record.node, this.self)) return 'own_name';
    return penalties.banned(nodeLabel(record.node)) || penalties.banned(record.peer) ? 'banned' : undefined;
  }

  private refuse(connection: Connection, reason: string): void {
    this.count(reason);
    const peer = connection.remotePeer.toString();
    this.modules.log.warn({ event: 'network.hello_refused', peer, address: connection.remoteAddr.toString(), reason }, 'peer refused');
    if (reason === 'impostor' || reason === 'forged' || reason === 'malformed' || reason === 'unknown') {
      this.modules.penalties.penalise(peer, `hello_${reason}`);
    }
    this.drop(connection, reason);
  }

  private fail(stream: Stream | undefined, connection: Connection, error: unknown): void {
    stream?.abort(asError(error));
    if (!this.handshakes.has(connection.id)) return;
    if (isMalformed(error)) this.refuse(connection, 'malformed');
    else if (asError(error).name === 'UnsupportedProtocolError') this.refuse(connection, 'foreign');
    else {
      this.count('broken');
      this.drop(connection, 'handshake broken');
    }
  }

  private admit(record: SignedPeerRecord, connection: Connection): void {
    const handshake = this.handshakes.get(connection.id);
    if (handshake === undefined) return;
    const label = nodeLabel(record.node);
    const had = this.byNodeLabel.get(label);
    // A newer record is a new life of the node: what is left of the old one is dead or about to be.
    if (had !== undefined && (had.peer !== record.peer || had.sequence < record.sequence)) this.end(had);
    let session = this.byNodeLabel.get(label);
    handshake.cancelTimer();
    if (session === undefined) {
      session = { node: record.node, label, peer: record.peer, sequence: record.sequence, connection, connections: new Set([connection]) };
      this.byNodeLabel.set(label, session);
      this.byPeerId.set(record.peer, session);
      this.changed();
      this.modules.log.info({ event: 'network.peer_up', peer: record.peer, name: label }, 'node connected');
      this.events.up(session);
    } else session.connections.add(connection);
    this.count('proven');
    handshake.settle(session);
  }

  private end(session: Session): void {
    if (this.byNodeLabel.get(session.label) !== session) return;
    this.byNodeLabel.delete(session.label);
    this.byPeerId.delete(session.peer);
    this.changed();
    this.modules.log.info({ event: 'network.peer_down', peer: session.peer, name: session.label }, 'node disconnected');
    this.events.down(session);
    for (const connection of session.connections) this.drop(connection, 'session ended');
  }

  private drop(connection: Connection, reason: string): void {
    const handshake = this.handshakes.get(connection.id);
    if (handshake !== undefined) this.forget(handshake);
    if (connection.status === 'open') connection.abort(new Error(reason));
  }

  private forget(handshake: Handshake): void {
    handshake.cancelTimer();
    handshake.settle(undefined);
    this.handshakes.delete(handshake.connection.id);
  }

  private changed(): void {
    this.sorted = undefined;
    this.modules.metrics.set('shardlab_network_nodes', NO_LABELS, this.byNodeLabel.size);
  }

  private count(outcome: string): void {
    this.modules.metrics.count('shardlab_network_hello_total', { outcome });
  }
}
