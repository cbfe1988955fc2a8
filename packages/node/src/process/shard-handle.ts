import { type Address, equalBytes, invariant, ShardlabError } from '@shardlab/crosslink';
import type { Done } from '../ports.ts';
import type { AccountProof, ExecutedState, ShardHandle } from '../rpc/node-handle.ts';
import type { ShardNode } from '../runtime/assemble.ts';
import type { NodeRuntime } from '../runtime/node-runtime.ts';

/** Proofs that wait for a block to be stored. */
const WAITING_MAX = 1_024;

interface Waiting {
  readonly address: Address;
  readonly slots: readonly bigint[];
  readonly done: Done<AccountProof>;
}

/** What RPC sees of a shard's replica. Proofs wait while the trie is ahead of what is final (R2). */
export class ReplicaHandle implements ShardHandle {
  private readonly node: ShardNode;
  private readonly runtime: NodeRuntime;
  readonly executed: ExecutedState;
  private waiting: Waiting[] = [];

  constructor(node: ShardNode, runtime: NodeRuntime) {
    this.executed = node;
    this.node = node;
    this.runtime = runtime;
  }

  pendingNonce(senderKey: string): number {
    return this.node.replica.mempool.pendingNonce(senderKey);
  }

  pooled(hashKey: string): ReturnType<ShardHandle['pooled']> {
    return this.node.replica.mempool.get(hashKey);
  }

  submit(...args: Parameters<ShardHandle['submit']>): void {
    this.runtime.submit(...args);
  }

  prove(address: Address, slots: readonly bigint[], done: Done<AccountProof>): void {
    if (this.waiting.length >= WAITING_MAX) {
      queueMicrotask(() => done({ ok: false, error: new ShardlabError('rpc/busy', 'too many proofs wait for a block') }));
      return;
    }
    this.waiting.push({ address, slots, done });
    queueMicrotask(() => this.answer());
  }

  /** To be called when a block has become final. */
  answer(): void {
    const { replica, executor, state } = this.node;
    const { header, hash, certificate } = replica.head;
    if (!equalBytes(executor.head.hash, hash) || this.waiting.length === 0) return;
    const { waiting } = this;
    this.waiting = [];
    for (const { address, slots, done } of waiting) {
      if (certificate === undefined) done({ ok: false, error: new ShardlabError('rpc/no-block', 'this shard has no final block yet') });
      else done({ ok: true, value: { header, hash, certificate, ...state.proveAccount(address), slots: slots.map((slot) => state.proveStorage(address, slot)) } });
    }
    invariant(this.waiting.length === 0, 'a proof asks for a proof');
  }
}
