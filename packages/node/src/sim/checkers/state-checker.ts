import {
  ACCOUNTS,
  AssignmentTable,
  bytesKey,
  compareBytes,
  computeStateRoot,
  decodeBasicData,
  decodeCoordinatorRecord,
  decodeFlatKey,
  decodeFlatValue,
  decodeParkedCredit,
  decodeRecord,
  deriveStem,
  encodeBasicData,
  encodeFlatKey,
  encodeFlatValue,
  equalBytes,
  type Genesis,
  type Hash32,
  type Hasher,
  keyBytes,
  NAMESPACE_BYTES,
  PARKED,
  type ShardHeader,
  type StateLeaf,
  accountOwner,
  STEM_BYTES,
  XTX_COORDINATOR,
  XTX_PARTICIPANT,
} from '@shardlab/crosslink';
import type { BlockChecker, ShardBlockRecord, Violations } from './violations.ts';

/** What one flat value holds of a shard's wei. */
interface Holding {
  readonly balance: bigint;
  readonly escrow: bigint;
}

interface Mirror {
  /** Flat values by `bytesKey` of their flat key: exactly the shard's state. */
  readonly values: Map<string, Uint8Array>;
  balances: bigint;
  escrow: bigint;
  burned: bigint;
  transactions: number;
  header: ShardHeader | undefined;
  /** Records of open cross-shard transactions and parked credits. */
  records: number;
}

const NOTHING: Holding = { balance: 0n, escrow: 0n };

/** Wei in one flat value: an account's balance, or what a record of two-phase commit holds (R10). */
function holdingOf(key: Uint8Array, value: Uint8Array | undefined): Holding {
  if (value === undefined) return NOTHING;
  const space = decodeFlatKey(key).owner.subarray(0, NAMESPACE_BYTES);
  const leaves = decodeFlatValue(value).map((leaf) => leaf.value);
  if (equalBytes(space, ACCOUNTS)) return { balance: decodeBasicData(leaves[0]!).balance, escrow: 0n };
  if (equalBytes(space, XTX_PARTICIPANT)) return NOTHING;
  const record = decodeRecord(leaves);
  if (equalBytes(space, PARKED)) return { balance: 0n, escrow: decodeParkedCredit(record) };
  if (!equalBytes(space, XTX_COORDINATOR)) throw new Error('a record in an unknown namespace');
  const { escrowValue, escrowFee } = decodeCoordinatorRecord(record);
  return { balance: 0n, escrow: escrowValue + escrowFee };
}

function isRecord(key: Uint8Array): boolean {
  return compareBytes(key.subarray(0, NAMESPACE_BYTES), ACCOUNTS) !== 0;
}

/**
 * The header's totals are what the state really holds: a mirror of each shard's flat values is kept and summed anew from their codecs, undo values are
 * what was there before, what is burned is what receipts say, and, at rest, the root is that of exactly these leaves and no lock is left. Memory: the state.
 */
export class StateChecker implements BlockChecker {
  private readonly hasher: Hasher;
  private readonly violations: Violations;
  private readonly mirrors: readonly Mirror[];

  constructor(options: { readonly genesis: Genesis }, modules: { readonly hasher: Hasher; readonly violations: Violations }) {
    this.hasher = modules.hasher;
    this.violations = modules.violations;
    const { genesis } = options;
    const table = new AssignmentTable(this.hasher, { shards: genesis.shards, overrides: [] });
    const sums = { balances: 0n, escrow: 0n, burned: 0n, transactions: 0, records: 0 };
    this.mirrors = Array.from({ length: genesis.shards }, () => ({ ...sums, values: new Map(), header: undefined }));
    for (const { address, balance } of genesis.allocation) {
      if (balance === 0n) continue;
      const basic = new Uint8Array(32);
      encodeBasicData({ status: 0, codeSize: 0, nonce: 0, balance }, basic);
      const mirror = this.mirrors[table.shardOf(address)]!;
      const key = encodeFlatKey({ owner: accountOwner(address), treeIndex: 0n });
      mirror.values.set(bytesKey(key), encodeFlatValue([{ suffix: 0, value: basic }]));
      mirror.balances += balance;
    }
  }

