import { BEACON, beaconHash, type Crypto, decodeBeaconHeader, decodeEpochCertificate, decodeHeader, decodeRequest, type Genesis, type Hash32, type ShardId, toHex, TwoPhaseCommit, type Verdict, ZERO_HASH } from '@shardlab/crosslink';
import type { ExecutionCrypto } from '../../src/execution/block-executor.ts';
import { BeaconReplica } from '../../src/beacon/beacon.ts';
import { EpochVotes } from '../../src/beacon/epoch-votes.ts';
import { Pbft } from '../../src/consensus/pbft/pbft.ts';
import { Epochs } from '../../src/exchange/epochs.ts';
import type { Core, Effect, Input, SubmitResult, TimerName } from '../../src/effects.ts';
import { BlockExecutor, genesisBlock } from '../../src/execution/block-executor.ts';
import { ShardReplica } from '../../src/replica/replica.ts';
import { genesisBalance, genesisEntries } from '../../src/state/genesis-state.ts';
import { ShardState } from '../../src/state/shard-state.ts';
import { recoverBatch } from '../../src/transaction/recover-batch.ts';
import { AdmissionBatch } from '../../src/transaction/admission-record.ts';
import { validatorSecret } from '../support/genesis.ts';
import { keylessSigner } from '../support/keyless.ts';
import { CHAIN_ID } from '../support/transactions.ts';
import type { MiniDisk } from './mini-disk.ts';

/** What a node needs of the network around it. */
export interface MiniPorts {
  nowMs(): number;
  /** Runs later, unless the node's life ends before. */
  after(delayMs: number, run: () => void): void;
  publish(topic: string, data: Uint8Array): void;
  request(to: ShardId, body: Uint8Array, timeoutMs: number, done: (items: Uint8Array[] | undefined) => void): void;
  /** Before each effect; false = the node dies here. */
  effect(effect: Effect): boolean;
  /** Virtual milliseconds of one write, execution or recovery. */
  latencyMs(): number;
}

/** One life of one node: a core, and its effects made real in the plainest way. Whatever breaks the driver's contract throws. */
export class MiniNode {
  readonly core: Core;
  readonly replica: ShardReplica | undefined;
  readonly beacon: BeaconReplica | undefined;
  readonly protocol: TwoPhaseCommit;
  alive = true;
  /** Tokens of submissions that wait for their reply. */
  readonly waiting = new Map<number, (results: readonly SubmitResult[]) => void>();
  private readonly chain: ShardId;
  private readonly disk: MiniDisk;
  private readonly ports: MiniPorts;
  private readonly crypto: Crypto & ExecutionCrypto;
  private readonly executor: BlockExecutor | undefined;
  private readonly timers = new Map<TimerName, number>();
  private timerIds = 0;
  private tokens = 0;
  private verdict: Verdict | undefined;
  private judging: number | undefined;
  /** Virtual time before which the disk confirms nothing: commits are in order. */
  private diskFreeMs = 0;

  constructor(options: { chain: ShardId; genesis: Genesis; genesisHash: Hash32 }, disk: MiniDisk, crypto: Crypto & ExecutionCrypto, ports: MiniPorts) {
    const { chain, genesis, genesisHash } = options;
    this.chain = chain;
    this.disk = disk;
    this.ports = ports;
    this.crypto = crypto;
    this.protocol = new TwoPhaseCommit(genesis.parameters);
    const secretKey = validatorSecret(crypto, chain);
    const epochs = new Epochs(crypto, genesisHash, genesis.beaconValidators);
    epochs.restore(disk.epochs().map(decodeEpochCertificate));
    const last = disk.beaconBlocks.at(-1);
    const tip = last === undefined ? undefined : { ...last.header, hash: beaconHash(crypto, last.header), certificate: last.certificate };
    const votes = { state: undefined, proposals: [] };
    const alone = { genesisHash, chain, validator: 0, size: 1, secretKey };
    if (chain === BEACON) {
      const epochVotes = new EpochVotes({ genesis, genesisHash, secretKey }, { crypto, epochs });
      const agreed = tip ?? { epoch: 0, height: 0, hash: ZERO_HASH, certificate: undefined };
      const modules = { crypto, validators: () => genesis.beaconValidators, readHeader: decodeBeaconHeader, extension: epochVotes };
      const consensus = new Pbft({ ...alone, window: 1 }, modules, { ...votes, head: agreed });
      this.beacon = new BeaconReplica({ genesis, genesisHash, validator: 0 }, { crypto, consensus, epochs, epochVotes }, { tip, crosslinks: disk.crosslinks() });
      this.core = this.beacon;
      return;
    }
    const state = new ShardState(crypto);
    const root = state.load(disk.flat.values());
    for (const { namespace, id, value } of state.protocolRecords()) this.protocol.restore(namespace, id, value);
    const stored = disk.blocks.at(-1);
    const { chainId, shards, timestampMs, parameters } = genesis;
    const forShard = { chainId, shard: chain, gasLimit: parameters.blockGasLimit };
    const genesisRoot = new ShardState(crypto).load(genesisEntries(crypto, genesis, chain));
    const first = genesisBlock(crypto, { ...forShard, shards, timestampMs, baseFeePerGas: parameters.baseFeePerGas }, genesisRoot, genesisBalance(crypto, genesis, chain));
    const head = stored === undefined ? first : { header: stored.block.header, hash: stored.block.hash, pairs: stored.block.body.pairs };
    if (toHex(root) !== toHex(head.header.stateRoot)) throw new Error('the disk has another root than its last block');
    this.executor = new BlockExecutor({ ...forShard, fork: genesis.forks, feePolicy: genesis.feePolicy }, { crypto, state, protocol: this.protocol }, head);
    const agreed = { epoch: head.header.epoch, height: head.header.height, hash: head.hash, certificate: stored?.certificate };
    const modules = { crypto, validators: (epoch: number) => epochs.validators(chain, epoch), readHeader: decodeHeader };
    const consensus = new Pbft({ ...alone, window: 2 }, modules, { ...votes, head: agreed });
    this.replica = new ShardReplica(
      { shard: chain, genesis, genesisHash, validator: 0 },
      { crypto, consensus, protocol: this.protocol, accounts: state, outbox: disk.outbox(), epochs },
      { head: { ...head, certificate: stored?.certificate }, beaconTip: tip },
    );
    this.core = this.replica;
  }

