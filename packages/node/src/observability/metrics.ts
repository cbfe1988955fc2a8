import type { SpeculationCounts } from '@shardlab/shard';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { NETWORK_METRICS, type NetworkMetric, type NetworkMetrics } from '../network/metrics.ts';
import type { NodeStatus } from '../rpc/node-handle.ts';
import type { StorageMetrics } from '../storage/commit-queue.ts';

/** Counts that a core keeps itself and that only grow; read when metrics are scraped. */
export interface CoreCounters {
  /** Messages of peers that were refused, by reason. */
  readonly refused: ReadonlyMap<string, number>;
  /** Transactions that were not admitted, by code. */
  readonly rejected?: ReadonlyMap<string, number>;
  /** Transactions that were. */
  readonly admitted?: number;
  /** Transactions listed on this shard, from genesis. */
  readonly transactions?: number;
  /** Transactions that ran code in blocks, by what threads had found out of them: see `SpeculationCounts`. */
  readonly speculations?: Readonly<SpeculationCounts>;
}

/** What metrics read at each scrape. */
export interface MetricSources {
  status(): NodeStatus;
  counters(): CoreCounters;
}

/** What the RPC server tells about its work. */
export interface RpcMetrics {
  /** One call of `method` (a name of the method table, or `unknown`) took `seconds`; `outcome` is `ok` or a JSON-RPC error code. */
  called(method: string, outcome: string, seconds: number): void;
}

/** Label values of one metric; more are counted as `other`, so that no peer can make a metric grow. */
const LABELS_MAX = 64;
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/**
 * The metrics of one node, as `/metrics` serves them: `shardlab_<subsystem>_<name>_<unit>`, and prom-client's of the process. What other modules measure comes
 * through the narrow interfaces that they declare ({@link network}, {@link storage}, {@link rpc}); what a core counts is read at scrape time.
 */
export class NodeMetrics {
  readonly network: NetworkMetrics;
  readonly storage: StorageMetrics;
  readonly rpc: RpcMetrics;
  private readonly registry = new Registry();
  private readonly recoverySeconds: Histogram;
  private readonly recovered: Counter;

  /** `node` is the node's id; `shard` its shard, null for the beacon: labels of every metric. */
  constructor(options: { readonly node: string; readonly shard: number | null }) {
    this.registry.setDefaultLabels({ node: options.node, ...(options.shard === null ? {} : { shard: String(options.shard) }) });
    collectDefaultMetrics({ register: this.registry });
    this.network = networkMetrics(this.registry);
    this.storage = storageMetrics(this.registry);
    this.rpc = rpcMetrics(this.registry);
    const registers = [this.registry];
    this.recoverySeconds = new Histogram({ name: 'shardlab_recovery_batch_seconds', help: 'Time to recover the senders of one batch', buckets: SECONDS, registers });
    this.recovered = new Counter({ name: 'shardlab_recovery_transactions_total', help: 'Transactions whose senders were recovered', registers });
  }

  /** Sender recovery of `transactions` took `seconds`. */
  recoveryDone(transactions: number, seconds: number): void {
    this.recoverySeconds.observe(seconds);
    this.recovered.inc(transactions);
  }

  /** Lets each scrape read the node itself. Call once. */
  bind(given: MetricSources): void {
    const sources = { counters: () => given.counters(), status: oncePerScrape(() => given.status()) };
    for (const { name, help, read } of STATUS_GAUGES) {
      const gauge: Gauge = new Gauge({ name, help, registers: [this.registry], collect: () => gauge.set(read(sources.status())) });
    }
    this.bindCounter('shardlab_receipts_batches_total', 'Receipt batches taken, by path', 'path', () => {
      const { gossip, pull } = sources.status().receiptBatches;
      return [['gossip', gossip], ['pull', pull]];
    });
    this.bindCounter('shardlab_peers_refused_messages_total', 'Messages of peers that were refused, by reason', 'reason', () => [...sources.counters().refused]);
    this.bindCounter('shardlab_mempool_rejected_transactions_total', 'Transactions that were not admitted, by code', 'code', () => [
      ...(sources.counters().rejected ?? []),
    ]);
    this.bindCounter('shardlab_mempool_admitted_transactions_total', 'Transactions taken into the pool', undefined, () => [['', sources.counters().admitted ?? 0]]);
    this.bindCounter('shardlab_chain_transactions_total', 'Transactions listed on this chain, from genesis', undefined, () => [
      ['', sources.counters().transactions ?? 0],
    ]);
    const { counters } = sources;
    this.bindCounter('shardlab_execution_calls_total', 'Transactions that ran code, by what threads had found out: taken, stale or unknown', 'beforehand', () =>
      Object.entries(counters().speculations ?? {}),
    );
    this.bindCounter('shardlab_chain_blocks_total', 'Blocks on this chain, from genesis', undefined, () => [['', sources.status().height]]);
  }

