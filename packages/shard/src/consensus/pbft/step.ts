import type { ShardId } from '@shardlab/crosslink';
import type { LogLine } from '../../log-line.ts';
import type { ConsensusOutput, ProposalChange } from '../types.ts';
import { type ConsensusMessage, encodeMessage } from './messages.ts';

/** What a state must be stored as, asked for only when votes leave. */
export interface DurableSource {
  readonly state: () => Uint8Array;
  readonly proposals: () => readonly ProposalChange[];
}

/** Collects what one call of the engine wants done. */
export class Step {
  /** Counts messages, so that no two have the same bytes. */
  attempt: number;
  private readonly chain: ShardId;
  /** A committee of one talks to nobody. */
  private readonly silent: boolean;
  private outputs: ConsensusOutput[] = [];
  private votes: Uint8Array[] = [];
  private sends: Uint8Array[] = [];

  constructor(chain: ShardId, attempt: number, silent: boolean) {
    this.chain = chain;
    this.attempt = attempt;
    this.silent = silent;
  }

  push(output: ConsensusOutput): void {
    this.outputs.push(output);
  }

  log(level: LogLine['level'], event: string, fields: LogLine['fields']): void {
    this.outputs.push({ kind: 'log', line: { level, event, fields: { chain: this.chain, ...fields } } });
  }

  private encode(message: ConsensusMessage): Uint8Array {
    this.attempt = (this.attempt + 1) % 0x1_0000_0000;
    return encodeMessage(this.chain, this.attempt, message);
  }

  /** A message that this validator is bound by: it leaves after the state that remembers it is synced. Said again, it waits again, because it may not be synced yet. */
  vow(message: ConsensusMessage): void {
    if (!this.silent) this.votes.push(this.encode(message));
  }

  /** A message that binds nobody. */
  send(message: ConsensusMessage): void {
    if (!this.silent) this.sends.push(this.encode(message));
  }

  /** Ends the call. The state comes first: what is decided in the same call rests on it. */
  finish(durable: DurableSource): readonly ConsensusOutput[] {
    const { outputs, votes, sends } = this;
    this.outputs = [];
    this.votes = [];
    this.sends = [];
    if (votes.length > 0) outputs.unshift({ kind: 'vote', state: durable.state(), proposals: durable.proposals(), messages: votes });
    if (sends.length > 0) outputs.push({ kind: 'send', messages: sends });
    return outputs;
  }
}
