import { ShardlabError } from '@shardlab/crosslink';
import type { Connection, Stream } from '@libp2p/interface';

import type { Clock } from '../../ports.ts';
import { NO_LABELS, type NetworkLog, type NetworkMetrics } from '../metrics.ts';
import type { PeerLabels, Streams } from '../streams.ts';
import type { Faults, LinkFaults } from './faults.ts';
import { Link } from './link.ts';
import { type ChunkSource, ShapedSource, type StreamKind } from './shaped-source.ts';

/** What the shim is built on. */
export interface ShimModules {
  readonly clock: Clock;
  readonly log: Pick<NetworkLog, 'info'>;
  readonly metrics: NetworkMetrics;
}

/** What a stream of `protocol` carries. */
function kindOf(protocol: string | undefined): StreamKind {
  if (protocol?.startsWith('/meshsub/') === true || protocol?.startsWith('/floodsub/') === true) return 'gossip';
  if (protocol?.includes('/committee/') === true) return 'committee';
  return protocol?.includes('/hello/') === true ? 'hello' : 'request';
}

/**
 * Faults between nodes, at the seam through which all their streams pass. Only what this node sends is touched, so each direction of a link is set at the
 * node that it starts from, and a cut may be one-way. Below the seam connections stay as they are: a cut is silence, as a packet filter makes it, not
 * an end. libp2p's own ping and the negotiation of streams pass below it too.
 *
 * - cut: gossip is lost (its frames' mesh control is held), requests, answers and hellos are held until the cut ends or their time is up;
 * - delay and bandwidth: what is sent arrives later, in order;
 * - loss: at message boundaries, since a stream cannot lose bytes: a gossip frame's messages vanish, and so do those that a committee's link writes at once; a request or an answer breaks its stream.
 */
export class FaultShim {
  private readonly modules: ShimModules;
  private readonly links = new Map<string, Link>();
  private current: Faults | undefined;
  private expiresMs = 0;
  private cancelExpiry: () => void = () => undefined;

  constructor(modules: ShimModules) {
    this.modules = modules;
  }

  /** What is in force now; undefined: nothing. */
  get faults(): Faults | undefined {
    return this.current;
  }

  /** Stands between the host and its streams: for `NetworkModules.wrapStreams`. */
  wrap(streams: Streams, labels: PeerLabels): Streams {
    return {
      open: async (connection, protocols, timeoutMs) => this.shape(await streams.open(connection, protocols, timeoutMs), connection, labels),
      handle: (protocol, perConnectionMax, handler) =>
        streams.handle(protocol, perConnectionMax, (stream, connection) => handler(this.shape(stream, connection, labels), connection)),
      unhandle: (protocol) => streams.unhandle(protocol),
    };
  }

  /**
   * Puts `faults` into force, all at once, instead of those before; returns when they expire, Unix milliseconds. None heals, and lets other sessions
   * in. Throws `chaos/busy` while those of another session are in force.
   */
  set(faults: Faults): number {
    const { clock, log, metrics } = this.modules;
    if (this.current !== undefined && this.current.session !== faults.session) {
      const leftMs = Math.max(0, this.expiresMs - clock.nowMs());
      throw new ShardlabError('chaos/busy', `faults of another chaos run are in force, for ${Math.ceil(leftMs / 1_000)} s at most`);
    }
    const before = this.current?.links;
    this.cancelExpiry();
    this.current = faults.links.size === 0 ? undefined : faults;
    this.expiresMs = clock.nowMs() + faults.ttlMs;
    this.cancelExpiry = this.current === undefined ? (): void => undefined : clock.schedule(faults.ttlMs, () => this.clear('expired'));
    const kinds = this.apply(before, faults);
    metrics.set('shardlab_chaos_faulted_links', NO_LABELS, faults.links.size);
    if (kinds !== undefined) log.info({ event: 'chaos.faults', session: faults.session, ttlMs: faults.ttlMs, links: faults.links.size, ...kinds }, 'faults set');
    return this.expiresMs;
  }

  /** Heals everything, whoever set it. */
  clear(reason: string): void {
    if (this.current === undefined) return;
    const { session, seed } = this.current;
    this.set({ session, seed, ttlMs: 1, links: new Map() });
    this.modules.log.info({ event: 'chaos.cleared', session, reason }, 'faults cleared');
  }

  /** Sets each link that differs; undefined when none does: a renewal, which neither counts nor starts the generators anew. */
  private apply(before: ReadonlyMap<string, LinkFaults> | undefined, faults: Faults): Readonly<Record<string, number>> | undefined {
    const kinds: Record<string, number> = { cut: 0, delay: 0, loss: 0, bandwidth: 0 };
    let changed = false;
    for (const [label, link] of this.links) {
      if (!link.faulted || faults.links.has(label)) continue;
      link.set(undefined, 0);
      changed = true;
    }
    for (const [label, wanted] of faults.links) {
      const had = before?.get(label);
      if (had !== undefined && JSON.stringify(had) === JSON.stringify(wanted)) continue;
      changed = true;
      this.link(label).set(wanted, seedOf(faults.seed, label));
      for (const kind of newKinds(had, wanted)) {
        kinds[kind] = (kinds[kind] ?? 0) + 1;
        this.modules.metrics.count('shardlab_chaos_faults_total', { kind });
      }
    }
    return changed ? kinds : undefined;
  }

  private link(label: string): Link {
    let link = this.links.get(label);
    // As many as the network has nodes: faults name existing ones alone.
    if (link === undefined) this.links.set(label, (link = new Link()));
    return link;
  }

  private shape(stream: Stream, connection: Connection, labels: PeerLabels): Stream {
    const { sink } = stream;
    const { clock, metrics } = this.modules;
    const kind = kindOf(stream.protocol);
    stream.sink = (source: ChunkSource) => {
      // Asked late: on a stream that a peer opened, the handshake may have told its name meanwhile. A peer unknown to us is not yet a node.
      const label = labels.of(connection.remotePeer.toString());
      if (label === undefined) return sink(source as Parameters<Stream['sink']>[0]);
      const count = (of: StreamKind, outcome: string): void => metrics.count('shardlab_chaos_messages_total', { kind: of, outcome });
      const shaped = new ShapedSource(source, kind, { link: this.link(label), clock, count, abort: (error) => stream.abort(error) });
      return sink(shaped as Parameters<Stream['sink']>[0]);
    };
    return stream;
  }
}

function newKinds(had: LinkFaults | undefined, now: LinkFaults): string[] {
  const kinds: string[] = [];
  if (now.cut && had?.cut !== true) kinds.push('cut');
  if (now.delay !== undefined && JSON.stringify(had?.delay) !== JSON.stringify(now.delay)) kinds.push('delay');
  if (now.loss > 0 && had?.loss !== now.loss) kinds.push('loss');
  if (now.bytesPerSecond !== undefined && had?.bytesPerSecond !== now.bytesPerSecond) kinds.push('bandwidth');
  return kinds;
}

/** Each link draws from its own generator: FNV-1a of its name, mixed with the seed. */
function seedOf(seed: number, label: string): number {
  let hash = 0x811c9dc5;
  for (const char of label) hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193);
  return (seed ^ hash) >>> 0;
}
