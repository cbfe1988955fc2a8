import { decodeAnswer, DecodeError, decodeRequest, encodeAnswer, type ShardlabError, type Verdict, type WireRequest } from '@shardlab/crosslink';
import type { BlockProposal, Core, Effect, ExecutionOutcome, Input, LogLine, Peer, PersistRecord, SubmitResult, TimerName } from '@shardlab/shard';
import type { AssignmentTable, BlockEvent, Hash32 } from '@shardlab/crosslink';
import { nodeLabel } from '../network/names.ts';
import type { Clock, Network, Sender, Storage, StorageBatch } from '../ports.ts';
import { type PlainRecord, snapshotBatch } from '../storage/chain-store.ts';
import type { SenderRecovery } from '../recovery/sender-recovery.ts';

/** Executes blocks for the effect `ExecuteBlock`; `done` is never called before the call has returned. Fails by throwing: then the node must stop. */
export type ExecuteBlock = (parentHash: Hash32, proposal: BlockProposal, assignment: AssignmentTable, done: (outcome: ExecutionOutcome) => void) => void;

/** Answers requests of other nodes that read what is stored. */
export type ServeRequest = (request: WireRequest, done: (items: readonly Uint8Array[] | undefined) => void) => void;

/** Where log lines go. */
export interface RuntimeLog {
  line(line: LogLine): void;
  /** Whether lines for each transaction are wanted. */
  readonly transactions: boolean;
  transactionEvents(height: number, events: readonly BlockEvent[]): void;
}

/** The world around a core. */
export interface RuntimePorts {
  readonly clock: Clock;
  readonly network: Network;
  readonly storage: Storage;
  readonly recovery: SenderRecovery;
  readonly execute: ExecuteBlock;
  readonly batchOf: (record: PlainRecord) => StorageBatch;
  readonly serve: ServeRequest;
  readonly log: RuntimeLog;
}

/** What the driver around a runtime may want to know. */
export interface RuntimeHooks {
  /** Called once when the node can not go on: its disk failed, or an invariant broke. */
  readonly failed: (error: Error) => void;
  /** Called once when the node is to start anew from what it has stored; it has stopped. */
  readonly restart: (reason: string) => void;
  /** Called after a record has been synced, before the core goes on. */
  readonly stored?: (record: PersistRecord) => void;
  /** Called after the core has taken note that the record is synced. */
  readonly final?: (record: PersistRecord) => void;
  /** Called before each effect is carried out; false = the node dies here (the simulation's crash points). */
  readonly beforeEffect?: (effect: Effect) => boolean;
  /** Called after each effect has been handed to its port, before the next; false = the node dies here. */
  readonly afterEffect?: (effect: Effect) => boolean;
}

/** Topics that a core listens to. */
export interface RuntimeOptions {
  readonly topics: readonly string[];
}

/**
 * Makes a core's effects real and feeds it what comes back. The same in both drivers: only the ports differ. It decides nothing.
 */
export class NodeRuntime {
  private readonly core: Core;
  private readonly ports: RuntimePorts;
  private readonly hooks: RuntimeHooks;
  private readonly options: RuntimeOptions;
  private readonly timers = new Map<TimerName, () => void>();
  private readonly verdicts = new Map<number, (verdict: Verdict) => void>();
  private readonly replies = new Map<number, (results: readonly SubmitResult[]) => void>();
  private tokens = 0;
  private stopped = false;
  /** Stopped in order to start anew from a snapshot: what is on its way to the disk still counts as stored. */
  private installing = false;

  constructor(options: RuntimeOptions, core: Core, ports: RuntimePorts, hooks: RuntimeHooks) {
    this.options = options;
    this.core = core;
    this.ports = ports;
    this.hooks = hooks;
  }

  /** Subscribes, serves, and gives the core its first input. */
  start(): void {
    for (const topic of this.options.topics) {
      this.ports.network.subscribe(topic, (data, from, verdict) => this.gossip(topic, data, from, verdict));
    }
    this.ports.network.serve((body, from, reply) => this.serve(body, from, reply));
    this.ports.network.watch((peer, connected) => this.feed({ kind: 'peer', peer, connected }));
    this.feed({ kind: 'start' });
  }

  /** Nothing reaches the core any more; effects that are under way end in nothing. */
  stop(): void {
    this.stopped = true;
    for (const cancel of this.timers.values()) cancel();
    this.timers.clear();
  }

  /** Offers signed transactions; `done` gets one result for each, in order. */
  submit(raws: readonly Uint8Array[], done: (results: readonly SubmitResult[]) => void): void {
    const token = ++this.tokens;
    this.replies.set(token, done);
    this.feed({ kind: 'submit', token, raws });
  }

  private gossip(topic: string, data: Uint8Array, _from: Sender, verdict: (verdict: Verdict) => void): void {
    if (this.stopped) return;
    const token = ++this.tokens;
    this.verdicts.set(token, verdict);
    this.feed({ kind: 'gossip', token, topic, data });
  }

