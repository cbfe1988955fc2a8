import { checkCertificate, type Crypto, DecodeError, equalBytes, type Hash32, invariant, type Prng } from '@shardlab/crosslink';
import { Pbft } from '../../src/consensus/pbft/pbft.ts';
import type { AgreedHead, ConsensusOutput, Proposal } from '../../src/consensus/types.ts';
import type { EventQueue } from './event-queue.ts';
import { CHAIN, GENESIS_HASH, GENESIS_HEAD, linkProposal, readLink } from './pbft-blocks.ts';

const TICK_MS = 10;
const PROPOSE_MS = 5;
const RETRANSMIT_MS = 100;
const DOUBLINGS_MAX = 5;

/** A final block as it is stored. */
export interface StoredBlock {
  readonly head: AgreedHead;
  readonly proposal: Proposal;
}

/** What a host needs of its network. */
export interface HostNetwork {
  readonly queue: EventQueue;
  readonly crypto: Crypto;
  readonly random: Prng;
  readonly size: number;
  readonly window: 1 | 2;
  readonly publicKeys: readonly Uint8Array[];
  /** What a leader is given at first. Too little makes views change in the middle of everything. */
  readonly timeoutMs: number;
  /** Highest height that is to be agreed on. */
  readonly target: number;
  /** Sends to everybody else, as badly as the network is at the time. */
  broadcast(from: number, data: Uint8Array): void;
  /** What a validator has stored; `undefined` = it is down or does not answer. */
  peer(from: number, to: number): PbftHost | undefined;
  /** A correct validator says that a block is decided. */
  decided(validator: number, block: StoredBlock): void;
}

/** One correct validator: the engine with a disk that syncs late and loses what it has not synced, an executor and timers. */
export class PbftHost {
  readonly index: number;
  readonly blocks: StoredBlock[] = [];
  readonly proposals = new Map<number, Proposal>();
  readonly warnings: string[] = [];
  engine: Pbft | undefined;
  /** Most proposals that its disk has held at a time. */
  proposalsMax = 0;
  private readonly network: HostNetwork;
  private readonly secretKey: Uint8Array;
  private state: Uint8Array | undefined;
  /** Writes in order, each with what comes after it. */
  private unsynced: { readonly write: () => void; readonly synced: () => void }[] = [];
  private syncing = false;
  /** Whatever was scheduled in an earlier life is void. */
  private life = 0;
  private proposing = false;
  private catching = false;
  private progress = -1;
  private movedMs = 0;
  private saidMs = 0;
  private failures = 0;

  constructor(index: number, secretKey: Uint8Array, network: HostNetwork) {
    this.index = index;
    this.secretKey = secretKey;
    this.network = network;
  }

  get head(): AgreedHead {
    return this.blocks.at(-1)?.head ?? GENESIS_HEAD;
  }

  start(): void {
    const { crypto, size, window, publicKeys } = this.network;
    const options = { genesisHash: GENESIS_HASH, chain: CHAIN, validator: this.index, size, secretKey: this.secretKey, window };
    const modules = { crypto, validators: () => publicKeys, readHeader: readLink };
    const proposals = [...this.proposals].map(([height, proposal]) => ({ height, proposal }));
    this.engine = new Pbft(options, modules, { head: this.head, state: this.state, proposals });
    this.movedMs = this.network.queue.nowMs;
    this.perform(this.engine.retransmit());
    this.tick();
  }

  /** Loses everything that is not synced; the host restarts only by {@link start}. */
  crash(): void {
    this.engine = undefined;
    this.life++;
    this.unsynced = [];
    this.syncing = false;
    this.proposing = false;
    this.catching = false;
    this.progress = -1;
    this.failures = 0;
  }

  receive(data: Uint8Array): void {
    if (this.engine === undefined) return;
    try {
      this.perform(this.engine.receive(data.slice()).outputs);
    } catch (error) {
      // A damaged message costs its sender, and nothing else.
      if (!(error instanceof DecodeError)) throw error;
    }
  }

  private after(delayMs: number, run: () => void): void {
    const { life } = this;
    this.network.queue.after(delayMs, () => {
      if (this.life === life) run();
    });
  }

  private tick(): void {
    this.after(TICK_MS, () => this.tick());
    const engine = this.engine!;
    const { nowMs } = this.network.queue;
    if (this.head.height >= this.network.target) return;
    this.propose(engine);
    if (engine.progress !== this.progress) {
      this.progress = engine.progress;
      this.movedMs = nowMs;
    }
    const quietMs = nowMs - this.movedMs;
    if (engine.patient && quietMs >= this.network.timeoutMs * 2 ** Math.min(this.failures, DOUBLINGS_MAX)) {
      this.failures++;
      this.movedMs = nowMs;
      this.perform(engine.suspect());
    } else if (quietMs >= RETRANSMIT_MS && nowMs - this.saidMs >= RETRANSMIT_MS) {
      this.saidMs = nowMs;
      this.perform(engine.retransmit());
    }
  }

