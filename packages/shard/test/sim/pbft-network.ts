import assert from 'node:assert/strict';
import { checkCertificate, type Crypto, equalBytes, Prng, toHex } from '@shardlab/crosslink';
import { decodeMessage } from '../../src/consensus/pbft/messages.ts';
import { EventQueue } from './event-queue.ts';
import { CHAIN, committeeKeys, GENESIS_HASH, GENESIS_HEAD, readLink } from './pbft-blocks.ts';
import { type HostNetwork, PbftHost, type StoredBlock } from './pbft-host.ts';
import { PbftVillain, type VillainNetwork } from './pbft-villain.ts';

/** How bad things are until they get good. */
export interface NetworkOptions {
  readonly seed: number;
  readonly size: number;
  readonly window: 1 | 2;
  /** Validators that lie, at most f; the last ones of the committee unless the seed says otherwise. */
  readonly villains: number;
  /** Until when messages are lost and validators crash, in virtual milliseconds. */
  readonly faultyMs: number;
  /** Share of messages lost, per cent. */
  readonly lossPercent: number;
  /** Share of votes lost besides, by phase: what makes some validators prepare, or decide, what others know nothing of. */
  readonly voteLoss?: { readonly prepare: number; readonly commit: number };
  /** Mean virtual time between crashes; 0 = none. */
  readonly crashEveryMs: number;
  readonly delayMaxMs: number;
  /** What a leader is given at first. */
  readonly timeoutMs: number;
  readonly target: number;
}

/** A committee in virtual time, with everything that must hold checked as it goes. */
export class PbftNetwork implements HostNetwork, VillainNetwork {
  readonly queue = new EventQueue(0);
  readonly random: Prng;
  readonly size: number;
  readonly window: 1 | 2;
  readonly target: number;
  readonly timeoutMs: number;
  readonly crypto: Crypto;
  readonly publicKeys: readonly Uint8Array[];
  readonly hosts = new Map<number, PbftHost>();
  readonly villains = new Map<number, PbftVillain>();
  readonly chain = new Map<number, StoredBlock>();
  readonly counts = { lost: 0, duplicated: 0, crashes: 0, partitions: 0, messages: 0 };
  private readonly options: NetworkOptions;
  /** What correct validators have voted for, by validator, view, height and phase: over all their lives. */
  private readonly votes = new Map<string, string>();
  /** The highest view that each correct validator has asked for. */
  private readonly promised = new Map<number, number>();
  private cut: ReadonlySet<number> = new Set();
  private healed = false;

