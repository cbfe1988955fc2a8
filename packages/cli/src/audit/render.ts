import type { Finding } from './findings.ts';
import type { AuditReport } from './report.ts';

/** How a report is shown. */
export interface RenderOptions {
  /** With ANSI colours; default plain. */
  readonly colour?: boolean;
}

const GREEN = '\u001b[32m';
const RED = '\u001b[31m';
const RESET = '\u001b[0m';

/** Control characters of a hostile node's texts must not reach a terminal. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}

function grouped(value: string | number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

function placeOf({ shard, height, hash }: Finding): string {
  const parts = [shard === undefined ? '' : `shard ${shard}`, height === undefined ? '' : `block ${height}`, hash ?? ''].filter((part) => part !== '');
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

/** A report for people, line by line: the verdict, the books, then what is wrong. */
export function renderAudit(report: AuditReport, options: RenderOptions = {}): string[] {
  const paint = (good: boolean, text: string): string => (options.colour === true ? `${good ? GREEN : RED}${text}${RESET}` : text);
  const row = (good: boolean, name: string, text: string): string => `  ${paint(good, good ? 'ok ' : 'BAD')} ${name.padEnd(11)} ${text}`;
  const { supply, atomicity, locks, sequences, proofs, ledger, contracts, validators, checks } = report;
  const violations = Object.values(checks).reduce((sum, count) => sum + count, 0);
  const cut = Object.entries(report.cut).map(([shard, height]) => `${shard}:${height}`);
  const lines = [
    paint(report.ok, report.ok ? 'audit: the books balance' : `audit: ${violations} violation${violations === 1 ? '' : 's'}`),
    `      ${grouped(report.transactions)} transactions in ${grouped(report.blocks)} shard blocks, ${grouped(report.beaconBlocks)} beacon blocks; cut at ${cut.join(' ')}`,
    row(supply.difference === '0', 'supply', `difference ${grouped(supply.difference)} wei`),
    ...(['genesis', 'balances', 'escrow', 'inFlight', 'burned'] as const).map((name) => `        ${name.padEnd(9)} ${grouped(supply[name]).padStart(40)} wei`),
    row(atomicity.violations === 0, 'atomicity', `${grouped(atomicity.checked)} cross-shard transactions, ${atomicity.violations} violations`),
    row(locks.stuck === 0, 'locks', `${grouped(locks.held)} held, ${locks.stuck} stuck`),
    row(sequences.gaps + sequences.duplicates === 0, 'sequences', `${sequences.gaps} gaps, ${sequences.duplicates} duplicates`),
    row(proofs.bad === 0, 'proofs', `${grouped(proofs.batchesChecked)} checked, ${proofs.bad} bad`),
    // Where one validator decides alone there is nobody to compare it with.
    ...(validators.compared === 0 ? [] : [row(validators.forks === 0, 'validators', `${validators.compared} compared, ${validators.forks} forks`)]),
    ...(contracts.runs === 0 ? [] : [row(contracts.violations === 0, 'contracts', `${Object.keys(contracts.invariants).join(', ')}: ${contracts.violations} violations`)]),
    row(ledger.violations === 0, 'ledger', `${grouped(ledger.checked)} outcomes recounted, ${ledger.violations} violations`),
  ];
  for (const finding of report.findings) lines.push(`  ${paint(false, finding.check)}: ${printable(finding.message)}${placeOf(finding)}`);
  const listed = report.findings.length;
  if (violations > listed) lines.push(`  ... and ${violations - listed} more`);
  return lines;
}
