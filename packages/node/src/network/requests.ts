import { ShardlabError } from '@shardlab/crosslink';
import type { Connection, Stream } from '@libp2p/interface';

import type { Clock, Done, Network, NodeName, Result } from '../ports.ts';
import { frame, FrameReader, isMalformed } from './frame.ts';
import type { NetworkLog, NetworkMetrics } from './metrics.ts';
import { nodeLabel, type ProtocolNames } from './names.ts';
import type { NetworkLimits } from './options.ts';
import type { Penalties } from './penalties.ts';
import type { Session, Sessions } from './sessions.ts';
import { asError, release, send, type Streams } from './streams.ts';

/** First byte of an answer. */
const OK = 0;
const REFUSED = 1;
const BUSY = 2;

type Handler = Parameters<Network['serve']>[0];

interface Modules {
  readonly streams: Streams;
  readonly sessions: Sessions;
  readonly penalties: Penalties;
  readonly clock: Clock;
  readonly log: NetworkLog;
  readonly metrics: NetworkMetrics;
}

/** Counts what is open, by peer and in all. */
class Slots {
  private readonly perPeerMax: number;
  private readonly totalMax: number;
  private readonly open = new Map<string, number>();
  private total = 0;

  constructor(perPeerMax: number, totalMax: number) {
    this.perPeerMax = perPeerMax;
    this.totalMax = totalMax;
  }

  take(peer: string): boolean {
    const held = this.open.get(peer) ?? 0;
    if (held >= this.perPeerMax || this.total >= this.totalMax) return false;
    this.open.set(peer, held + 1);
    this.total++;
    return true;
  }

  give(peer: string): void {
    const held = this.open.get(peer)! - 1;
    if (held === 0) this.open.delete(peer);
    else this.open.set(peer, held);
    this.total--;
  }
}

/** What a handler's answer becomes on the wire. */
interface Reply {
  readonly outcome: 'ok' | 'refused' | 'oversized';
  readonly parts: readonly Uint8Array[];
}

/** A request that is being served. */
interface Job {
  readonly stream: Stream;
  readonly peer: string;
  /** Resolves, once, when the job is given up. */
  readonly over: Promise<undefined>;
  /** Frees what the job holds; more than once is once. */
  readonly release: () => void;
  /** Takes bytes of the common budget; false when there are not enough. */
  readonly reserve: (length: number) => boolean;
}

/**
 * One request, one answer, one stream. On the wire: a length (u32) and the body; back: a status byte (0 answer, 1 refused, 2 too busy) and for 0 a length
 * and the body. Only nodes that have proven their names may ask.
 */
export class Requests {
  private readonly names: ProtocolNames;
  private readonly limits: NetworkLimits;
  private readonly modules: Modules;
  private readonly asked: Slots;
  private readonly served: Slots;
  private readonly abandon = new Set<(error: ShardlabError) => void>();
  private readonly jobs = new Set<Job>();
  private servedBytes = 0;
  private stopped = false;
  private handler: Handler | undefined;

  constructor(names: ProtocolNames, limits: NetworkLimits, modules: Modules) {
    this.names = names;
    this.limits = limits;
    this.modules = modules;
    this.asked = new Slots(limits.requestsPerPeerMax, limits.requestsMax);
    this.served = new Slots(limits.requestsPerPeerMax, limits.requestsMax);
  }

  /** Accepts requests from now on. */
  start(): Promise<void> {
    // Room above our own bound, so that it is we who say no, and count it, before libp2p resets the stream without a word.
    const streamsMax = this.limits.requestsPerPeerMax * 2;
    return this.modules.streams.handle(this.names.request, streamsMax, (stream, connection) => {
      this.answer(stream, connection).catch((error: unknown) => stream.abort(asError(error)));
    });
  }

  /** Fails what is open. */
  stop(): void {
    this.stopped = true;
    for (const abandon of [...this.abandon]) abandon(new ShardlabError('network/unreachable', 'this node stops'));
    for (const job of [...this.jobs]) {
      job.stream.abort(new Error('this node stops'));
      job.release();
    }
  }

