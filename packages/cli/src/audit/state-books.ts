import {
  ACCOUNTS,
  BASIC_DATA_POSITION,
  BLOCK_HASHES,
  compatible,
  computeStateRoot,
  type CoordinatorRecord,
  type Crypto,
  decodeBasicData,
  decodeCoordinatorRecord,
  decodeParkedCredit,
  decodeParticipantRecord,
  decodeRecord,
  decodeStub,
  equalBytes,
  type Lock,
  type LockMode,
  NAMESPACE_BYTES,
  PARKED,
  type ParticipantRecord,
  ShardlabError,
  STUBS,
  XTX_COORDINATOR,
  XTX_PARTICIPANT,
} from '@shardlab/crosslink';
import type { CutShard } from './cut.ts';
import type { Findings, Place } from './findings.ts';
import type { Source } from './source.ts';
import { type AuditedStem, StateLeaves } from './state-leaves.ts';
import { hashKey } from './transaction-book.ts';

/** What the leaves of one shard's state come to. */
export interface ShardBooks {
  /** Wei of all accounts. */
  readonly balances: bigint;
  /** Wei that open transactions and parked credits hold. */
  readonly escrow: bigint;
  /** Open records by {@link hashKey} of their ids. */
  readonly coordinators: ReadonlyMap<string, CoordinatorRecord>;
  readonly participants: ReadonlyMap<string, ParticipantRecord>;
  readonly locksHeld: number;
  readonly locksStuck: number;
}

const ACCOUNT_SPACE = hashKey(ACCOUNTS);
const COORDINATOR_SPACE = hashKey(XTX_COORDINATOR);
const PARTICIPANT_SPACE = hashKey(XTX_PARTICIPANT);
const PARKED_SPACE = hashKey(PARKED);
const STUB_SPACE = hashKey(STUBS);
const BLOCK_HASH_SPACE = hashKey(BLOCK_HASHES);


/** Sums up one state, stem by stem. */
class Books {
  balances = 0n;
  parked = 0n;
  readonly coordinators = new Map<string, CoordinatorRecord>();
  readonly participants = new Map<string, ParticipantRecord>();
  private readonly chunks = new Map<string, { index: bigint; values: Uint8Array[] }[]>();

  take(stem: AuditedStem): void {
    const owner = hashKey(stem.owner);
    if (owner.startsWith(ACCOUNT_SPACE)) {
      if (stem.treeIndex !== BASIC_DATA_POSITION.treeIndex) return;
      for (const { suffix, value } of stem.leaves) if (suffix === BASIC_DATA_POSITION.suffix) this.balances += decodeBasicData(value).balance;
      return;
    }
    const known = this.chunks.get(owner);
    // Copies: a record's view would keep its whole page.
    const part = { index: stem.treeIndex, values: stem.leaves.map((leaf) => leaf.value.slice()) };
    if (known === undefined) this.chunks.set(owner, [part]);
    else known.push(part);
  }

  /** Puts the records together, of which the chunks are all here now. */
  finish(): void {
    for (const [owner, parts] of this.chunks) {
      const space = owner.slice(0, NAMESPACE_BYTES);
      const id = owner.slice(NAMESPACE_BYTES);
      const record = decodeRecord(parts.sort((a, b) => (a.index < b.index ? -1 : 1)).flatMap((part) => part.values));
      if (space === COORDINATOR_SPACE) this.coordinators.set(id, decodeCoordinatorRecord(record));
      else if (space === PARTICIPANT_SPACE) this.participants.set(id, decodeParticipantRecord(record));
      else if (space === PARKED_SPACE) this.parked += decodeParkedCredit(record);
      // Where contracts live, and hashes for BLOCKHASH: no wei in them.
      else if (space === STUB_SPACE) decodeStub(record);
      else if (space !== BLOCK_HASH_SPACE) throw new ShardlabError('audit/state', 'a record in a namespace that nobody knows');
    }
    for (const [id, record] of [...this.coordinators, ...this.participants]) {
      if (!hashKey(record.id).startsWith(id)) throw new ShardlabError('audit/state', 'a record in the place of another');
    }
  }

  get escrow(): bigint {
    let sum = this.parked;
    for (const record of this.coordinators.values()) sum += record.escrowValue + record.escrowFee;
    return sum;
  }
}

