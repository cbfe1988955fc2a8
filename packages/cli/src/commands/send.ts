import { type Address, fromHex, ShardlabError, toHex } from '@shardlab/crosslink';
import { type Command, Option } from 'commander';
import { readShownAccounts } from '../cluster/open-cluster.ts';
import { waitFor } from '../cluster/wait.ts';
import { badAnswer, EXIT_BAD, EXIT_GOOD, usageError } from '../output/cli-error.ts';
import type { TransactionTrace } from '../output/transaction-trace.ts';
import { quantityOf } from '../rpc/answers.ts';
import { type RpcClient, RpcError } from '../rpc/client.ts';
import { networkStatus, type NetworkStatus } from '../rpc/methods.ts';
import { maxFeePerGas, PRIORITY_FEE_PER_GAS } from '../workload/fees.ts';
import { derivedSecret } from '../workload/key-labels.ts';
import { type ListedCall, readBatchFile } from './batch-file.ts';
import type { Cli, NetworkOptions } from './cli.ts';
import type { BatchCallFields } from './context.ts';
import { clientOf, findNetwork } from './network.ts';
import { fetchTrace, printTrace } from './trace.ts';
import { hex, text, wei, wholeNumber } from './values.ts';

const END_TIMEOUT_MS = 90_000;
const END_INTERVAL_MS = 100;
const INDEX_MAX = 10_000_000;

interface SendOptions extends NetworkOptions {
  readonly from: number;
  readonly to?: string;
  readonly value?: bigint;
  readonly batch?: string;
}

/** What is to be sent: a transfer, or a batch of calls. */
type Order = { readonly kind: 'transfer'; readonly to: string; readonly value: bigint } | { readonly kind: 'batch'; readonly calls: readonly ListedCall[] };

function orderOf(cli: Cli, { to, value, batch }: SendOptions): Order {
  if (batch !== undefined) {
    if (to !== undefined || value !== undefined) throw usageError('cli/contradiction', '--batch and --to, --value exclude each other: a batch names its own recipients');
    return { kind: 'batch', calls: readBatchFile(cli.file(batch)) };
  }
  if (to === undefined || value === undefined) throw usageError('cli/send', 'say what to send: --to <address> and --value <wei>, or --batch <file>');
  return { kind: 'transfer', to, value };
}

/** Checks an address's mixed-case checksum where it has one (EIP-55): all lower or all upper case has none. */
async function checkedAddress(cli: Cli, text: string): Promise<Address> {
  const digits = text.slice(2);
  const lower = digits.toLowerCase();
  if (digits !== lower && digits !== digits.toUpperCase()) {
    const digest = toHex((await cli.context.modules.crypto()).keccak256(new TextEncoder().encode(lower))).slice(2);
    const expected = lower.split('').map((digit, at) => (Number.parseInt(digest[at]!, 16) >= 8 ? digit.toUpperCase() : digit)).join('');
    if (digits !== expected) throw usageError('cli/checksum', `the address ${text} has a wrong checksum (EIP-55): check it, or write it in lower case`);
  }
  return fromHex(`0x${lower}`) as Address;
}

/** The key of funded account `index`. Those of a trace cannot be derived without the trace: `up` keeps the ones that it has shown. */
function secretOf(cli: Cli, options: SendOptions, status: NetworkStatus): Uint8Array {
  const { seed, accounts } = status.workload;
  if (accounts !== undefined) {
    if (options.from >= accounts) throw usageError('cli/account', `there is no account ${options.from}: this network funds ${accounts}, from 0 on`);
    return derivedSecret(seed, options.from);
  }
  if (options.rpc !== undefined && options.dataDir === undefined) {
    throw usageError('cli/account', 'the accounts of this network come from a trace: name its --data-dir too, where "up" has kept some keys');
  }
  const shown = readShownAccounts(cli.dataDir(options));
  const account = shown[options.from];
  if (account === undefined) {
    throw usageError('cli/account', `the accounts of this network come from a trace, "up" has kept the keys of ${shown.length}: give --from 0 to ${shown.length - 1}`);
  }
  return fromHex(account.secretKey);
}

/** A call with all that is signed; gas that the file leaves out is estimated, for each call by itself. */
async function completeCall(cli: Cli, call: ListedCall, index: number, estimate: (call: object) => Promise<bigint>): Promise<BatchCallFields> {
  const to = await checkedAddress(cli, call.to);
  if (call.gas !== undefined) return { ...call, to, gasLimit: call.gas };
  try {
    const gas = await estimate({ to: toHex(to), value: `0x${call.value.toString(16)}`, data: toHex(call.data) });
    return { ...call, to, gasLimit: Number(gas) };
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    throw usageError('cli/batch', `the gas of call ${index} cannot be estimated (${error.message}): if it builds on the calls before it, give its "gas"`, { cause: error });
  }
}

