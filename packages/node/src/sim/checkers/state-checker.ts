import {
  ACCOUNTS,
  type Address,
  AssignmentTable,
  BASIC_DATA_POSITION,
  BLOCK_HASHES,
  bytesKey,
  compareBytes,
  decodeBasicData,
  decodeCoordinatorRecord,
  decodeFlatKey,
  decodeFlatValue,
  decodeParkedCredit,
  encodeBasicData,
  encodeFlatKey,
  encodeFlatValue,
  equalBytes,
  type Genesis,
  type Hasher,
  keyBytes,
  NAMESPACE_BYTES,
  type Owner,
  PARKED,
  type ShardHeader,
  STUBS,
  accountOwner,
  toHex,
  XTX_COORDINATOR,
  XTX_PARTICIPANT,
} from '@shardlab/crosslink';
import { basicDataOf, homesOf } from './homes.ts';
import { ownersOf, recordAt } from './record-at.ts';
import { stateRootOf } from './state-root-of.ts';
import type { BlockChecker, ShardBlockRecord, Violations } from './violations.ts';

/** Blocks of a shard between two of whose roots all is hashed anew; more where the state is large, so that it costs little for each block. */
const ROOT_EVERY = 32;
const ROOT_ENTRIES_PER_BLOCK = 8;

interface Mirror {
  /** Flat values by `bytesKey` of their flat key: exactly the shard's state. */
  readonly values: Map<string, Uint8Array>;
  balances: bigint;
  /** Wei of each record, by owner. */
  readonly escrows: Map<string, bigint>;
  escrow: bigint;
  fees: bigint;
  transactions: number;
  header: ShardHeader | undefined;
  /** Records of open cross-shard transactions and parked credits. */
  records: number;
  /** Blocks since the root was last hashed anew. */
  unhashed: number;
}

/** Wei in the flat value of an account: its balance. Code and storage hold none. */
function balanceIn(key: Uint8Array, value: Uint8Array | undefined): bigint {
  if (value === undefined || decodeFlatKey(key).treeIndex !== BASIC_DATA_POSITION.treeIndex) return 0n;
  const basic = decodeFlatValue(value).find(({ suffix }) => suffix === BASIC_DATA_POSITION.suffix);
  return basic === undefined ? 0n : decodeBasicData(basic.value).balance;
}

/** Wei that a record in the reserved key space holds (R10). */
function escrowIn(of: Owner, record: Uint8Array | undefined): bigint {
  if (record === undefined) return 0n;
  const space = of.subarray(0, NAMESPACE_BYTES);
  if (equalBytes(space, XTX_PARTICIPANT) || equalBytes(space, STUBS) || equalBytes(space, BLOCK_HASHES)) return 0n;
  if (equalBytes(space, PARKED)) return decodeParkedCredit(record);
  if (!equalBytes(space, XTX_COORDINATOR)) throw new Error('a record in an unknown namespace');
  const { escrowValue, escrowFee } = decodeCoordinatorRecord(record);
  return escrowValue + escrowFee;
}

function isRecord(key: Uint8Array): boolean {
  return compareBytes(key.subarray(0, NAMESPACE_BYTES), ACCOUNTS) !== 0;
}

/** Whether a key of the reserved space is of something that stays: a stub, or a block's hash. */
function stays(key: Uint8Array): boolean {
  const space = key.subarray(0, NAMESPACE_BYTES);
  return equalBytes(space, STUBS) || equalBytes(space, BLOCK_HASHES);
}

/**
 * The header's totals are what the state really holds: a mirror of each shard's flat values is kept and summed anew from their codecs, undo values are
 * what was there before, every account is its shard's by the assignment, what is burned is what receipts say and what contracts have taken with them (`destroyedOn`, as
 * a model has it), and the root is that of exactly these leaves (now and then, and at rest); at rest no lock is left. Memory: the state.
 */
export class StateChecker implements BlockChecker {
  private readonly hasher: Hasher;
  private readonly violations: Violations;
  private readonly table: AssignmentTable;
  private readonly destroyedOn: (shard: number) => bigint;
  private readonly mirrors: readonly Mirror[];

