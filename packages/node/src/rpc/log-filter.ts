import { type Address, bloomMayHold, bytesKey, type EventLog, type Hash32, type Hasher } from '@shardlab/crosslink';
import { parseData } from './format.ts';
import { type BlockTag, Params } from './params.ts';
import { invalidParams } from './rpc-error.ts';

/** Blocks that one query looks at. */
export const LOG_BLOCKS_MAX = 2_000;
/** Logs of one answer. */
export const LOGS_ANSWERED_MAX = 10_000;
/** Addresses, and alternatives of one topic. */
const ALTERNATIVES_MAX = 256;
const TOPICS_MAX = 4;

/** Which logs are wanted (execution-apis, `Filter`). */
export interface LogFilter {
  /** Any of them; empty: all. */
  readonly addresses: readonly Address[];
  /** For each position any of them; empty: whatever stands there, but something must. */
  readonly topics: readonly (readonly Hash32[])[];
}

/** A filter and the blocks that it is for. */
export interface LogQuery extends LogFilter {
  readonly blocks: { readonly from: BlockTag; readonly to: BlockTag } | { readonly hash: Hash32 };
}

type Fields = Readonly<Record<string, unknown>>;

function given(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function bytes(value: unknown, length: number, what: string): Uint8Array {
  const found = parseData(value);
  if (found?.length !== length) throw invalidParams(`${what}: 0x and ${2 * length} hex digits`);
  return found;
}

/** One value, or a list of them. */
function alternatives(value: unknown, length: number, what: string): Uint8Array[] {
  const list = (Array.isArray(value) ? value : [value]) as readonly unknown[];
  if (list.length > ALTERNATIVES_MAX) throw invalidParams(`a filter takes at most ${ALTERNATIVES_MAX} alternatives, not ${list.length}`);
  return list.map((each) => bytes(each, length, what));
}

function topicsIn(value: unknown): Hash32[][] {
  if (!given(value)) return [];
  if (!Array.isArray(value) || value.length > TOPICS_MAX) throw invalidParams(`"topics" must be a list of at most ${TOPICS_MAX}`);
  return (value as readonly unknown[]).map((each) => {
    // A null among alternatives lets everything pass, as a null alone.
    if (!given(each) || (Array.isArray(each) && (each as readonly unknown[]).includes(null))) return [];
    return alternatives(each, 32, 'a topic must be null, 32 bytes, or a list of such') as Hash32[];
  });
}

/** Reads the filter of `eth_getLogs`. Throws -32602 with one line that names the field. */
export function readLogQuery(params: Params, index: number): LogQuery {
  const fields: Fields = params.object(index, 'a filter');
  const { fromBlock, toBlock, blockHash, address, topics } = fields;
  const filter = {
    addresses: given(address) ? (alternatives(address, 20, '"address" must be an address, or a list of such') as Address[]) : [],
    topics: topicsIn(topics),
  };
  if (!given(blockHash)) {
    const tags = new Params([fromBlock, toBlock]);
    return { ...filter, blocks: { from: tags.block(0), to: tags.block(1) } };
  }
  if (given(fromBlock) || given(toBlock)) throw invalidParams('"blockHash" and "fromBlock" or "toBlock" exclude each other');
  return { ...filter, blocks: { hash: bytes(blockHash, 32, '"blockHash" must be a block hash') as Hash32 } };
}

/** A filter as JSON, for another shard's node. */
export function filterJson({ addresses, topics }: LogFilter, hex: (bytes: Uint8Array) => string): Fields {
  return { address: addresses.map(hex), topics: topics.map((each) => (each.length === 0 ? null : each.map(hex))) };
}

/** Whether a block with this bloom filter may hold a log that is wanted: false is certain. */
export function bloomMayMatch(hasher: Pick<Hasher, 'keccak256'>, bloom: Uint8Array, { addresses, topics }: LogFilter): boolean {
  if (bloom.every((byte) => byte === 0)) return false;
  const any = (values: readonly Uint8Array[]): boolean => values.length === 0 || values.some((value) => bloomMayHold(hasher, bloom, value));
  return any(addresses) && topics.every(any);
}

/** Tells wanted logs from others. */
export function logMatcher({ addresses, topics }: LogFilter): (log: EventLog) => boolean {
  const wantedAddresses = new Set(addresses.map(bytesKey));
  const wantedTopics = topics.map((each) => new Set(each.map(bytesKey)));
  return (log) => {
    if (wantedAddresses.size > 0 && !wantedAddresses.has(bytesKey(log.address))) return false;
    if (log.topics.length < wantedTopics.length) return false;
    return wantedTopics.every((wanted, at) => wanted.size === 0 || wanted.has(bytesKey(log.topics[at]!)));
  };
}
