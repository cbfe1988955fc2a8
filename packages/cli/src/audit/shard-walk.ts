import {
  type Block,
  type CrossShardMessage,
  decodeBlock,
  decodeMessage,
  DecodeError,
  headerHash,
  type Outgoing,
  type PairTable,
} from '@shardlab/crosslink';
import { checkReceipts, checkRoots } from './block-check.ts';
import type { CrossShardBook } from './cross-shard-book.ts';
import type { Place } from './findings.ts';
import { checkHeader, type HeaderModules, type KnownHeader } from './header-check.ts';
import type { BlockOrigin, MessageBook } from './message-log.ts';
import { sameHash } from './network-genesis.ts';
import { checkOutgoing, messageHashes } from './outgoing-check.ts';
import { checkPairTable, PairMoves } from './pair-check.ts';
import { hashKey, type TransactionBook } from './transaction-book.ts';

/** The books that the walks of all shards write to. */
export interface WalkModules extends HeaderModules {
  readonly messages: MessageBook;
  readonly crossShard: CrossShardBook;
  readonly transactions: TransactionBook;
}

/** Messages with wei: commits of what was prepared, and credits from contracts (R12). */
function carriesValue(message: CrossShardMessage): message is Extract<CrossShardMessage, { value: bigint }> {
  return message.kind === 'credit' || (message.kind === 'decision' && message.commit);
}

/** Walks one shard's chain from its genesis, block by block, checks each against what came before, and writes down what later checks compare. */
export class ShardWalk {
  readonly shard: number;
  /** Blocks, listed transactions and receipt batches so far. */
  blocks = 0;
  transactions = 0;
  batchesChecked = 0;
  batchesBad = 0;
  /** Wei of the fees that all receipts so far charge. */
  fees = 0n;
  private readonly modules: WalkModules;
  private readonly supply: bigint;
  private parent: KnownHeader;
  private pairs: PairTable;
  private broken = false;
  /** By how much the last header's totals were off. */
  private drift = { total: 0n, burned: 0n };

  constructor(shard: number, modules: WalkModules) {
    const start = modules.network.starts[shard]!;
    this.shard = shard;
    this.modules = modules;
    this.supply = start.header.totals.balances;
    this.parent = start;
    this.pairs = start.pairs;
  }

  /** The last block that was walked. */
  get tip(): KnownHeader {
    return this.parent;
  }

  /** Pair table of the last block. */
  get table(): PairTable {
    return this.pairs;
  }

  /** Checks the next block. `beyondCut`: only header, roots and transactions, for outcomes younger than the cut. */
  async take(data: Uint8Array, beyondCut = false): Promise<void> {
    if (this.broken) return;
    const block = this.decode(data);
    if (block === undefined) return;
    await this.modules.beacon.seek(block.header.epoch);
    const { crypto, findings, beacon } = this.modules;
    const { header } = block;
    const hash = headerHash(crypto, header);
    const place = { shard: this.shard, height: header.height, hash };
    const own = { header, hash };
    const uncertified = checkHeader(this.modules, this.parent, own, block.certificate);
    const hashes = block.body.transactions.map((raw) => crypto.keccak256(raw));
    checkRoots(crypto, block, hashes, place, findings);
    const crosslinked = beacon.crosslinked(this.shard, header.height);
    if (crosslinked !== undefined && !sameHash(crosslinked, hash)) findings.add('crosslink', 'the beacon recorded another block of this height', place);
    this.fees += checkReceipts(block, this.parent.header.totals.transactions, place, findings);
    hashes.forEach((each, index) => this.modules.transactions.takeIn(this.shard, header.height, index, each));
    for (const receipt of block.receipts) this.modules.transactions.list(this.shard, header.height, receipt);
    if (!beyondCut) this.takeWhole(block, own, hashes, uncertified);
    this.parent = own;
    this.pairs = block.body.pairs;
  }

  private decode(data: Uint8Array): Block | undefined {
    const { findings, network } = this.modules;
    const height = this.parent.header.height + 1;
    const place = { shard: this.shard, height };
    let block: Block;
    try {
      block = decodeBlock(data);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      findings.add('block-encoding', `what the node serves is not a block (${error.code}); nothing after it was checked`, place);
      this.broken = true;
      return undefined;
    }
    const { header } = block;
    if (header.height === height && header.shard === this.shard && header.chainId === network.genesis.chainId) return block;
    findings.add('block-place', `the node serves block ${header.height} of shard ${header.shard}, chain ${header.chainId}; nothing after it was checked`, place);
    this.broken = true;
    return undefined;
  }

