import type { Frame } from '../frame.ts';
import type { Words } from '../types.ts';
import { toBytes } from '../words/basic.ts';
import type { Machine } from './machine.ts';

const TOPIC_BYTES = 32;

/** Emits a log of `length` bytes of memory from `from` on; its topics are words at `topicsAt`, and each `step` limbs further. */
export function emitLog(
  machine: Machine,
  frame: Frame,
  { from, length }: { readonly from: number; readonly length: number },
  { words, topicsAt, step, count }: { readonly words: Words; readonly topicsAt: number; readonly step: number; readonly count: number },
): void {
  const { logBytes, memory, world } = machine;
  const topics: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const topic = logBytes.take(TOPIC_BYTES);
    toBytes(words, topicsAt + step * i, topic, 0);
    topics.push(topic);
  }
  const data = logBytes.take(length);
  if (length > 0) data.set(memory.subarray(from, from + length));
  world.log({ address: world.address(frame.account), topics, data });
}
