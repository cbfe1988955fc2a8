import { timingSafeEqual } from 'node:crypto';
import { type Hasher, ShardlabError } from '@shardlab/crosslink';

import type { NodeName } from '../../ports.ts';
import type { NetworkMetrics } from '../metrics.ts';
import { parseFaults } from './faults.ts';
import type { FaultShim } from './fault-shim.ts';

/** What {@link FaultControl} is told. */
export interface FaultControlOptions {
  /** SHA-256 of the token, 32 bytes: the node need not hold the token itself. */
  readonly tokenHash: Uint8Array;
  /** Whether the network has such a node, other than this one. */
  exists(node: NodeName): boolean;
}

/** Sets faults for who shows the token. */
export interface FaultSetter {
  /**
   * Checks, then sets: all of `value` or nothing. Throws `chaos/token` for a wrong token, `chaos/faults` or `latency/model` for what is no set of faults,
   * `chaos/busy` while another session's are in force.
   */
  setFaults(token: string, value: unknown): { readonly links: number; readonly expiresMs: number };
}

/** The authenticated way to the shim: whoever shows the cluster's token may set faults. */
export class FaultControl implements FaultSetter {
  private readonly options: FaultControlOptions;
  private readonly shim: FaultShim;
  private readonly hasher: Pick<Hasher, 'sha256'>;
  private readonly metrics: NetworkMetrics;

  constructor(options: FaultControlOptions, modules: { readonly shim: FaultShim; readonly hasher: Pick<Hasher, 'sha256'>; readonly metrics: NetworkMetrics }) {
    this.options = options;
    this.shim = modules.shim;
    this.hasher = modules.hasher;
    this.metrics = modules.metrics;
  }

  /** {@link FaultSetter.setFaults}; every outcome is counted. */
  setFaults(token: string, value: unknown): { readonly links: number; readonly expiresMs: number } {
    try {
      if (!timingSafeEqual(this.hasher.sha256(new TextEncoder().encode(token)), this.options.tokenHash)) {
        throw new ShardlabError('chaos/token', "this is not the cluster's control token");
      }
      const faults = parseFaults(value, (node) => this.options.exists(node));
      const expiresMs = this.shim.set(faults);
      this.count('set');
      return { links: faults.links.size, expiresMs };
    } catch (error) {
      if (error instanceof ShardlabError) this.count(error.code === 'chaos/token' ? 'refused' : error.code === 'chaos/busy' ? 'busy' : 'invalid');
      throw error;
    }
  }

  private count(outcome: string): void {
    this.metrics.count('shardlab_chaos_controls_total', { outcome });
  }
}
