/** viem, unchanged, deploys and drives OpenZeppelin's ERC-20 and Uniswap V2 on a network of real processes: within a shard, and from another one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  type Abi,
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  defineChain,
  encodeFunctionData,
  getAddress,
  type Hex,
  http,
  parseAbi,
  parseEventLogs,
  type PublicClient,
  type TransactionReceipt,
  type WalletClient,
} from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { type ShownAccount, startNetwork, type TestNetwork } from '../support/e2e-network.ts';

const RECEIPT_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
const SUPPLY = 10n ** 24n;
const ETHER = 10n ** 18n;
const FAR = 1n << 40n;
const TRANSFER = parseAbi(['event Transfer(address indexed from, address indexed to, uint256 value)']);

interface Artifact {
  readonly initcode: string;
  readonly abi: Abi;
}
const ARTIFACTS = (JSON.parse(readFileSync(new URL('../../packages/cli/src/workload/contracts/artifacts.json', import.meta.url), 'utf8')) as { contracts: Record<string, Artifact> }).contracts;

interface Contract {
  readonly address: Hex;
  readonly abi: Abi;
}

/** viem's clients for one account, and what is done with them here. */
class Wallet {
  readonly account: PrivateKeyAccount;
  readonly client: PublicClient;
  private readonly wallet: WalletClient;
  private readonly network: TestNetwork;

  constructor(network: TestNetwork, from: ShownAccount) {
    const { rpcUrl, chainId } = network.network;
    const chain = defineChain({ id: chainId, name: 'Shardlab', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls: { default: { http: [rpcUrl] } } });
    this.account = privateKeyToAccount(from.secretKey);
    const common = { chain, transport: http(rpcUrl, { retryCount: 0 }), pollingInterval: POLL_MS, cacheTime: 0 };
    this.client = createPublicClient(common);
    this.wallet = createWalletClient({ ...common, account: this.account });
    this.network = network;
  }

  async receipt(hash: Hex): Promise<TransactionReceipt> {
    const receipt = await this.client.waitForTransactionReceipt({ hash, timeout: RECEIPT_TIMEOUT_MS });
    if (receipt.status !== 'success') {
      const found = await this.network.call<{ receipt?: unknown }>('eth_getTransactionReceipt', [hash]);
      assert.fail(`failed: ${JSON.stringify(found)}`);
    }
    return receipt;
  }

  async deploy(name: string, args: readonly unknown[] = []): Promise<Contract & { readonly receipt: TransactionReceipt }> {
    const { abi, initcode } = ARTIFACTS[name]!;
    const hash = await this.wallet.deployContract({ abi, bytecode: `0x${initcode.replace(/^0x/, '')}`, args: [...args], account: this.account, chain: this.wallet.chain! });
    const receipt = await this.receipt(hash);
    assert.ok(receipt.contractAddress !== null && receipt.contractAddress !== undefined, `${name} has no address`);
    return { address: receipt.contractAddress, abi, receipt };
  }

  async write(contract: Contract, functionName: string, args: readonly unknown[], value?: bigint): Promise<TransactionReceipt> {
    const request = { ...contract, functionName, args: [...args], account: this.account, chain: this.wallet.chain! };
    const hash = await this.wallet.writeContract(value === undefined ? request : ({ ...request, value } as never));
    return this.receipt(hash);
  }

  read<T>(contract: Contract, functionName: string, args: readonly unknown[] = []): Promise<T> {
    return this.client.readContract({ address: contract.address, abi: contract.abi, functionName, args: [...args] }) as Promise<T>;
  }
}

/** The error that a contract gave, as viem understands it. */
async function revertOf(attempt: Promise<unknown>): Promise<ContractFunctionRevertedError> {
  try {
    await attempt;
  } catch (error) {
    const found = error instanceof BaseError ? error.walk((each) => each instanceof ContractFunctionRevertedError) : undefined;
    if (found instanceof ContractFunctionRevertedError) return found;
    throw error;
  }
  return assert.fail('it did not revert');
}