  constructor(options: { readonly genesis: Genesis }, modules: { readonly hasher: Hasher; readonly violations: Violations; readonly destroyedOn: (shard: number) => bigint }) {
    this.hasher = modules.hasher;
    this.destroyedOn = modules.destroyedOn;
    this.violations = modules.violations;
    const { genesis } = options;
    // Accounts do not move yet: the assignment of every epoch has no overrides.
    this.table = new AssignmentTable(this.hasher, { shards: genesis.shards, overrides: [] });
    const sums = { balances: 0n, escrow: 0n, fees: 0n, transactions: 0, records: 0, unhashed: 0 };
    this.mirrors = Array.from({ length: genesis.shards }, () => ({ ...sums, values: new Map(), escrows: new Map(), header: undefined }));
    for (const { address, balance } of genesis.allocation) {
      if (balance === 0n) continue;
      const basic = new Uint8Array(32);
      encodeBasicData({ status: 0, codeSize: 0, nonce: 0, balance }, basic);
      const mirror = this.mirrors[this.table.shardOf(address)]!;
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
    const fresh = delta.changes.filter(({ key }) => !mirror.values.has(bytesKey(key)));
    for (const { key, value } of delta.changes) this.change(mirror, header, key, value);
    for (const of of ownersOf(delta.changes.filter(({ key }) => isRecord(key)))) this.escrow(mirror, header, of);
    for (const { key } of fresh) this.owned(mirror, header, key);
    mirror.transactions += receipts.length;
    mirror.fees = receipts.reduce((sum, receipt) => sum + BigInt(receipt.gasUsed) * receipt.effectiveGasPrice, mirror.fees);
    const burned = mirror.fees + this.destroyedOn(header.shard);
    mirror.header = header;
    const { totals } = header;
    if (totals.balances !== mirror.balances) this.fail(header, `says ${totals.balances} wei of balances, the state holds ${mirror.balances}`);
    if (totals.escrow !== mirror.escrow) this.fail(header, `says ${totals.escrow} wei of escrow, the state holds ${mirror.escrow}`);
    if (totals.burned !== burned) this.fail(header, `says ${totals.burned} wei burned, its receipts and what destroyed itself come to ${burned}`);
    if (totals.transactions !== mirror.transactions) this.fail(header, `says ${totals.transactions} transactions, ${mirror.transactions} were listed`);
    if (++mirror.unhashed >= ROOT_EVERY + mirror.values.size / ROOT_ENTRIES_PER_BLOCK) this.root(mirror, header);
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
      if (!isRecord(key)) mirror.balances += balanceIn(key, value) - balanceIn(key, before);
    } catch (error) {
      this.fail(header, `stores a flat value that can not be read: ${(error as Error).message}`);
    }
    if (isRecord(key) && !stays(key)) mirror.records += Number(value !== undefined) - Number(before !== undefined);
    if (value === undefined) mirror.values.delete(mapKey);
    else mirror.values.set(mapKey, value);
  }

  /** Sums up the record of one owner anew: it may have several stems. */
  private escrow(mirror: Mirror, header: ShardHeader, of: Owner): void {
    try {
      const wei = escrowIn(of, recordAt(mirror.values, of));
      mirror.escrow += wei - (mirror.escrows.get(bytesKey(of)) ?? 0n);
      if (wei === 0n) mirror.escrows.delete(bytesKey(of));
      else mirror.escrows.set(bytesKey(of), wei);
    } catch (error) {
      this.fail(header, `stores a record that can not be read: ${(error as Error).message}`);
    }
  }

  atRest(): void {
    this.mirrors.forEach((mirror, shard) => {
      const { header, records } = mirror;
      if (records !== 0) this.violations.add('state', `shard ${shard} holds ${records} records with their locks at rest`);
      if (header !== undefined) this.root(mirror, header);
    });
    for (const wrong of homesOf(this.mirrors.map(({ values }) => values), (address) => this.table.shardOf(address))) this.violations.add('state', wrong);
  }

  /**
   * One owner per account and epoch: an account's leaves live on the shard that the assignment names. But for contracts that were made elsewhere (R11): they have a
   * nonce of at least 1 (EIP-161) as soon as they are there, and code, since the simulator's load makes none without. That a stub leads to each is seen at rest.
   */
  private owned(mirror: Mirror, header: ShardHeader, key: Uint8Array): void {
    if (isRecord(key) || !mirror.values.has(bytesKey(key))) return;
    const { owner: of } = decodeFlatKey(key);
    const address = of.subarray(NAMESPACE_BYTES) as Address;
    const home = this.table.shardOf(address);
    if (home === header.shard) return;
    const basic = basicDataOf(mirror.values, address);
    if (basic === undefined || basic.nonce === 0 || basic.codeSize === 0) this.fail(header, `stores account ${toHex(address)}, which shard ${home} owns`);
  }

  private root(mirror: Mirror, header: ShardHeader): void {
    mirror.unhashed = 0;
    const entries = Array.from(mirror.values, ([key, value]) => ({ key: keyBytes(key), value }));
    if (!equalBytes(stateRootOf(this.hasher, entries), header.stateRoot)) this.fail(header, 'has a state root that is not that of its state');
  }

  private fail(header: ShardHeader, what: string): void {
    this.violations.add('state', `block ${header.height} of shard ${header.shard} ${what}`);
  }
}
