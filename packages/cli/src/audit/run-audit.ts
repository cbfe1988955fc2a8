import { type Crypto, equalBytes, ShardlabError, toHex } from '@shardlab/crosslink';
import { BeaconWalk } from './beacon-walk.ts';
import { CrossShardBook } from './cross-shard-book.ts';
import { type CutShard, findCut, unpinAll } from './cut.ts';
import { Findings } from './findings.ts';
import { checkForks } from './fork-check.ts';
import { checkInvariants, type InvariantName } from './invariants.ts';
import { auditLedger, type LedgerEntry, readLedgers } from './ledger.ts';
import { MessageBook } from './message-log.ts';
import { fetchGenesis, type NetworkGenesis } from './network-genesis.ts';
import { type AuditReport, makeReport, type Sums } from './report.ts';
import { ShardWalk, type WalkModules } from './shard-walk.ts';
import { Source } from './source.ts';
import { auditState, type ShardBooks } from './state-books.ts';
import { auditStateProofs } from './state-proofs.ts';
import { TransactionBook } from './transaction-book.ts';
import { readWorkloadFile } from './workload-file.ts';

/** How long one call may take by default. */
const CALL_TIMEOUT_MS = 30_000;
/** Blocks between two progress lines. */
const PROGRESS_BLOCKS = 64;

/** What to audit, and with what. */
export interface AuditOptions {
  /** Base URL of any node of the network. */
  readonly rpcUrl: string;
  /** Base URLs of nodes of single shards: for shards that the node at `rpcUrl` can not reach. */
  readonly shardUrls?: ReadonlyMap<number, string>;
  /** What loaders believe, to be recounted. */
  readonly ledger?: AsyncIterable<LedgerEntry> | Iterable<LedgerEntry>;
  /** Ledgers as files, as load runs write them. */
  readonly ledgerFiles?: readonly string[];
  /** `workload.json` of the network's directory: what contracts there are to check; it need not exist. */
  readonly workloadFile?: string | undefined;
  /** For one try of one call, in milliseconds; default 30,000. */
  readonly timeoutMs?: number;
  /** Calls the audit off: it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Told what the audit is at, one line at a time. */
  readonly onProgress?: (text: string) => void;
}

/** What the audit runs on. */
export interface AuditModules {
  /** Hashes, and the signature scheme of the validators. */
  readonly crypto: Crypto;
}

/**
 * Audits a network from outside, over JSON-RPC alone: downloads every leaf of every shard at a consistent cut and every block up to it, and checks the books,
 * the chains, the messages, the cross-shard transactions and the proofs. Of the project it shares nothing with the nodes but crosslink's codecs and verifier.
 * Resolves with a report whatever is found; rejects with `audit/unreachable` when a shard can not be reached, `audit/bad-answer` or `audit/rpc` when a node
 * does not speak the protocol, `audit/ledger`, `genesis/invalid`, or the signal's reason.
 */
export async function runAudit(options: AuditOptions, modules: AuditModules): Promise<AuditReport> {
  const { rpcUrl, shardUrls = new Map<number, string>(), timeoutMs = CALL_TIMEOUT_MS, signal } = options;
  for (const url of [rpcUrl, ...shardUrls.values()]) {
    if (!URL.canParse(url)) throw new ShardlabError('audit/url', `not the URL of a node: ${url} (it looks like http://127.0.0.1:8545)`);
  }
  const source = new Source({ rpcUrl, shardUrls, timeoutMs, signal });
  const findings = new Findings();
  const progress = options.onProgress ?? ((): void => undefined);
  progress('reading the genesis');
  const network = await fetchGenesis(source, modules.crypto, findings);
  return new Audit(options, { source, findings, progress, crypto: modules.crypto, network }).run();
}

interface Parts {
  readonly source: Source;
  readonly findings: Findings;
  readonly progress: (text: string) => void;
  readonly crypto: Crypto;
  readonly network: NetworkGenesis;
}

/** One run, step by step. */
class Audit {
  private readonly options: AuditOptions;
  private readonly parts: Parts;
  private readonly modules: WalkModules;

  constructor(options: AuditOptions, parts: Parts) {
    const { network, crypto, findings } = parts;
    this.options = options;
    this.parts = parts;
    this.modules = {
      network,
      crypto,
      findings,
      beacon: new BeaconWalk(network, parts),
      messages: new MessageBook(findings),
      crossShard: new CrossShardBook(network.genesis.chainId, parts),
      transactions: new TransactionBook(findings),
    };
  }

