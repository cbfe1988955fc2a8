import {
  BEACON,
  beaconHash,
  type Block,
  bytesKey,
  crosslinkRoot,
  type Crypto,
  equalBytes,
  type Genesis,
  type Hash32,
  headerHash,
  type QuorumCertificate,
  type ShardId,
} from '@shardlab/crosslink';
import type { ExecutedBlock, PersistRecord, Snapshot } from '@shardlab/shard';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';
import { CertificateJudge } from './certificate-judge.ts';
import { firstDifference } from './same-data.ts';
import { stateRootOf } from './state-root-of.ts';
import type { ShardBlockRecord, Violations } from './violations.ts';

/** Blocks of one chain that wait for the validators that have not stored them: beyond that, only hashes are compared. */
const COMPARED_MAX = 512;

type BeaconRecord = Extract<PersistRecord, { kind: 'beacon-block' }>;

/** One chain's committee, as its validators' records show it. */
interface Committee {
  readonly chain: ShardId;
  /** Hash of the block of each height that somebody has stored; index = height - 1. */
  readonly decided: string[];
  /** Height of each validator's last record, by index. */
  readonly heights: number[];
  /** Blocks as they were stored first, until every validator has them. */
  readonly first: Map<number, ExecutedBlock>;
}

/**
 * One decision a height, never a fork: whatever validator stores a block, its committee stores the same one, whole, with a quorum's certificate; each validator's own
 * blocks are contiguous; and a snapshot may take one ahead, but only to a block of its chain, with exactly the state that the block commits to (design, what must hold,
 * 2 and 7). A validator that stores a block and dies before the others do has decided for them all the same. Memory: a hash for each height, and bounded blocks.
 */
export class CommitteeChecker {
  /** Records of votes that were stored: nobody outside may ask what is in them. */
  votes = 0;
  /** Snapshots that validators have started from. */
  snapshots = 0;
  private readonly crypto: Crypto;
  private readonly judge: CertificateJudge;
  private readonly violations: Violations;
  private readonly committees = new Map<ShardId, Committee>();

  constructor(options: { readonly genesis: Genesis; readonly genesisHash: Hash32 }, modules: { readonly crypto: Crypto; readonly violations: Violations }) {
    this.crypto = modules.crypto;
    this.violations = modules.violations;
    this.judge = new CertificateJudge(options, modules);
    const chains = [BEACON, ...options.genesis.shardValidators.map((_, shard) => shard as ShardId)];
    for (const chain of chains) {
      const heights = this.judge.committee(chain).map(() => 0);
      this.committees.set(chain, { chain, decided: [], heights, first: new Map() });
    }
  }

  /** A validator has stored a block of its shard. Returns whether it is the first of its committee: then the block is still to be judged. */
  shardBlock(node: NodeName, { block, certificate }: ShardBlockRecord): boolean {
    const committee = this.committeeOf(node);
    if (committee === undefined) return true;
    const { header, hash } = block;
    if (header.shard !== node.chain) this.fail(node, `stores a block of shard ${header.shard}`);
    this.certified(node, header.epoch, header.height, hash, certificate);
    const first = this.decide(node, committee, header.height, hash);
    if (first) committee.first.set(header.height, block);
    else this.compare(node, block, committee.first.get(header.height));
    this.forget(committee);
    return first;
  }

  /** A validator of the beacon has stored a block. Returns whether it is the first to. */
  beaconBlock(node: NodeName, { block, hash }: BeaconRecord): boolean {
    const committee = this.committeeOf(node);
    if (committee === undefined) return true;
    const { header, certificate, crosslinks } = block;
    this.certified(node, header.epoch, header.height, hash, certificate);
    const first = this.decide(node, committee, header.height, hash);
    if (first) return true;
    const whole = equalBytes(hash, beaconHash(this.crypto, header)) && equalBytes(header.crosslinkRoot, crosslinkRoot(this.crypto, crosslinks));
    if (!whole) this.fail(node, `stores block ${header.height} with another content than its hash`);
    return false;
  }