  constructor(crypto: Crypto, options: NetworkOptions) {
    this.options = options;
    this.crypto = crypto;
    this.random = new Prng(options.seed);
    this.size = options.size;
    this.window = options.window;
    this.target = options.target;
    this.timeoutMs = options.timeoutMs;
    const keys = committeeKeys(crypto, options.size);
    this.publicKeys = keys.public;
    const order = Array.from({ length: options.size }, (_, index) => index);
    for (let i = order.length - 1; i > 0; i--) {
      const j = this.random.below(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    order.forEach((index, at) => {
      if (at < options.villains) this.villains.set(index, new PbftVillain(index, keys.secret[index]!, this));
      else this.hosts.set(index, new PbftHost(index, keys.secret[index]!, this));
    });
  }

  /** Runs the faults, heals, and runs until every correct validator has the target. Returns the virtual milliseconds that took after the heal. */
  run(limitMs: number): number {
    for (const host of this.hosts.values()) host.start();
    for (const villain of this.villains.values()) villain.start();
    if (this.options.crashEveryMs > 0) this.scheduleCrash();
    this.schedulePartition();
    this.queue.run(this.options.faultyMs, () => this.done());
    this.heal();
    const healedMs = this.queue.nowMs;
    const ended = this.queue.run(healedMs + limitMs, () => this.done());
    assert.ok(ended, `everybody gets to ${this.target}: ${this.describe()}`);
    return this.queue.nowMs - healedMs;
  }

  private done(): boolean {
    for (const host of this.hosts.values()) if (host.head.height < this.target) return false;
    return true;
  }

  /** Where everybody stands. */
  describe(): string {
    const states = [...this.hosts.values()].map(({ index, head, engine }) => `${index}: head ${head.height}, ${JSON.stringify(engine?.status ?? 'down')}`);
    return `${JSON.stringify(this.options)}, villains ${[...this.villains.keys()].join()}; ${states.join('; ')}`;
  }

  private heal(): void {
    this.healed = true;
    this.cut = new Set();
    for (const host of this.hosts.values()) if (host.engine === undefined) host.start();
  }

  private scheduleCrash(): void {
    this.queue.after(this.random.below(2 * this.options.crashEveryMs), () => {
      if (this.healed) return;
      const all = [...this.hosts.values()];
      for (const victim of this.random.below(5) === 0 ? all : [all[this.random.below(all.length)]!]) this.crash(victim);
      this.scheduleCrash();
    });
  }

  private crash(victim: PbftHost): void {
    if (victim.engine === undefined) return;
    this.counts.crashes++;
    victim.crash();
    this.queue.after(this.random.below(600), () => {
      if (victim.engine === undefined) victim.start();
    });
  }

  private schedulePartition(): void {
    this.queue.after(500 + this.random.below(2_000), () => {
      if (this.healed) return;
      this.counts.partitions++;
      this.cut = new Set(Array.from({ length: this.size }, (_, index) => index).filter(() => this.random.below(3) === 0));
      this.queue.after(this.random.below(1_000), () => {
        this.cut = new Set();
      });
      this.schedulePartition();
    });
  }

  broadcast(from: number, data: Uint8Array): void {
    this.watch(from, data);
    const loss = this.voteLossOf(data);
    for (let to = 0; to < this.size; to++) {
      if (to === from) continue;
      if (loss > 0 && this.random.below(100) < loss) this.counts.lost++;
      else this.send(from, to, data);
    }
  }

  private voteLossOf(data: Uint8Array): number {
    const { voteLoss } = this.options;
    if (voteLoss === undefined || this.healed) return 0;
    const message = decodeMessage(CHAIN, data);
    return message?.kind === 'vote' ? voteLoss[message.phase] : 0;
  }

  /** Sends to one validator. */
  send(from: number, to: number, data: Uint8Array): void {
    const { random, counts, options, healed, cut } = this;
    counts.messages++;
    if (!healed && (cut.has(from) !== cut.has(to) || random.below(100) < options.lossPercent)) {
      counts.lost++;
      return;
    }
    const copies = !healed && random.below(20) === 0 ? 2 : 1;
    counts.duplicated += copies - 1;
    for (let copy = 0; copy < copies; copy++) this.queue.after(1 + random.below(healed ? 10 : options.delayMaxMs), () => this.deliver(to, data));
  }

  private deliver(to: number, data: Uint8Array): void {
    this.hosts.get(to)?.receive(data);
    this.villains.get(to)?.receive(data);
  }

  peer(from: number, to: number): PbftHost | undefined {
    if (!this.healed && (this.cut.has(from) !== this.cut.has(to) || this.random.below(100) < this.options.lossPercent)) return undefined;
    const host = this.hosts.get(to);
    return host?.engine === undefined ? undefined : host;
  }

  /** A correct validator says one thing only, whatever happens to it. */
  private watch(from: number, data: Uint8Array): void {
    const message = decodeMessage(CHAIN, data);
    if (message?.kind === 'view-change') this.promised.set(from, Math.max(message.view, this.promised.get(from) ?? 0));
    if (message?.kind !== 'vote' && message?.kind !== 'proposal') return;
    if (message.view < (this.promised.get(from) ?? 0)) assert.fail(`validator ${from} votes in view ${message.view}, which it has left: ${this.describe()}`);
    const [height, phase, hash] = message.kind === 'vote' ? [message.height, message.phase, message.hash] : [readLink(message.proposal.header).height, 'prepare', this.crypto.sha256(message.proposal.header)];
    const key = `${from} ${message.view} ${height} ${phase}`;
    const said = this.votes.get(key);
    if (said !== undefined && said !== toHex(hash)) assert.fail(`validator ${key} votes twice: ${this.describe()}`);
    this.votes.set(key, toHex(hash));
  }

  decided(validator: number, block: StoredBlock): void {
    const { head, proposal } = block;
    const { parentHash, bad } = readLink(proposal.header);
    const fail = (what: string): never => assert.fail(`${what} by validator ${validator} at ${head.height}: ${this.describe()}`);
    if (bad) fail('a bad block is decided');
    const before = head.height === 1 ? GENESIS_HEAD : this.chain.get(head.height - 1)?.head;
    if (before === undefined || !equalBytes(parentHash, before.hash)) fail('the chain is broken');
    const known = this.chain.get(head.height);
    if (known !== undefined && !equalBytes(known.head.hash, head.hash)) fail('two decisions, the second');
    const subject = { genesisHash: GENESIS_HASH, chain: CHAIN, epoch: head.epoch, height: head.height, phase: 'commit' as const, blockHash: head.hash };
    const fault = checkCertificate(this.crypto, this.publicKeys, subject, head.certificate!);
    if (fault !== undefined) fail(fault);
    if (known === undefined) this.chain.set(head.height, block);
  }
}