  /** A node is gone: frees what its requests hold here. Ours to it fail by themselves, with the connection. */
  disconnected(peer: string): void {
    for (const job of [...this.jobs]) if (job.peer === peer) job.release();
  }

  /** Sets what answers. */
  serve(handler: Handler): void {
    this.handler = handler;
  }

  /** {@link Network.request}. */
  request(to: NodeName, body: Uint8Array, timeoutMs: number, done: Done<Uint8Array>): void {
    const label = nodeLabel(to);
    const session = this.modules.sessions.byNode(label);
    const finish = (result: Result<Uint8Array>): void => {
      this.count('client', result.ok ? 'ok' : result.error.code.slice('network/'.length));
      done(result);
    };
    // Never before this call has returned.
    const refuse = (code: string, message: string): void => queueMicrotask(() => finish({ ok: false, error: new ShardlabError(code, message, { to: label }) }));
    if (session === undefined || this.stopped) return refuse('network/unreachable', 'the node is not connected');
    if (body.length > this.limits.requestBytesMax) return refuse('network/refused', `a request has at most ${this.limits.requestBytesMax} bytes`);
    if (!this.asked.take(session.peer)) return refuse('network/refused', 'too many requests are open');
    this.ask(session, body, timeoutMs, (result) => {
      this.asked.give(session.peer);
      finish(result);
    });
  }

  private ask(session: Session, body: Uint8Array, timeoutMs: number, done: Done<Uint8Array>): void {
    let stream: Stream | undefined;
    let over = false;
    const framed = frame(body);
    const finish = (result: Result<Uint8Array>): void => {
      if (over) return;
      over = true;
      cancelTimer();
      this.abandon.delete(abandon);
      if (stream !== undefined) {
        if (result.ok) release(stream);
        else stream.abort(result.error);
      }
      done(result);
    };
    const abandon = (error: ShardlabError): void => finish({ ok: false, error });
    const cancelTimer = this.modules.clock.schedule(timeoutMs, () => {
      abandon(new ShardlabError('network/timeout', `no answer within ${timeoutMs} ms`, { to: session.label }));
    });
    this.abandon.add(abandon);
    const exchange = async (): Promise<Uint8Array> => {
      // A little longer than we wait, so that it is our timer that names the reason.
      stream = await this.modules.streams.open(session.connection, this.names.request, Math.max(0, timeoutMs) + 1_000);
      if (over) {
        stream.abort(new Error('too late'));
        throw new ShardlabError('network/timeout', 'the stream was opened too late', { to: session.label });
      }
      // What breaks the writing breaks the reading too, and is told there.
      send(stream, [framed]).catch(() => {});
      return this.readAnswer(stream, session);
    };
    exchange().then(
      (value) => finish({ ok: true, value }),
      (error: unknown) => abandon(this.failure(error, session)),
    );
  }

  private async readAnswer(stream: Stream, session: Session): Promise<Uint8Array> {
    const reader = new FrameReader(stream);
    const status = (await reader.exactly(1))[0];
    if (status === OK) return (await reader.frame(this.limits.answerBytesMax))!;
    if (status === REFUSED || status === BUSY) {
      throw new ShardlabError('network/refused', status === BUSY ? 'the node is too busy' : 'the node refused', { to: session.label });
    }
    this.modules.penalties.penalise(session.peer, 'answer_malformed');
    throw new ShardlabError('network/refused', 'the node gave no proper answer', { to: session.label });
  }

  private failure(error: unknown, session: Session): ShardlabError {
    if (error instanceof ShardlabError && !isMalformed(error)) return error;
    if (isMalformed(error) && error.code === 'decode/bound') this.modules.penalties.penalise(session.peer, 'answer_oversized');
    return new ShardlabError('network/unreachable', 'the connection broke', { to: session.label }, { cause: error });
  }