  /** A validator starts anew from the state of another. */
  snapshot(node: NodeName, { block, hash, entries, older }: Snapshot): void {
    this.snapshots++;
    const committee = this.committeeOf(node);
    if (committee === undefined) return;
    const { header, certificate } = block;
    const own = committee.heights[node.validator] ?? 0;
    if (header.height <= own) this.fail(node, `takes a snapshot of block ${header.height}, and has ${own} already`);
    this.certified(node, header.epoch, header.height, hash, certificate);
    this.belongs(node, committee, block, hash);
    for (const each of older) this.belongs(node, committee, each, headerHash(this.crypto, each.header));
    if (!equalBytes(this.rootOf(entries), header.stateRoot)) this.fail(node, `takes a snapshot of block ${header.height} whose state is not the block's`);
    committee.heights[node.validator] = header.height;
    this.forget(committee);
  }

  /** What a validator says its final block is must be what it has stored last. */
  finalHead(node: NodeName, height: number, hash: Hash32): void {
    const committee = this.committeeOf(node);
    if (committee === undefined) return;
    const own = committee.heights[node.validator] ?? 0;
    if (height === 0 && own === 0) return;
    const same = height === own && committee.decided[height - 1] === bytesKey(hash);
    if (!same) this.fail(node, `calls block ${height} final, and has stored another last, of height ${own}`);
  }

  /** Whether all validators of each chain have stored the same blocks. */
  get level(): boolean {
    for (const { heights, decided } of this.committees.values()) if (heights.some((height) => height !== decided.length)) return false;
    return true;
  }

  /** Nothing is under way: nobody may be behind its committee. */
  atRest(): void {
    for (const { chain, heights, decided } of this.committees.values()) {
      heights.forEach((height, validator) => {
        if (height !== decided.length) this.fail({ chain, validator }, `rests at block ${height}, its chain at ${decided.length}`);
      });
    }
  }

  private committeeOf(node: NodeName): Committee | undefined {
    const committee = this.committees.get(node.chain);
    if (committee !== undefined && node.validator < committee.heights.length) return committee;
    this.fail(node, 'stores blocks, and is no validator of this network');
    return undefined;
  }

  private certified(node: NodeName, epoch: number, height: number, hash: Hash32, certificate: QuorumCertificate): void {
    const wrong = this.judge.wrong({ chain: node.chain, epoch, height, hash }, certificate);
    if (wrong !== undefined) this.fail(node, `stores block ${height} with a certificate that ${wrong}`);
  }

  /** Takes the block into its chain: whoever is first decides. */
  private decide(node: NodeName, { decided, heights }: Committee, height: number, hash: Hash32): boolean {
    const own = heights[node.validator]!;
    if (height !== own + 1) this.fail(node, `stores block ${height} after its block ${own}`);
    heights[node.validator] = height;
    const before = decided[height - 1];
    if (before === undefined) {
      decided[height - 1] = bytesKey(hash);
      return true;
    }
    if (before !== bytesKey(hash)) this.fail(node, `stores another block ${height} than the rest of its committee`);
    return false;
  }

  /** Nothing but the certificate and the wall time, which stand beside the block, may differ between validators. */
  private compare(node: NodeName, block: ExecutedBlock, first: ExecutedBlock | undefined): void {
    if (first === undefined || first === block) return;
    const { header, body, outgoing, receipts, events, delta } = block;
    const at = firstDifference({ header, body, outgoing, receipts, events, delta }, partsOf(first));
    if (at !== undefined) this.fail(node, `stores block ${header.height} with another ${at} than its committee`);
  }

  private belongs(node: NodeName, { decided }: Committee, { header }: Block, hash: Hash32): void {
    const right = decided[header.height - 1] === bytesKey(hash) && equalBytes(hash, headerHash(this.crypto, header)) && header.shard === node.chain;
    if (!right) this.fail(node, `takes a snapshot with a block ${header.height} that is not its chain's`);
  }

  private rootOf(entries: Snapshot['entries']): Uint8Array {
    try {
      return stateRootOf(this.crypto, entries);
    } catch {
      // What can not be read is not the block's state either: no root equals no bytes.
      return new Uint8Array(0);
    }
  }

  private forget({ first, heights }: Committee): void {
    const everybody = Math.min(...heights);
    for (const height of first.keys()) {
      if (height > everybody && first.size <= COMPARED_MAX) return;
      first.delete(height);
    }
  }

  private fail(node: NodeName, what: string): void {
    this.violations.add('nodes', `${nodeLabel(node)} ${what}`);
  }
}

function partsOf({ header, body, outgoing, receipts, events, delta }: ExecutedBlock): Pick<ExecutedBlock, 'header' | 'body' | 'outgoing' | 'receipts' | 'events' | 'delta'> {
  return { header, body, outgoing, receipts, events, delta };
}
