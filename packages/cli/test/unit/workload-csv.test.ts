import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CsvParser, type CsvRecord } from '../../src/workload/csv.ts';

function parse(text: string, pieceLength = text.length): CsvRecord[] {
  const records: CsvRecord[] = [];
  const parser = new CsvParser();
  const take = (record: CsvRecord): void => void records.push(record);
  for (let at = 0; at < text.length; at += Math.max(1, pieceLength)) parser.push(text.slice(at, at + Math.max(1, pieceLength)), take);
  parser.end(take);
  return records;
}

function quoted(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}

describe('CsvParser', () => {
  test('reads quotes, doubled quotes, commas and line ends in fields, CRLF and LF, and counts lines', () => {
    const records = parse('\ufeffa,"b,1",c\r\n"x ""y""","two\nlines",\n\nlast,,"z"');
    assert.deepEqual(records, [
      { line: 1, fields: ['a', 'b,1', 'c'] },
      { line: 2, fields: ['x "y"', 'two\nlines', ''] },
      { line: 5, fields: ['last', '', 'z'] },
    ]);
  });

  test('any table survives being written, cut into pieces of any length, and read', () => {
    const field = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r', '0'), maxLength: 6 }).map((text) => text.replace(/\r$/, ''));
    // A record of one empty field is a blank line, which is skipped.
    const record = fc.array(field, { minLength: 2, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 9 }), (table, pieceLength) => {
        const text = table.map((fields) => fields.map(quoted).join(',')).join('\r\n');
        assert.deepEqual(
          parse(text, pieceLength).map((found) => found.fields),
          table,
        );
      }),
    );
  });

  for (const [name, text, line, what] of [
    ['a quote that is never closed', 'a,b\n"c,d\ne', 2, /never closed/],
    ['text after a closing quote', 'a\n"b"c,d\n', 2, /after its closing quote/],
    ['a quote in the middle of a field', 'a\nb\nc"d"\n', 3, /quote in the middle/],
    ['a record beyond the bound', `a\n${'x'.repeat(1_100_000)}`, 2, /longer than/],
  ] as const) {
    test(`refuses ${name} with its line`, () => {
      assert.throws(() => parse(text), (error: { code: string; message: string; data: { line: number } }) => {
        assert.equal(error.code, 'trace/malformed');
        assert.equal(error.data.line, line);
        assert.match(error.message, what);
        return true;
      });
    });
  }
});
