import assert from 'node:assert/strict';
import { type Hash32, type QuorumCertificate, ShardlabError } from '@shardlab/crosslink';
import { type BlockId, Committee, type PbftModules, type PbftOptions, type Phase, type VoteExtension } from '../../src/consensus/pbft/committee.ts';
import type { PbftStart } from '../../src/consensus/pbft/memory.ts';
import { type ConsensusMessage, decodeMessage, encodeMessage, type PreparedBlock, statusPayload, type ViewChange } from '../../src/consensus/pbft/messages.ts';
import { Pbft } from '../../src/consensus/pbft/pbft.ts';
import { makeNewView, makeViewChange } from '../../src/consensus/pbft/view-change.ts';
import type { AgreedHead, ConsensusOutput, Proposal, Received } from '../../src/consensus/types.ts';
import { testCrypto } from '../support/crypto.ts';
import { CHAIN, committeeKeys, GENESIS_HASH, GENESIS_HEAD, linkProposal, readLink } from './pbft-blocks.ts';

const crypto = testCrypto();
const NONE: Uint8Array = new Uint8Array(0);

/** A block with what votes need to name it. */
export interface LabBlock extends BlockId {
  readonly proposal: Proposal;
  readonly parentHash: Hash32;
}

/** What a lab is set up with; validator 1 of 4 with a window of 2 unless said otherwise. */
export interface LabOptions {
  readonly validator?: number;
  readonly size?: number;
  readonly window?: 1 | 2;
  readonly start?: Partial<PbftStart>;
  readonly extension?: VoteExtension;
  /** Epochs from this one on are not known. */
  readonly unknownEpoch?: number;
}

/** A block on `parent`; `salt` tells blocks of one height apart. */
export function labBlock(parent: { readonly height: number; readonly hash: Hash32 }, proposer = 0, salt = 0, epoch = 0): LabBlock {
  const height = parent.height + 1;
  const proposal = linkProposal({ epoch, height, parentHash: parent.hash, proposer, salt, bad: false });
  return { epoch, height, hash: crypto.sha256(proposal.header), proposal, parentHash: parent.hash };
}

/** One engine, a disk that syncs at once, and the keys of its whole committee to speak for the others. */
export class Lab {
  readonly engine: Pbft;
  readonly committees: readonly Committee[];
  /** What the engine has put out since {@link take}. */
  private outputs: ConsensusOutput[] = [];
  state: Uint8Array | undefined;
  readonly proposals = new Map<number, Proposal>();
  private attempt = 0;

  constructor(options: LabOptions = {}) {
    const { validator = 1, size = 4, window = 2, start = {}, extension, unknownEpoch = Number.MAX_SAFE_INTEGER } = options;
    const keys = committeeKeys(crypto, size);
    const setup = (index: number): PbftOptions => ({ genesisHash: GENESIS_HASH, chain: CHAIN, validator: index, size, window, secretKey: keys.secret[index]! });
    const modules: PbftModules = {
      crypto,
      validators: (epoch) => (epoch < unknownEpoch ? keys.public : undefined),
      readHeader: readLink,
      ...(extension === undefined ? {} : { extension }),
    };
    this.committees = keys.secret.map((_, index) => new Committee(setup(index), { ...modules, validators: () => keys.public }));
    this.engine = new Pbft(setup(validator), modules, { head: GENESIS_HEAD, state: undefined, proposals: [], ...start });
    for (const { height, proposal } of start.proposals ?? []) this.proposals.set(height, proposal);
    this.state = start.state;
  }

  /** The same validator after a crash: only what was synced is left. */
  restart(options: LabOptions = {}): Lab {
    const proposals = [...this.proposals].map(([height, proposal]) => ({ height, proposal }));
    return new Lab({ ...options, start: { state: this.state, proposals, ...options.start } });
  }

  /** Notes outputs, and syncs what is to be synced. */
  run(outputs: readonly ConsensusOutput[]): void {
    for (const output of outputs) {
      this.outputs.push(output);
      if (output.kind !== 'vote') continue;
      this.state = output.state.slice();
      for (const { height, proposal } of output.proposals) {
        if (proposal === undefined) this.proposals.delete(height);
        else this.proposals.set(height, proposal);
      }
    }
  }

