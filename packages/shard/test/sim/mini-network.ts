import {
  type Address,
  ascii,
  AssignmentTable,
  BEACON,
  beaconHash,
  concatBytes,
  type Crypto,
  decodeAnnouncement,
  decodeBatch,
  decodeBeaconBlock,
  decodeRequest,
  encodeHeader,
  type Genesis,
  type GenesisParameters,
  type Hash32,
  Prng,
  type ShardId,
  toHex,
  TOPICS,
  ZERO_HASH,
} from '@shardlab/crosslink';
import type { ExecutionCrypto } from '../../src/execution/block-executor.ts';
import type { Effect, SubmitResult } from '../../src/effects.ts';
import { genesisEntries } from '../../src/state/genesis-state.ts';
import { BALANCE, GENESIS_MS, testGenesis } from '../support/genesis.ts';
import { keylessAccount, keylessTransfer } from '../support/keyless.ts';
import { EventQueue } from './event-queue.ts';
import { MiniDisk } from './mini-disk.ts';
import { MiniNode } from './mini-node.ts';

/** What a test may choose. */
export interface MiniOptions {
  readonly seed: number;
  readonly shards: number;
  readonly accounts?: number;
  /** Share of gossip deliveries that are lost, and of requests that are. */
  readonly loss?: number;
  readonly parameters?: Partial<GenesisParameters>;
  /** Kills the node that is about to carry out this effect (counted over all nodes, from 1); it starts again after a while. */
  readonly crashAtEffect?: number;
}

interface Account {
  readonly secretKey: Uint8Array;
  readonly address: Address;
  readonly home: ShardId;
  nonce: number;
}

interface Sent {
  readonly raw: Uint8Array;
  readonly home: ShardId;
  hash: string | undefined;
}

const RESTART_MS = 700;
const RESUBMIT_MS = 1_500;

/** A beacon and some shards in virtual time, in one thread, with lossy gossip and crashes: the cores as they are, everything around them as plain as can be. */
export class MiniNetwork {
  readonly queue = new EventQueue(GENESIS_MS + 5_000);
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  readonly accounts: Account[];
  readonly supply: bigint;
  readonly nodes = new Map<ShardId, MiniNode>();
  readonly disks = new Map<ShardId, MiniDisk>();
  /** Codes of refusals that a client would have seen. */
  readonly rejections: string[] = [];
  effects = 0;
  crashes = 0;
  /** Everything that was published, for tests that forge from it. */
  readonly published: { readonly topic: string; readonly data: Uint8Array }[] = [];
  /** Chained over every effect of every node. */
  trace: Hash32 = ZERO_HASH;
  private readonly sent: Sent[] = [];
  private readonly options: MiniOptions;
  private readonly crypto: Crypto & ExecutionCrypto;
  private readonly prng: Prng;

  constructor(crypto: Crypto & ExecutionCrypto, options: MiniOptions) {
    this.crypto = crypto;
    this.options = options;
    this.prng = new Prng(options.seed);
    const made = Array.from({ length: options.accounts ?? 20 }, (_, index) => keylessAccount(crypto, index));
    const { genesis, hash } = testGenesis(crypto, { shards: options.shards, addresses: made.map(({ address }) => address), parameters: options.parameters ?? {} });
    this.genesis = genesis;
    this.genesisHash = hash;
    const table = new AssignmentTable(crypto, { shards: options.shards, overrides: [] });
    this.accounts = made.map((account) => ({ ...account, home: table.shardOf(account.address), nonce: 0 }));
    this.supply = BALANCE * BigInt(made.length);
    for (const chain of this.chains()) {
      this.disks.set(chain, new MiniDisk(crypto, chain === BEACON ? [] : genesisEntries(crypto, genesis, chain)));
    }
  }

  /** The beacon and all shards. */
  chains(): ShardId[] {
    return [BEACON, ...Array.from({ length: this.options.shards }, (_, shard) => shard as ShardId)];
  }

  shard(shard: number): MiniNode {
    return this.nodes.get(shard as ShardId)!;
  }

  disk(chain: number): MiniDisk {
    return this.disks.get(chain as ShardId)!;
  }