  async run(): Promise<AuditReport> {
    const { source, crypto, network, findings, progress } = this.parts;
    progress('looking for a consistent cut');
    const cut = await findCut({ source, hasher: crypto, network });
    // States first: nodes can go back to the cut for a limited time, while blocks stay.
    const books = await this.readStates(cut);
    progress('reading the beacon chain');
    await this.modules.beacon.advance();
    const stateProofs = await auditStateProofs(network, cut.map((shard) => shard.headHeight), { ...this.modules, source });
    const walks: ShardWalk[] = [];
    for (const shard of cut) walks.push(await this.walk(shard));
    const sums = this.sums(cut, books, walks);
    this.modules.messages.compare();
    this.modules.crossShard.judge(books);
    const ledger = await this.recountLedger(cut, walks);
    const contracts = await this.checkContracts();
    progress('comparing validators');
    const compared = await checkForks({ source, hasher: crypto, findings, genesisHash: network.hash });
    const total = (of: (walk: ShardWalk) => number): number => walks.reduce((sum, walk) => sum + of(walk), 0);
    return makeReport(
      sums,
      {
        crossShard: this.modules.crossShard.size,
        locks: { held: books.reduce((sum, each) => sum + each.locksHeld, 0), stuck: books.reduce((sum, each) => sum + each.locksStuck, 0) },
        sequences: this.modules.messages.totals(),
        proofs: { batchesChecked: total((walk) => walk.batchesChecked) + stateProofs.checked, bad: total((walk) => walk.batchesBad) + stateProofs.bad },
        ledger,
        contracts,
        validators: { compared, forks: findings.count('fork') },
        blocks: total((walk) => walk.blocks),
        transactions: total((walk) => walk.transactions),
        reverted: this.modules.transactions.reverted,
        beaconBlocks: this.modules.beacon.height,
        cut: Object.fromEntries(cut.map(({ header }) => [String(header.shard), header.height])),
      },
      findings,
    );
  }

  private async readStates(cut: readonly CutShard[]): Promise<ShardBooks[]> {
    const { source, network, progress } = this.parts;
    const books: ShardBooks[] = [];
    try {
      for (const shard of cut) {
        progress(`reading the state of shard ${shard.header.shard} at height ${shard.header.height}`);
        books.push(await auditState(shard, network.genesis.parameters.deadlineMs, this.parts));
      }
    } finally {
      await unpinAll(source, cut.map((shard) => shard.pin));
    }
    return books;
  }

  private async walk(cut: CutShard): Promise<ShardWalk> {
    const { source, findings, progress } = this.parts;
    const { shard, height } = cut.header;
    const walk = new ShardWalk(shard, this.modules);
    for await (const data of source.blocks(shard, 1, height)) {
      source.checkCancelled();
      await walk.take(data);
      if (walk.blocks % PROGRESS_BLOCKS === 0) progress(`walking shard ${shard}: block ${walk.blocks} of ${height}, ${walk.transactions} transactions`);
    }
    const { header, hash } = walk.tip;
    if (!equalBytes(hash, cut.hash)) findings.add('block-changed', 'the chain does not lead to the block that the node gave for this height before', { shard, height: header.height, hash: cut.hash });
    return walk;
  }

  /** In flight is what commit Decisions took away from one shard and did not bring to another yet; the header's burned must be the receipts' fees. */
  private sums(cut: readonly CutShard[], books: readonly ShardBooks[], walks: readonly ShardWalk[]): Sums {
    const { network, findings } = this.parts;
    let inFlight = 0n;
    for (const { header, pairs } of cut) {
      for (const { shard: peer, sentValue } of pairs) {
        const received = cut[peer]?.pairs.find((entry) => entry.shard === header.shard)?.receivedValue ?? 0n;
        if (received > sentValue) findings.add('in-flight', `shard ${peer} received ${received - sentValue} wei more than shard ${header.shard} sent it`, { shard: peer, height: cut[peer]!.header.height });
        inFlight += sentValue - received;
      }
    }
    return {
      genesis: network.supply,
      balances: books.reduce((sum, each) => sum + each.balances, 0n),
      escrow: books.reduce((sum, each) => sum + each.escrow, 0n),
      inFlight,
      burned: walks.reduce((sum, walk) => sum + walk.fees, 0n),
    };
  }

  /** A loader has seen blocks up to the heads: those above the cut are walked for their outcomes. */
  private async recountLedger(cut: readonly CutShard[], walks: readonly ShardWalk[]): Promise<AuditReport['ledger']> {
    const { ledger, ledgerFiles = [] } = this.options;
    const { source, findings, progress, network } = this.parts;
    if (ledger === undefined && ledgerFiles.length === 0) return { checked: 0, violations: 0 };
    progress('recounting the ledger');
    for (const [index, walk] of walks.entries()) {
      const { header, headHeight } = cut[index]!;
      for await (const data of source.blocks(walk.shard, header.height + 1, headHeight)) await walk.take(data, true);
    }
    const given = await auditLedger(ledger ?? [], this.modules.transactions, findings);
    const files = await auditLedger(readLedgers(ledgerFiles, toHex(network.hash)), this.modules.transactions, findings);
    return { checked: given.checked + files.checked, violations: files.violations };
  }

  /** What holds of the contracts that load runs have left, at the shards' heads. */
  private async checkContracts(): Promise<AuditReport['contracts']> {
    const { source, findings, progress, network } = this.parts;
    const { workloadFile } = this.options;
    const file = workloadFile === undefined ? undefined : readWorkloadFile(workloadFile, toHex(network.hash));
    const invariants: Partial<Record<InvariantName, boolean>> = {};
    for (const run of file?.runs ?? []) {
      progress(`checking the contracts of the workload ${run.name}`);
      const { ok, violations } = await checkInvariants(run, source);
      for (const [name, holds] of Object.entries(ok) as [InvariantName, boolean][]) invariants[name] = (invariants[name] ?? true) && holds;
      for (const { name, shard, message } of violations) findings.add(name, message, { shard });
    }
    return { runs: file?.runs.length ?? 0, invariants, violations: findings.area('contracts') };
  }
}
