import {
  bytesKey,
  checkHeaderCertificate,
  type Crypto,
  equalBytes,
  type Hash32,
  ignore,
  type QuorumCertificate,
  reject,
  type ShardHeader,
  type Verdict,
  writeCertificate,
  Writer,
} from '@shardlab/crosslink';
import type { Epochs } from './epochs.ts';

/** Certified headers remembered, so that the chunks of one block cost one signature check. */
const REMEMBERED_MAX = 256;

/** Judges headers of other shards: network, epoch, committee, signatures. */
export class HeaderCheck {
  private readonly crypto: Crypto;
  private readonly genesisHash: Hash32;
  private readonly chainId: number;
  private readonly epochs: Epochs;
  private readonly good = new Map<string, true>();

  constructor(crypto: Crypto, genesisHash: Hash32, chainId: number, epochs: Epochs) {
    this.crypto = crypto;
    this.genesisHash = genesisHash;
    this.chainId = chainId;
    this.epochs = epochs;
  }

  /**
   * `undefined` = certified by this very certificate. `headerKey` is the `bytesKey` of the header's hash. An epoch that this node has not heard of yet is no
   * fault of the sender.
   */
  check(header: ShardHeader, certificate: QuorumCertificate, headerKey: string): Verdict | undefined {
    // A good header with another certificate is another claim: certificates are stored and handed on.
    const key = headerKey + this.fingerprint(certificate);
    if (this.good.has(key)) return undefined;
    if (header.chainId !== this.chainId) return reject('header-foreign');
    const epoch = this.epochs.get(header.epoch);
    if (epoch === undefined) return ignore('epoch-unknown');
    if (!equalBytes(epoch.hash, header.epochCertificateHash)) return reject('header-epoch');
    const validators = this.epochs.validators(header.shard, header.epoch);
    if (validators === undefined) return reject('header-shard');
    const wrong = checkHeaderCertificate(this.crypto, this.genesisHash, validators, header, certificate);
    if (wrong !== undefined) return reject(wrong);
    this.good.set(key, true);
    if (this.good.size > REMEMBERED_MAX) this.good.delete(this.good.keys().next().value!);
    return undefined;
  }

  private fingerprint(certificate: QuorumCertificate): string {
    const writer = new Writer(128);
    writeCertificate(writer, certificate);
    return bytesKey(this.crypto.sha256(writer.finish()));
  }
}
