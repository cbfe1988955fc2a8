import { invariant, ShardlabError } from '@shardlab/crosslink';

import { nodeLabel } from '../network/names.ts';
import type { Done, NodeName, Result } from '../ports.ts';
import type { Medium } from './medium.ts';
import type { Station } from './station.ts';

/** Bounds of request and response; the process driver's are the same. */
export interface ExchangeLimits {
  readonly requestBytesMax: number;
  readonly replyBytesMax: number;
  /** Requests that one node may be answering; more are refused. */
  readonly servingMax: number;
}

interface Exchange {
  readonly from: Station;
  readonly to: Station;
  readonly settle: (result: Result<Uint8Array>) => void;
  /** Tells the requester that the other side has died. */
  readonly broken: () => void;
}

function failure(code: 'unreachable' | 'timeout' | 'refused', to: NodeName, why: string): Result<never> {
  return { ok: false, error: new ShardlabError(`network/${code}`, `request to ${nodeLabel(to)}: ${why}`, { chain: to.chain, validator: to.validator }) };
}

/**
 * Requests and their answers. Each ends once: by the answer, a refusal, the timeout, or the news that nobody is there, whichever comes first. A node
 * that dies while it serves breaks its connections, which the requester notices one latency later; a message that is lost is noticed by the timeout
 * alone.
 */
export class Exchanges {
  private readonly limits: ExchangeLimits;
  private readonly medium: Medium;

  constructor(options: { readonly limits: ExchangeLimits }, modules: { readonly medium: Medium }) {
    this.limits = options.limits;
    this.medium = modules.medium;
  }

  /** Breaks what a station serves when its life ends. */
  attach(station: Station): void {
    station.incarnation.onKill(() => {
      for (const broken of station.serving) broken();
      station.serving.clear();
    });
  }

  request(from: Station, name: NodeName, body: Uint8Array, timeoutMs: number, done: Done<Uint8Array>): void {
    if (!from.incarnation.alive) return;
    invariant(timeoutMs > 0 && Number.isFinite(timeoutMs), 'not a timeout', { timeoutMs });
    const { counters, scheduler } = this.medium;
    counters.requests++;
    scheduler.trace.text('request').text(from.label).text(nodeLabel(name)).bytes(body);
    const to = this.medium.station(name);
    const broken = (): void => this.breakOff(from, name, settle);
    const settle = this.settler(from, name, timeoutMs, (result) => {
      // A requester that has given up closes its stream, which frees the other side's slot.
      to?.serving.delete(broken);
      done(result);
    });
    if (body.length > this.limits.requestBytesMax) {
      from.incarnation.schedule(0, () => settle(failure('refused', name, `${body.length} bytes are too many`)));
      return;
    }
    if (to === undefined || !this.medium.linked(from, to)) {
      from.incarnation.schedule(this.medium.drawUs(), () => settle(failure('unreachable', name, 'there is no connection')));
      return;
    }
    this.send({ from, to, settle, broken }, name, body.slice());
  }

  private send(exchange: Exchange, name: NodeName, body: Uint8Array): void {
    const { from, to, settle, broken } = exchange;
    to.serving.add(broken);
    const outcome = this.medium.transmit(from, to, { kind: 'request', topic: undefined, sizeBytes: body.length }, () => this.arrive(exchange, body));
    if (outcome === 'sent') return;
    to.serving.delete(broken);
    if (outcome === 'lost') {
      this.medium.counters.requestsLost++;
      return;
    }
    from.incarnation.schedule(0, () => settle(failure('refused', name, 'too much is on the way already')));
  }

  private arrive(exchange: Exchange, body: Uint8Array): void {
    const { to, broken } = exchange;
    if (to.handler === undefined || to.serving.size > this.limits.servingMax) {
      to.serving.delete(broken);
      this.answer(exchange, undefined);
      return;
    }
    let replied = false;
    to.handler(body.slice(), exchange.from.sender, (reply) => {
      if (!to.incarnation.alive) return;
      invariant(!replied, 'a request was answered twice');
      replied = true;
      to.serving.delete(broken);
      this.answer(exchange, reply);
    });
  }

  private answer(exchange: Exchange, reply: Uint8Array | undefined): void {
    const { from, to, settle } = exchange;
    const { counters, scheduler } = this.medium;
    counters.replies++;
    const body = reply === undefined || reply.length > this.limits.replyBytesMax ? undefined : reply.slice();
    scheduler.trace.text('reply').text(to.label).text(from.label).integer(body === undefined ? 0 : 1);
    if (body !== undefined) scheduler.trace.bytes(body);
    const outcome = this.medium.transmit(to, from, { kind: 'reply', topic: undefined, sizeBytes: body?.length ?? 0 }, () => {
      settle(body === undefined ? failure('refused', to.name, 'it was refused') : { ok: true, value: body });
    });
    if (outcome !== 'sent') counters.requestsLost++;
  }

  private breakOff(from: Station, name: NodeName, settle: (result: Result<Uint8Array>) => void): void {
    from.incarnation.schedule(this.medium.drawUs(), () => settle(failure('unreachable', name, 'the connection broke')));
  }

  /** Wraps `done` so that the first outcome counts, and starts the timeout. */
  private settler(from: Station, name: NodeName, timeoutMs: number, done: Done<Uint8Array>): (result: Result<Uint8Array>) => void {
    const { counters } = this.medium;
    let settled = false;
    const settle = (result: Result<Uint8Array>): void => {
      if (settled) {
        if (result.ok) counters.repliesLate++;
        return;
      }
      settled = true;
      cancelTimeout();
      if (result.ok) counters.requestsAnswered++;
      else if (result.error.code === 'network/timeout') counters.requestsTimedOut++;
      else if (result.error.code === 'network/refused') counters.requestsRefused++;
      else counters.requestsUnreachable++;
      done(result);
    };
    const cancelTimeout = from.incarnation.schedule(Math.ceil(timeoutMs * 1000), () => settle(failure('timeout', name, `no answer within ${timeoutMs} ms`)));
    return settle;
  }
}
