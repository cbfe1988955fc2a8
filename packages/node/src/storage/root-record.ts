import { decodeAll, type Hash32, Writer } from '@shardlab/crosslink';

/** Version of everything in the directory: the layout of files, the marker, the root record, checksums. Another version is refused, not guessed. */
export const STORAGE_FORMAT = 1;
/** The root record's key: empty, so that no key of the port, of at least 1 byte, can meet it. */
export const ROOT_KEY = new Uint8Array(0);

/** What the store knows about itself; written again with every commit, in the same atomic batch. */
export interface RootRecord {
  readonly format: number;
  /** Names the network (R4), 32 bytes. */
  readonly genesisHash: Hash32;
  /** Synced writes since creation: the creation itself is 0. */
  readonly sequence: number;
}

/** Encodes in 44 bytes: format u32, genesis hash, sequence u64. */
export function encodeRoot(record: RootRecord): Uint8Array {
  return new Writer(44).u32(record.format).fixed(record.genesisHash, 32).u64(record.sequence).finish();
}

/** Decodes what {@link encodeRoot} wrote. Throws a `DecodeError`. */
export function decodeRoot(bytes: Uint8Array): RootRecord {
  return decodeAll(bytes, (reader) => ({ format: reader.u32(), genesisHash: reader.hash(), sequence: reader.u64() }));
}
