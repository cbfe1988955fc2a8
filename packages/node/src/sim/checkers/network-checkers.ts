import { AssignmentTable, BEACON, type Crypto, type Genesis, genesisHash, type Hash32 } from '@shardlab/crosslink';
import type { PersistRecord, RecoveryPrimitives } from '@shardlab/shard';
import { nodeLabel } from '../../network/names.ts';
import type { NodeName } from '../../ports.ts';
import { AtomicityChecker } from './atomicity-checker.ts';
import { BeaconChecker } from './beacon-checker.ts';
import { ChainChecker } from './chain-checker.ts';
import { CommitteeChecker } from './committee-checker.ts';
import { LockAgeChecker } from './lock-age-checker.ts';
import { SerialOracle } from './serial-oracle.ts';
import { SerializabilityChecker } from './serializability-checker.ts';
import { RequestPaceChecker } from './request-pace-checker.ts';
import { SequenceChecker } from './sequence-checker.ts';
import { StateChecker } from './state-checker.ts';
import { SupplyChecker } from './supply-checker.ts';
import { type BlockChecker, Violations } from './violations.ts';

/**
 * All checkers of one network. They see what nodes store, in the order in which it becomes durable ({@link observe} is the simulated cluster's
 * hook `stored`), and, for {@link requests}, that they ask. Of the project they use crosslink's codecs and verifiers alone.
 *
 * What must hold, always (design), and who finds it broken:
 * | property | checker |
 * |---|---|
 * | 1. supply on every consistent cut | `SupplyChecker`, `StateChecker` |
 * | 2. one decision per transaction, never mixed | `AtomicityChecker`; one certified block a height on all validators: `CommitteeChecker`, `ChainChecker`; crosslinks: `BeaconChecker` |
 * | 3. commit only if all voted yes | `AtomicityChecker` |
 * | 4. no lock at rest, bounded lock age after a heal | `StateChecker`, and the swarm's look at each node; `LockAgeChecker` from {@link healed} on |
 * | 5. each (source, destination, sequence) applied once | `SequenceChecker` |
 * | 6. strict serializability | `SerialOracle` (replay), `SerializabilityChecker` (cycles) |
 * | 7. the same root on every replica | `CommitteeChecker`: the same blocks, changes and snapshots; `StateChecker` recomputes roots now and then, and at rest |
 * | 8. one owner per account and epoch | `StateChecker` |
 * | 9. after a heal every transaction ends | `AtomicityChecker`, `SequenceChecker` and `CommitteeChecker` at rest, and the swarm's deadline |
 * | 10. no node asks in a circle | `RequestPaceChecker`, from the effects that nodes carry out |
 */
export class NetworkCheckers {
  readonly violations = new Violations();
  readonly committees: CommitteeChecker;
  readonly chain: ChainChecker;
  readonly state: StateChecker;
  readonly supply: SupplyChecker;
  readonly sequences: SequenceChecker;
  readonly atomicity: AtomicityChecker;
  readonly beacon: BeaconChecker;
  readonly serial: SerialOracle;
  readonly serializability: SerializabilityChecker;
  readonly locks: LockAgeChecker;
  readonly requests: RequestPaceChecker;
  private readonly all: readonly BlockChecker[];

  constructor(options: { readonly genesis: Genesis }, modules: { readonly crypto: Crypto & RecoveryPrimitives }) {
    const { genesis } = options;
    const { crypto } = modules;
    const { violations } = this;
    const network = { genesis, genesisHash: genesisHash(crypto, genesis) };
    const shared = { crypto, hasher: crypto, violations };
    this.committees = new CommitteeChecker(network, shared);
    this.chain = new ChainChecker(network, shared);
    this.serial = new SerialOracle({ genesis, genesisHeld: genesisHeld(crypto, genesis) }, shared);
    this.state = new StateChecker({ genesis }, { ...shared, destroyedOn: (shard) => this.serial.destroyedOn(shard) });
    this.supply = new SupplyChecker({ genesis, genesisHeld: genesisHeld(crypto, genesis) }, shared);
    this.sequences = new SequenceChecker(shared);
    this.atomicity = new AtomicityChecker(shared);
    this.beacon = new BeaconChecker(network, shared);
    this.serializability = new SerializabilityChecker({ ...shared, raised: (key) => this.serial.hasRaised(key) });
    this.locks = new LockAgeChecker({ genesis }, shared);
    this.requests = new RequestPaceChecker(shared);
    // The state checker asks the serial one what contracts have burned, so that comes first.
    this.all = [this.chain, this.serial, this.state, this.supply, this.sequences, this.atomicity, this.beacon, this.serializability, this.locks];
  }

  /** A node has stored a record. The first validator of a committee to store a block has it judged; the rest must have stored the same. */
  observe(node: NodeName, record: PersistRecord): void {
    switch (record.kind) {
      case 'votes':
        this.committees.votes++;
        return;
      case 'snapshot':
        this.committees.snapshot(node, record.snapshot);
        return;
      case 'shard-block':
        if (this.committees.shardBlock(node, record)) for (const checker of this.all) checker.block(record);
        return;
      case 'beacon-block':
        if (node.chain !== BEACON) this.beacon.follower(nodeLabel(node), record.block, record.hash);
        else if (this.committees.beaconBlock(node, record)) this.beacon.own(record.block, record.hash);
    }
  }

  /** What a node says its final block is must be the last one that it has stored. */
  finalHead(node: NodeName, height: number, hash: Hash32): void {
    this.committees.finalHead(node, height, hash);
  }

  /** All faults have stopped, in milliseconds of the nodes' clocks: from now on locks are held for a bounded time. */
  healed(atMs: number): void {
    this.locks.healed(atMs);
  }

  /** Whether no transaction is open, no message on its way, and no validator behind its committee. */
  get quiet(): boolean {
    return this.atomicity.openCount === 0 && this.sequences.underway === 0 && this.committees.level;
  }

  /** Nothing is under way any more, so nothing may be left over. */
  atRest(): void {
    this.committees.atRest();
    for (const checker of this.all) checker.atRest();
  }
}

function genesisHeld(crypto: Crypto, genesis: Genesis): bigint[] {
  const table = new AssignmentTable(crypto, { shards: genesis.shards, overrides: [] });
  const held = new Array<bigint>(genesis.shards).fill(0n);
  for (const { address, balance } of genesis.allocation) held[table.shardOf(address)]! += balance;
  return held;
}
