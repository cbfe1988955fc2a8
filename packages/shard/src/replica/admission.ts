import { ACCEPT, bytesKey, type Crypto, decodeForward, type Genesis, ignore, reject, type ShardId } from '@shardlab/crosslink';
import type { SubmitResult } from '../effects.ts';
import type { Epochs } from '../exchange/epochs.ts';
import type { Requests } from '../exchange/requests.ts';
import { checkStatic, type Rejection, rejection, rejectionOf } from '../mempool/admission.ts';
import type { Mempool } from '../mempool/mempool.ts';
import type { AccountReader } from '../state/shard-state.ts';
import type { StepContext } from '../step-context.ts';
import type { AdmissionBatch } from '../transaction/admission-record.ts';
import type { PoolTransaction } from '../transaction/types.ts';
import type { Forwarding } from './forwarding.ts';
import { increment, type ReplicaCounters } from './types.ts';

/** Transactions whose senders are being recovered. */
const RECOVERING_MAX = 65_536;

interface Submission {
  /** Of the submission, or of the message. */
  readonly token: number;
  readonly from: 'client' | 'committee';
  readonly raws: readonly Uint8Array[];
}

/** What admission reads and feeds. */
export interface AdmissionModules {
  readonly step: StepContext;
  readonly requests: Requests;
  readonly counters: ReplicaCounters;
  readonly crypto: Crypto;
  readonly mempool: Mempool;
  readonly accounts: AccountReader;
  readonly epochs: Epochs;
  /** To the rest of the committee; `undefined` = there is none. */
  readonly forwarding: Forwarding | undefined;
}

/** Takes signed transactions in: has their senders recovered, judges them, and answers each submission exactly once. */
export class Admission {
  private readonly genesis: Genesis;
  private readonly shard: ShardId;
  private readonly modules: AdmissionModules;
  private readonly submissions = new Map<number, Submission>();
  private recovering = 0;

  constructor(options: { readonly genesis: Genesis; readonly shard: ShardId }, modules: AdmissionModules) {
    this.genesis = options.genesis;
    this.shard = options.shard;
    this.modules = modules;
  }

  /** New transactions, unjudged. */
  submit(token: number, raws: readonly Uint8Array[]): void {
    if (!this.recover({ token, from: 'client', raws })) {
      const refused = rejection('busy', 'too many transactions wait for sender recovery');
      this.reply(token, raws.map(() => ({ hash: undefined, rejection: refused })));
    }
  }

  /**
   * Transactions that another validator of the committee has admitted. Its verdict follows when their senders are recovered: one that is no transaction at all is its
   * sender's fault, one that does not fit the pool any more is nobody's. Throws `DecodeError`.
   */
  take(token: number, data: Uint8Array): void {
    const { crypto, mempool } = this.modules;
    // What the pool has costs a hash, not a recovery.
    const raws = decodeForward(data.slice()).filter((raw) => mempool.get(bytesKey(crypto.keccak256(raw))) === undefined);
    if (raws.length === 0) this.modules.step.push({ kind: 'verdict', token, verdict: ignore('transactions-known') });
    else if (!this.recover({ token, from: 'committee', raws })) this.modules.step.push({ kind: 'verdict', token, verdict: ignore('busy') });
  }

  private recover(submission: Submission): boolean {
    const { raws } = submission;
    if (this.recovering + raws.length > RECOVERING_MAX) return false;
    const request = this.modules.requests.number();
    this.submissions.set(request, submission);
    this.recovering += raws.length;
    this.modules.step.push({ kind: 'recover-senders', request, raws });
    return true;
  }

  /** Answers `recover-senders`; whether the answer was for a submission. */
  recovered(request: number, batch: AdmissionBatch | undefined): boolean {
    const submission = this.submissions.get(request);
    if (submission === undefined) return false;
    const { token, from, raws } = submission;
    const { forwarding } = this.modules;
    this.submissions.delete(request);
    this.recovering -= raws.length;
    const results = raws.map((_, index): SubmitResult => {
      return batch === undefined ? { hash: undefined, rejection: rejection('busy', 'sender recovery is overloaded') } : this.admit(batch, index);
    });
    if (from === 'committee') {
      const broken = batch !== undefined && raws.some((_, index) => batch.error(index) !== undefined);
      this.modules.step.push({ kind: 'verdict', token, verdict: broken ? reject('transaction') : ACCEPT });
      return true;
    }
    this.reply(token, results);
    forwarding?.add(raws.filter((_, index) => results[index]!.rejection === undefined));
    return true;
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
    const wrong = checkStatic(tx, { chainId: genesis.chainId, gasLimit: genesis.parameters.blockGasLimit, fork: genesis.forks });
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
