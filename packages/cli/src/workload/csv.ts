import { ShardlabError } from '@shardlab/crosslink';

/** Longest record in characters: a transaction's `input` has at most 128 KiB, which is 256 Ki hex digits. */
export const RECORD_CHARACTERS_MAX = 1024 * 1024;

/** One record and the line of the file, from 1, where it begins. */
export interface CsvRecord {
  readonly line: number;
  readonly fields: readonly string[];
}

function malformed(line: number, what: string): ShardlabError {
  return new ShardlabError('trace/malformed', `line ${line}: ${what}`, { line });
}

/**
 * Splits text that arrives in pieces into the records of RFC 4180: quoted fields may hold commas, doubled quotes and line ends. Deviates from it in
 * accepting a bare LF as line end (as ethereum-etl writes), a byte order mark, and blank lines, which it skips.
 */
export class CsvParser {
  private rest = '';
  /** Where the search for the end of the first record of `rest` goes on. */
  private scanned = 0;
  private quoted = false;
  private line = 1;
  private started = false;

  /** Takes the next piece and calls `take` for each whole record. Throws `trace/malformed` with the line. */
  push(piece: string, take: (record: CsvRecord) => void): void {
    this.rest += piece;
    if (!this.started && this.rest.length > 0) {
      this.started = true;
      if (this.rest.charCodeAt(0) === 0xfeff) this.rest = this.rest.slice(1);
    }
    let start = 0;
    for (let end = this.recordEnd(); end !== -1; end = this.recordEnd()) {
      this.emit(this.rest.slice(start, end), take);
      start = end + 1;
    }
    if (start > 0) {
      this.rest = this.rest.slice(start);
      this.scanned -= start;
    }
    if (this.rest.length > RECORD_CHARACTERS_MAX) throw malformed(this.line, `a record is longer than ${RECORD_CHARACTERS_MAX} characters`);
  }

  /** Takes the last record, which may lack its line end. Throws `trace/malformed` with the line. */
  end(take: (record: CsvRecord) => void): void {
    if (this.quoted) throw malformed(this.line, 'a quoted field is never closed');
    if (this.rest.length > 0) this.emit(this.rest, take);
    this.rest = '';
    this.scanned = 0;
  }

  /** Index of the line feed that ends the record being scanned, or -1: the rest has not arrived. */
  private recordEnd(): number {
    for (;;) {
      if (this.quoted) {
        // A doubled quote closes and reopens: for finding ends that is the same.
        const quote = this.rest.indexOf('"', this.scanned);
        if (quote === -1) break;
        this.quoted = false;
        this.scanned = quote + 1;
        continue;
      }
      const feed = this.rest.indexOf('\n', this.scanned);
      const quote = this.rest.slice(this.scanned, feed === -1 ? undefined : feed).indexOf('"');
      if (quote !== -1) {
        this.scanned += quote + 1;
        this.quoted = true;
        continue;
      }
      if (feed === -1) break;
      this.scanned = feed + 1;
      return feed;
    }
    this.scanned = this.rest.length;
    return -1;
  }

  private emit(text: string, take: (record: CsvRecord) => void): void {
    const line = this.line;
    const record = text.endsWith('\r') ? text.slice(0, -1) : text;
    this.line += 1;
    if (record.length === 0) return;
    if (!record.includes('"')) return take({ line, fields: record.split(',') });
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) this.line += 1;
    take({ line, fields: quotedFields(record, line) });
  }
}

function quotedFields(record: string, line: number): string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (record[at] !== '"') {
      const comma = record.indexOf(',', at);
      const field = record.slice(at, comma === -1 ? undefined : comma);
      if (field.includes('"')) throw malformed(line, `field ${fields.length + 1} has a quote in the middle: quote the whole field and double the quotes in it`);
      fields.push(field);
      if (comma === -1) return fields;
      at = comma + 1;
      continue;
    }
    let close = record.indexOf('"', at + 1);
    while (close !== -1 && record[close + 1] === '"') close = record.indexOf('"', close + 2);
    if (close === -1) throw malformed(line, 'a quoted field is never closed');
    fields.push(record.slice(at + 1, close).replaceAll('""', '"'));
    if (close + 1 === record.length) return fields;
    if (record[close + 1] !== ',') throw malformed(line, `field ${fields.length} goes on after its closing quote`);
    at = close + 2;
  }
}