/** Who holds locks: coordinators until they settle, participants once they have voted yes. */
function* holders(books: Books): Iterable<{ readonly hash: Uint8Array; readonly deadlineMs: number; readonly locks: readonly Lock[] }> {
  for (const { txHash: hash, deadlineMs, locks } of books.coordinators.values()) yield { hash, deadlineMs, locks };
  for (const { txHash: hash, deadlineMs, locks, status } of books.participants.values()) if (status === 'prepared') yield { hash, deadlineMs, locks };
}

/**
 * Counts the locks held at the cut. Stuck are those of a transaction whose latest attempt's deadline the shard's block time has passed by more than twice the
 * network's `deadlineMs`: by then its coordinator must have decided, and everybody heard.
 */
function countLocks(books: Books, cut: CutShard, deadlineMs: number, findings: Findings): { held: number; stuck: number } {
  const { shard, height, timestampMs } = cut.header;
  const modes = new Map<string, { readonly mode: LockMode; readonly holder: Uint8Array }>();
  const count = { held: 0, stuck: 0 };
  for (const { hash, deadlineMs: ownMs, locks } of holders(books)) {
    count.held += locks.length;
    for (const { key, mode } of locks) {
      const other = modes.get(key);
      if (other !== undefined && other.holder !== hash && !compatible(other.mode, mode)) {
        findings.add('lock-conflict', `a lock held for ${mode} while another transaction holds it for ${other.mode}`, { shard, height, hash });
      }
      modes.set(key, { mode, holder: hash });
    }
    const lateMs = timestampMs - ownMs;
    if (locks.length === 0 || lateMs <= 2 * deadlineMs) continue;
    count.stuck += locks.length;
    findings.add('lock-stuck', `${locks.length} locks held ${Math.round(lateMs / 1000)} s after the deadline`, { shard, height, hash });
  }
  return count;
}

/** Downloads every leaf of a shard's pinned state, rebuilds the root, and sums up. */
export async function auditState(cut: CutShard, deadlineMs: number, modules: { readonly source: Source; readonly crypto: Crypto; readonly findings: Findings }): Promise<ShardBooks> {
  const { crypto, findings } = modules;
  const { header, hash, pin } = cut;
  const books = new Books();
  const place = { shard: header.shard, height: header.height, hash };
  if (pin === undefined) books.balances = header.totals.balances;
  else {
    const leaves = new StateLeaves(crypto);
    await takeState(pin, books, leaves, place, modules);
    checkRoot(crypto, leaves, header.stateRoot, place, findings);
  }
  const { balances, escrow } = header.totals;
  if (books.balances !== balances) findings.add('balance-total', `the accounts hold ${books.balances} wei, the header says ${balances}`, place);
  if (books.escrow !== escrow) findings.add('escrow-total', `open transactions hold ${books.escrow} wei, the header says ${escrow}`, place);
  const locks = countLocks(books, cut, deadlineMs, findings);
  const { coordinators, participants } = books;
  return { balances: books.balances, escrow: books.escrow, coordinators, participants, locksHeld: locks.held, locksStuck: locks.stuck };
}

async function takeState(
  pin: NonNullable<CutShard['pin']>,
  books: Books,
  leaves: StateLeaves,
  place: Place,
  { source, findings }: { readonly source: Source; readonly findings: Findings },
): Promise<void> {
  const leafProblem = (error: unknown): void => {
    if (!(error instanceof ShardlabError) || error.code.startsWith('audit/') && error.code !== 'audit/state') throw error;
    findings.add('state-leaf', `the state holds what does not belong there: ${error.message}`, place);
  };
  for await (const page of source.state(pin)) {
    source.checkCancelled();
    try {
      for (const stem of leaves.take(page)) books.take(stem);
    } catch (error) {
      leafProblem(error);
    }
  }
  try {
    books.finish();
  } catch (error) {
    leafProblem(error);
  }
}

function checkRoot(crypto: Crypto, leaves: StateLeaves, root: Uint8Array, place: Place, findings: Findings): void {
  let rebuilt: Uint8Array;
  try {
    rebuilt = computeStateRoot(crypto, leaves.leaves);
  } catch (error) {
    if (!(error instanceof ShardlabError)) throw error;
    findings.add('state-leaf', `the leaves make no tree: ${error.message}`, place);
    return;
  }
  if (!equalBytes(rebuilt, root)) findings.add('state-root', 'the leaves that the node gives do not make the state root that was certified', place);
}
