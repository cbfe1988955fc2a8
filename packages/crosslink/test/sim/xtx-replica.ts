/** One shard's replica in the model: the smallest honest host of a cross-shard protocol, with scripted execution in place of an executor. */
import { type CrossShardMessage, decodeMessage, encodeMessage } from '../../src/xtx/messages.ts';
import type { CallOperation, Operation } from '../../src/xtx/operations.ts';
import type { BlockEvent } from '../../src/events.ts';
import { type Address, bytesKey, type Height, type ShardId, type TxHash } from '../../src/primitives.ts';
import type { Prng } from '../../src/prng.ts';
import { accountLock, balanceLock, type LockMode, storageLock } from '../../src/xtx/locks.ts';
import type { ProtocolCounts, ProtocolHost, RecordNamespace } from '../../src/xtx/protocol.ts';
import { TwoPhaseCommit, type TwoPhaseCommitOptions } from '../../src/xtx/two-phase-commit.ts';
import type { CrossShardIntent, Moment, OperationOutcome, Settlement } from '../../src/xtx/types.ts';
import { HASHER } from '../unit/kit.ts';
import { decodeToyCall, decodeToyEffects, encodeToyEffects } from './toy-contracts.ts';

/** What an operation does is written into the first byte of its recipient's address; the next bytes are its arguments. */
export const SCRIPT = {
  credit: 0,
  /** Writes slot `address[1]`. */
  write: 1,
  /** Reads slot `address[1]`. */
  read: 2,
  /** Writes slots `address[1]` and `address[2]`. */
  writeTwo: 3,
  refuse: 4,
  /** The block has no gas left, two times out of three. */
  busy: 5,
  /** The account lives at shard `address[1]`. */
  moved: 6,
  /** Reads the balance of sender `address[1]`. */
  readBalance: 7,
  needs: 8,
  /** Reads slot `address[1]`, then writes it. */
  readThenWrite: 9,
} as const;
const SENDER = 0xaa;
/** Addresses with a home by rule: the shard in their second byte. */
const TOY = 0xcc;
const MADE = 0xdd;
const RULED: ReadonlySet<number> = new Set([SENDER, TOY, MADE]);

/** The scripted address of `kind` with arguments. */
export function scripted(kind: number, first = 0, second = 0): Address {
  const bytes = new Uint8Array(20);
  bytes.set([kind, first, second]);
  return bytes as Address;
}

/** The `index`th funded account of a shard. */
export function senderOf(shard: number, index: number): Address {
  return scripted(SENDER, shard, index);
}

/** The toy contract of a shard. */
export function toyOf(shard: number): Address {
  return scripted(TOY, shard);
}

/** An address that the rule gives to `shard`, and where some contract may be made. */
export function madeOf(shard: number, index: number): Address {
  return scripted(MADE, shard, index);
}

/** A synthetic storage slot as a lock key. */
export function slotLock(slot: number): string {
  return storageLock(scripted(0xee), new Uint8Array(32).fill(slot));
}

/** One consumed message. */
export interface ModelInput {
  readonly source: ShardId;
  readonly origin: Moment;
  readonly bytes: Uint8Array;
}

/** A block's input: what the model decides, and what all replicas of the shard then execute. */
export interface ModelBlock {
  readonly now: Moment;
  readonly inbox: readonly ModelInput[];
  readonly intents: readonly CrossShardIntent[];
}

/** A block's visible result. */
export interface ModelResult {
  readonly sent: { readonly destination: ShardId; readonly message: CrossShardMessage; readonly bytes: Uint8Array }[];
  readonly settled: Settlement[];
  readonly begun: ('begun' | 'busy' | 'locked')[];
  readonly events: BlockEvent[];
}

interface StoredRecord {
  readonly namespace: RecordNamespace;
  readonly id: Uint8Array;
  readonly value: Uint8Array;
}

/** See the head of this file. */
export class ModelReplica implements ProtocolHost {
  readonly hasher = HASHER;
  readonly chainId = 1;
  readonly shard: ShardId;
  now: Moment = { height: 0 as Height, timestampMs: 0 };
  balances = new Map<string, bigint>();
  records = new Map<string, StoredRecord>();
  /** Storage of the toy contracts. */
  slots = new Map<number, number>();
  stubs = new Map<string, ShardId>();
  escrowed = 0n;
  burned = 0n;
  /** Wei sent to, and received from, each shard. */
  sent: bigint[];
  received: bigint[];
  protocol: TwoPhaseCommit;
  private result: ModelResult = { sent: [], settled: [], begun: [], events: [] };
  private readonly options: TwoPhaseCommitOptions;

  constructor(shard: number, shards: number, options: TwoPhaseCommitOptions) {
    this.shard = shard as ShardId;
    this.options = options;
    this.sent = Array.from({ length: shards }, () => 0n);
    this.received = Array.from({ length: shards }, () => 0n);
    this.protocol = new TwoPhaseCommit(options);
  }

