import { decodeAll, type Reader } from './codec/reader.ts';
import { BloomBits } from './bloom-bits.ts';
import { putBytes, putFixed } from './codec/put.ts';
import { Writer } from './codec/writer.ts';
import type { Hasher } from './crypto.ts';
import { invariant } from './errors.ts';
import { LOGS_BLOOM_BYTES } from './header.ts';
import { type Address, equalBytes } from './primitives.ts';

/** Most topics of one log: LOG4. */
export const TOPICS_MAX = 4;
/** Most logs of one transaction: more than its gas pays for (375 each, genesis' largest gas limit aside). */
export const LOGS_MAX = 1 << 20;
/** Most bytes of one log's data. */
const LOG_DATA_MAX = 1 << 24;

/** One event that a contract emitted (LOG0 to LOG4). */
export interface EventLog {
  readonly address: Address;
  /** 0 to {@link TOPICS_MAX} topics of 32 bytes. */
  readonly topics: readonly Uint8Array[];
  readonly data: Uint8Array;
}

/** Bytes that {@link putLogs} writes. Throws `invariant` for more than there may be of anything. */
export function logsBytes(logs: readonly EventLog[]): number {
  invariant(logs.length <= LOGS_MAX, 'too many logs', { logs: logs.length });
  let sizeBytes = 4;
  for (const { topics, data } of logs) {
    invariant(topics.length <= TOPICS_MAX && data.length <= LOG_DATA_MAX, 'a log above its bounds', { topics: topics.length, data: data.length });
    sizeBytes += 20 + 4 + 32 * topics.length + 4 + data.length;
  }
  return sizeBytes;
}

/** Writes a list of logs as {@link writeLogs} does, and returns where it ends. */
export function putLogs(buffer: Uint8Array, view: DataView, start: number, logs: readonly EventLog[]): number {
  view.setUint32(start, logs.length);
  let at = start + 4;
  for (const { address, topics, data } of logs) {
    at = putFixed(buffer, at, address, 20);
    view.setUint32(at, topics.length);
    at += 4;
    for (const topic of topics) at = putFixed(buffer, at, topic, 32);
    view.setUint32(at, data.length);
    at = putBytes(buffer, at + 4, data);
  }
  return at;
}

function readLog(reader: Reader): EventLog {
  return { address: reader.address(), topics: reader.list(TOPICS_MAX, (input) => input.fixed(32)), data: reader.bytes(LOG_DATA_MAX) };
}

/** Appends a list of logs. */
export function writeLogs(writer: Writer, logs: readonly EventLog[]): void {
  writer.span(logsBytes(logs), logs, putLogs);
}

/** Reads what {@link writeLogs} wrote; byte fields are views. */
export function readLogs(reader: Reader): EventLog[] {
  return reader.list(LOGS_MAX, readLog);
}

/** Canonical bytes of a list of logs: what an Ack carries. */
export function encodeLogs(logs: readonly EventLog[]): Uint8Array {
  const writer = new Writer(256).u8(1);
  writeLogs(writer, logs);
  return writer.finish();
}

/** The inverse of {@link encodeLogs}. Throws `DecodeError`. */
export function decodeLogs(data: Uint8Array): EventLog[] {
  return decodeAll(data, (reader) => {
    reader.version(1);
    return readLogs(reader);
  });
}

const NOTHING = new Uint8Array(0);

/** Builds filters; remembers where the bits of addresses and topics are, because a block's logs name the same contracts, events and holders again and again. */
export class BloomBuilder {
  private readonly bits: BloomBits;
  /** The filter that was added to last, with the last address and first topic: neighbours mostly are the same event of the same contract, of which nothing is left to add. */
  private bloom: Uint8Array = NOTHING;
  private address: Uint8Array = NOTHING;
  private event: Uint8Array = NOTHING;

  constructor(hasher: Pick<Hasher, 'keccak256'>) {
    this.bits = new BloomBits(hasher);
  }

  /** Adds the addresses and topics of `logs`, whose bytes must not change, to a filter of 256 bytes, from which nothing must be taken. */
  add(bloom: Uint8Array, logs: readonly EventLog[]): void {
    if (bloom !== this.bloom) {
      this.bloom = bloom;
      this.address = NOTHING;
      this.event = NOTHING;
    }
    for (const { address, topics } of logs) {
      if (!equalBytes(address, this.address)) this.bits.set(bloom, address);
      this.address = address;
      for (let i = 0; i < topics.length; i++) {
        const topic = topics[i]!;
        if (i > 0 || !equalBytes(topic, this.event)) this.bits.set(bloom, topic);
      }
      if (topics[0] !== undefined) this.event = topics[0];
    }
  }
}

/** The bloom filter of `logs`, 256 bytes (Yellow Paper 4.3.1). */
export function logsBloom(hasher: Pick<Hasher, 'keccak256'>, logs: readonly EventLog[]): Uint8Array {
  const bloom = new Uint8Array(LOGS_BLOOM_BYTES);
  new BloomBuilder(hasher).add(bloom, logs);
  return bloom;
}

/** Whether a filter may hold an address or a topic: false is certain. */
export function bloomMayHold(hasher: Pick<Hasher, 'keccak256'>, bloom: Uint8Array, value: Uint8Array): boolean {
  const only = new Uint8Array(LOGS_BLOOM_BYTES);
  new BloomBits(hasher).set(only, value);
  return only.every((byte, index) => (byte & bloom[index]!) === byte);
}
