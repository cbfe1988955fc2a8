import { BEACON, bytesKey, type Crypto, equalBytes, type Genesis, type Hash32, type QuorumCertificate, type ShardId, voteMessage } from '@shardlab/crosslink';

/** Signatures that are remembered as good: those of the blocks that validators are storing now. */
const REMEMBERED_MAX = 16_384;

/** What a commit certificate is to be for. */
export interface Certified {
  readonly chain: ShardId;
  readonly epoch: number;
  readonly height: number;
  readonly hash: Hash32;
}

/**
 * Whether a quorum stands behind a block, counted apart from crosslink's `checkCertificate`: distinct public keys of the committee whose signatures over this commit hold
 * must be more than two thirds (PBFT, OSDI 1999: n - f of n = 3f + 1). Validators gather certificates of their own, of the same votes: each vote is verified once.
 */
export class CertificateJudge {
  private readonly genesis: Genesis;
  private readonly genesisHash: Hash32;
  private readonly crypto: Crypto;
  private readonly good = new Map<string, Uint8Array>();

  constructor(options: { readonly genesis: Genesis; readonly genesisHash: Hash32 }, modules: { readonly crypto: Crypto }) {
    this.genesis = options.genesis;
    this.genesisHash = options.genesisHash;
    this.crypto = modules.crypto;
  }

  /** Public keys of a chain's committee; the same in all epochs so far. */
  committee(chain: ShardId): readonly Uint8Array[] {
    return chain === BEACON ? this.genesis.beaconValidators : (this.genesis.shardValidators[chain] ?? []);
  }

  /** What is wrong with the certificate; undefined when it holds. */
  wrong(block: Certified, certificate: QuorumCertificate): string | undefined {
    const committee = this.committee(block.chain);
    const signers = new Set<string>();
    let position = 0;
    for (let index = 0; index < certificate.bitmap.length * 8; index++) {
      if ((certificate.bitmap[index >> 3]! & (1 << (index & 7))) === 0) continue;
      const key = committee[index];
      const signature = certificate.signatures[position++];
      if (key === undefined) return `names validator ${index} of a committee of ${committee.length}`;
      if (signature === undefined || !this.signed(block, certificate.view, index, key, signature)) return `has no good signature of validator ${index}`;
      signers.add(bytesKey(key));
    }
    if (position !== certificate.signatures.length) return 'has more signatures than signers';
    const quorum = Math.floor((committee.length * 2) / 3) + 1;
    return signers.size >= quorum ? undefined : `has ${signers.size} signers, ${quorum} make a quorum`;
  }

  private signed(block: Certified, view: number, index: number, key: Uint8Array, signature: Uint8Array): boolean {
    const { chain, epoch, height, hash } = block;
    const id = `${chain}/${epoch}/${height}/${view}/${index}/${bytesKey(hash)}`;
    const known = this.good.get(id);
    if (known !== undefined && equalBytes(known, signature)) return true;
    const message = voteMessage({ genesisHash: this.genesisHash, chain, epoch, height, phase: 'commit', blockHash: hash }, view);
    if (!this.crypto.verify(key, message, signature)) return false;
    this.good.set(id, signature);
    if (this.good.size > REMEMBERED_MAX) this.good.delete(this.good.keys().next().value!);
    return true;
  }
}