  /** Executes one block in the order of R7. */
  run(block: ModelBlock): ModelResult {
    this.now = block.now;
    const result: ModelResult = (this.result = { sent: [], settled: [], begun: [], events: [] });
    for (const { source, origin, bytes } of block.inbox) this.protocol.receive(this, source, origin, decodeMessage(bytes));
    this.protocol.due(this);
    for (const intent of block.intents) result.begun.push(this.protocol.begin(this, intent));
    this.protocol.endBlock(this);
    return result;
  }

  /** The process dies: a new instance is built from the records under the state root, in any order. */
  crash(prng: Prng): void {
    this.protocol = new TwoPhaseCommit(this.options);
    const records = [...this.records.values()];
    for (let i = records.length - 1; i > 0; i--) {
      const j = prng.below(i + 1);
      [records[i], records[j]] = [records[j]!, records[i]!];
    }
    for (const { namespace, id, value } of records) this.protocol.restore(namespace, id, value);
  }

  /** Executes a block and takes it back, as a replica does whose proposal lost. */
  runInVain(block: ModelBlock): void {
    const { balances, records, slots, stubs, escrowed, burned, sent, received, now } = this;
    this.balances = new Map(balances);
    this.records = new Map(records);
    this.slots = new Map(slots);
    this.stubs = new Map(stubs);
    this.sent = [...sent];
    this.received = [...received];
    this.run(block);
    const after = this.records;
    Object.assign(this, { balances, records, slots, stubs, escrowed, burned, sent, received, now });
    for (const [key, record] of after) {
      const before = records.get(key);
      if (before?.value !== record.value) this.protocol.restore(record.namespace, record.id, before?.value);
    }
    for (const [key, record] of records) if (!after.has(key)) this.protocol.restore(record.namespace, record.id, record.value);
  }

  /** Counts without what a process forgets when it dies. */
  counts(): Omit<ProtocolCounts, 'ignoredMessages'> {
    const { ignoredMessages: _, ...counts } = this.protocol.counts();
    return counts;
  }

  emit(destination: ShardId, message: CrossShardMessage): void {
    if (destination === this.shard || this.sent[destination] === undefined) throw new Error(`message to shard ${destination}`);
    this.result.sent.push({ destination, message, bytes: encodeMessage(message) });
  }

  escrow(address: Address, amount: bigint): void {
    this.add(address, -amount);
    this.escrowed += amount;
  }

  unescrow(address: Address, amount: bigint): void {
    this.add(address, amount);
    this.escrowed -= amount;
  }

  burnEscrow(amount: bigint): void {
    this.escrowed -= amount;
    this.burned += amount;
  }

  sendValue(destination: ShardId, amount: bigint): void {
    this.escrowed -= amount;
    this.sent[destination]! += amount;
  }

  receiveValue(source: ShardId, amount: bigint): boolean {
    this.escrowed += amount;
    this.received[source]! += amount;
    return true;
  }

  private add(address: Address, amount: bigint): void {
    const key = bytesKey(address);
    const balance = (this.balances.get(key) ?? 0n) + amount;
    if (balance < 0n) throw new Error('balance below zero');
    this.balances.set(key, balance);
  }

  homeOf(address: Address): ShardId {
    if (this.balances.has(bytesKey(address)) || !RULED.has(address[0]!) || address[1]! >= this.sent.length) return this.shard;
    return this.stubs.get(bytesKey(address)) ?? (address[1] as ShardId);
  }

  execute(operation: Operation): OperationOutcome | { readonly kind: 'busy' } {
    if (operation.kind === 'create') return { kind: 'no', gasUsed: 0, reason: 'refused' };
    if (operation.kind === 'call') return this.executeCalls(operation);
    const [kind, first, second] = operation.to as unknown as [number, number, number];
    const slot = (index: number, mode: LockMode) => ({ key: slotLock(index), mode });
    const credit = { key: balanceLock(operation.to), mode: 'delta' as const };
    const yes = (...locks: { key: string; mode: LockMode }[]): OperationOutcome => ({ kind: 'yes', gasUsed: 30 * (kind + 1), locks: [...locks, credit], effects: undefined });
    switch (kind) {
      case SCRIPT.write:
        return yes(slot(first, 'write'));
      case SCRIPT.read:
        return yes(slot(first, 'read'));
      case SCRIPT.writeTwo:
        return yes(slot(first, 'write'), slot(second, 'write'));
      case SCRIPT.readThenWrite:
        return yes(slot(first, 'read'), slot(first, 'write'));
      case SCRIPT.refuse:
        return { kind: 'no', gasUsed: 70, reason: 'reverted' };
      case SCRIPT.busy:
        return (this.now.height + first) % 3 === 0 ? yes() : { kind: 'busy' };
      case SCRIPT.moved:
        return first === this.shard ? yes() : { kind: 'moved', shard: first as ShardId };
      case SCRIPT.readBalance:
        return yes({ key: balanceLock(senderOf(this.shard, first)), mode: 'read' });
      case SCRIPT.needs:
        return { kind: 'needs', gasUsed: 10, accounts: [{ shard: first as ShardId, address: operation.from }] };
      default:
        return yes();
    }
  }

