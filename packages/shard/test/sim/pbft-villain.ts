import { type Crypto, DecodeError, type Hash32, type Prng, toHex } from '@shardlab/crosslink';
import { type BlockId, Committee, type Phase } from '../../src/consensus/pbft/committee.ts';
import {
  type ConsensusMessage,
  decodeMessage,
  encodeMessage,
  newView,
  newViewPayload,
  type PreparedBlock,
  statusPayload,
  type ViewChange,
} from '../../src/consensus/pbft/messages.ts';
import { makeNewView, makeViewChange } from '../../src/consensus/pbft/view-change.ts';
import type { AgreedHead, Proposal } from '../../src/consensus/types.ts';
import type { EventQueue } from './event-queue.ts';
import { CHAIN, GENESIS_HASH, GENESIS_HEAD, linkProposal, readLink } from './pbft-blocks.ts';

const TICK_MS = 40;
/** It forgets what is older than so many heights, to keep the simulation fast. */
const MEMORY_HEIGHTS = 4;

/** What a villain needs of its network. */
export interface VillainNetwork {
  readonly queue: EventQueue;
  readonly crypto: Crypto;
  readonly random: Prng;
  readonly size: number;
  readonly window: 1 | 2;
  readonly publicKeys: readonly Uint8Array[];
  /** Sends to one validator. */
  send(from: number, to: number, data: Uint8Array): void;
}

interface Tally {
  readonly view: number;
  readonly block: BlockId;
  readonly phase: Phase;
  readonly votes: Map<number, Uint8Array>;
}

/**
 * A faulty validator that knows the protocol, sees all messages sent to it and says what hurts most: it votes for everything, differently to different peers, proposes two
 * blocks at once, keeps certificates to itself and shows them late, hides what it has prepared, asks for views, and leads them with whatever it likes to leave out. It
 * signs with its own key only.
 */
export class PbftVillain {
  private readonly index: number;
  private readonly network: VillainNetwork;
  private readonly committee: Committee;
  private readonly headers = new Map<string, { readonly proposal: Proposal; readonly height: number }>();
  private readonly tallies = new Map<string, Tally>();
  private readonly changes = new Map<number, Map<number, ViewChange>>();
  private readonly heads: AgreedHead[] = [GENESIS_HEAD];
  private readonly old: Uint8Array[] = [];
  private readonly led = new Set<string>();
  private view = 0;
  private height = 0;
  private attempt = 0;

  constructor(index: number, secretKey: Uint8Array, network: VillainNetwork) {
    this.index = index;
    this.network = network;
    const options = { genesisHash: GENESIS_HASH, chain: CHAIN, validator: index, size: network.size, secretKey, window: network.window };
    this.committee = new Committee(options, { crypto: network.crypto, validators: () => network.publicKeys, readHeader: readLink });
  }

  private chance(percent: number): boolean {
    return this.network.random.below(100) < percent;
  }

  start(): void {
    this.network.queue.after(TICK_MS, () => {
      this.mischief();
      this.start();
    });
  }

  receive(data: Uint8Array): void {
    if (this.old.length < 64) this.old.push(data);
    else this.old[this.network.random.below(64)] = data;
    try {
      this.learn(decodeMessage(CHAIN, data));
    } catch (error) {
      // Other villains send damaged messages too.
      if (!(error instanceof DecodeError)) throw error;
    }
  }

  private learn(message: ConsensusMessage | undefined): void {
    switch (message?.kind) {
      case 'proposal':
        this.learnProposal(message.proposal, message.view, message.signature);
        break;
      case 'vote':
        this.learnVote({ view: message.view, block: message, phase: message.phase }, message.validator, message.signature);
        break;
      case 'view-change':
        this.learnChange(message);
        break;
      case 'status':
        if (this.heads.length < 32) this.heads.push(message.head);
        break;
      case 'new-view':
        this.view = Math.max(this.view, message.view);
        break;
      case undefined:
        break;
    }
  }

