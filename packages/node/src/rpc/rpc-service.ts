import { BEACON, DecodeError, type ShardId, toHex, type WireRequest } from '@shardlab/crosslink';
import type { SubmitResult } from '@shardlab/shard';
import { nodeLabel } from '../network/names.ts';
import type { RpcMetrics } from '../observability/metrics.ts';
import { forwardedAnswer, malformedSubmit, readSubmit, type SubmitAnswer, submitAnswer, submitRefusal, SUBMITS_MAX } from './bulk-submit.ts';
import { answerJsonRpc, type JsonRpcModules, type MethodTable, type RpcMethod } from './json-rpc.ts';
import { aboutMethods } from './methods/about.ts';
import { chaosMethods } from './methods/chaos.ts';
import { ContractCalls } from './evm/contract-calls.ts';
import { constantMethods } from './methods/constant.ts';
import { ownStatus } from './methods/network-status.ts';
import { networkMethods } from './methods/network.ts';
import { accountMethods } from './methods/shard-accounts.ts';
import { contractMethods } from './methods/shard-contracts.ts';
import { debugMethods } from './methods/shard-debug.ts';
import { logMethods } from './methods/shard-logs.ts';
import { shardBlockMethods } from './methods/shard-blocks.ts';
import { pinMethods } from './methods/shard-pins.ts';
import { shardTransactionMethods } from './methods/shard-transactions.ts';
import type { NodeHandle } from './node-handle.ts';
import { RpcError, unavailable } from './rpc-error.ts';
import { ShardCalls } from './shard-calls.ts';
import { Waiters } from './waiters.ts';

/** How long a request that is passed on as it is may take, in milliseconds: below what the other node's transport allows. */
const FORWARD_TIMEOUT_MS = 28_000;
/** Longest long poll, of an own caller and of one that another node passes on. */
const WAIT_MS_MAX = 30_000;
const FORWARDED_WAIT_MS_MAX = 20_000;
/** Bytes of one item of an answer to another node; long texts travel in several. */
const ITEM_BYTES = 4 << 20;
/** Bytes of a whole answer to another node: what its transport takes, less its framing. */
const ANSWER_BYTES_MAX = (8 << 20) - 4_096;
/** Requests of other nodes that are worked on at a time. */
const FORWARDED_MAX = 256;

/** What {@link RpcService} tells its owner. */
export interface RpcServiceModules {
  readonly metrics?: RpcMetrics;
  /** Failures that are the node's own. */
  readonly onInternalError?: (method: string, error: unknown) => void;
}

/**
 * Everything that a node answers over RPC, whatever carries it. `/` and `/shard/I` from HTTP; requests that other nodes pass on are answered from this node's
 * own chain alone, so that nothing travels in circles.
 */
export class RpcService {
  private readonly handle: NodeHandle;
  private readonly modules: RpcServiceModules;
  private readonly jsonModules: JsonRpcModules;
  private readonly waiters: Waiters;
  private readonly network: MethodTable;
  private readonly own: MethodTable;
  private readonly ownForwarded: MethodTable;
  private readonly calls: ShardCalls;
  private submits = 0;
  private forwarded = 0;

  constructor(handle: NodeHandle, modules: RpcServiceModules = {}) {
    this.handle = handle;
    this.modules = modules;
    this.waiters = new Waiters({ clock: handle.clock, subscribe: (listener) => handle.chain.onStored(listener) });
    const { shard, name } = handle;
    const contracts = shard === undefined || name.chain === BEACON ? undefined : new ContractCalls(name.chain, handle, shard.executed);
    const own = new Map(ownMethods(handle, contracts, this.waiters, WAIT_MS_MAX));
    this.own = own;
    this.ownForwarded = new Map(ownMethods(handle, contracts, this.waiters, FORWARDED_WAIT_MS_MAX));
    this.calls = new ShardCalls(handle, own);
    const network = new Map([...constantMethods(handle), ...aboutMethods(handle), ...networkMethods(handle, this.calls), ...(handle.faults === undefined ? [] : chaosMethods(handle.faults))]);
    this.network = network;
    this.jsonModules = { ...modules, known: new Set([...own.keys(), ...network.keys()]) };
  }

  /** Whether this network has such a shard. */
  hasShard(shard: number): shard is ShardId {
    return Number.isInteger(shard) && shard >= 0 && shard < this.handle.genesis.shards;
  }

  /** Answers a JSON-RPC body on the network view or on one shard's; undefined when there is nothing to answer. Never rejects. */
  async answer(view: 'network' | ShardId, body: Uint8Array): Promise<string | undefined> {
    if (view === 'network') return answerJsonRpc(body, this.network, this.jsonModules);
    if (view === this.handle.name.chain) return answerJsonRpc(body, this.own, this.jsonModules);
    const startedMs = performance.now();
    let outcome = 'ok';
    try {
      const text = await this.calls.forward(view, { kind: 'rpc', json: body }, FORWARD_TIMEOUT_MS);
      return text === '' ? undefined : text;
    } catch (error) {
      const cause = error instanceof RpcError ? error : unavailable(`shard ${view} cannot be reached`);
      outcome = String(cause.rpcCode);
      // Each call of the body gets the error, under its own id.
      return await answerJsonRpc(body, failing(cause), { known: NO_NAMES });
    } finally {
      this.modules.metrics?.called('forwarded', outcome, (performance.now() - startedMs) / 1000);
    }
  }