  private takeWhole(block: Block, own: KnownHeader, hashes: readonly Uint8Array[], uncertified: string | undefined): void {
    const { crypto, findings } = this.modules;
    const place = { shard: this.shard, height: own.header.height, hash: own.hash };
    this.blocks++;
    this.transactions += block.receipts.length;
    const { checked, bad, hashes: outgoingHashes } = checkOutgoing(crypto, block, uncertified, place, findings);
    this.batchesChecked += checked;
    this.batchesBad += bad;
    const moves = new PairMoves(this.pairs);
    this.takeInbox(block, moves, place);
    const prepared = new Set<string>();
    const origin = { height: block.header.height, hash: own.hash, timestampMs: block.header.timestampMs };
    block.outgoing.forEach((outgoing, index) => {
      this.modules.messages.send(this.shard, outgoing.destination, outgoing.firstSequence, outgoingHashes[index]!, origin);
      this.takeOutgoing(origin, outgoing, moves, prepared, place);
    });
    checkPairTable(moves, block.body.pairs, place, findings);
    this.checkMoney(block, place);
    this.checkTransactions(block, hashes, prepared, place);
  }

  private takeInbox(block: Block, moves: PairMoves, place: Place): void {
    const { header, body } = block;
    const { messages, crossShard, crypto, findings } = this.modules;
    let last = { source: -1, sequence: 0 };
    for (const { source, sourceHeight, sourceHash, sourceTimestampMs, firstSequence, messages: encoded } of body.inbox) {
      if (source < last.source || (source === last.source && firstSequence <= last.sequence)) findings.add('inbox-order', 'the inbox is not in order of source and sequence', place);
      last = { source, sequence: firstSequence + encoded.length - 1 };
      const origin = { height: sourceHeight, hash: sourceHash, timestampMs: sourceTimestampMs };
      messages.consume(source, this.shard, firstSequence, messageHashes(crypto, firstSequence, encoded), origin, header.height);
      moves.consumed(source, encoded.length);
      const at = { shard: this.shard, peer: source, height: header.height, timestampMs: header.timestampMs };
      for (const data of encoded) {
        const message = this.message(data, place);
        if (message === undefined) continue;
        crossShard.consumed(at, message);
        if (carriesValue(message)) moves.received(source, message.value);
      }
    }
  }

  private takeOutgoing(origin: BlockOrigin, { destination, messages: encoded }: Outgoing, moves: PairMoves, prepared: Set<string>, place: Place): void {
    const { crossShard } = this.modules;
    moves.sent(destination, encoded.length);
    const at = { shard: this.shard, peer: destination, height: origin.height, timestampMs: origin.timestampMs };
    for (const data of encoded) {
      const message = this.message(data, place);
      if (message === undefined) continue;
      crossShard.sent(at, message);
      if (carriesValue(message)) moves.gave(destination, message.value);
      if (message.kind === 'prepare' && message.attempt === 0) prepared.add(hashKey(message.txHash));
    }
  }

  private message(data: Uint8Array, place: Place): CrossShardMessage | undefined {
    try {
      return decodeMessage(data);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.modules.findings.add('message-encoding', `a message that is none (${error.code})`, place);
      return undefined;
    }
  }

  /**
   * R12, R15: within a shard nothing but a commit Decision or a credit, sent or consumed, changes the sum of balances, escrow and burned; and only fees are burned. A
   * difference is reported where it arises, not again in every block after it.
   */
  private checkMoney(block: Block, place: Place): void {
    const { balances, escrow, burned } = block.header.totals;
    const { findings } = this.modules;
    const net = block.body.pairs.reduce((sum, pair) => sum + pair.sentValue - pair.receivedValue, 0n);
    const difference = balances + escrow + burned + net - this.supply;
    if (difference !== this.drift.total) findings.add('conservation', `the header's totals are off by ${difference} wei from the shard's genesis and what crossed`, place);
    const unpaid = burned - this.fees;
    if (unpaid !== this.drift.burned) findings.add('burned', `${burned} wei burned by the header, ${this.fees} wei of fees by the receipts`, place);
    this.drift = { total: difference, burned: unpaid };
  }

  /** Each transaction of a body is listed in the same block, or begins to cross shards in it; and nothing begins without one. */
  private checkTransactions(block: Block, hashes: readonly Uint8Array[], prepared: Set<string>, place: Place): void {
    const listed = new Set<string>();
    for (const receipt of block.receipts) {
      if (receipt.crossShard) this.modules.crossShard.listed(this.shard, block.header.height, receipt);
      // An atomic batch within one shard ends in its block, without a Prepare.
      const endsHere = !receipt.crossShard || (receipt.bodyHeight === block.header.height && !prepared.has(hashKey(receipt.txHash)));
      if (endsHere) listed.add(hashKey(receipt.txHash));
    }
    for (const hash of hashes) {
      const key = hashKey(hash);
      if (listed.has(key) === prepared.delete(key)) {
        this.modules.findings.add('transaction-lost', 'a transaction of the body is neither listed nor prepared (or both)', { ...place, hash });
      }
    }
    for (const key of prepared) {
      this.modules.findings.add('transaction-lost', 'a Prepare of a transaction that the body does not have', { ...place, hash: Buffer.from(key, 'latin1') });
    }
  }
}
