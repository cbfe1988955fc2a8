import { type Address, type ShardHeader, type ShardId } from '@shardlab/crosslink';
import {
  type AccessListEntry,
  type AccountOverride,
  estimateGas,
  findAccessList,
  GAS_TRANSACTION,
  nextHeader,
  type NotSimulated,
  OverriddenSource,
  type Simulated,
  Simulator,
  type StateSource,
} from '@shardlab/shard';
import type { ExecutedState, NodeHandle } from '../node-handle.ts';
import { type RpcError, serverError } from '../rpc-error.ts';
import { CALL_GAS_MAX, callerOf, type CallRequest } from './call-request.ts';
import { failureOf } from './failure.ts';
import { type StateView, StateViews } from './state-views.ts';

type Overrides = ReadonlyMap<string, AccountOverride> | undefined;
type Tracer = Parameters<Simulator['run']>[3];

/** On which state a call runs, and in which block. */
export interface CallPlace {
  readonly height: number;
  /** Whether in the block after it, where a transaction that is sent now will be; else in the block itself. */
  readonly isNext: boolean;
}

/** What an access list saves. */
export interface AccessListAnswer {
  readonly accessList: readonly AccessListEntry[];
  readonly gasUsed: number;
  /** Why the call fails all the same. */
  readonly error: RpcError | undefined;
}

/** Tries calls of contracts out on the states of the node's shard. */
export class ContractCalls {
  readonly views: StateViews;
  private readonly handle: NodeHandle;
  private readonly simulator: Simulator;

  constructor(shard: ShardId, handle: NodeHandle, executed: ExecutedState) {
    this.handle = handle;
    this.views = new StateViews(shard, handle, executed);
    this.simulator = new Simulator({ fork: handle.genesis.forks }, { crypto: handle.crypto });
  }

  /** Runs a call. */
  call(call: CallRequest, place: CallPlace, overrides: Overrides, tracer?: () => Tracer): Promise<Simulated | NotSimulated> {
    return this.on(place, overrides, (view, source) => this.run(view, source, call, call.gas ?? CALL_GAS_MAX, call.accessList ?? [], tracer?.()));
  }

  /** The least gas limit with which it succeeds, as far as that is worth knowing. Rejects with why it fails. */
  estimate(call: CallRequest, place: CallPlace, overrides: Overrides): Promise<number> {
    return this.on(place, overrides, (view, source) => {
      const gasMax = gasMaxOf(view, source, call);
      const isPlain = call.to !== undefined && call.data.length === 0 && (call.accessList ?? []).length === 0 && !hasCode(source, call.to);
      const found = estimateGas({ gasMax, isPlain }, (gas) => this.run(view, source, call, gas, call.accessList ?? []));
      if ('gas' in found) return found.gas;
      const { failed } = found;
      const short = 'invalid' in failed ? failed.invalid === 'intrinsic-gas' : failed.halt === 'out-of-gas';
      throw short ? serverError(`gas required exceeds allowance (${gasMax})`) : failureOf(failed, call)!;
    });
  }

  /** What it touches, and what it costs with that declared. */
  accessList(call: CallRequest, place: CallPlace, overrides: Overrides): Promise<AccessListAnswer> {
    return this.on(place, overrides, (view, source) => {
      const { simulator } = this;
      const warm: Address[] = [callerOf(call), ...(call.to === undefined ? [] : [call.to]), view.environment(view.header).coinbase];
      const run = (accessList: readonly AccessListEntry[]): Simulated | NotSimulated => this.run(view, source, call, call.gas ?? CALL_GAS_MAX, accessList);
      const { accessList, outcome } = findAccessList(warm, { run, touched: (without) => simulator.accessList(without) }, call.accessList ?? []);
      const error = failureOf(outcome, call);
      if ('invalid' in outcome) throw error!;
      return { accessList, gasUsed: outcome.gasUsed, error };
    });
  }

  private on<T>({ height, isNext }: CallPlace, overrides: Overrides, task: (view: StateView, source: StateSource) => T): Promise<T> {
    const { crypto, clock } = this.handle;
    return this.views.at(height, (found) => {
      const view = isNext ? { ...found, header: nextHeader(crypto, found.header, clock.nowMs()) } : found;
      try {
        return task(view, overrides === undefined ? view.source : new OverriddenSource(view.source, overrides, crypto));
      } finally {
        this.simulator.forget();
      }
    });
  }

  private run(view: StateView, source: StateSource, call: CallRequest, gas: number, accessList: readonly AccessListEntry[], tracer?: Tracer): Simulated | NotSimulated {
    const gasPrice = priceOf(call, view.header);
    const environment = view.environment(view.header, { isFree: gasPrice === 0n });
    const { to, value, data } = call;
    return this.simulator.run(source, environment, { from: callerOf(call), to, gas, gasPrice, value, data, accessList }, tracer);
  }
}

/** Wei per gas that the call would pay in its block. */
function priceOf(call: CallRequest, { baseFeePerGas }: Pick<ShardHeader, 'baseFeePerGas'>): bigint {
  const { gasPrice, maxFeePerGas, maxPriorityFeePerGas } = call;
  const most = gasPrice ?? maxFeePerGas ?? 0n;
  if (most === 0n) return 0n;
  if (most < baseFeePerGas) throw serverError(`max fee per gas less than block base fee: maxFeePerGas ${most}, baseFee ${baseFeePerGas}`);
  if (gasPrice !== undefined) return gasPrice;
  const price = baseFeePerGas + (maxPriorityFeePerGas ?? 0n);
  return price < most ? price : most;
}

function hasCode(source: StateSource, address: Address): boolean {
  const account = source.account(address);
  return account !== undefined && source.code(account.codeHash).length > 0;
}

/** The highest limit that an estimate tries: the caller's, the block's or this node's, and what the sender can pay for. */
function gasMaxOf(view: StateView, source: StateSource, call: CallRequest): number {
  const asked = call.gas !== undefined && call.gas >= GAS_TRANSACTION ? call.gas : view.header.gasLimit;
  const most = Math.min(asked, CALL_GAS_MAX);
  const from = callerOf(call);
  // Who lives elsewhere pays there.
  if (source.homeOf(from) !== -1) return most;
  const balance = source.account(from)?.balance ?? 0n;
  if (balance < call.value) throw serverError('insufficient funds for transfer');
  const price = priceOf(call, view.header);
  if (price === 0n) return most;
  const payable = (balance - call.value) / price;
  return payable < BigInt(most) ? Number(payable) : most;
}