  /** Answers a bulk submit to any shard. Never rejects. */
  async submit(shard: ShardId, body: Uint8Array): Promise<SubmitAnswer> {
    if (this.submits >= SUBMITS_MAX) return submitRefusal('busy', `${SUBMITS_MAX} bulk submits are being worked on already`);
    this.submits++;
    const startedMs = performance.now();
    let answer: SubmitAnswer | undefined;
    try {
      answer = shard === this.handle.name.chain ? await this.submitHere(body) : await this.submitThere(shard, body);
      return answer;
    } finally {
      this.submits--;
      this.modules.metrics?.called('submit', answer?.status === 200 ? 'ok' : String(answer?.status), (performance.now() - startedMs) / 1000);
    }
  }

  private async submitHere(body: Uint8Array): Promise<SubmitAnswer> {
    const { shard } = this.handle;
    if (shard === undefined) return submitRefusal('unavailable', 'the beacon takes no transactions');
    let raws: Uint8Array[];
    try {
      raws = readSubmit(body);
    } catch (error) {
      if (error instanceof DecodeError) return malformedSubmit(error);
      throw error;
    }
    if (raws.length === 0) return submitAnswer([]);
    return submitAnswer(await new Promise<readonly SubmitResult[]>((resolve) => shard.submit(raws, resolve)));
  }

  private async submitThere(shard: ShardId, body: Uint8Array): Promise<SubmitAnswer> {
    try {
      return forwardedAnswer(await this.calls.forward(shard, { kind: 'submit', body }, FORWARD_TIMEOUT_MS));
    } catch (error) {
      if (error instanceof RpcError) return submitRefusal('unavailable', error.message);
      throw error;
    }
  }

  /** Answers what another node passes on, from this node's own chain; `undefined` refuses it: too much is being worked on. */
  answerWire(request: Extract<WireRequest, { kind: 'rpc' | 'submit' }>, done: (items: readonly Uint8Array[] | undefined) => void): void {
    if (this.forwarded >= FORWARDED_MAX) {
      queueMicrotask(() => done(undefined));
      return;
    }
    this.forwarded++;
    const answer = request.kind === 'rpc' ? this.wireRpc(request.json) : this.submitHere(request.body).then(({ text }) => new TextEncoder().encode(text));
    const finish = (items: readonly Uint8Array[] | undefined): void => {
      this.forwarded--;
      done(items);
    };
    answer.then(
      (bytes) => finish(itemsOf(bytes)),
      (error: unknown) => {
        this.modules.onInternalError?.(request.kind, error);
        finish(undefined);
      },
    );
  }

  private async wireRpc(json: Uint8Array): Promise<Uint8Array> {
    const text = (await answerJsonRpc(json, this.ownForwarded, this.jsonModules)) ?? '';
    const bytes = new TextEncoder().encode(text);
    if (bytes.length <= ANSWER_BYTES_MAX) return bytes;
    const tooLarge = new RpcError(-32_005, `the answer has ${bytes.length} bytes, too many to pass on: ask a node of shard ${this.handle.name.chain} itself`);
    return new TextEncoder().encode((await answerJsonRpc(json, failing(tooLarge), { known: NO_NAMES })) ?? '');
  }

  /** What `/healthz` answers: 200 when the node is healthy, else 503; which node of which network it is, and the ids of the nodes that are connected and have proven who they are. */
  health(): { readonly status: number; readonly text: string } {
    const { id, healthy, height, reason } = this.handle.status();
    const connected = this.handle.connected().map(nodeLabel).sort();
    const genesisHash = toHex(this.handle.genesisHash);
    return { status: healthy ? 200 : 503, text: JSON.stringify({ id, genesisHash, healthy, height, ...(reason === undefined ? {} : { reason }), connected }) };
  }

  /** Lets long polls go and unpins states. */
  close(): void {
    this.waiters.close();
    this.handle.pins?.close();
  }
}

const NO_NAMES: ReadonlySet<string> = new Set();

/** A table in which every method fails the same way. */
function failing(error: RpcError): MethodTable {
  const fail: RpcMethod = () => {
    throw error;
  };
  return { has: () => true, get: () => fail };
}

function itemsOf(bytes: Uint8Array): Uint8Array[] {
  const items: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += ITEM_BYTES) items.push(bytes.subarray(at, at + ITEM_BYTES));
  return items;
}

/** The methods of the node's own chain: a shard's view; of a beacon, what it can say of itself and the network. */
function ownMethods(handle: NodeHandle, contracts: ContractCalls | undefined, waiters: Waiters, waitMsMax: number): [string, RpcMethod][] {
  const { shard, pins } = handle;
  return [
    ...constantMethods(handle),
    ...aboutMethods(handle),
    ['shard_status', () => ownStatus(handle)],
    ...(shard === undefined || contracts === undefined
      ? []
      : [
          ...accountMethods(handle, shard, contracts.views),
          ...contractMethods(handle, contracts),
          ...debugMethods(handle, contracts.views),
          ...logMethods(handle),
          ...shardBlockMethods(handle, waiters, waitMsMax),
          ...shardTransactionMethods(handle, shard),
        ]),
    ...(pins === undefined ? [] : pinMethods(pins)),
  ];
}