  private propose(engine: Pbft): void {
    const { random, target } = this.network;
    for (let height = this.head.height + 1; height <= Math.min(target, this.head.height + 2); height++) {
      const parentHash = engine.mayPropose(height);
      if (parentHash === undefined || this.proposing) continue;
      this.proposing = true;
      const proposal = linkProposal({ epoch: 0, height, parentHash, proposer: this.index, salt: random.u32(), bad: false });
      this.after(random.below(PROPOSE_MS), () => {
        this.proposing = false;
        this.perform(engine.propose(proposal));
      });
    }
  }

  private perform(outputs: readonly ConsensusOutput[]): void {
    for (const output of outputs) this.one(output);
  }

  private one(output: ConsensusOutput): void {
    const { network } = this;
    const { random } = network;
    switch (output.kind) {
      case 'vote': {
        const write = (): void => {
          this.state = output.state.slice();
          for (const { height, proposal } of output.proposals) {
            if (proposal === undefined) this.proposals.delete(height);
            else this.proposals.set(height, proposal);
          }
          this.proposalsMax = Math.max(this.proposalsMax, this.proposals.size);
        };
        this.persist(write, () => this.broadcast(output.messages));
        break;
      }
      case 'send':
        this.broadcast(output.messages);
        break;
      case 'validate':
        this.after(random.below(PROPOSE_MS), () => {
          const { bad } = readLink(output.proposal.header);
          this.perform(this.engine!.validated(output.hash, !bad));
        });
        break;
      case 'decided': {
        const { epoch, height } = output.fields;
        const block = { head: { epoch, height, hash: output.hash, certificate: output.certificate }, proposal: output.proposal };
        network.decided(this.index, block);
        this.failures = 0;
        this.store(block);
        break;
      }
      case 'behind':
        this.catchUp(output.from);
        break;
      case 'fetch':
        this.fetch(output.height, output.hash, output.from, 0);
        break;
      case 'log':
        if (output.line.level === 'warn') this.warnings.push(output.line.event);
        break;
    }
  }

  private broadcast(messages: readonly Uint8Array[]): void {
    for (const data of messages) this.network.broadcast(this.index, data);
  }

  private persist(write: () => void, synced: () => void): void {
    this.unsynced.push({ write, synced });
    if (this.syncing) return;
    this.syncing = true;
    this.after(this.network.random.below(4), () => this.sync());
  }

  /** One sync for all that waits, as a group commit does. */
  private sync(): void {
    const batch = this.unsynced;
    this.unsynced = [];
    this.syncing = false;
    for (const { write } of batch) write();
    for (const { synced } of batch) synced();
  }

  private store(block: StoredBlock): void {
    const write = (): void => {
      if (block.head.height === this.head.height + 1) this.blocks.push(block);
    };
    this.persist(write, () => this.perform(this.engine!.finalised(this.head)));
  }

  /** Fetches certified blocks, checks them like a stranger's, and stores them. */
  private catchUp(from: number): void {
    if (this.catching) return;
    this.catching = true;
    const { random, queue, size } = this.network;
    const asked = random.below(3) === 0 ? random.below(size) : from;
    this.after(5 + random.below(20), () => {
      this.catching = false;
      const peer = asked === this.index ? undefined : this.network.peer(this.index, asked);
      for (const block of peer?.blocks.slice(this.head.height) ?? []) {
        invariant(this.checks(block), 'a stored block that is not certified', { nowMs: queue.nowMs });
        this.store(block);
      }
    });
  }

  private checks({ head, proposal }: StoredBlock): boolean {
    const { crypto, publicKeys } = this.network;
    if (head.certificate === undefined || !equalBytes(crypto.sha256(proposal.header), head.hash)) return false;
    const subject = { genesisHash: GENESIS_HASH, chain: CHAIN, epoch: head.epoch, height: head.height, phase: 'commit' as const, blockHash: head.hash };
    return checkCertificate(crypto, publicKeys, subject, head.certificate) === undefined;
  }

  private fetch(height: number, hash: Hash32, from: readonly number[], tries: number): void {
    const { crypto, random } = this.network;
    this.after(5 + random.below(20), () => {
      const proposal = this.network.peer(this.index, from[tries % from.length]!)?.proposals.get(height);
      if (proposal !== undefined && equalBytes(crypto.sha256(proposal.header), hash)) this.perform(this.engine!.supply(proposal));
      else if (tries < 20) this.fetch(height, hash, from, tries + 1);
    });
  }
}