  give(message: ConsensusMessage): Received['verdict'] {
    this.attempt++;
    const { verdict, outputs } = this.engine.receive(encodeMessage(CHAIN, this.attempt, message));
    this.run(outputs);
    return verdict;
  }

  /** Outputs since the last call. */
  take(): ConsensusOutput[] {
    const { outputs } = this;
    this.outputs = [];
    return outputs;
  }

  /** Messages among the outputs since the last call. */
  said(): ConsensusMessage[] {
    return messagesOf(this.take());
  }

  message(from: number, phase: Phase, block: BlockId, view = 0, extension = NONE): ConsensusMessage {
    const { epoch, height, hash } = block;
    return { kind: 'vote', view, epoch, height, phase, hash, validator: from, signature: this.committees[from]!.signVote(phase, view, block), extension };
  }

  vote(from: number, phase: Phase, block: BlockId, view = 0, extension = NONE): string {
    return label(this.give(this.message(from, phase, block, view, extension)));
  }

  /** The proposal of `block` by the leader of its height in `view`. */
  propose(block: LabBlock, view = 0): string {
    const leader = this.committees[0]!.leader(view, block.height);
    return label(this.give({ kind: 'proposal', view, proposal: block.proposal, signature: this.committees[leader]!.signVote('prepare', view, block) }));
  }

  certify(phase: Phase, block: BlockId, view: number, signers: readonly number[]): QuorumCertificate {
    return this.committees[0]!.certify(view, new Map(signers.map((index) => [index, this.committees[index]!.signVote(phase, view, block)])));
  }

  /** A head with a certificate of the first validators. */
  head(block: LabBlock, view = 0): AgreedHead {
    const signers = Array.from({ length: this.committees[0]!.quorum }, (_, index) => index);
    return { epoch: block.epoch, height: block.height, hash: block.hash, certificate: this.certify('commit', block, view, signers) };
  }

  prepared(block: LabBlock, view: number, signers: readonly number[] = [0, 1, 2]): PreparedBlock {
    return { header: block.proposal.header, certificate: this.certify('prepare', block, view, signers) };
  }

  change(from: number, view: number, prepared: readonly PreparedBlock[] = [], head: AgreedHead = GENESIS_HEAD): ViewChange {
    return makeViewChange(this.committees[from]!, view, head, prepared);
  }

  newView(from: number, view: number, changes: readonly ViewChange[]): ConsensusMessage {
    return makeNewView(this.committees[from]!, view, changes);
  }

  status(from: number, view: number, head: AgreedHead): ConsensusMessage {
    const payload = statusPayload(view, from, head);
    return { kind: 'status', view, validator: from, head, payload, signature: this.committees[from]!.sign('status', payload) };
  }

  /** Answers every `validate` so far. */
  validate(good = true): void {
    for (const output of this.take()) {
      this.outputs.push(output);
      if (output.kind === 'validate') this.run(this.engine.validated(output.hash, good));
    }
  }
}

/** `accept`, or the reason with its kind. */
export function label(verdict: Received['verdict']): string {
  return verdict.kind === 'accept' ? 'accept' : `${verdict.kind} ${verdict.reason}`;
}

/** Messages among outputs. */
export function messagesOf(outputs: readonly ConsensusOutput[]): ConsensusMessage[] {
  const messages: ConsensusMessage[] = [];
  for (const output of outputs) {
    if (output.kind !== 'vote' && output.kind !== 'send') continue;
    for (const data of output.messages) messages.push(decodeMessage(CHAIN, data)!);
  }
  return messages;
}

/** Says shortly what a message is. */
export function brief(message: ConsensusMessage): string {
  if (message.kind === 'vote') return `${message.phase} ${message.height} in ${message.view}`;
  if (message.kind === 'proposal') return `proposal ${readLink(message.proposal.header).height} in ${message.view}`;
  return `${message.kind} ${message.view}`;
}

/** Asserts that `run` throws a {@link ShardlabError} with this code. */
export function throwsCode(run: () => unknown, code: string): void {
  assert.throws(run, (error) => error instanceof ShardlabError && error.code === code);
}
