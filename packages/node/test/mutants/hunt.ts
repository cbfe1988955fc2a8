import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MUTANTS } from './catalog.ts';
import type { Ground, Mutant } from './mutant.ts';

/** Processes at a time. */
const PROCESSES = 2;
/** A process that takes longer hangs. */
const CHILD_MS = 120_000;
const CHILD = fileURLToPath(new URL('child.ts', import.meta.url));
const PATCH = new URL('patch.ts', import.meta.url).href;

/** What one seed came to. */
export interface SeedFinding {
  readonly seed: number;
  readonly found: readonly string[];
}

/** What became of a mutant. */
export interface Hunted {
  readonly mutant: Mutant;
  /** Seeds it took; `undefined` = it was not found. */
  readonly seeds: number | undefined;
  /** What the finding said. */
  readonly said: string;
}

/** What all mutants came to. */
export interface Hunt {
  readonly hunted: readonly Hunted[];
  /** Findings in runs without any mutant, on the same seeds: there must be none. */
  readonly baseline: readonly string[];
}

/** Plays seeds of a ground in a process of their own. Rejects when the process fails or hangs. */
export function play(ground: Ground, mutant: Mutant | undefined, seeds: number): Promise<SeedFinding[]> {
  return new Promise((resolve, fail) => {
    const args = ['--import', PATCH, CHILD, ground.name, mutant?.name ?? 'none', String(seeds)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: CHILD_MS });
    let out = '';
    let errors = '';
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (errors = (errors + data.toString()).slice(-4_000)));
    child.on('error', fail);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(out.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as SeedFinding));
      else fail(new Error(`${mutant?.name ?? 'no mutant'} on ${ground.name}: exit ${code ?? signal}\n${errors}`));
    });
  });
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: PROCESSES }, worker));
}

async function huntOne(mutant: Mutant): Promise<Hunted> {
  const findings = await play(mutant.ground, mutant, mutant.seedsMax);
  const { seed, found } = findings.at(-1)!;
  const said = found.find((line) => mutant.finds.test(line));
  if (said !== undefined) return { mutant, seeds: seed, said };
  const other = findings.flatMap((finding) => finding.found)[0];
  return { mutant, seeds: undefined, said: other === undefined ? '' : `nothing like ${mutant.finds.source}, but: ${other}` };
}

/** Looks for mutants, and then plays the seeds that it took to find them without any. */
export async function hunt(mutants: readonly Mutant[] = MUTANTS, onHunted: (hunted: Hunted) => void = () => undefined): Promise<Hunt> {
  const hunted: Hunted[] = [];
  await each(mutants, async (mutant) => {
    const result = await huntOne(mutant);
    hunted.push(result);
    onHunted(result);
  });
  const needed = new Map<Ground, number>();
  for (const { mutant, seeds } of hunted) needed.set(mutant.ground, Math.max(needed.get(mutant.ground) ?? 0, seeds ?? mutant.seedsMax));
  const baseline: string[] = [];
  await each([...needed], async ([ground, seeds]) => {
    for (const { seed, found } of await play(ground, undefined, seeds)) if (found.length > 0) baseline.push(`${ground.name}, seed ${seed}: ${found.join('; ')}`);
  });
  return { hunted: hunted.toSorted((a, b) => mutants.indexOf(a.mutant) - mutants.indexOf(b.mutant)), baseline };
}

/** The table of what was found: mutant, seeds needed, the checker that found it, and what it said. */
export function tableOf(hunted: readonly Hunted[]): string {
  const rows = hunted.map(({ mutant, seeds, said }) => {
    const [checker, rest] = split(said);
    return [mutant.name, seeds === undefined ? `not in ${mutant.seedsMax}` : String(seeds), String(mutant.seedsMax), checker, shorten(rest)];
  });
  const all = [['mutant', 'seeds', 'at most', 'found by', 'said'], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!))).join('  ')).join('\n');
}

/** A checker's finding names it; the rest is what the swarm itself sees: a node that fails, one that does not come to rest, accounts against receipts. */
function split(said: string): [string, string] {
  const match = /^([a-z]+): (.*)$/s.exec(said);
  return match === null ? ['swarm', said] : [match[1]!, match[2]!];
}

/** Hashes and what nodes look like say little here. */
function shorten(text: string): string {
  const brief = text.replaceAll(/0x([0-9a-f]{6})[0-9a-f]{10,}/g, '0x$1…').replaceAll(/\s+/g, ' ');
  return brief.length > 110 ? `${brief.slice(0, 109)}…` : brief;
}