  startAll(): void {
    for (const chain of this.chains()) this.boot(chain);
  }

  /** Starts a node on what its disk holds. */
  boot(chain: ShardId): void {
    const { genesis, genesisHash, queue, prng } = this;
    const node = new MiniNode({ chain, genesis, genesisHash }, this.disks.get(chain)!, this.crypto, {
      nowMs: () => queue.nowMs,
      after: (delayMs, run) => queue.after(delayMs, () => (node.alive ? run() : undefined)),
      publish: (topic, data) => this.publish(chain, topic, data),
      request: (to, body, timeoutMs, done) => this.request(node, to, body, timeoutMs, done),
      effect: (effect) => this.effect(chain, effect),
      latencyMs: () => prng.below(6),
    });
    this.nodes.set(chain, node);
    node.feed({ kind: 'start' });
  }

  /** `kill -9`: what is not on the disk is gone. */
  crash(chain: ShardId): void {
    this.crashes++;
    this.nodes.get(chain)!.alive = false;
    this.queue.after(RESTART_MS, () => this.boot(chain));
  }

  private effect(chain: ShardId, effect: Effect): boolean {
    this.effects++;
    this.trace = this.crypto.sha256(concatBytes(this.trace, ascii(`${this.queue.nowMs} ${chain} ${describe(effect)}`)));
    if (effect.kind === 'publish') this.checkDurable(chain, effect.topic, effect.data);
    if (this.effects !== this.options.crashAtEffect) return true;
    this.crash(chain);
    return false;
  }

  /** R2: what leaves a node rests on what is written. */
  private checkDurable(chain: ShardId, topic: string, data: Uint8Array): void {
    if (topic === TOPICS.beacon) {
      const { header } = decodeBeaconBlock(data);
      const stored = this.disk(chain).beaconBlocks[header.height - 1];
      if (stored === undefined || toHex(beaconHash(this.crypto, stored.header)) !== toHex(beaconHash(this.crypto, header))) throw new Error('a beacon block left before it was stored');
      return;
    }
    const { header } = topic === TOPICS.headers || topic === TOPICS.crosslinks ? decodeAnnouncement(data) : decodeBatch(data);
    const stored = this.disk(chain).blocks[header.height - 1]?.block.header;
    if (stored === undefined || toHex(encodeHeader(stored)) !== toHex(encodeHeader(header))) throw new Error('a block left before it was stored');
  }

  private lost(): boolean {
    return this.prng.float() < (this.options.loss ?? 0);
  }

