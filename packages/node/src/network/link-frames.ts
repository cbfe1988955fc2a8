import { ascii, bytesKey } from '@shardlab/crosslink';

/** Before each message: the length of all that follows (u32, big-endian), and that of the topic (u8). */
const HEAD_BYTES = 5;

/** One message of a committee link. */
export interface LinkMessage {
  readonly topic: string;
  /** Fresh bytes. */
  readonly data: Uint8Array;
}

/** `data` on `topic` (ASCII, at most 255 characters) as one frame, in fresh bytes: the caller may reuse its own at once. */
export function linkFrame(topic: string, data: Uint8Array): Uint8Array {
  const name = ascii(topic);
  const out = new Uint8Array(HEAD_BYTES + name.length + data.length);
  new DataView(out.buffer).setUint32(0, 1 + name.length + data.length);
  out[4] = name.length;
  out.set(name, HEAD_BYTES);
  out.set(data, HEAD_BYTES + name.length);
  return out;
}

/** Cuts what comes on a link into messages. Memory follows the bytes that have arrived, never the length that was announced. */
export class LinkReader {
  private readonly topicMax: number;
  private readonly dataMax: number;
  private chunks: Uint8Array[] = [];
  private held = 0;
  /** Bytes that the next message takes, as far as they are known. */
  private wanted = HEAD_BYTES;

  /** Bounds of a topic and of a message's data, in bytes. */
  constructor(topicMax: number, dataMax: number) {
    this.topicMax = topicMax;
    this.dataMax = dataMax;
  }

  /** Takes a chunk as it came; the messages that it completes, in order. `undefined` = what follows cannot be read: lengths out of bounds. */
  take(chunk: Uint8Array): LinkMessage[] | undefined {
    this.chunks.push(chunk);
    this.held += chunk.length;
    const messages: LinkMessage[] = [];
    if (this.held < this.wanted) return messages;
    const bytes = this.joined();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    this.wanted = HEAD_BYTES;
    while (bytes.length - at >= HEAD_BYTES) {
      const length = view.getUint32(at);
      const dataAt = HEAD_BYTES + bytes[at + 4]!;
      const end = HEAD_BYTES - 1 + length;
      if (dataAt - HEAD_BYTES > this.topicMax || end < dataAt || end - dataAt > this.dataMax) return undefined;
      if (bytes.length - at < end) {
        this.wanted = end;
        break;
      }
      messages.push({ topic: bytesKey(bytes.subarray(at + HEAD_BYTES, at + dataAt)), data: bytes.slice(at + dataAt, at + end) });
      at += end;
    }
    // A copy: what is left of a message must not pin the chunk that it came in.
    this.chunks = at === bytes.length ? [] : [bytes.slice(at)];
    this.held = bytes.length - at;
    return messages;
  }

  private joined(): Uint8Array {
    if (this.chunks.length === 1) return this.chunks[0]!;
    const bytes = new Uint8Array(this.held);
    let at = 0;
    for (const chunk of this.chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }
}
