import { ShardlabError } from '@shardlab/crosslink';

/** What to do about damage, said in every such error: nothing here is ever repaired or reset by itself (R2). */
const remedy = (directory: string): string => `restore ${directory} from a copy, or delete it to start this node from nothing`;

/** Builds `storage/damaged`: what was synced is not there as it was written. */
export function damaged(directory: string, what: string, data: Readonly<Record<string, unknown>> = {}, cause?: unknown): ShardlabError {
  return new ShardlabError(
    'storage/damaged',
    `the database is damaged: ${what}; ${remedy(directory)}`,
    { directory, ...data },
    cause === undefined ? undefined : { cause },
  );
}

interface Failure {
  readonly code: string;
  /** Codes of Node's `errno` errors and of the binding's. */
  readonly codes: readonly string[];
  /** LevelDB reports errno as the C library's text only. */
  readonly texts: RegExp;
  readonly hint: (directory: string) => string;
}

/** In this order: an error that says several things is named by the most specific. */
const FAILURES: readonly Failure[] = [
  {
    code: 'storage/locked',
    codes: ['LEVEL_LOCKED'],
    texts: /^$/,
    hint: (directory) => `${directory} is in use by another process: stop it, or give this node another directory`,
  },
  {
    code: 'storage/full',
    codes: ['ENOSPC', 'EDQUOT'],
    texts: /No space left on device|Disk quota exceeded/,
    hint: (directory) => `no space is left for ${directory}: free some, then start the node again`,
  },
  {
    code: 'storage/permission',
    codes: ['EACCES', 'EPERM', 'EROFS'],
    texts: /Permission denied|Operation not permitted|Read-only file system/,
    hint: (directory) => `${directory} must be readable and writable by this user`,
  },
  {
    code: 'storage/directory',
    codes: ['ENOTDIR', 'EEXIST', 'ENAMETOOLONG', 'ELOOP'],
    texts: /Not a directory/,
    hint: (directory) => `${directory} must be a directory, or a path where one can be made`,
  },
  {
    code: 'storage/damaged',
    codes: ['LEVEL_CORRUPTION'],
    // LevelDB opens only files that its manifest names: one that is absent was taken away.
    texts: /Corruption|No such file or directory|does not exist/,
    hint: remedy,
  },
];

/** Every error from `error` down its causes; bounded, as a chain might be circular. */
function chain(error: unknown): { readonly codes: readonly string[]; readonly text: string } {
  const codes: string[] = [];
  let text = '';
  let at: unknown = error;
  for (let depth = 0; depth < 8 && at instanceof Error; depth++) {
    const code = (at as NodeJS.ErrnoException).code;
    if (typeof code === 'string') codes.push(code);
    text = at.message;
    at = at.cause;
  }
  return { codes, text: text === '' ? String(error) : text };
}

/**
 * Names a failure of the disk, of LevelDB or of its binding: `storage/locked`, `storage/full`, `storage/permission`, `storage/directory`,
 * `storage/damaged`, or `storage/io` for the rest. `doing` says what failed, for example `commit`. A {@link ShardlabError} is returned as it is.
 */
export function storageError(cause: unknown, directory: string, doing: string): ShardlabError {
  if (cause instanceof ShardlabError) return cause;
  const { codes, text } = chain(cause);
  const known = FAILURES.find((failure) => failure.codes.some((code) => codes.includes(code)) || failure.texts.test(text));
  const hint = known === undefined ? `check the disk under ${directory}` : known.hint(directory);
  return new ShardlabError(known?.code ?? 'storage/io', `${doing} failed: ${text}; ${hint}`, { directory, doing }, { cause });
}
