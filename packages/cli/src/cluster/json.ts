import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { usageError } from '../output/cli-error.ts';

/** Reads typed fields of a JSON file; whatever is wrong is one error that names the file and the field. */
export class JsonFields {
  private readonly value: Readonly<Record<string, unknown>>;
  private readonly where: string;

  constructor(value: unknown, where: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw damaged(where, 'not an object');
    this.value = value as Record<string, unknown>;
    this.where = where;
  }

  string(name: string): string {
    const value = this.value[name];
    if (typeof value !== 'string') throw damaged(this.where, `"${name}" must be a string`);
    return value;
  }

  integer(name: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.value[name];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
      throw damaged(this.where, `"${name}" must be a whole number from ${min} to ${max}`);
    }
    return value;
  }

  integerOrNull(name: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number | null {
    return this.value[name] === null ? null : this.integer(name, min, max);
  }

  list(name: string, itemsMax: number): readonly unknown[] {
    const value = this.value[name];
    if (!Array.isArray(value) || value.length > itemsMax) throw damaged(this.where, `"${name}" must be a list of at most ${itemsMax}`);
    return value;
  }
}

/** A file of the data directory is not what this program wrote. */
export function damaged(where: string, what: string, cause?: unknown): Error {
  return usageError('cluster/damaged', `${where} is damaged (${what}): restore it, or choose another --data-dir`, { cause });
}

/** Parses JSON text of the file `where`. Throws `cluster/damaged`. */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw damaged(where, 'not JSON', cause);
  }
}

/** Replaces `file` by `text`, synced: a reader sees the old file or the new one, whole. `mode` are the permission bits. */
export function writeFileAtomic(file: string, text: string, mode = 0o644): void {
  const temporary = `${file}.${process.pid}.tmp`;
  const descriptor = openSync(temporary, 'w', mode);
  try {
    writeFileSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, file);
}