async function submit(cli: Cli, client: RpcClient, options: SendOptions, order: Order): Promise<string> {
  const { modules } = cli.context;
  const recipient = order.kind === 'transfer' ? await checkedAddress(cli, order.to) : undefined;
  const status = await networkStatus(client);
  const secretKey = secretOf(cli, options, status);
  const from = toHex(await modules.addressOf(secretKey));
  const quantity = async (method: string, params: readonly unknown[]): Promise<bigint> => quantityOf(method, await client.call('/', method, params));
  const estimate = (call: object): Promise<bigint> => quantity('eth_estimateGas', [{ from, ...call }]);
  const terms = async (): Promise<{ chainId: number; nonce: number; maxFeePerGas: bigint; maxPriorityFeePerGas: bigint }> => {
    const [nonce, gasPrice] = await Promise.all([quantity('eth_getTransactionCount', [from, 'pending']), quantity('eth_gasPrice', [])]);
    return { chainId: status.chainId, nonce: Number(nonce), maxFeePerGas: maxFeePerGas(gasPrice), maxPriorityFeePerGas: PRIORITY_FEE_PER_GAS };
  };
  const sign = async (): Promise<{ readonly raw: Uint8Array; readonly hash: Uint8Array }> => {
    if (order.kind === 'batch') {
      const calls = await Promise.all(order.calls.map((call, index) => completeCall(cli, call, index, estimate)));
      return modules.signBatch({ ...(await terms()), calls }, secretKey);
    }
    const { value } = order;
    const to = recipient!;
    const [gasLimit, rest] = await Promise.all([estimate({ to: toHex(to), value: `0x${value.toString(16)}` }), terms()]);
    return modules.signTransfer({ ...rest, gasLimit: Number(gasLimit), to, value }, secretKey);
  };
  const { raw, hash } = await sign();
  try {
    await client.call('/', 'eth_sendRawTransaction', [toHex(raw)]);
  } catch (error) {
    // A retry after a lost answer finds the transaction there already: that is success.
    if (!(error instanceof RpcError) || !error.message.includes('already known')) throw error;
  }
  return toHex(hash);
}

/** Waits for the receipt, which only a settled transaction has; then for its whole life. */
async function settled(client: RpcClient, hash: string): Promise<TransactionTrace> {
  const receipt = async (): Promise<true | undefined> => ((await client.call('/', 'eth_getTransactionReceipt', [hash])) === null ? undefined : true);
  if ((await waitFor(receipt, END_TIMEOUT_MS, undefined, END_INTERVAL_MS)) === undefined) {
    throw badAnswer('cli/no-receipt', `${hash} has no receipt after ${END_TIMEOUT_MS / 1_000} s: see "shardlab trace ${hash}" and "shardlab status"`);
  }
  const trace = await fetchTrace(client, hash);
  if (trace === undefined) throw new ShardlabError('rpc/bad-answer', `the network has a receipt of ${hash}, but no trace`);
  return trace;
}

/** `shardlab send`: exit code 1 when the transaction is refused or aborted. */
export function sendCommand(cli: Cli): Command {
  return cli
    .networkCommand('send', 'one signed transfer, or atomic batch of calls, from a funded account, then its trace')
    .addOption(new Option('--from <index>', 'funded account, as up numbers them').argParser(wholeNumber(0, INDEX_MAX)).makeOptionMandatory())
    .addOption(new Option('--to <address>', 'recipient').argParser(hex(20, 'an address')))
    .addOption(new Option('--value <wei>', 'amount').argParser(wei))
    .addOption(new Option('--batch <file>', 'instead: JSON list of calls {to, value, data, gas} of which all happen or none').argParser(text('a file')))
    .action(
      cli.run<SendOptions>(async (options) => {
        const order = orderOf(cli, options);
        const client = clientOf(await findNetwork(cli, options));
        const progress = cli.progress(options);
        try {
          const hash = await submit(cli, client, options, order);
          progress.update(`${hash} submitted, waiting for its receipt`);
          const trace = await settled(client, hash);
          progress.clear();
          printTrace(cli, options, trace);
          return trace.outcome === 'committed' ? EXIT_GOOD : EXIT_BAD;
        } finally {
          progress.clear();
          client.close();
        }
      }),
    );
}