test('contracts: viem deploys and drives a token and Uniswap V2', { timeout: 600_000 }, async (t) => {
  const network = await startNetwork(t);
  const [a, c] = network.accountsOn(0, 2) as [ShownAccount, ShownAccount];
  const [b] = network.accountsOn(1, 1) as [ShownAccount];
  const alice = new Wallet(network, a);
  const bob = new Wallet(network, b);
  const carol = privateKeyToAccount(c.secretKey).address;
  const { client } = alice;
  let token!: Contract & { readonly receipt: TransactionReceipt };
  let other!: Contract;

  await t.test('a token: deployed, read, transferred; its events by eth_getLogs', async () => {
    token = await alice.deploy('Token', ['Shard Token', 'SHT', SUPPLY]);
    const code = await client.getCode({ address: token.address });
    assert.ok(code !== undefined && code.length > 2_000);
    assert.equal(await alice.read(token, 'symbol'), 'SHT');
    assert.equal(await alice.read(token, 'totalSupply'), SUPPLY);
    assert.equal(await alice.read(token, 'balanceOf', [a.address]), SUPPLY);
    assert.equal(BigInt((await client.getStorageAt({ address: token.address, slot: '0x2' }))!), SUPPLY);
    const moved = await alice.write(token, 'transfer', [carol, 123n]);
    const [event] = parseEventLogs({ abi: TRANSFER, logs: moved.logs });
    assert.deepEqual(event?.args, { from: getAddress(a.address), to: getAddress(carol), value: 123n });
    const events = await client.getLogs({ address: token.address, event: TRANSFER[0], fromBlock: 'earliest', toBlock: 'latest' });
    assert.deepEqual(events.map(({ args }) => args.value), [SUPPLY, 123n]);
    assert.deepEqual(events.at(-1), { ...moved.logs[0], args: event.args, eventName: 'Transfer' });
    const toCarol = await client.getLogs({ address: token.address, event: TRANSFER[0], args: { to: carol }, blockHash: moved.blockHash });
    assert.deepEqual(toCarol.map(({ args }) => args.value), [123n]);
    const block = await client.getBlock({ blockHash: moved.blockHash });
    assert.notEqual(BigInt(block.logsBloom!), 0n);
  });

  await t.test('the state of older blocks, and what a call would do', async () => {
    const data = encodeFunctionData({ abi: token.abi, functionName: 'balanceOf', args: [carol] });
    const at = async (blockNumber: bigint): Promise<bigint> => BigInt((await client.call({ to: token.address, data, blockNumber })).data ?? '0x0');
    assert.equal(await at(token.receipt.blockNumber), 0n);
    assert.equal(await at(await client.getBlockNumber()), 123n);
    const { result } = await client.simulateContract({ ...token, functionName: 'transfer', args: [carol, 1n], account: alice.account });
    assert.equal(result, true);
    const call = { account: alice.account, to: token.address, data: encodeFunctionData({ abi: token.abi, functionName: 'transfer', args: [carol, 1n] }) } as const;
    const gas = await client.estimateGas(call);
    assert.ok(gas > 25_000n && gas < 60_000n, `${gas}`);
    const { accessList } = await client.createAccessList(call);
    assert.deepEqual(accessList.map(({ address, storageKeys }) => [address.toLowerCase(), storageKeys.length]), [[token.address.toLowerCase(), 2]]);
  });

  await t.test('reverts, with their reasons', async () => {
    const custom = await revertOf(client.simulateContract({ ...token, functionName: 'transfer', args: [carol, 2n * SUPPLY], account: alice.account }));
    assert.equal(custom.data?.errorName, 'ERC20InsufficientBalance');
    assert.deepEqual(custom.data?.args?.slice(1), [SUPPLY - 123n, 2n * SUPPLY]);
    await assert.rejects(alice.write(token, 'transfer', [carol, 2n * SUPPLY]), /ERC20InsufficientBalance/);
    const pair = await alice.deploy('UniswapV2Pair');
    const text = await revertOf(client.simulateContract({ ...pair, functionName: 'swap', args: [0n, 0n, carol, '0x'], account: alice.account }));
    assert.match(text.reason ?? '', /UniswapV2: INSUFFICIENT_OUTPUT_AMOUNT/);
  });

  await t.test('Uniswap V2: factory, pair, router and WETH; liquidity, swaps, events', async () => {
    other = await alice.deploy('Token', ['Other', 'OTH', SUPPLY]);
    const weth = await alice.deploy('WETH9');
    const factory = await alice.deploy('UniswapV2Factory', [a.address]);
    const router = await alice.deploy('UniswapV2Router02', [factory.address, weth.address]);
    assert.equal(((await alice.read(router, 'factory')) as Hex).toLowerCase(), factory.address.toLowerCase());
    for (const each of [token, other]) await alice.write(each, 'approve', [router.address, SUPPLY]);
    await alice.write(router, 'addLiquidity', [token.address, other.address, 1_000n * ETHER, 4_000n * ETHER, 0n, 0n, a.address, FAR]);
    const pair: Contract = { address: await alice.read<Hex>(factory, 'getPair', [token.address, other.address]), abi: ARTIFACTS['UniswapV2Pair']!.abi };
    assert.ok(((await client.getCode({ address: pair.address })) ?? '0x').length > 2_000, 'a contract that a contract has made');
    const minted = await alice.read<bigint>(pair, 'totalSupply');
    assert.equal(minted, 2_000n * ETHER);

    const [, expected] = await alice.read<[bigint, bigint]>(router, 'getAmountsOut', [10n * ETHER, [token.address, other.address]]);
    const swapped = await alice.write(router, 'swapExactTokensForTokens', [10n * ETHER, expected, [token.address, other.address], carol, FAR]);
    assert.equal(await alice.read(other, 'balanceOf', [carol]), expected);
    assert.equal(swapped.logs.length, 4, 'two transfers, Sync and Swap');
    const swaps = await client.getContractEvents({ ...pair, eventName: 'Swap', fromBlock: 0n, toBlock: 'latest' });
    assert.deepEqual(swaps.map(({ transactionHash }) => transactionHash), [swapped.transactionHash]);
    await assert.rejects(alice.write(router, 'swapExactTokensForTokens', [10n * ETHER, expected * 2n, [token.address, other.address], carol, FAR]), /UniswapV2Router: INSUFFICIENT_OUTPUT_AMOUNT/);

    await alice.write(router, 'addLiquidityETH', [token.address, 1_000n * ETHER, 0n, 0n, a.address, FAR], ETHER);
    const before = await alice.read<bigint>(token, 'balanceOf', [carol]);
    await alice.write(router, 'swapExactETHForTokens', [0n, [weth.address, token.address], carol, FAR], ETHER / 100n);
    assert.ok((await alice.read<bigint>(token, 'balanceOf', [carol])) > before);
    const trace = await network.call<{ type: string; calls: { type: string }[] }>('debug_traceTransaction', [swapped.transactionHash, { tracer: 'callTracer' }]);
    assert.ok(trace.type === 'CALL' && trace.calls.length >= 3, JSON.stringify(trace));
  });

  await t.test('an account of another shard calls the token: all of it, or nothing but the fee', async () => {
    await alice.write(token, 'transfer', [b.address, 1_000n]);
    assert.equal(await bob.read(token, 'balanceOf', [b.address]), 1_000n);
    const sent = await bob.write(token, 'transfer', [carol, 400n]);
    const [event] = parseEventLogs({ abi: TRANSFER, logs: sent.logs });
    assert.deepEqual(event?.args, { from: getAddress(b.address), to: getAddress(carol), value: 400n }, 'the log of a call on another shard stands in the receipt');
    assert.equal(await bob.read(token, 'balanceOf', [b.address]), 600n);
    const found = await client.getLogs({ event: TRANSFER[0], args: { from: b.address }, fromBlock: 0n });
    assert.deepEqual(found.map(({ args, transactionHash }) => [args.value, transactionHash]), [[400n, sent.transactionHash]]);
    await assert.rejects(bob.write(token, 'transfer', [carol, 10_000n]), /ERC20InsufficientBalance/);
    const there = await network.call<{ type: string; to: string; logs: unknown[] }>('debug_traceTransaction', [sent.transactionHash, { tracer: 'callTracer', tracerConfig: { withLog: true } }], '/shard/0');
    assert.deepEqual([there.type, there.to, there.logs.length], ['CALL', token.address.toLowerCase(), 1], 'the shard where it ran tells how');
  });

  await t.test('the books balance', async () => {
    await network.audit();
  });
});
