import { createWriteStream, type WriteStream } from 'node:fs';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { ShardlabError } from '@shardlab/crosslink';

/** Characters that are collected before they are written. */
const BLOCK_CHARACTERS = 256 * 1024;

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist',
  EACCES: 'not allowed to write it',
  EISDIR: 'it is a directory',
  ENOSPC: 'the disk is full',
};

function unwritable(file: string, cause: unknown): ShardlabError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new ShardlabError('report/unwritable', `${file} cannot be written: ${WORDS[code ?? ''] ?? message}`, { file }, { cause });
}

/** A text file that is written in blocks and never held whole. */
export class TextFile {
  private readonly file: string;
  private readonly stream: WriteStream;
  private parts: string[] = [];
  private length = 0;
  private failure: Error | undefined;

  private constructor(file: string, stream: WriteStream) {
    this.file = file;
    this.stream = stream;
    stream.on('error', (error) => (this.failure = error));
  }

  /** Creates or empties the file. Rejects with `report/unwritable`: before a long run, not after it. */
  static async open(file: string): Promise<TextFile> {
    const stream = createWriteStream(file, { encoding: 'latin1' });
    try {
      await once(stream, 'open');
    } catch (cause) {
      throw unwritable(file, cause);
    }
    return new TextFile(file, stream);
  }

  /** Adds one line. Returns true when a block is full: then call {@link flush}. So a writer of many lines needs no promise for each. */
  add(text: string): boolean {
    this.parts.push(text, '\n');
    this.length += text.length + 1;
    return this.length >= BLOCK_CHARACTERS;
  }

  /** Writes what was collected. Rejects with `report/unwritable`. */
  async flush(): Promise<void> {
    const block = this.parts.join('');
    this.parts = [];
    this.length = 0;
    try {
      if (this.failure !== undefined) throw this.failure;
      if (block !== '' && !this.stream.write(block)) await once(this.stream, 'drain');
    } catch (cause) {
      throw unwritable(this.file, cause);
    }
  }

  /** Writes the rest and closes. Rejects with `report/unwritable`. */
  async close(): Promise<void> {
    await this.flush();
    this.stream.end();
    await finished(this.stream).catch((cause: unknown) => {
      throw unwritable(this.file, cause);
    });
  }
}
