import { type Crypto, DecodeError, equalBytes, ShardlabError } from '@shardlab/crosslink';

import type { NodeName } from '../ports.ts';
import type { NetworkMetrics } from './metrics.ts';
import { NO_LABELS } from './metrics.ts';
import { compareNodes, nodeLabel, sameNode } from './names.ts';
import type { NetworkOptions } from './options.ts';
import {
  decodePeerRecord,
  decodeRecordList,
  encodeRecordList,
  type PeerRecord,
  RECORDS_MAX,
  type SignedPeerRecord,
  signPeerRecord,
  verifyPeerRecord,
} from './peer-record.ts';

/**
 * What became of an offered record. `new` and `known` are good; `stale` is good but older than what we have; the rest is refused: of another network,
 * of a validator that genesis does not name, not signed by it, not canonical, one more than we keep.
 */
export type Offered =
  | { readonly outcome: 'new' | 'known' | 'stale'; readonly record: SignedPeerRecord }
  | { readonly outcome: 'foreign' | 'unknown' | 'forged' | 'malformed' | 'full' };

/** Records of all nodes of the network, at most one each, the newest; this node's own too. */
export class AddressBook {
  private readonly options: Pick<NetworkOptions, 'genesisHash' | 'node' | 'validatorSecret' | 'validatorKey'>;
  private readonly recordsMax: number;
  private readonly crypto: Crypto;
  private readonly metrics: NetworkMetrics;
  private readonly records = new Map<string, SignedPeerRecord>();
  private listed: Uint8Array | undefined;
  /** Called when a record was added or replaced, this node's own too. */
  onChange: (record: SignedPeerRecord) => void = () => {};

  constructor(options: NetworkOptions, recordsMax: number, modules: { readonly crypto: Crypto; readonly metrics: NetworkMetrics }) {
    this.options = options;
    this.recordsMax = Math.min(recordsMax, RECORDS_MAX);
    this.crypto = modules.crypto;
    this.metrics = modules.metrics;
  }

  /** The record of `node`, if there is one. */
  get(node: NodeName): SignedPeerRecord | undefined {
    return this.records.get(nodeLabel(node));
  }

  /** This node's own record. */
  get self(): SignedPeerRecord | undefined {
    return this.get(this.options.node);
  }

  /** All records in the order of their nodes. */
  all(): SignedPeerRecord[] {
    return [...this.records.values()].sort((a, b) => compareNodes(a.node, b.node));
  }

  /** All records as one list, for hellos and for the disk. The bytes are shared: never write to them. */
  encodeAll(): Uint8Array {
    this.listed ??= encodeRecordList(this.all());
    return this.listed;
  }

  /** Loads what {@link encodeAll} gave. Throws `network/records` when it is not that: it is our own writing, so it is damaged or another network's. */
  load(encoded: Uint8Array): void {
    let list: Uint8Array[];
    try {
      list = decodeRecordList(encoded);
    } catch (cause) {
      throw new ShardlabError('network/records', 'the persisted peer records are damaged', {}, { cause });
    }
    for (const bytes of list) {
      const { outcome } = this.judge(bytes, true);
      if (outcome !== 'new' && outcome !== 'known' && outcome !== 'stale') {
        throw new ShardlabError('network/records', 'the persisted peer records are damaged or belong to another network', { outcome });
      }
    }
  }

  /** Makes and keeps this node's own record, of a sequence of at least `sequenceMin`, newer than any that we have of it. */
  publishSelf(statement: Pick<PeerRecord, 'transportKey' | 'addresses'>, sequenceMin: number): SignedPeerRecord {
    const { genesisHash, node, validatorSecret } = this.options;
    const sequence = Math.max(sequenceMin, (this.self?.sequence ?? 0) + 1);
    const record = signPeerRecord(this.crypto, { ...statement, genesisHash, node, sequence }, validatorSecret);
    this.keep(record);
    return record;
  }

  /** Judges a record that a peer gave us, and keeps it when it is new. Never throws for what a peer can send. */
  offer(encoded: Uint8Array): Offered {
    const offered = this.judge(encoded, false);
    this.metrics.count('shardlab_network_records_total', { outcome: offered.outcome });
    return offered;
  }

  /** {@link offer} for each record of an encoded list. Throws a `DecodeError` when the list itself is malformed. */
  offerAll(encoded: Uint8Array, each: (offered: Offered) => void): void {
    for (const bytes of decodeRecordList(encoded)) each(this.offer(bytes));
  }

  private judge(encoded: Uint8Array, ownToo: boolean): Offered {
    let record: SignedPeerRecord;
    try {
      // A copy, because what is kept must not pin the message that it came in.
      record = decodePeerRecord(Uint8Array.from(encoded));
    } catch (error) {
      if (error instanceof DecodeError) return { outcome: 'malformed' };
      throw error;
    }
    if (!equalBytes(record.genesisHash, this.options.genesisHash)) return { outcome: 'foreign' };
    const key = this.options.validatorKey(record.node);
    if (key === undefined) return { outcome: 'unknown' };
    const had = this.get(record.node);
    if (had !== undefined && equalBytes(had.encoded, record.encoded)) return { outcome: 'known', record: had };
    if (!verifyPeerRecord(this.crypto, record, key)) return { outcome: 'forged' };
    if (had !== undefined && record.sequence <= had.sequence) return { outcome: 'stale', record };
    // Of this node itself others may know more than we do after our disk was lost; the host then speaks up with a newer record.
    if (sameNode(record.node, this.options.node) && !ownToo) return { outcome: 'new', record };
    if (had === undefined && this.records.size >= this.recordsMax) return { outcome: 'full' };
    this.keep(record);
    return { outcome: 'new', record };
  }

  private keep(record: SignedPeerRecord): void {
    this.records.set(nodeLabel(record.node), record);
    this.listed = undefined;
    this.metrics.set('shardlab_network_records', NO_LABELS, this.records.size);
    this.onChange(record);
  }
}