  /** A counter whose values are read from where they are counted. */
  private bindCounter(name: string, help: string, label: string | undefined, read: () => readonly (readonly [string, number])[]): void {
    const counter: Counter = new Counter({
      name,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [this.registry],
      collect: () => {
        counter.reset();
        const values = read();
        values.forEach(([value, count], index) => {
          if (label === undefined) counter.inc(count);
          else counter.inc({ [label]: index < LABELS_MAX ? value : 'other' }, count);
        });
      },
    });
  }

  /** The exposition format and its content type. */
  async scrape(): Promise<{ readonly contentType: string; readonly text: string }> {
    return { contentType: this.registry.contentType, text: await this.registry.metrics() };
  }

  /** Forgets everything: timers of prom-client's own collectors too. */
  close(): void {
    this.registry.clear();
  }
}

const STATUS_GAUGES: readonly { readonly name: string; readonly help: string; readonly read: (status: NodeStatus) => number }[] = [
  { name: 'shardlab_chain_height_blocks', help: 'Height of the last final block', read: (status) => status.height },
  { name: 'shardlab_chain_block_time_seconds', help: 'Header time of the last final block, Unix seconds', read: (status) => status.timestampMs / 1000 },
  { name: 'shardlab_chain_epoch_number', help: 'Epoch of the assignment in force', read: (status) => status.epoch },
  { name: 'shardlab_node_healthy_info', help: '1 if the node is healthy', read: (status) => (status.healthy ? 1 : 0) },
  { name: 'shardlab_network_peers_nodes', help: 'Nodes connected', read: (status) => status.peers },
  { name: 'shardlab_mempool_pending_transactions', help: 'Transactions in the pool', read: (status) => status.mempool.pending },
  { name: 'shardlab_mempool_capacity_transactions', help: 'Transactions that the pool can hold', read: (status) => status.mempool.capacity },
  { name: 'shardlab_inbox_waiting_messages', help: 'Verified messages that wait for a block', read: (status) => status.inbox.waiting },
  { name: 'shardlab_outbox_kept_messages', help: 'Messages sent and not known to be consumed', read: (status) => status.outbox.messages },
  { name: 'shardlab_xtx_coordinating_transactions', help: 'Open cross-shard transactions coordinated here', read: (status) => status.crossShard.coordinating },
  { name: 'shardlab_xtx_participating_transactions', help: 'Open cross-shard transactions with a part here', read: (status) => status.crossShard.participating },
  { name: 'shardlab_xtx_held_locks', help: 'Locks held', read: (status) => status.crossShard.locksHeld },
];

/** A status is put together from many places: one serves all metrics of a scrape. */
function oncePerScrape(read: () => NodeStatus): () => NodeStatus {
  let last: NodeStatus | undefined;
  return () => {
    if (last === undefined) {
      last = read();
      // Scrapes read all metrics in one turn of the event loop, or nearly so.
      setImmediate(() => (last = undefined));
    }
    return last;
  };
}

function networkMetrics(registry: Registry): NetworkMetrics {
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  for (const [name, { kind, help, labels }] of Object.entries(NETWORK_METRICS)) {
    const settings = { name, help, labelNames: [...labels], registers: [registry] };
    if (kind === 'counter') counters.set(name, new Counter(settings));
    else gauges.set(name, new Gauge(settings));
  }
  return {
    count: (name: NetworkMetric, labels, by = 1) => counters.get(name)!.inc(labels, by),
    set: (name: NetworkMetric, labels, value) => gauges.get(name)!.set(labels, value),
  };
}

function storageMetrics(registry: Registry): StorageMetrics {
  const registers = [registry];
  const seconds = new Histogram({ name: 'shardlab_storage_sync_seconds', help: 'Time of one synced write', buckets: SECONDS, registers });
  const commits = new Counter({ name: 'shardlab_storage_commits_total', help: 'Commits synced', registers });
  const bytes = new Counter({ name: 'shardlab_storage_written_bytes', help: 'Bytes of keys and values synced', registers });
  return {
    synced: (count, sizeBytes, took) => {
      seconds.observe(took);
      commits.inc(count);
      bytes.inc(sizeBytes);
    },
  };
}

function rpcMetrics(registry: Registry): RpcMetrics {
  const registers = [registry];
  const requests = new Counter({ name: 'shardlab_rpc_requests_total', help: 'RPC calls by method and outcome', labelNames: ['method', 'outcome'], registers });
  const seconds = new Histogram({ name: 'shardlab_rpc_request_seconds', help: 'Time of RPC calls by method', labelNames: ['method'], buckets: SECONDS, registers });
  return {
    called: (method, outcome, took) => {
      requests.inc({ method, outcome });
      seconds.observe({ method }, took);
    },
  };
}