  private serve(body: Uint8Array, from: Sender, reply: (body: Uint8Array | undefined) => void): void {
    let request: WireRequest;
    try {
      request = decodeRequest(body);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.ports.log.line({ level: 'warn', event: 'peer.rejected', fields: { reason: error.code } });
      this.ports.network.penalise(from.peer, 'request_malformed');
      reply(undefined);
      return;
    }
    this.ports.serve(request, (items) => reply(items === undefined ? undefined : encodeAnswer(items)));
  }

  private feed(input: Input): void {
    if (this.stopped) return;
    try {
      for (const effect of this.core.step(this.ports.clock.nowMs(), input)) {
        if (this.stopped) return;
        if (this.hooks.beforeEffect?.(effect) === false) {
          this.stop();
          return;
        }
        this.perform(effect);
        if (this.hooks.afterEffect?.(effect) === false) {
          this.stop();
          return;
        }
      }
    } catch (error) {
      this.fail(error as Error);
    }
  }

  private fail(error: Error): void {
    if (this.stopped) return;
    this.stop();
    this.hooks.failed(error);
  }

  private perform(effect: Effect): void {
    const { network, recovery, log } = this.ports;
    switch (effect.kind) {
      case 'recover-senders':
        recovery.recover(effect.raws, (result) => this.feed({ kind: 'senders', request: effect.request, batch: result.ok ? result.value : undefined }));
        break;
      case 'execute-block':
        this.ports.execute(effect.parentHash, effect.proposal, effect.assignment, (outcome) => this.feed({ kind: 'executed', request: effect.request, outcome }));
        break;
      case 'persist':
        this.persist(effect.request, effect.record);
        break;
      case 'publish':
        network.publish(effect.topic, effect.data);
        break;
      case 'request':
        this.request(effect.request, effect.to, effect.body, effect.timeoutMs);
        break;
      case 'set-timer':
        this.setTimer(effect.timer, effect.delayMs);
        break;
      case 'reply':
        this.replies.get(effect.token)?.(effect.results);
        this.replies.delete(effect.token);
        break;
      case 'verdict':
        this.verdicts.get(effect.token)?.(effect.verdict);
        this.verdicts.delete(effect.token);
        break;
      case 'penalise':
        this.penalise(effect.to, effect.reason);
        break;
      case 'log':
        log.line(effect.line);
        break;
    }
  }

  private persist(request: number, record: PersistRecord): void {
    const { storage, batchOf, log } = this.ports;
    if (record.kind === 'snapshot') return this.install(record);
    storage.commit(batchOf(record), (result) => {
      if (this.stopped && !this.installing) return;
      if (!result.ok) {
        this.fail(result.error);
        return;
      }
      this.hooks.stored?.(record);
      if (record.kind === 'shard-block' && log.transactions) log.transactionEvents(record.block.header.height, record.block.events);
      this.feed({ kind: 'persisted', request });
      if (!this.stopped) this.hooks.final?.(record);
    });
  }

  /** Writes a snapshot over what is stored, when everything before it is synced, and has the node start anew. */
  private install(record: Extract<PersistRecord, { kind: 'snapshot' }>): void {
    const { storage } = this.ports;
    const { snapshot } = record;
    const failed = (error: Error): void => {
      this.stopped = false;
      this.fail(error);
    };
    this.stop();
    this.installing = true;
    storage.commit({ puts: [], deletes: [] }, (synced) => {
      if (!synced.ok) return failed(synced.error);
      snapshotBatch(storage, snapshot, (batch) => {
        if (!batch.ok) return failed(batch.error);
        storage.commit(batch.value, (result) => {
          if (!result.ok) return failed(result.error);
          this.hooks.stored?.(record);
          this.hooks.restart(`a snapshot of height ${snapshot.block.header.height}`);
        });
      });
    });
  }

  private request(request: number, to: Peer, body: Uint8Array, timeoutMs: number): void {
    this.ports.network.request(to, body, timeoutMs, (result) => {
      this.feed({ kind: 'answer', request, items: result.ok ? this.itemsOf(to, result.value) : undefined });
    });
  }

  private itemsOf(from: Peer, answer: Uint8Array): Uint8Array[] | undefined {
    try {
      return decodeAnswer(answer);
    } catch (error) {
      this.penalise(from, (error as ShardlabError).code);
      return undefined;
    }
  }

  private penalise(to: Peer, reason: string): void {
    this.ports.log.line({ level: 'warn', event: 'peer.penalised', fields: { node: nodeLabel(to), reason } });
    this.ports.network.penalise(to, reason);
  }

  private setTimer(timer: TimerName, delayMs: number): void {
    this.timers.get(timer)?.();
    const cancel = this.ports.clock.schedule(delayMs, () => {
      this.timers.delete(timer);
      this.feed({ kind: 'timer', timer });
    });
    this.timers.set(timer, cancel);
  }
}
