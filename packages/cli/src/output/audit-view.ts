import type { Output } from './output.ts';
import { printable } from './style.ts';

function fieldsText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return printable(String(value));
  if (Array.isArray(value)) return value.map(fieldsText).join('; ');
  return Object.entries(value)
    .map(([name, field]) => `${name} ${typeof field === 'object' && field !== null ? `(${fieldsText(field)})` : printable(String(field))}`)
    .join(', ');
}

/**
 * An audit for people: one line for each part of the report, whatever parts the auditor has, so that nothing that it found can be hidden by a view that
 * does not know of it.
 */
export function auditLines(report: Readonly<Record<string, unknown>> & { readonly ok: boolean }, output: Output): string[] {
  const { style } = output;
  const parts = Object.entries(report).filter(([name]) => name !== 'ok');
  const verdict = report.ok ? style.good('audit: the books balance') : style.bad('audit: THE BOOKS DO NOT BALANCE');
  return [verdict, ...parts.map(([name, value]) => `  ${style.bold(name.padEnd(10))}  ${fieldsText(value)}`)];
}