  private learnProposal(proposal: Proposal, view: number, signature: Uint8Array): void {
    const hash = this.network.crypto.sha256(proposal.header);
    const { epoch, height } = readLink(proposal.header);
    this.headers.set(toHex(hash), { proposal, height });
    this.learnVote({ view, block: { epoch, height, hash }, phase: 'prepare' }, this.committee.leader(view, height), signature);
  }

  private learnVote(what: Omit<Tally, 'votes'>, validator: number, signature: Uint8Array): void {
    const { block, phase, view } = what;
    this.view = Math.max(this.view, view);
    if (block.height > this.height) {
      this.height = block.height;
      this.forget();
    }
    const key = `${view} ${block.height} ${phase} ${toHex(block.hash)}`;
    let tally = this.tallies.get(key);
    if (tally === undefined) {
      tally = { ...what, votes: new Map([[this.index, this.committee.signVote(phase, view, block)]]) };
      this.tallies.set(key, tally);
      this.voteForEverything(view, block);
    }
    tally.votes.set(validator, signature);
    if (phase === 'commit' && tally.votes.size === this.committee.quorum) {
      this.heads.push({ ...block, certificate: this.committee.certify(view, tally.votes) });
    }
  }

  private forget(): void {
    for (const [key, { block }] of this.tallies) if (block.height < this.height - MEMORY_HEIGHTS) this.tallies.delete(key);
    for (const [key, { height }] of this.headers) if (height < this.height - MEMORY_HEIGHTS) this.headers.delete(key);
    if (this.heads.length > 16) this.heads.splice(0, this.heads.length - 16);
  }

  private learnChange(change: ViewChange): void {
    this.view = Math.max(this.view, change.view);
    const changes = this.changes.get(change.view) ?? new Map<number, ViewChange>();
    changes.set(change.validator, change);
    this.changes.set(change.view, changes);
    for (const view of this.changes.keys()) if (view < this.view - 3) this.changes.delete(view);
    if (this.heads.length < 32) this.heads.push(change.head);
    if (this.chance(50)) this.askForView(change.view);
    this.lead(change.view, changes);
  }

  private say(message: ConsensusMessage, percent: number): void {
    this.attempt++;
    const data = encodeMessage(CHAIN, this.attempt, message);
    for (let to = 0; to < this.network.size; to++) if (to !== this.index && this.chance(percent)) this.network.send(this.index, to, data);
  }

  private vote(phase: Phase, view: number, block: BlockId, percent: number): void {
    const signature = this.committee.signVote(phase, view, block);
    const { epoch, height, hash } = block;
    this.say({ kind: 'vote', view, epoch, height, phase, hash, validator: this.index, signature, extension: new Uint8Array(0) }, percent);
  }

  private voteForEverything(view: number, block: BlockId): void {
    this.vote('prepare', view, block, 60);
    this.vote('commit', view, block, 60);
    if (this.chance(10)) {
      const other = { ...block, hash: this.network.random.bytes(32) as Hash32 };
      this.vote('prepare', view, other, 50);
      this.vote('commit', view, other, 50);
    }
    if (this.chance(10)) {
      const signature = this.committee.signVote('commit', view, block);
      const validator = this.network.random.below(this.network.size);
      const { epoch, height, hash } = block;
      this.say({ kind: 'vote', view, epoch, height, phase: 'commit', hash, validator, signature, extension: new Uint8Array(0) }, 50);
    }
  }

  /** Prepared certificates that it knows or can make, of which it shows what it likes, on a head that it likes. */
  private shown(view: number): { readonly head: AgreedHead; readonly prepared: PreparedBlock[] } {
    const { random } = this.network;
    const head = this.chance(50) ? this.heads.at(-1)! : this.heads[random.below(this.heads.length)]!;
    const prepared: PreparedBlock[] = [];
    for (let height = head.height + 1; height <= head.height + this.network.window; height++) {
      const proven = [...this.tallies.values()].filter((tally) => tally.phase === 'prepare' && tally.block.height === height && tally.view < view && tally.votes.size >= this.committee.quorum);
      const tally = proven[random.below(Math.max(1, proven.length))];
      const header = tally === undefined ? undefined : this.headers.get(toHex(tally.block.hash));
      if (tally === undefined || header === undefined || this.chance(40)) continue;
      prepared.push({ header: header.proposal.header, certificate: this.committee.certify(tally.view, tally.votes) });
    }
    return { head, prepared };
  }

