import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a node says of itself once it serves. */
export interface Ready {
  readonly pid: number;
  readonly rpcUrl: string;
  /** Multiaddrs with /p2p/. */
  readonly p2p: readonly string[];
  readonly startedMs: number;
}

function fileIn(directory: string): string {
  return join(directory, 'ready.json');
}

/** Writes `ready.json` atomically: whoever sees it sees all of it. */
export function writeReady(directory: string, ready: Ready): void {
  const file = fileIn(directory);
  writeFileSync(`${file}.new`, `${JSON.stringify(ready)}\n`);
  renameSync(`${file}.new`, file);
}

/** Removes `ready.json`: this node does not serve, or not any more. */
export function removeReady(directory: string): void {
  rmSync(fileIn(directory), { force: true });
}