  feed(input: Input): void {
    if (!this.alive) return;
    for (const effect of this.core.step(this.ports.nowMs(), input)) {
      if (!this.alive) return;
      if (!this.ports.effect(effect)) {
        this.alive = false;
        return;
      }
      this.perform(effect);
    }
  }

  /** Offers a gossip message; the verdict must come with the step. */
  gossip(topic: string, data: Uint8Array): Verdict | undefined {
    const token = ++this.tokens;
    this.judging = token;
    this.verdict = undefined;
    this.feed({ kind: 'gossip', token, topic, data });
    if (this.alive && this.verdict === undefined) throw new Error(`no verdict on ${topic}`);
    return this.verdict;
  }

  submit(raws: readonly Uint8Array[], done: (results: readonly SubmitResult[]) => void): void {
    const token = ++this.tokens;
    this.waiting.set(token, done);
    this.feed({ kind: 'submit', token, raws });
  }

  private perform(effect: Effect): void {
    const { ports } = this;
    switch (effect.kind) {
      case 'recover-senders':
        return ports.after(ports.latencyMs(), () => this.feed({ kind: 'senders', request: effect.request, batch: this.recover(effect.raws) }));
      case 'execute-block':
        return ports.after(ports.latencyMs(), () => this.feed({ kind: 'executed', request: effect.request, outcome: { block: this.executor!.executeOn(effect.parentHash, effect.proposal, effect.assignment) } }));
      case 'persist':
        return this.persist(effect);
      case 'publish':
        return ports.publish(effect.topic, effect.data);
      case 'request':
        if (effect.to.chain === this.chain) throw new Error('a node asks itself');
        decodeRequest(effect.body);
        return ports.request(effect.to.chain, effect.body, effect.timeoutMs, (items) => this.feed({ kind: 'answer', request: effect.request, items }));
      case 'set-timer':
        return this.setTimer(effect.timer, effect.delayMs);
      case 'reply': {
        const done = this.waiting.get(effect.token);
        if (done === undefined) throw new Error('a second reply, or one to nobody');
        this.waiting.delete(effect.token);
        return done(effect.results);
      }
      case 'verdict':
        if (effect.token !== this.judging || this.verdict !== undefined) throw new Error('a second verdict, or one on nothing');
        this.verdict = effect.verdict;
        return undefined;
      case 'penalise':
        throw new Error(`an honest peer is penalised: ${effect.reason}`);
      case 'log':
        if (effect.line.event === 'peer.rejected') throw new Error(`an honest message is rejected: ${String(effect.line.fields['reason'])}`);
    }
  }

  private persist({ request, record }: Extract<Effect, { kind: 'persist' }>): void {
    const { ports, disk } = this;
    this.diskFreeMs = Math.max(this.diskFreeMs, ports.nowMs() + ports.latencyMs());
    ports.after(this.diskFreeMs - ports.nowMs(), () => {
      disk.write(record);
      // A crash can come between the write and its confirmation.
      ports.after(1, () => this.feed({ kind: 'persisted', request }));
    });
  }

  private setTimer(timer: TimerName, delayMs: number): void {
    if (!(delayMs >= 0) || !Number.isFinite(delayMs)) throw new Error(`timer ${timer} in ${delayMs} ms`);
    const id = ++this.timerIds;
    this.timers.set(timer, id);
    this.ports.after(delayMs, () => {
      if (this.timers.get(timer) === id) this.feed({ kind: 'timer', timer });
    });
  }

  private recover(raws: readonly Uint8Array[]): AdmissionBatch {
    return new AdmissionBatch(raws, recoverBatch(raws, keylessSigner(this.crypto), { chainId: CHAIN_ID, allowUnprotected: false, fork: 'cancun' }));
  }
}