  /** Toy calls: see `toy-contracts.ts`. */
  private executeCalls({ from, calls, stubs, granted }: CallOperation): OperationOutcome {
    const locks: { key: string; mode: LockMode }[] = [];
    if (this.homeOf(from) === this.shard) locks.push({ key: balanceLock(from), mode: 'delta' });
    for (const { address } of stubs) {
      if (address[0] !== MADE || address[1] !== this.shard || this.stubs.has(bytesKey(address))) return { kind: 'no', gasUsed: 0, reason: 'refused' };
      locks.push({ key: balanceLock(address), mode: 'write' }, { key: accountLock(address), mode: 'write' });
    }
    const slots = new Map<number, number>();
    const gifts: { to: Address; home: ShardId }[] = [];
    const kept: { to: Address; value: bigint }[] = [];
    const accounts: { shard: ShardId; address: Address }[] = [];
    const gasUsed = 40 * calls.length;
    for (const { to, value, data } of calls) {
      const home = this.homeOf(to);
      if (home !== this.shard) return { kind: 'moved', shard: home };
      locks.push({ key: balanceLock(to), mode: 'delta' });
      if (data.length === 0) {
        kept.push({ to, value });
        continue;
      }
      const { slot, add, gift, fails, makes } = decodeToyCall(data);
      if (fails) return { kind: 'no', gasUsed, reason: 'reverted' };
      locks.push({ key: slotLock(slot), mode: 'read' }, { key: slotLock(slot), mode: 'write' });
      slots.set(slot, (slots.get(slot) ?? this.slots.get(slot) ?? 0) + add);
      const gives = gift !== undefined && value > 0n;
      if (gives) {
        gifts.push({ to: gift, home: this.homeOf(gift) });
        if (this.homeOf(gift) === this.shard) locks.push({ key: balanceLock(gift), mode: 'delta' });
      }
      kept.push({ to, value: gives ? value - 1n : value });
      if (makes === undefined) continue;
      if (this.balances.has(bytesKey(makes)) || makes[1] === this.shard) return { kind: 'no', gasUsed, reason: 'reverted' };
      locks.push({ key: balanceLock(makes), mode: 'delta' }, { key: accountLock(makes), mode: 'write' });
      kept.push({ to: makes, value: 0n });
      if (!granted.some((each) => bytesKey(each) === bytesKey(makes))) accounts.push({ shard: makes[1] as ShardId, address: makes });
    }
    if (accounts.length > 0) return { kind: 'needs', gasUsed, accounts };
    return { kind: 'yes', gasUsed, locks, effects: encodeToyEffects({ slots: [...slots].map(([slot, value]) => ({ slot, value })), gifts, kept }) };
  }

  apply(operation: Operation, effects: Uint8Array | undefined, txHash: TxHash): Uint8Array {
    if (operation.kind !== 'call' || effects === undefined) throw new Error('applied what has no effects');
    for (const { address, home } of operation.stubs) this.keepStub(address, home, txHash);
    const { slots, gifts, kept } = decodeToyEffects(effects);
    for (const { slot, value } of slots) this.slots.set(slot, value);
    for (const { to, value } of kept) this.unescrow(to, value);
    for (const { to, home } of gifts) this.give(home, to, 1n, txHash);
    return Uint8Array.from(slots, ({ slot }) => slot);
  }

  private keepStub(address: Address, home: ShardId, txHash: TxHash): void {
    const key = bytesKey(address);
    const prefunded = this.balances.get(key) ?? 0n;
    if (prefunded > 0n) {
      this.escrow(address, prefunded);
      this.give(home, address, prefunded, txHash);
    }
    this.balances.delete(key);
    this.stubs.set(key, home);
  }

  private give(home: ShardId, to: Address, value: bigint, txHash: TxHash): void {
    if (home === this.shard) {
      this.unescrow(to, value);
      return;
    }
    this.sendValue(home, value);
    this.emit(home, { kind: 'credit', txHash, to, value });
  }

  settle(settlement: Settlement): void {
    this.result.settled.push(settlement);
  }

  event(event: BlockEvent): void {
    this.result.events.push(event);
  }

  putRecord(namespace: RecordNamespace, id: Uint8Array, value: Uint8Array | undefined): void {
    const key = `${namespace} ${bytesKey(id)}`;
    if (value === undefined) this.records.delete(key);
    else this.records.set(key, { namespace, id, value });
  }
}
