import { ShardlabError, toHex } from '@shardlab/crosslink';
import type { ShardEndpoints } from '../rpc/endpoints.ts';
import { quantityOf } from '../rpc/answers.ts';
import type { RpcClient } from '../rpc/client.ts';
import type { NetworkStatus } from '../rpc/methods.ts';
import { type AccountSet, addressAt } from '../workload/account-set.ts';
import { BUDGET_GAS, maxFeePerGas, PRIORITY_FEE_PER_GAS } from '../workload/fees.ts';
import type { SigningTerms } from '../workload/signed-load.ts';
import type { Transfers } from '../workload/transfers.ts';

/** Questions in one JSON-RPC request. */
const BATCH = 100;

/** What the terms are asked for. */
export interface TermsInput {
  readonly status: NetworkStatus;
  readonly accounts: AccountSet;
  readonly homes: Uint16Array;
  readonly transfers: Transfers;
  readonly endpoints: readonly ShardEndpoints[];
  readonly progress: (done: number, total: number) => void;
}

/** Asks the network for what signing needs: prices, gas of both kinds of transfer, and the next nonce of each sender. */
export async function signingTerms(input: TermsInput): Promise<SigningTerms> {
  const { status, endpoints } = input;
  const first = endpoints[input.homes[input.transfers.from[0]!]!]!.current;
  const gasPrice = quantityOf('eth_gasPrice', await first.call('/', 'eth_gasPrice', []));
  const floor = gasPrice > status.baseFeePerGas ? gasPrice : status.baseFeePerGas;
  return {
    chainId: status.chainId,
    maxFeePerGas: maxFeePerGas(floor),
    maxPriorityFeePerGas: PRIORITY_FEE_PER_GAS,
    gasIntraShard: await transferGas(input, first, false),
    gasCrossShard: await transferGas(input, first, true),
    nonces: await nextNonces(input),
  };
}

/** Gas limit of one kind of transfer, as the network estimates it for the first of that kind; 21,000 if the run has none of it. */
async function transferGas(input: TermsInput, client: RpcClient, crossShard: boolean): Promise<number> {
  const { transfers, homes, accounts } = input;
  for (let i = 0; i < transfers.count; i++) {
    const [from, to] = [transfers.from[i]!, transfers.to[i]!];
    if ((homes[from] !== homes[to]) !== crossShard) continue;
    const transaction = { from: toHex(addressAt(accounts, from)), to: toHex(addressAt(accounts, to)), value: '0x1' };
    const gas = quantityOf('eth_estimateGas', await client.call('/', 'eth_estimateGas', [transaction]));
    if (gas > BUDGET_GAS) throw new ShardlabError('load/network', `a transfer would cost ${gas} gas, accounts are funded for ${BUDGET_GAS}`);
    return Number(gas);
  }
  return 21_000;
}

/** Next nonce of each sender, counting what its shard's pool holds; 0 for accounts that send nothing. */
async function nextNonces(input: TermsInput): Promise<Float64Array> {
  const { accounts, homes, transfers, endpoints, progress } = input;
  const nonces = new Float64Array(accounts.count);
  const sends = new Uint8Array(accounts.count);
  for (const sender of transfers.from) sends[sender] = 1;
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