  private publish(from: ShardId, topic: string, data: Uint8Array): void {
    this.published.push({ topic, data });
    for (const chain of this.chains()) {
      const listens = (chain === BEACON && topic === TOPICS.crosslinks) || (chain !== BEACON && (topic === TOPICS.headers || topic === TOPICS.beacon || topic === TOPICS.receipts(chain)));
      if (chain === from || !listens || this.lost()) continue;
      const copies = this.prng.below(10) === 0 ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        this.queue.after(1 + this.prng.below(30), () => {
          const node = this.nodes.get(chain);
          if (node?.alive === true) node.gossip(topic, data.slice());
        });
      }
    }
  }

  private request(from: MiniNode, to: ShardId, body: Uint8Array, timeoutMs: number, done: (items: Uint8Array[] | undefined) => void): void {
    const answer = (delayMs: number, items: Uint8Array[] | undefined): void => this.queue.after(delayMs, () => (from.alive ? done(items) : undefined));
    if (this.lost()) return answer(timeoutMs, undefined);
    this.queue.after(1 + this.prng.below(10), () => {
      const node = this.nodes.get(to);
      answer(1 + this.prng.below(10), node?.alive === true ? this.disks.get(to)!.serve(decodeRequest(body)) : undefined);
    });
  }

  /** Sends a random transfer; it is offered again until it has a receipt. */
  sendRandom(): void {
    const from = this.accounts[this.prng.below(this.accounts.length)]!;
    const to = this.accounts[this.prng.below(this.accounts.length)]!;
    this.send(from, to.address, BigInt(1 + this.prng.below(1_000)));
  }

  send(from: Account, to: Address, value: bigint): void {
    const raw = keylessTransfer(this.crypto, from.secretKey, to, from.nonce++, value);
    const sent: Sent = { raw, home: from.home, hash: undefined };
    this.sent.push(sent);
    this.offer(sent);
  }

  private offer(sent: Sent): void {
    const node = this.nodes.get(sent.home);
    if (sent.hash !== undefined && this.receipts().has(sent.hash)) return;
    if (node?.alive === true) node.submit([sent.raw], ([result]) => this.offered(sent, result!));
    this.queue.after(RESUBMIT_MS, () => this.offer(sent));
  }

  private offered(sent: Sent, { hash, rejection }: SubmitResult): void {
    if (hash !== undefined) sent.hash = toHex(hash);
    if (rejection !== undefined && rejection.code !== 'already-known' && rejection.code !== 'nonce-too-low') this.rejections.push(rejection.code);
  }

  /** Outcomes of all transactions that are listed in a stored block. Throws if one is listed twice. */
  receipts(): Map<string, string> {
    const found = new Map<string, string>();
    for (const [chain, disk] of this.disks) {
      if (chain === BEACON) continue;
      for (const { block } of disk.blocks) {
        for (const { txHash, crossShard, status } of block.receipts) {
          const key = toHex(txHash);
          if (found.has(key)) throw new Error(`${key} is listed twice`);
          found.set(key, `${crossShard ? 'cross' : 'local'}/${status}`);
        }
      }
    }
    return found;
  }

  /** Whether every transfer that was sent has ended, as stored blocks say. */
  settled(): boolean {
    const receipts = this.receipts();
    return this.sent.every(({ hash }) => hash !== undefined && receipts.has(hash));
  }

  /** Balances + escrow + burned + in flight, by the stored heads: the supply, when every pair's messages are consumed. */
  books(): { sum: bigint; escrow: bigint; openMessages: number } {
    let sum = 0n;
    let escrow = 0n;
    let openMessages = 0;
    for (const [chain, disk] of this.disks) {
      const last = disk.blocks.at(-1)?.block;
      if (chain === BEACON || last === undefined) continue;
      const { totals } = last.header;
      sum += totals.balances + totals.escrow + totals.burned;
      escrow += totals.escrow;
      for (const pair of last.body.pairs) {
        sum += pair.sentValue - pair.receivedValue;
        openMessages += pair.sentSequence;
        openMessages -= pair.consumedSequence;
      }
    }
    return { sum, escrow, openMessages };
  }
}

/** An effect's whole contents in short. */
function describe(effect: Effect): string {
  switch (effect.kind) {
    case 'recover-senders':
      return `recover ${effect.request} ${effect.raws.map(toHex).join()}`;
    case 'execute-block': {
      const { height, timestampMs, epoch, inbox, transactions } = effect.proposal;
      const segments = inbox.map((each) => `${each.source}:${each.firstSequence}+${each.messages.length}`);
      return `execute ${effect.request} ${height} ${timestampMs} ${epoch} ${segments.join()} ${transactions.map((tx) => toHex(tx.hash)).join()}`;
    }
    case 'persist':
      return `persist ${effect.request} ${effect.record.kind === 'shard-block' ? toHex(effect.record.block.hash) : effect.record.kind === 'beacon-block' ? toHex(effect.record.hash) : effect.record.kind}`;
    case 'publish':
      return `publish ${effect.topic} ${toHex(effect.data)}`;
    case 'request':
      return `request ${effect.request} ${effect.to.chain} ${toHex(effect.body)} ${effect.timeoutMs}`;
    case 'set-timer':
      return `timer ${effect.timer} ${effect.delayMs}`;
    case 'reply':
      return `reply ${effect.token} ${effect.results.map(({ hash, rejection }) => `${hash === undefined ? '' : toHex(hash)}/${rejection?.code ?? ''}`).join()}`;
    case 'verdict':
      return `verdict ${effect.token} ${effect.verdict.kind}`;
    case 'penalise':
      return `penalise ${effect.to.chain} ${effect.reason}`;
    case 'log':
      return `log ${effect.line.event} ${Object.entries(effect.line.fields).map(([key, value]) => `${key}=${String(value)}`).join()}`;
  }
}
