import type { ShardId } from '@shardlab/crosslink';
import type { Connection, Stream } from '@libp2p/interface';

import type { Clock } from '../ports.ts';
import { linkFrame, LinkReader } from './link-frames.ts';
import { LinkWriter } from './link-writer.ts';
import { type NetworkLog, type NetworkMetrics, NO_LABELS } from './metrics.ts';
import { TOPIC_LENGTH_MAX, topicFamily } from './names.ts';
import type { NetworkLimits } from './options.ts';
import type { Penalties } from './penalties.ts';
import type { Session } from './sessions.ts';
import { asError, release, type Streams } from './streams.ts';

/** Topics that belong to one committee alone: whose validators they are for stands in their last word. */
const FAMILIES: ReadonlySet<string> = new Set(['consensus', 'transactions']);
/** Links that one connection may open to us: one is right, a second follows on a first that broke. */
const STREAMS_MAX = 2;
/** A link that broke, or could not be opened, is opened again after this long, while its node is connected. */
const REOPEN_MS = 1_000;

/** What the links ask of the host. */
export interface LinkModules {
  readonly streams: Streams;
  readonly penalties: Penalties;
  readonly clock: Clock;
  readonly log: NetworkLog;
  readonly metrics: NetworkMetrics;
  /** Resolves when the peer of a connection has proven its name; `undefined` when it has not. */
  proven(connection: Connection): Promise<Session | undefined>;
  /** Whether this node listens to `topic`. */
  subscribed(topic: string): boolean;
  /** A message of `session`'s node. */
  received(topic: string, data: Uint8Array, session: Session): void;
}

interface Link {
  readonly session: Session;
  readonly writer: LinkWriter;
}

/** Whether messages on `topic` go over the committee's links, and not by gossip. */
export function isCommitteeTopic(topic: string): boolean {
  return FAMILIES.has(topicFamily(topic));
}

/**
 * The way between validators of one committee: a stream from each to each other, on which all that they say goes in order, and nobody passes anything on. Every one is
 * connected to every other, so gossip brought each vote several times, and its upkeep cost more than the agreement itself. What a link loses is said again (PBFT).
 */
export class CommitteeLinks {
  private readonly chain: ShardId;
  private readonly protocol: string;
  private readonly limits: NetworkLimits;
  private readonly modules: LinkModules;
  private readonly links = new Map<string, Link>();
  private stopped = false;

  /** `chain`: of this node. */
  constructor(chain: ShardId, protocol: string, limits: NetworkLimits, modules: LinkModules) {
    this.chain = chain;
    this.protocol = protocol;
    this.limits = limits;
    this.modules = modules;
  }

  /** Accepts links from now on. */
  start(): Promise<void> {
    return this.modules.streams.handle(this.protocol, STREAMS_MAX, (stream, connection) => {
      this.accept(stream, connection).catch((error: unknown) => stream.abort(asError(error)));
    });
  }

  /** Ends all links. */
  stop(): void {
    this.stopped = true;
    for (const { session } of [...this.links.values()]) this.close(session);
  }

  /** Opens a link to a node, if it is of this node's committee. */
  open(session: Session): void {
    if (session.node.chain !== this.chain || this.stopped) return;
    // What is said before the stream stands waits in its writer.
    const link: Link = { session, writer: new LinkWriter(this.limits.linkQueueBytesMax) };
    this.links.set(session.label, link);
    this.run(link).then(
      () => this.broken(link, 'ended'),
      (error: unknown) => this.broken(link, asError(error).message),
    );
  }

  /** Ends the link to a node. */
  close(session: Session): void {
    const link = this.links.get(session.label);
    if (link?.session !== session) return;
    this.links.delete(session.label);
    link.writer.close();
  }

  /** Sends a copy of `data` to all others of the committee that are connected; how many those are. */
  publish(topic: string, data: Uint8Array): number {
    const frame = linkFrame(topic, data);
    let recipients = 0;
    for (const { writer } of this.links.values()) if (writer.push(frame)) recipients++;
    return recipients;
  }

  private async run({ session, writer }: Link): Promise<void> {
    const stream = await this.modules.streams.open(session.connection, this.protocol, this.limits.dialTimeoutMs);
    await stream.sink(writer);
  }

  private broken(link: Link, reason: string): void {
    if (this.links.get(link.session.label) !== link) return;
    this.close(link.session);
    this.modules.log.debug({ event: 'network.link_broken', name: link.session.label, reason }, 'a link to the committee broke');
    this.modules.clock.schedule(REOPEN_MS, () => {
      if (link.session.connection.status === 'open' && !this.links.has(link.session.label)) this.open(link.session);
    });
  }

  private async accept(stream: Stream, connection: Connection): Promise<void> {
    const session = await this.modules.proven(connection);
    if (session === undefined || this.stopped) {
      stream.abort(new Error('not proven'));
      return;
    }
    const reason = session.node.chain === this.chain ? await this.read(stream, session) : 'committee';
    if (reason === undefined) return release(stream);
    stream.abort(new Error(reason));
    this.modules.metrics.count('shardlab_network_gossip_frames_total', { reason });
    this.modules.penalties.penalise(session.peer, `link_${reason}`);
  }

  /** Reads to the end of the stream, which is no offence; or to what no honest node sends, with a stable reason. */
  private async read(stream: Stream, session: Session): Promise<string | undefined> {
    const { metrics, received, subscribed } = this.modules;
    const reader = new LinkReader(TOPIC_LENGTH_MAX, this.limits.gossipBytesMax);
    for await (const list of stream.source) {
      const chunk = list.subarray();
      metrics.count('shardlab_network_gossip_received_bytes', NO_LABELS, chunk.length);
      const messages = reader.take(chunk);
      if (messages === undefined) return 'length';
      for (const { topic, data } of messages) {
        if (!isCommitteeTopic(topic) || !subscribed(topic)) return 'unsubscribed';
        received(topic, data, session);
      }
    }
    return undefined;
  }
}
