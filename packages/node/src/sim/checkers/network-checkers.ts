import { AssignmentTable, BEACON, bytesKey, type Crypto, equalBytes, type Genesis, genesisHash, type Hash32 } from '@shardlab/crosslink';
import type { PersistRecord } from '@shardlab/shard';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';
import { AtomicityChecker } from './atomicity-checker.ts';
import { BeaconChecker } from './beacon-checker.ts';
import { ChainChecker } from './chain-checker.ts';
import { SerialOracle } from './serial-oracle.ts';
import { SerializabilityChecker } from './serializability-checker.ts';
import { SequenceChecker } from './sequence-checker.ts';
import { StateChecker } from './state-checker.ts';
import { SupplyChecker } from './supply-checker.ts';
import { type BlockChecker, Violations } from './violations.ts';

/**
 * All checkers of one network. They see what nodes store, in the order in which it becomes durable, and nothing else: {@link observe} is the simulated cluster's
 * hook `stored`. Of the project they use crosslink's codecs and verifiers alone.
 *
 * What must hold, always (design), and who finds it broken:
 * | property | checker |
 * |---|---|
 * | 1. supply on every consistent cut | `SupplyChecker`, `StateChecker` |
 * | 2. one decision per transaction, never mixed | `AtomicityChecker`; one block a height: {@link observe}, `ChainChecker` |
 * | 3. commit only if all voted yes | `AtomicityChecker` |
 * | 4. no lock at rest | `StateChecker`, and the swarm's look at each node |
 * | 5. each (source, destination, sequence) applied once | `SequenceChecker` |
 * | 6. strict serializability | `SerialOracle` (replay), `SerializabilityChecker` (cycles) |
 * | 7. the same root on every replica | {@link observe}: another root is another hash; `StateChecker` recomputes it at rest |
 * | 8. one owner per account and epoch | `StateChecker` |
 * | 9. after a heal every transaction ends | `AtomicityChecker.atRest`, and the swarm's deadline |
 */
export class NetworkCheckers {
  readonly violations = new Violations();
  readonly chain: ChainChecker;
  readonly state: StateChecker;
  readonly supply: SupplyChecker;
  readonly sequences: SequenceChecker;
  readonly atomicity: AtomicityChecker;
  readonly beacon: BeaconChecker;
  readonly serial: SerialOracle;
  readonly serializability: SerializabilityChecker;
  private readonly all: readonly BlockChecker[];
  private readonly stored = new Map<string, string>();

  constructor(options: { readonly genesis: Genesis }, modules: { readonly crypto: Crypto }) {
    const { genesis } = options;
    const { crypto } = modules;
    const { violations } = this;
    const network = { genesis, genesisHash: genesisHash(crypto, genesis) };
    const shared = { crypto, hasher: crypto, violations };
    this.chain = new ChainChecker(network, shared);
    this.state = new StateChecker({ genesis }, shared);
    this.supply = new SupplyChecker({ genesis, genesisHeld: genesisHeld(crypto, genesis) }, shared);
    this.sequences = new SequenceChecker(shared);
    this.atomicity = new AtomicityChecker(shared);
    this.beacon = new BeaconChecker(network, shared);
    this.serial = new SerialOracle({ genesis }, shared);
    this.serializability = new SerializabilityChecker(shared);
    this.all = [this.chain, this.state, this.supply, this.sequences, this.atomicity, this.beacon, this.serial, this.serializability];
  }

  /** A node has stored a record. */
  observe(node: NodeName, record: PersistRecord): void {
    if (record.kind === 'votes' || record.kind === 'snapshot' || this.seenBefore(node, record)) return;
    if (record.kind === 'shard-block') {
      if (record.block.header.shard !== node.chain) this.violations.add('nodes', `${nodeLabel(node)} stores a block of shard ${record.block.header.shard}`);
      for (const checker of this.all) checker.block(record);
    } else if (node.chain === BEACON) this.beacon.own(record.block, record.hash);
    else this.beacon.follower(nodeLabel(node), record.block, record.hash);
  }

  /** Each validator stores each block of its chain: the first is judged, the others must be the same. */
  private seenBefore(node: NodeName, record: Extract<PersistRecord, { kind: 'shard-block' | 'beacon-block' }>): boolean {
    const { height } = record.block.header;
    const hash = bytesKey(record.kind === 'shard-block' ? record.block.hash : record.hash);
    const own = record.kind === 'shard-block' || node.chain === BEACON;
    const key = own ? `${node.chain}/${height}` : `${nodeLabel(node)}/${height}`;
    const before = this.stored.get(key);
    const mine = `${nodeLabel(node)}/${record.kind}/${height}`;
    // A validator that stores a height again is judged again, and found.
    if (this.stored.has(mine)) return false;
    this.stored.set(mine, hash);
    this.stored.set(key, hash);
    if (before !== undefined && before !== hash) this.violations.add('nodes', `${nodeLabel(node)} stores another block ${height} than the rest of its committee`);
    return before !== undefined;
  }

  /** What a node says its final block is must be the last one that it has stored. */
  finalHead({ chain: shard }: NodeName, height: number, hash: Hash32): void {
    const stored = this.chain.tip(shard);
    if (height === 0 && stored === undefined) return;
    if (stored === undefined || !equalBytes(stored, hash)) this.violations.add('nodes', `shard ${shard} calls block ${height} final, which it has not stored last`);
  }

  /** Whether no transaction is open and no message on its way. */
  get quiet(): boolean {
    return this.atomicity.openCount === 0 && this.sequences.underway === 0;
  }

  /** Nothing is under way any more, so nothing may be left over. */
  atRest(): void {
    for (const checker of this.all) checker.atRest();
  }
}

function genesisHeld(crypto: Crypto, genesis: Genesis): bigint[] {
  const table = new AssignmentTable(crypto, { shards: genesis.shards, overrides: [] });
  const held = new Array<bigint>(genesis.shards).fill(0n);
  for (const { address, balance } of genesis.allocation) held[table.shardOf(address)]! += balance;
  return held;
}