  block(record: ShardBlockRecord): void {
    const { header, delta, receipts } = record.block;
    const mirror = this.mirrors[header.shard];
    if (mirror === undefined) return;
    this.undo(mirror, record);
    for (const { key, value } of delta.changes) this.change(mirror, header, key, value);
    mirror.transactions += receipts.length;
    const burned = receipts.reduce((sum, receipt) => sum + BigInt(receipt.gasUsed) * receipt.effectiveGasPrice, mirror.burned);
    mirror.burned = burned;
    mirror.header = header;
    const { totals } = header;
    if (totals.balances !== mirror.balances) this.fail(header, `says ${totals.balances} wei of balances, the state holds ${mirror.balances}`);
    if (totals.escrow !== mirror.escrow) this.fail(header, `says ${totals.escrow} wei of escrow, the state holds ${mirror.escrow}`);
    if (totals.burned !== burned) this.fail(header, `says ${totals.burned} wei burned, its receipts ${burned}`);
    if (totals.transactions !== mirror.transactions) this.fail(header, `says ${totals.transactions} transactions, ${mirror.transactions} were listed`);
  }

  private undo(mirror: Mirror, { block }: ShardBlockRecord): void {
    const { header, delta } = block;
    if (delta.undo.length !== delta.changes.length) this.fail(header, 'has an undo record of another length than its changes');
    for (const [index, { key, value }] of delta.undo.entries()) {
      const before = mirror.values.get(bytesKey(key));
      const same = value === undefined || before === undefined ? value === before : equalBytes(value, before);
      const paired = delta.changes[index] !== undefined && equalBytes(delta.changes[index].key, key);
      if (!same || !paired) this.fail(header, 'has an undo record that does not undo it');
    }
  }

  private change(mirror: Mirror, header: ShardHeader, key: Uint8Array, value: Uint8Array | undefined): void {
    const mapKey = bytesKey(key);
    const before = mirror.values.get(mapKey);
    try {
      const old = holdingOf(key, before);
      const now = holdingOf(key, value);
      mirror.balances += now.balance - old.balance;
      mirror.escrow += now.escrow - old.escrow;
    } catch (error) {
      this.fail(header, `stores a flat value that can not be read: ${(error as Error).message}`);
    }
    if (isRecord(key)) mirror.records += Number(value !== undefined) - Number(before !== undefined);
    if (value === undefined) mirror.values.delete(mapKey);
    else mirror.values.set(mapKey, value);
  }

  atRest(): void {
    this.mirrors.forEach((mirror, shard) => {
      const { header, records } = mirror;
      if (records !== 0) this.violations.add('state', `shard ${shard} holds ${records} records with their locks at rest`);
      if (header !== undefined && !equalBytes(this.rootOf(mirror), header.stateRoot)) this.fail(header, 'has a state root that is not that of its state');
    });
  }

  private rootOf(mirror: Mirror): Hash32 {
    const leaves: StateLeaf[] = [];
    for (const [key, value] of mirror.values) {
      const { owner, treeIndex } = decodeFlatKey(keyBytes(key));
      const stem = deriveStem(this.hasher, owner, treeIndex);
      for (const leaf of decodeFlatValue(value)) {
        const leafKey = new Uint8Array(32);
        leafKey.set(stem);
        leafKey[STEM_BYTES] = leaf.suffix;
        leaves.push({ key: leafKey, value: leaf.value });
      }
    }
    return computeStateRoot(this.hasher, leaves);
  }

  private fail(header: ShardHeader, what: string): void {
    this.violations.add('state', `block ${header.height} of shard ${header.shard} ${what}`);
  }
}
