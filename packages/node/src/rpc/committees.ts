import { BEACON, type ShardId, type WireRequest } from '@shardlab/crosslink';
import type { NodeName } from '../ports.ts';
import { promised } from '../storage/chain-store-read.ts';
import type { NodeHandle } from './node-handle.ts';
import { unavailable } from './rpc-error.ts';

/** Of a call's time, kept for the other validators when one does not answer at all. */
const RESERVE_MS = 5_000;

/** What a committee answered. */
export interface CommitteeAnswer {
  /** JSON. */
  readonly text: string;
  /** Whether a validator was asked before this one and gave no answer: it may have done what it was asked to. */
  readonly repeated: boolean;
}

/** A chain as people call it. */
export function chainName(chain: ShardId): string {
  return chain === BEACON ? 'the beacon' : `shard ${chain}`;
}

/**
 * Asks chains, whichever of their validators answers. One validator of a chain is asked for as long as it answers, so that who reads after a write reads where
 * it wrote; nodes begin with different ones, so that the calls of a network spread over a committee.
 */
export class Committees {
  private readonly handle: NodeHandle;
  private readonly preferred = new Map<ShardId, number>();

  constructor(handle: NodeHandle) {
    this.handle = handle;
  }

  /**
   * Sends a request to a chain: to its preferred validator if connected, then to the others, connected ones first, each once, within `timeoutMs` in all. Rejects
   * with -32002 when none answers.
   */
  async ask(chain: ShardId, request: WireRequest, timeoutMs: number): Promise<CommitteeAnswer> {
    const { clock } = this.handle;
    const deadlineMs = clock.nowMs() + timeoutMs;
    const order = this.order(chain);
    let reason = 'it has no nodes';
    for (const [at, to] of order.entries()) {
      const leftMs = deadlineMs - clock.nowMs();
      if (leftMs <= 0) break;
      // Who is down refuses at once; who hangs must not use up the time of those who do not.
      const boundMs = at === order.length - 1 ? leftMs : Math.max(leftMs - RESERVE_MS, Math.ceil(leftMs / 2));
      try {
        const text = await this.askOne(to, request, boundMs);
        this.preferred.set(chain, to.validator);
        return { text, repeated: at > 0 };
      } catch (error) {
        reason = (error as { code?: string }).code ?? 'failed';
      }
    }
    throw unavailable(`${chainName(chain)} cannot be reached (${reason})`);
  }

  /** Sends a request to one node. Rejects with the transport's error. */
  async askOne(to: NodeName, request: WireRequest, timeoutMs: number): Promise<string> {
    return join(await promised((done) => this.handle.ask(to, request, timeoutMs, done)));
  }

  /** The committee but this node itself: from the preferred validator on, those that are connected before those that are not. */
  private order(chain: ShardId): NodeName[] {
    const { genesis, name } = this.handle;
    const { length } = (chain === BEACON ? genesis.beaconValidators : genesis.shardValidators[chain]) ?? [];
    const first = this.preferred.get(chain) ?? name.validator;
    const all = Array.from({ length }, (_, at): NodeName => ({ chain, validator: (first + at) % length }));
    const others = all.filter((node) => chain !== name.chain || node.validator !== name.validator);
    const live = new Set(this.handle.connected().flatMap((node) => (node.chain === chain ? [node.validator] : [])));
    return [...others.filter((node) => live.has(node.validator)), ...others.filter((node) => !live.has(node.validator))];
  }
}

/** A long text travels as several items. */
function join(items: readonly Uint8Array[]): string {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  for (const item of items) text += decoder.decode(item, { stream: true });
  return text + decoder.decode();
}
