import {
  checkHeaderCertificate,
  type Crypto,
  encodeHeader,
  equalBytes,
  type Genesis,
  type Hash32,
  outRoot,
  pairRoot,
  receiptRoot,
  type ShardHeader,
  txRoot,
} from '@shardlab/crosslink';
import type { BlockChecker, ShardBlockRecord, Violations } from './violations.ts';

interface Tip {
  readonly header: ShardHeader;
  readonly hash: Hash32;
}

/** Blocks chain, height by height, commit to their own bodies, and are certified by their shard's committee (R6). Keeps one header a shard. */
export class ChainChecker implements BlockChecker {
  private readonly genesis: Genesis;
  private readonly genesisHash: Hash32;
  private readonly crypto: Crypto;
  private readonly violations: Violations;
  private readonly tips = new Map<number, Tip>();

  constructor(options: { readonly genesis: Genesis; readonly genesisHash: Hash32 }, modules: { readonly crypto: Crypto; readonly violations: Violations }) {
    this.genesis = options.genesis;
    this.genesisHash = options.genesisHash;
    this.crypto = modules.crypto;
    this.violations = modules.violations;
  }

  block(record: ShardBlockRecord): void {
    const { header, hash } = record.block;
    this.position(header, hash);
    this.commitments(record);
    const validators = this.genesis.shardValidators[header.shard] ?? [];
    const wrong = checkHeaderCertificate(this.crypto, this.genesisHash, validators, header, record.certificate);
    if (wrong !== undefined) this.fail(header, wrong);
    this.tips.set(header.shard, { header, hash });
  }

  private position(header: ShardHeader, hash: Hash32): void {
    const { genesis } = this;
    const parent = this.tips.get(header.shard);
    if (header.chainId !== genesis.chainId || header.shard >= genesis.shards) this.fail(header, 'is of another network');
    if (!equalBytes(hash, this.crypto.sha256(encodeHeader(header)))) this.fail(header, 'does not have the hash that it is stored under');
    if (header.height !== (parent?.header.height ?? 0) + 1) this.fail(header, `follows height ${parent?.header.height ?? 0}`);
    if (parent !== undefined && !equalBytes(header.parentHash, parent.hash)) this.fail(header, 'does not name its parent');
    if (header.timestampMs <= (parent?.header.timestampMs ?? genesis.timestampMs)) this.fail(header, 'is not later than its parent');
    if (header.epoch < (parent?.header.epoch ?? 0)) this.fail(header, 'is of an earlier epoch than its parent');
    if (header.gasUsed > header.gasLimit) this.fail(header, 'uses more gas than its limit');
  }

  private commitments({ block }: ShardBlockRecord): void {
    const { header, body, outgoing, receipts } = block;
    const hashes = body.transactions.map((raw) => this.crypto.keccak256(raw));
    if (!equalBytes(header.txRoot, txRoot(this.crypto, body.inbox, hashes))) this.fail(header, 'does not commit to its body');
    if (!equalBytes(header.receiptRoot, receiptRoot(this.crypto, receipts))) this.fail(header, 'does not commit to its receipts');
    if (!equalBytes(header.outRoot, outRoot(this.crypto, outgoing))) this.fail(header, 'does not commit to its messages');
    if (!equalBytes(header.pairRoot, pairRoot(this.crypto, body.pairs))) this.fail(header, 'does not commit to its pair table');
  }

  atRest(): void {
    for (const { header } of this.tips.values()) if (header.totals.escrow !== 0n) this.fail(header, `holds ${header.totals.escrow} wei in escrow at rest`);
  }

  private fail(header: ShardHeader, what: string): void {
    this.violations.add('chain', `block ${header.height} of shard ${header.shard} ${what}`);
  }
}
