import { createHash } from 'node:crypto';
import type { SignedLoad } from '../../src/workload/signed-load.ts';
import { generateTransfers } from '../../src/workload/transfers.ts';
import type { FakeTransaction } from './load-fake-shard.ts';

/** Size and shape of a fake load. */
export interface FakeLoadOptions {
  readonly count: number;
  readonly crossShardRatio: number;
  readonly zipf: number;
  readonly shards: number;
  readonly accounts: number;
  /** Bytes of one transaction, at least 12; default 12. */
  readonly sizeBytes?: number;
}

/** A load of unsigned stand-ins: sender u32, nonce u32, recipient's shard u32, padding. Account i lives on shard i mod shards. */
export function makeFakeLoad(options: FakeLoadOptions): SignedLoad {
  const { count, crossShardRatio, zipf, shards, accounts, sizeBytes = 12 } = options;
  const homes = Uint16Array.from({ length: accounts }, (_, account) => account % shards);
  const { from, to } = generateTransfers({ count, crossShardRatio, zipf, seed: 11 }, homes, shards);
  const nonces = new Uint32Array(accounts);
  const hashes = new Uint8Array(32 * count);
  const frames: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    const frame = Buffer.alloc(4 + sizeBytes);
    frame.writeUInt32BE(sizeBytes, 0);
    frame.writeUInt32BE(from[i]!, 4);
    frame.writeUInt32BE(nonces[from[i]!]!++, 8);
    frame.writeUInt32BE(homes[to[i]!]!, 12);
    frames.push(frame);
    hashes.set(createHash('sha256').update(frame.subarray(4)).digest(), 32 * i);
  }
  const home = (list: Uint32Array): Uint16Array => Uint16Array.from(list, (account) => homes[account]!);
  return { count, shards, sender: from, senders: accounts, fromShard: home(from), toShard: home(to), hashes, frame: (index) => frames[index]! };
}

/** Reads a stand-in. */
export function decodeFake(raw: Uint8Array): FakeTransaction {
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  return { sender: String(bytes.readUInt32BE(0)), nonce: bytes.readUInt32BE(4), toShard: bytes.readUInt32BE(8) };
}
