import { keyBytes, toHex } from '@shardlab/crosslink';
import { DependencyGraph } from './dependency-graph.ts';
import type { BlockChecker, ShardBlockRecord, Violations } from './violations.ts';

/**
 * Strict serializability of what is covered by locks and nonces: each transaction reads its sender's nonce and writes the next one, in the block that takes it in, and
 * what the client saw in time must agree. Balances of plain transfers are deltas, which commute: the serial oracle judges those. Contract storage will add its keys
 * here.
 */
export class SerializabilityChecker implements BlockChecker {
  private readonly violations: Violations;
  private readonly raised: (key: string) => boolean;
  private readonly graph = new DependencyGraph();
  /** Nonces that each sender has used so far, in the order of its shard's blocks. */
  private readonly versions = new Map<string, number>();

  /** `raised`: whether something else than its own transactions has raised an account's nonce (authorizations, EIP-7702; creations by its code). */
  constructor(modules: { readonly violations: Violations; readonly raised: (key: string) => boolean }) {
    this.violations = modules.violations;
    this.raised = modules.raised;
  }

  block({ block }: ShardBlockRecord): void {
    for (const { hashKey, senderKey, nonce } of block.transactions) {
      const transaction = name(hashKey);
      const key = `nonce ${toHex(keyBytes(senderKey)).slice(0, 10)}`;
      const version = this.versions.get(senderKey) ?? 0;
      this.versions.set(senderKey, Math.max(version, nonce) + 1);
      this.graph.read({ transaction, key, version: nonce });
      if (!this.graph.write({ transaction, key, version: nonce + 1 })) this.violations.add('serializability', `two transactions use ${key} ${nonce}`);
      if (nonce < version || (nonce > version && !this.raised(senderKey))) this.violations.add('serializability', `${transaction} uses nonce ${nonce} as number ${version} of its sender`);
    }
  }

  /** The client offers a transaction for the first time; time in any unit. */
  submitted(hashKey: string, at: number): void {
    this.graph.submit(name(hashKey), at);
  }

  /** The client has its receipt. */
  answered(hashKey: string, at: number): void {
    this.graph.answer(name(hashKey), at);
  }

  atRest(): void {
    const cycle = this.graph.cycle();
    if (cycle !== undefined) this.violations.add('serializability', `a cycle: ${cycle}`);
  }
}

function name(hashKey: string): string {
  return toHex(keyBytes(hashKey)).slice(0, 14);
}
