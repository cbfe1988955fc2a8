import { ShardlabError, toHex } from '@shardlab/crosslink';
import type { ShardEndpoints } from '../rpc/endpoints.ts';
import { quantityOf } from '../rpc/answers.ts';
import type { RpcClient } from '../rpc/client.ts';
import type { NetworkStatus } from '../rpc/methods.ts';
import { type AccountSet, addressAt } from '../workload/account-set.ts';
import { BUDGET_GAS, maxFeePerGas, PRIORITY_FEE_PER_GAS } from '../workload/fees.ts';
import type { CommonTerms, SigningTerms } from '../workload/signed-load.ts';
import type { Transfers } from '../workload/transfers.ts';

/** Questions in one JSON-RPC request. */
const BATCH = 100;
/** Of a transfer within a shard, where a run has none to estimate. */
const TRANSFER_GAS = 21_000;

/** What the terms are asked for. */
export interface TermsInput {
  readonly status: NetworkStatus;
  readonly accounts: AccountSet;
  readonly homes: Uint16Array;
  /** Senders, by index of the account: at least one. */
  readonly from: Uint32Array;
  readonly endpoints: readonly ShardEndpoints[];
  readonly progress: (done: number, total: number) => void;
}

/** Asks the network for what all signing needs: prices, and the next nonce of each sender. */
export async function commonTerms(input: TermsInput): Promise<CommonTerms> {
  const { status } = input;
  const gasPrice = quantityOf('eth_gasPrice', await firstClient(input).call('/', 'eth_gasPrice', []));
  const floor = gasPrice > status.baseFeePerGas ? gasPrice : status.baseFeePerGas;
  return { chainId: status.chainId, maxFeePerGas: maxFeePerGas(floor), maxPriorityFeePerGas: PRIORITY_FEE_PER_GAS, nonces: await nextNonces(input) };
}

function firstClient({ endpoints, homes, from }: TermsInput): RpcClient {
  return endpoints[homes[from[0]!]!]!.current;
}

/** As {@link commonTerms}, and gas of both kinds of transfer. */
export async function signingTerms(input: Omit<TermsInput, 'from'> & { readonly transfers: Transfers }): Promise<SigningTerms> {
  const { transfers, homes } = input;
  const all = { ...input, from: transfers.from };
  const gasOf = async (crossShard: boolean): Promise<number> => {
    for (let i = 0; i < transfers.count; i++) {
      const [from, to] = [transfers.from[i]!, transfers.to[i]!];
      if ((homes[from] !== homes[to]) === crossShard) return transferGas(all, from, to);
    }
    return TRANSFER_GAS;
  };
  return { ...(await commonTerms(all)), gasIntraShard: await gasOf(false), gasCrossShard: await gasOf(true) };
}

/** Gas limit of a transfer between two accounts, as the network estimates it. Throws `load/network` if no account could pay it. */
export async function transferGas(input: TermsInput, from: number, to: number): Promise<number> {
  const { accounts } = input;
  const transaction = { from: toHex(addressAt(accounts, from)), to: toHex(addressAt(accounts, to)), value: '0x1' };
  const gas = quantityOf('eth_estimateGas', await firstClient(input).call('/', 'eth_estimateGas', [transaction]));
  if (gas > BUDGET_GAS) throw new ShardlabError('load/network', `a transfer would cost ${gas} gas, accounts are funded for ${BUDGET_GAS}`);
  return Number(gas);
}

/** Next nonce of each sender, counting what its shard's pool holds; 0 for accounts that send nothing. */
async function nextNonces(input: TermsInput): Promise<Float64Array> {
  const { accounts, homes, from, endpoints, progress } = input;
  const nonces = new Float64Array(accounts.count);
  const sends = new Uint8Array(accounts.count);
  for (const sender of from) sends[sender] = 1;
  const byShard: number[][] = endpoints.map(() => []);
  sends.forEach((yes, account) => yes === 1 && byShard[homes[account]!]!.push(account));
  const total = byShard.reduce((sum, list) => sum + list.length, 0);
  let done = 0;
  await Promise.all(
    byShard.map(async (list, shard) => {
      for (let at = 0; at < list.length; at += BATCH) {
        const batch = list.slice(at, at + BATCH);
        const calls = batch.map((account) => ({ method: 'eth_getTransactionCount', params: [toHex(addressAt(accounts, account)), 'pending'] }));
        const outcomes = await endpoints[shard]!.current.batch(`/shard/${shard}`, calls);
        outcomes.forEach((outcome, index) => {
          if (!outcome.ok) throw outcome.error;
          nonces[batch[index]!] = Number(quantityOf('eth_getTransactionCount', outcome.result));
        });
        done += batch.length;
        progress(done, total);
      }
    }),
  );
  return nonces;
}
