import { BEACON, SHARDS_MAX, ShardlabError, type ShardId } from '@shardlab/crosslink';

import type { NodeName } from '../../ports.ts';
import type { LatencyModel } from '../../sim/latency.ts';
import { nodeLabel } from '../names.ts';
import { parseLatencyModel } from './latency-spec.ts';

/** Faults expire by themselves after at most this time, unless they are set anew. */
export const FAULTS_TTL_MAX_MS = 600_000;
/** Nodes that one set of faults may name. */
const LINKS_MAX = 3_000;
const SESSION_LENGTH_MAX = 64;
const BYTES_PER_SECOND_MAX = 1e12;

/** What goes wrong on the way from this node to one other. All of it happens where the message leaves, so the two directions of a link are set apart. */
export interface LinkFaults {
  /** Nothing arrives: gossip is lost, all else is held back until the cut ends. */
  readonly cut: boolean;
  /** Added to each message. */
  readonly delay: LatencyModel | undefined;
  /** Probability, 0 to 1, that a message is lost: a gossip frame vanishes, a request or an answer breaks its stream. */
  readonly loss: number;
  /** Undefined: as much as the machine bears. */
  readonly bytesPerSecond: number | undefined;
}

/** All faults of one node: they replace those that were set before. */
export interface Faults {
  /** Names who sets them: as long as they are in force, nobody else does. */
  readonly session: string;
  /** Of everything that is drawn. */
  readonly seed: number;
  /** After this time without a new set, all are gone: a chaos program that died leaves nothing behind. */
  readonly ttlMs: number;
  /** By the label of the other node ({@link nodeLabel}). */
  readonly links: ReadonlyMap<string, LinkFaults>;
}

function fail(what: string): never {
  throw new ShardlabError('chaos/faults', `faults: ${what}`);
}

function record(value: unknown, what: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fail(`${what} must be an object`);
  const strange = Object.keys(value).find((key) => !known.includes(key));
  if (strange !== undefined) fail(`${what} has no field "${strange.replaceAll(/[^\w-]/g, '?').slice(0, 32)}", only ${known.join(', ')}`);
  return value as Readonly<Record<string, unknown>>;
}

function numberIn(value: unknown, what: string, min: number, max: number, whole: boolean): number {
  if (typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
  return fail(`${what} must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}`);
}

/** Reads `beacon`, `beacon.1`, `shard-2`, `shard-2.1`; a committee's validator 0 goes with or without `.0`. Undefined for anything else. */
export function parseNodeLabel(text: string): NodeName | undefined {
  const found = /^(?:beacon|shard-(\d{1,3}))(?:\.(\d{1,3}))?$/.exec(text);
  if (found === null) return undefined;
  const shard = found[1] === undefined ? undefined : Number(found[1]);
  if (shard !== undefined && shard >= SHARDS_MAX) return undefined;
  return { chain: shard === undefined ? BEACON : (shard as ShardId), validator: Number(found[2] ?? 0) };
}

function readLink(value: unknown): { readonly to: readonly unknown[]; readonly faults: LinkFaults } {
  const { to, cut, delay, loss, bytesPerSecond } = record(value, 'a link', ['to', 'cut', 'delay', 'loss', 'bytesPerSecond']);
  if (!Array.isArray(to) || to.length > LINKS_MAX) return fail(`"to" must be a list of at most ${LINKS_MAX} nodes`);
  if (cut !== undefined && typeof cut !== 'boolean') fail('"cut" must be true or false');
  if (delay !== undefined && typeof delay !== 'string') fail('"delay" must be a latency model, such as constant:20ms');
  return {
    to: to as readonly unknown[],
    faults: {
      cut: cut === true,
      delay: delay === undefined ? undefined : parseLatencyModel(delay as string),
      loss: loss === undefined ? 0 : numberIn(loss, '"loss"', 0, 1, false),
      bytesPerSecond: bytesPerSecond === undefined ? undefined : numberIn(bytesPerSecond, '"bytesPerSecond"', 1, BYTES_PER_SECOND_MAX, true),
    },
  };
}

/**
 * Reads a set of faults as it stands in JSON: `{session, seed, ttlMs, links: [{to: [node…], cut?, delay?, loss?, bytesPerSecond?}…]}`. `exists` knows the
 * nodes of the network, without the own one. Throws `chaos/faults` or `latency/model` with one line, and nothing is set then.
 */
export function parseFaults(value: unknown, exists: (node: NodeName) => boolean): Faults {
  const { session, seed, ttlMs, links } = record(value, 'the set', ['session', 'seed', 'ttlMs', 'links']);
  if (typeof session !== 'string' || session === '' || session.length > SESSION_LENGTH_MAX) fail(`"session" must be text of 1 to ${SESSION_LENGTH_MAX} characters`);
  if (!Array.isArray(links) || links.length > LINKS_MAX) return fail(`"links" must be a list of at most ${LINKS_MAX}`);
  const found = new Map<string, LinkFaults>();
  for (const { to, faults } of links.map(readLink)) {
    for (const text of to) {
      const node = typeof text === 'string' ? parseNodeLabel(text) : undefined;
      if (node === undefined || !exists(node)) fail(`there is no other node ${String(text).replaceAll(/[^\w.-]/g, '?').slice(0, 32)}`);
      const label = nodeLabel(node!);
      if (found.has(label)) fail(`${label} is named twice`);
      found.set(label, faults);
    }
  }
  return {
    session: session as string,
    seed: numberIn(seed, '"seed"', 0, Number.MAX_SAFE_INTEGER, true),
    ttlMs: numberIn(ttlMs, '"ttlMs"', 1, FAULTS_TTL_MAX_MS, true),
    links: found,
  };
}
