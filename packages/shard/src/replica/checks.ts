import {
  type BlockInput,
  bytesKey,
  type Crypto,
  decodeBlockInput,
  DecodeError,
  decodeHeader,
  equalBytes,
  type Hash32,
  type QuorumCertificate,
  type ShardHeader,
  ShardlabError,
  type ShardId,
} from '@shardlab/crosslink';
import type { ConsensusOutput } from '../consensus/types.ts';
import type { Epochs } from '../exchange/epochs.ts';
import type { Inbox } from '../exchange/inbox.ts';
import type { Requests } from '../exchange/requests.ts';
import type { Mempool } from '../mempool/mempool.ts';
import { AHEAD_MAX_MS, BEHIND_MAX_MS } from '../production/drift.ts';
import type { StepContext } from '../step-context.ts';
import type { AdmissionBatch } from '../transaction/admission-record.ts';
import type { PoolTransaction } from '../transaction/types.ts';

/** A block that somebody else has made and that is to be executed here. */
export interface ForeignBlock {
  readonly header: ShardHeader;
  readonly hash: Hash32;
  readonly input: BlockInput;
}

/** A foreign block that a quorum of its committee has certified. */
export interface CertifiedBlock extends ForeignBlock {
  readonly certificate: QuorumCertificate;
}

/** Decodes what was proposed; `undefined` for bytes that are no block. */
export function decodeProposal({ hash, proposal }: Extract<ConsensusOutput, { kind: 'validate' | 'decided' }>): ForeignBlock | undefined {
  try {
    return { hash, header: decodeHeader(proposal.header), input: decodeBlockInput(proposal.body) };
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** What senders' recovery works with. */
export interface SenderModules {
  readonly step: StepContext;
  readonly requests: Requests;
  readonly crypto: Crypto;
  readonly mempool: Mempool;
}

/** The transactions of one foreign block: those that the pool knows are ready, the senders of the others are recovered first. */
export class BlockSenders {
  private readonly modules: SenderModules;
  private readonly raws: readonly Uint8Array[];
  private readonly found: (PoolTransaction | undefined)[];
  private request: number | undefined;
  private missing: number[] = [];
  private bad = false;

  constructor(raws: readonly Uint8Array[], modules: SenderModules) {
    this.raws = raws;
    this.modules = modules;
    const { mempool, crypto } = modules;
    this.found = raws.map((raw) => mempool.get(bytesKey(crypto.keccak256(raw))));
    this.ask();
  }

  private ask(): void {
    const { step, requests } = this.modules;
    this.missing = this.found.flatMap((tx, index) => (tx === undefined ? [index] : []));
    if (this.missing.length === 0) return;
    this.request = requests.number();
    step.push({ kind: 'recover-senders', request: this.request, raws: this.missing.map((index) => this.raws[index]!) });
  }

  /** Answers `recover-senders`; whether the answer was this block's. */
  recovered(request: number, batch: AdmissionBatch | undefined): boolean {
    if (this.request !== request) return false;
    this.request = undefined;
    // The recoverers had no room: once more.
    if (batch === undefined) this.ask();
    else {
      this.missing.forEach((index, at) => {
        if (batch.error(at) === undefined) this.found[index] = batch.transaction(at);
        else this.bad = true;
      });
    }
    return true;
  }

  /** All transactions in order; `waiting` while senders are unknown, `bad` when one is no transaction at all. */
  get transactions(): readonly PoolTransaction[] | 'waiting' | 'bad' {
    if (this.bad) return 'bad';
    if (this.request !== undefined) return 'waiting';
    return this.found as readonly PoolTransaction[];
  }
}

/** What a proposal is judged by before any of it is executed. */
export interface HeaderRules {
  readonly shard: ShardId;
  readonly chainId: number;
  readonly epochs: Epochs;
  readonly inbox: Inbox;
}

/** Whether a proposal's header can be voted for, as far as that can be seen without executing it: `undefined` = yes. */
export function headerFault(rules: HeaderRules, parentTimestampMs: number, header: ShardHeader, fresh: boolean, nowMs: number): string | undefined {
  const { shard, chainId, epochs } = rules;
  if (header.shard !== shard || header.chainId !== chainId) return 'foreign';
  const epoch = epochs.get(header.epoch);
  if (epoch === undefined || !equalBytes(epoch.hash, header.epochCertificateHash)) return 'epoch';
  // Drift is judged when voting, never when replaying (R5); a chain whose time has run ahead goes on from there.
  if (fresh && header.timestampMs > Math.max(nowMs + AHEAD_MAX_MS, parentTimestampMs + 1)) return 'time-ahead';
  if (fresh && header.timestampMs < nowMs - BEHIND_MAX_MS) return 'time-behind';
  return undefined;
}

/** Sources whose messages a proposal holds and this validator has not verified yet, with the first sequence that lacks; or that the proposal lies. */
export function inboxLack(inbox: Inbox, input: BlockInput): ReadonlyMap<ShardId, number> | 'lies' {
  const lacks = new Map<ShardId, number>();
  for (const segment of input.inbox) {
    const held = inbox.holds(segment);
    if (held === 'differs') return 'lies';
    if (held === 'missing' && !lacks.has(segment.source)) lacks.set(segment.source, segment.firstSequence);
  }
  return lacks;
}

/** A quorum vouches for a block that gives something else here: the node must stop, and say what to do. */
export function diverged(block: ForeignBlock, why: string): ShardlabError {
  const { height, shard } = block.header;
  const message = `block ${height} of shard ${shard} is certified by its committee, but ${why}: this node's state is damaged, or more than a third of the committee lies; keep this data directory for study and start with an empty one`;
  return new ShardlabError('consensus/diverged', message, { height });
}
