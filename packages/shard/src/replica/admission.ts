import type { Genesis, ShardId } from '@shardlab/crosslink';
import type { SubmitResult } from '../effects.ts';
import type { Epochs } from '../exchange/epochs.ts';
import type { Requests } from '../exchange/requests.ts';
import { checkStatic, type Rejection, rejection, rejectionOf } from '../mempool/admission.ts';
import type { Mempool } from '../mempool/mempool.ts';
import type { AccountReader } from '../state/shard-state.ts';
import type { StepContext } from '../step-context.ts';
import type { AdmissionBatch } from '../transaction/admission-record.ts';
import type { PoolTransaction } from '../transaction/types.ts';
import { increment, type ReplicaCounters } from './types.ts';

/** Transactions whose senders are being recovered. */
const RECOVERING_MAX = 65_536;

/** What admission reads and feeds. */
export interface AdmissionModules {
  readonly step: StepContext;
  readonly requests: Requests;
  readonly counters: ReplicaCounters;
  readonly mempool: Mempool;
  readonly accounts: AccountReader;
  readonly epochs: Epochs;
}

/** Takes signed transactions in: has their senders recovered, judges them, and answers each submission exactly once. */
export class Admission {
  private readonly genesis: Genesis;
  private readonly shard: ShardId;
  private readonly modules: AdmissionModules;
  private readonly submissions = new Map<number, { readonly token: number; readonly count: number }>();
  private recovering = 0;

  constructor(options: { readonly genesis: Genesis; readonly shard: ShardId }, modules: AdmissionModules) {
    this.genesis = options.genesis;
    this.shard = options.shard;
    this.modules = modules;
  }

  /** New transactions, unjudged. */
  submit(token: number, raws: readonly Uint8Array[]): void {
    if (this.recovering + raws.length > RECOVERING_MAX) {
      const refused = rejection('busy', 'too many transactions wait for sender recovery');
      this.reply(token, raws.map(() => ({ hash: undefined, rejection: refused })));
      return;
    }
    const request = this.modules.requests.number();
    this.submissions.set(request, { token, count: raws.length });
    this.recovering += raws.length;
    this.modules.step.push({ kind: 'recover-senders', request, raws });
  }

  /** Answers `recover-senders`; a stale answer is dropped. */
  recovered(request: number, batch: AdmissionBatch | undefined): void {
    const submission = this.submissions.get(request);
    if (submission === undefined) return;
    this.submissions.delete(request);
    this.recovering -= submission.count;
    const results: SubmitResult[] = [];
    for (let index = 0; index < submission.count; index++) {
      const result = batch === undefined ? { hash: undefined, rejection: rejection('busy', 'sender recovery is overloaded') } : this.admit(batch, index);
      results.push(result);
    }
    this.reply(submission.token, results);
  }

  private admit(batch: AdmissionBatch, index: number): SubmitResult {
    const error = batch.error(index);
    if (error !== undefined) return { hash: undefined, rejection: rejectionOf(error) };
    const tx = batch.transaction(index);
    const refused = this.refusal(tx);
    if (refused === undefined) this.modules.counters.admitted++;
    return { hash: tx.hash, rejection: refused };
  }

  private refusal(tx: PoolTransaction): Rejection | undefined {
    const { genesis, shard } = this;
    const { epochs, accounts, mempool } = this.modules;
    const wrong = checkStatic(tx, genesis.chainId, genesis.parameters.blockGasLimit);
    if (wrong !== undefined) return wrong;
    const epoch = epochs.latest;
    if (epoch === undefined) return rejection('busy', 'this node has no assignment certificate from the beacon yet');
    // Who has an account here lives here: the table is asked only for strangers.
    if (accounts.account(tx.senderKey) === undefined) {
      const home = epoch.table.shardOf(tx.sender);
      if (home !== shard) return rejection('wrong-shard', `the sender lives on shard ${home}, this is shard ${shard}`);
    }
    return mempool.add(tx);
  }

  private reply(token: number, results: readonly SubmitResult[]): void {
    const { counters, step } = this.modules;
    for (const { rejection: refused } of results) if (refused !== undefined) increment(counters.rejected, refused.code);
    step.push({ kind: 'reply', token, results });
  }
}
