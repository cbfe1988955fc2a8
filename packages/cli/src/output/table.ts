import { padEnd, padStart, visibleLength } from './style.ts';

/** One column of a table: its heading, and on which side its cells stand. */
export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Lines of a table with two spaces between columns, as wide as the widest cell; cells may hold colour. Rows shorter than `columns` are padded. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[], heading: (text: string) => string): string[] {
  const widths = columns.map((column, at) => {
    let width = column.title.length;
    for (const row of rows) width = Math.max(width, visibleLength(row[at] ?? ''));
    return width;
  });
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, at) => (column.align === 'right' ? padStart(cells[at] ?? '', widths[at]!) : padEnd(cells[at] ?? '', widths[at]!)))
      .join('  ')
      .trimEnd();
  return [heading(line(columns.map((column) => column.title))), ...rows.map(line)];
}
