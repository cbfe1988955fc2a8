import { buildCertificate, type Crypto, type Hash32, type ShardId, voteMessage } from '@shardlab/crosslink';
import type { Candidate, Consensus, ConsensusOutput } from './types.ts';

/** What a single validator signs with and for. */
export interface SoloOptions {
  readonly genesisHash: Hash32;
  readonly chain: ShardId;
  /** 32-byte secret seed of the validator. */
  readonly secretKey: Uint8Array;
}

/**
 * The committee of one: n = 3f + 1 with f = 0, called what it is. It tolerates no fault, but its certificates are verified like any committee's.
 */
export class SoloConsensus implements Consensus {
  private readonly options: SoloOptions;
  private readonly crypto: Crypto;

  constructor(options: SoloOptions, modules: { readonly crypto: Crypto }) {
    this.options = options;
    this.crypto = modules.crypto;
  }

  mayPropose(): boolean {
    return true;
  }

  propose(candidate: Candidate): readonly ConsensusOutput[] {
    const { genesisHash, chain, secretKey } = this.options;
    const { epoch, height, hash: blockHash } = candidate;
    const message = voteMessage({ genesisHash, chain, epoch, height, phase: 'commit', blockHash }, 0);
    const votes = new Map([[0, this.crypto.sign(secretKey, message)]]);
    return [{ kind: 'decided', candidate, certificate: buildCertificate(this.crypto.scheme, 0, 1, votes) }];
  }
}
