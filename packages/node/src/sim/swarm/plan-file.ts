import { ShardlabError } from '@shardlab/crosslink';
import { nodeLabel } from '../../network/names.ts';
import { accountsOf } from './network.ts';
import { FAULT_KINDS, type SwarmOptions } from './options.ts';
import { CONTRACT_ACTIONS, type FaultEvent, nodesOf, type Plan, type PlannedCall, type PlannedTransfer } from './plan.ts';

/** Faults, and transfers, that one plan can hold. */
const EVENTS_MAX = 10_000;
const TRANSFERS_MAX = 1_000_000;
/** Longest virtual time that a plan can name, an hour. */
const TIME_MAX_MS = 3_600_000;
/** Largest value of one transfer, in wei: what accounts hold is far above. */
const VALUE_MAX = 1_000_000_000;

function wrong(what: string): never {
  throw new ShardlabError('sim/plan', `this is no plan for that network: ${what} (give what "shardlab sim --shrink" has written, with the same options)`);
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong(`${what} is no object`);
  return value as Readonly<Record<string, unknown>>;
}

function whole(of: Readonly<Record<string, unknown>>, name: string, what: string, min: number, max: number): number {
  const value = of[name];
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  return wrong(`${what}${name} is no whole number from ${min} to ${max}`);
}

function list(of: Readonly<Record<string, unknown>>, name: string, what: string, max: number): readonly unknown[] {
  const value = of[name];
  return Array.isArray(value) && value.length <= max ? (value as unknown[]) : wrong(`${what}${name} is no list of at most ${max}`);
}

/** Reads a plan, as JSON, for the network of `options`. Throws `sim/plan` with the first thing that is wrong with it. */
export function readPlan(text: string, options: SwarmOptions): Plan {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return wrong('it is no JSON');
  }
  const plan = record(json, 'it');
  const labels = new Set(nodesOf(options).map(nodeLabel));
  const accounts = accountsOf(options);
  return {
    seed: whole(plan, 'seed', '', 0, Number.MAX_SAFE_INTEGER),
    healMs: whole(plan, 'healMs', '', 0, TIME_MAX_MS),
    events: list(plan, 'events', '', EVENTS_MAX).map((event, index) => eventOf(record(event, `event ${index}`), `event ${index}: `, labels)),
    transfers: list(plan, 'transfers', '', TRANSFERS_MAX).map((transfer, index) => transferOf(record(transfer, `transfer ${index}`), `transfer ${index}: `, accounts)),
    // Plans from before there were contracts have none.
    calls: (plan['calls'] === undefined ? [] : list(plan, 'calls', '', TRANSFERS_MAX)).map((call, index) => callOf(record(call, `call ${index}`), `call ${index}: `, accounts)),
  };
}

/** Kinds that strike one node, named first. */
const OF_ONE_NODE: ReadonlySet<string> = new Set(['crash', 'lost-write', 'torn-write', 'misordered-write', 'disk-full']);

function eventOf(given: Readonly<Record<string, unknown>>, what: string, labels: ReadonlySet<string>): FaultEvent {
  const kind = FAULT_KINDS.find((known) => known === given['kind']) ?? wrong(`${what}kind is none of ${FAULT_KINDS.join(', ')}`);
  const nodes = list(given, 'nodes', what, labels.size).map((label) => (typeof label === 'string' && labels.has(label) ? label : wrong(`${what}there is no such node`)));
  if (OF_ONE_NODE.has(kind) && nodes.length === 0) wrong(`${what}no node is named`);
  const { before } = given;
  if (typeof before !== 'boolean') return wrong(`${what}before is neither true nor false`);
  return {
    kind,
    atMs: whole(given, 'atMs', what, 0, TIME_MAX_MS),
    untilMs: whole(given, 'untilMs', what, 0, TIME_MAX_MS),
    nodes,
    percent: whole(given, 'percent', what, 0, 100),
    ms: whole(given, 'ms', what, -TIME_MAX_MS, TIME_MAX_MS),
    effect: whole(given, 'effect', what, 0, EVENTS_MAX),
    before,
  };
}

function transferOf(given: Readonly<Record<string, unknown>>, what: string, accounts: number): PlannedTransfer {
  return {
    atMs: whole(given, 'atMs', what, 0, TIME_MAX_MS),
    from: whole(given, 'from', what, 0, accounts - 1),
    to: whole(given, 'to', what, 0, accounts - 1),
    value: whole(given, 'value', what, 0, VALUE_MAX),
  };
}

function callOf(given: Readonly<Record<string, unknown>>, what: string, accounts: number): PlannedCall {
  const action = CONTRACT_ACTIONS.find((known) => known === given['action']) ?? wrong(`${what}action is none of ${CONTRACT_ACTIONS.join(', ')}`);
  return { action, atMs: whole(given, 'atMs', what, 0, TIME_MAX_MS), from: whole(given, 'from', what, 0, accounts - 1), pick: whole(given, 'pick', what, 0, 0xffff_ffff) };
}