  private askForView(view: number): void {
    for (let variant = 0; variant < 2; variant++) {
      const { head, prepared } = this.shown(view);
      this.say(makeViewChange(this.committee, view, head, prepared), 60);
    }
  }

  /** As the leader of a view it leaves out whom it likes, differently for different peers; and it tries what no leader may. */
  private lead(view: number, changes: ReadonlyMap<number, ViewChange>): void {
    const { quorum } = this.committee;
    if (changes.size < quorum - 1 || !this.chance(70)) return;
    for (let variant = 0; variant < 2; variant++) {
      const { head, prepared } = this.shown(view);
      const others = [...changes.values()].filter(({ validator }) => validator !== this.index);
      while (others.length > quorum - 1) others.splice(this.network.random.below(others.length), 1);
      this.say(makeNewView(this.committee, view, [...others, makeViewChange(this.committee, view, head, prepared)]), 60);
    }
    const some = [...changes.values()].slice(0, quorum - 1);
    this.say(makeNewView(this.committee, view, some), 20);
    this.say(makeNewView(this.committee, view, [...some, some[0]!]), 20);
    const forged = some.map((change) => ({ ...change, payload: change.payload.map((byte, at) => (at === 60 ? byte ^ 1 : byte)) }));
    const payload = newViewPayload(view, this.index, [...some, ...forged].slice(0, quorum));
    try {
      this.say(newView(payload, this.committee.sign('new-view', payload)), 20);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
    }
  }

  private mischief(): void {
    const { random } = this.network;
    for (const height of [this.height, this.height + 1]) {
      const turn = `${this.view} ${height}`;
      if (this.committee.leader(this.view, height) !== this.index || this.led.has(turn) || this.chance(40)) continue;
      this.led.add(turn);
      this.proposeTwice(height);
    }
    if (this.chance(2)) this.askForView(this.view + 1 + random.below(3));
    if (this.chance(20) && this.old.length > 0) this.replay(this.old[random.below(this.old.length)]!.slice());
    if (this.chance(20)) {
      const head = this.heads[random.below(this.heads.length)]!;
      const payload = statusPayload(random.below(this.view + 3), this.index, head);
      this.say({ kind: 'status', view: 0, validator: this.index, head, payload, signature: this.committee.sign('status', payload) }, 50);
    }
  }

  private proposeTwice(height: number): void {
    const parents = [...this.headers].filter(([, header]) => header.height === height - 1).map(([hash]) => hash);
    const head = this.heads.find((candidate) => candidate.height === height - 1);
    if (head !== undefined) parents.push(toHex(head.hash));
    if (parents.length === 0) return;
    const count = 1 + this.network.random.below(3);
    for (let variant = 0; variant < count; variant++) {
      const parent = parents[this.network.random.below(parents.length)]!;
      const parentHash = Uint8Array.from({ length: 32 }, (_, at) => Number.parseInt(parent.slice(2 + 2 * at, 4 + 2 * at), 16)) as Hash32;
      const proposal = linkProposal({ epoch: 0, height, parentHash, proposer: this.index, salt: this.network.random.u32(), bad: this.chance(10) });
      const block = { epoch: 0, height, hash: this.network.crypto.sha256(proposal.header) };
      const signature = this.committee.signVote('prepare', this.view, block);
      this.say({ kind: 'proposal', view: this.view, proposal, signature }, count === 1 ? 100 : 60);
      this.learnProposal(proposal, this.view, signature);
    }
  }

  /** Said once more, changed so that nothing takes it for known; sometimes damaged. */
  private replay(data: Uint8Array): void {
    const { random } = this.network;
    data[5] = random.below(256);
    if (this.chance(50)) data[random.below(data.length)]! ^= 1 << random.below(8);
    for (let to = 0; to < this.network.size; to++) {
      if (to === this.index) continue;
      this.network.send(this.index, to, data);
    }
  }
}
