import { concatBytes } from '@shardlab/crosslink';
import type { MaskedCrc } from './coding.ts';

const BLOCK_BYTES = 32_768;
const HEADER_BYTES = 7;
const FULL = 1;
const FIRST = 2;
const MIDDLE = 3;
const LAST = 4;

/** What a log (a `.log` or `MANIFEST` file) holds. */
export interface LogScan {
  /** Whole records, from the start up to the first damage. */
  readonly records: readonly Uint8Array[];
  /** Where the first damaged or unfinished record starts; undefined if all is well. */
  readonly damagedAt: number | undefined;
  /**
   * Whether whole records follow the damage. If none do, it may be the write that was under way when the process or the power went; if some do,
   * then later writes were synced, hence earlier ones too, and it is damage.
   */
  readonly recordsFollow: boolean;
}

/**
 * Reads a log as LevelDB does (leveldb/doc/log_format.md, db/log_reader.cc; equivalent), and tells what LevelDB passes over in silence: it drops
 * a damaged block of 32 KB and goes on with the next.
 */
export function scanLog(bytes: Uint8Array, crc: MaskedCrc): LogScan {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const records: Uint8Array[] = [];
  let damagedAt: number | undefined;
  let recordsFollow = false;
  let fragments: Uint8Array[] | undefined;
  let recordAt = 0;
  const bad = (offset: number): void => {
    damagedAt ??= offset;
    fragments = undefined;
  };
  const whole = (record: Uint8Array): void => {
    if (damagedAt === undefined) records.push(record);
    else recordsFollow = true;
  };
  for (let at = 0; at < bytes.length; ) {
    const blockLeft = BLOCK_BYTES - (at % BLOCK_BYTES);
    if (blockLeft < HEADER_BYTES) {
      at += blockLeft;
      continue;
    }
    const end = at + HEADER_BYTES + (at + HEADER_BYTES <= bytes.length ? view.getUint16(at + 4, true) : 0);
    if (end > bytes.length || end - at > blockLeft || crc(bytes.subarray(at + 6, end)) !== view.getUint32(at, true)) {
      bad(fragments === undefined ? at : recordAt);
      at += blockLeft;
      continue;
    }
    const payload = bytes.subarray(at + HEADER_BYTES, end);
    const type = bytes[at + 6]!;
    const starts = type === FULL || type === FIRST;
    if (starts && fragments !== undefined) bad(recordAt);
    if (type === FULL) whole(payload);
    else if (type === FIRST) {
      fragments = [payload];
      recordAt = at;
    } else if (fragments === undefined || (type !== MIDDLE && type !== LAST)) bad(at);
    else {
      fragments.push(payload);
      if (type === LAST) {
        whole(concatBytes(...fragments));
        fragments = undefined;
      }
    }
    at = end;
  }
  if (fragments !== undefined) bad(recordAt);
  return { records, damagedAt, recordsFollow };
}
