import { type Crypto, decodeAll, DecodeError, type Hash32, type ShardId, Writer } from '@shardlab/crosslink';
import type { HeaderFields, Proposal } from '../../src/consensus/types.ts';
import type { AgreedHead } from '../../src/consensus/types.ts';

/** The chain that simulated committees agree on. */
export const CHAIN = 3 as ShardId;
/** Its first block, which nobody signs. */
export const GENESIS_HEAD: AgreedHead = { epoch: 0, height: 0, hash: new Uint8Array(32).fill(7) as Hash32, certificate: undefined };
/** Names the network. */
export const GENESIS_HASH = new Uint8Array(32).fill(9) as Hash32;

/** A block that is nothing but a link: `salt` tells those of one height apart, and a bad one is what no correct validator executes. */
export interface LinkHeader extends HeaderFields {
  readonly salt: number;
  readonly bad: boolean;
}

/** The block's proposal. */
export function linkProposal(header: LinkHeader): Proposal {
  const writer = new Writer(64).u8(1).u64(header.epoch).u64(header.height).fixed(header.parentHash, 32).u16(header.proposer).u32(header.salt).bool(header.bad);
  return { header: writer.finish(), body: new Writer(8).u32(header.salt).finish() };
}

/** The inverse of {@link linkProposal}. Throws `DecodeError`. */
export function readLink(data: Uint8Array): LinkHeader {
  return decodeAll(data, (reader) => {
    reader.version(1);
    const header = { epoch: reader.u64(), height: reader.u64(), parentHash: reader.hash(), proposer: reader.u16(), salt: reader.u32(), bad: reader.bool() };
    if (header.height === 0) throw new DecodeError('decode/range', 'nobody proposes the first block');
    return header;
  });
}

/** Secret seeds and public keys of a committee. */
export function committeeKeys(crypto: Crypto, size: number): { readonly secret: readonly Uint8Array[]; readonly public: readonly Uint8Array[] } {
  const secret = Array.from({ length: size }, (_, index) => new Uint8Array(32).fill(index + 1));
  return { secret, public: secret.map((key) => crypto.publicKey(key)) };
}