  private async answer(stream: Stream, connection: Connection): Promise<void> {
    const session = await this.modules.sessions.proven(connection);
    if (session === undefined || this.stopped) {
      this.count('server', 'unproven');
      stream.abort(new Error('not proven'));
      return;
    }
    const job = this.begin(stream, session.peer);
    if (job === undefined) {
      this.count('server', 'busy');
      await this.say(stream, [Uint8Array.of(BUSY)]);
      return;
    }
    try {
      await this.serveOne(job, session);
    } catch (error) {
      this.count('server', isMalformed(error) ? 'malformed' : 'broken');
      if (isMalformed(error)) this.modules.penalties.penalise(session.peer, 'request_malformed');
      stream.abort(asError(error));
    } finally {
      job.release();
    }
  }

  private begin(stream: Stream, peer: string): Job | undefined {
    if (!this.served.take(peer)) {
      // A stream does not tell when its other end gives up; so those are looked for when their places are needed.
      this.releaseAbandoned();
      if (!this.served.take(peer)) return undefined;
    }
    const { promise: over, resolve } = Promise.withResolvers<undefined>();
    let reserved = 0;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      cancelTimer();
      this.jobs.delete(job);
      this.servedBytes -= reserved;
      this.served.give(peer);
      resolve(undefined);
    };
    const reserve = (length: number): boolean => {
      if (this.servedBytes + length > this.limits.requestsBytesMax) return false;
      this.servedBytes += length;
      reserved = length;
      return true;
    };
    const cancelTimer = this.modules.clock.schedule(this.limits.serveTimeoutMs, () => {
      this.count('server', 'timeout');
      stream.abort(new Error('request took too long'));
      release();
    });
    const job: Job = { stream, peer, over, release, reserve };
    this.jobs.add(job);
    return job;
  }

  private releaseAbandoned(): void {
    for (const job of this.jobs) {
      if (!isOver(job.stream)) continue;
      this.count('server', 'abandoned');
      job.release();
    }
  }

  private async serveOne(job: Job, session: Session): Promise<void> {
    const { stream } = job;
    const body = await new FrameReader(stream).frame(this.limits.requestBytesMax, job.reserve);
    if (body === undefined) {
      this.count('server', 'busy');
      return this.say(stream, [Uint8Array.of(BUSY)]);
    }
    const { promise: replied, resolve } = Promise.withResolvers<Reply>();
    this.dispatch(body, session, (answer) => resolve(this.replyOf(answer)));
    const reply = await Promise.race([replied, job.over]);
    if (reply === undefined || isOver(stream)) return;
    this.count('server', reply.outcome);
    return this.say(stream, reply.parts);
  }

  /** Made at once, because the handler may reuse its buffer. */
  private replyOf(answer: Uint8Array | undefined): Reply {
    if (answer === undefined) return { outcome: 'refused', parts: [Uint8Array.of(REFUSED)] };
    if (answer.length <= this.limits.answerBytesMax) return { outcome: 'ok', parts: [Uint8Array.of(OK), frame(answer)] };
    this.modules.log.warn({ event: 'network.answer_oversized', sizeBytes: answer.length }, 'answer too large, refused instead');
    return { outcome: 'oversized', parts: [Uint8Array.of(REFUSED)] };
  }

  private dispatch(body: Uint8Array, session: Session, reply: (answer: Uint8Array | undefined) => void): void {
    if (this.handler === undefined) return reply(undefined);
    try {
      this.handler(body, { peer: session.peer, node: session.node }, reply);
    } catch (error) {
      // A handler that throws is our own fault, never the peer's.
      this.modules.log.warn({ event: 'network.serve_failed', error: asError(error).message }, 'answering a request failed');
      reply(undefined);
    }
  }

  private async say(stream: Stream, parts: readonly Uint8Array[]): Promise<void> {
    await send(stream, parts);
    release(stream);
  }

  private count(side: 'client' | 'server', outcome: string): void {
    this.modules.metrics.count('shardlab_network_requests_total', { side, outcome });
  }
}

/** Whether a stream has ended in both directions: reset by the other end, aborted here, or gone with its connection. */
function isOver(stream: Stream): boolean {
  return stream.timeline.close !== undefined || stream.status === 'reset' || stream.status === 'aborted';
}
