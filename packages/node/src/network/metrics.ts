import { SHIM_METRICS } from './shim/metrics.ts';

/** What this module counts. Names follow `shardlab_<subsystem>_<name>_<unit>`; label values come from small fixed sets. */
export const NETWORK_METRICS = {
  shardlab_network_nodes: { kind: 'gauge', help: 'Nodes that are connected and have proven who they are', labels: [] },
  shardlab_network_records: { kind: 'gauge', help: 'Peer records known', labels: [] },
  shardlab_network_gossip_waiting: { kind: 'gauge', help: 'Gossip messages that await a verdict', labels: [] },
  shardlab_network_gossip_messages_total: { kind: 'counter', help: 'Gossip messages by topic family and what became of them', labels: ['family', 'outcome'] },
  shardlab_network_gossip_verdicts_total: { kind: 'counter', help: 'Gossip messages not accepted, by topic family and reason', labels: ['family', 'reason'] },
  shardlab_network_gossip_received_bytes: { kind: 'counter', help: 'Bytes of gossip frames received', labels: [] },
  shardlab_network_gossip_frames_total: { kind: 'counter', help: 'Gossip frames refused before they were read, by reason', labels: ['reason'] },
  shardlab_network_requests_total: { kind: 'counter', help: 'Requests by side (client or server) and outcome', labels: ['side', 'outcome'] },
  shardlab_network_hello_total: { kind: 'counter', help: 'Handshakes by outcome', labels: ['outcome'] },
  shardlab_network_records_total: { kind: 'counter', help: 'Peer records offered, by outcome', labels: ['outcome'] },
  shardlab_network_dials_total: { kind: 'counter', help: 'Dials by outcome', labels: ['outcome'] },
  shardlab_network_penalties_total: { kind: 'counter', help: 'Penalties by reason', labels: ['reason'] },
  shardlab_network_bans_total: { kind: 'counter', help: 'Peers disconnected for their score', labels: [] },
  ...SHIM_METRICS,
} as const satisfies Readonly<Record<string, { readonly kind: 'gauge' | 'counter'; readonly help: string; readonly labels: readonly string[] }>>;

/** Name of a metric of {@link NETWORK_METRICS}. */
export type NetworkMetric = keyof typeof NETWORK_METRICS;

/** Where counts go. The names, kinds, help texts and label names are those of {@link NETWORK_METRICS}. */
export interface NetworkMetrics {
  /** Adds `by` (1 by default) to a counter. */
  count(name: NetworkMetric, labels: Readonly<Record<string, string>>, by?: number): void;
  /** Sets a gauge. */
  set(name: NetworkMetric, labels: Readonly<Record<string, string>>, value: number): void;
}

/** The part of a pino logger that this module uses: fields first, then a constant message. */
export interface NetworkLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** No labels, shared. */
export const NO_LABELS: Readonly<Record<string, string>> = {};
