import { hash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { damaged, writeFileAtomic } from './json.ts';

const TOKEN_BYTES = 32;

function fileIn(dataDir: string): string {
  return join(resolve(dataDir), 'control-token');
}

/** The token that lets its holder set faults between the nodes of the cluster at `dataDir`; undefined when there is none yet. Throws `cluster/damaged`. */
export function readControlToken(dataDir: string): string | undefined {
  const file = fileIn(dataDir);
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw damaged(file, 'it cannot be read', cause);
  }
  if (!/^[0-9a-f]{64}$/.test(text)) throw damaged(file, 'it must hold 32 bytes in hex');
  return text;
}

/**
 * The cluster's token, made when there is none. Unlike the nodes' keys it is drawn, not derived from the published seed, and readable by its owner alone:
 * it guards the nodes of a machine that others may use too.
 */
export function ensureControlToken(dataDir: string): string {
  const had = readControlToken(dataDir);
  if (had !== undefined) return had;
  const token = randomBytes(TOKEN_BYTES).toString('hex');
  writeFileAtomic(fileIn(dataDir), `${token}\n`, 0o600);
  return token;
}

/** What nodes are told: SHA-256 of the token's text, 0x and 32 bytes in hex. */
export function controlTokenHash(token: string): string {
  return `0x${hash('sha256', token)}`;
}
