/** Two wallets' libraries, unchanged, against one URL of a network that is idle otherwise: transfers within and across shards, and every customary refusal. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { JsonRpcProvider, Transaction, type TransactionReceipt, type TransactionRequest, Wallet } from 'ethers';
import { createPublicClient, createWalletClient, defineChain, http, keccak256, type PublicClient, type WalletClient } from 'viem';
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts';
import { type ShownAccount, startNetwork, type TestNetwork } from '../support/e2e-network.ts';

const RECEIPT_TIMEOUT_MS = 30_000;
const POLL_MS = 100;
const GWEI = 10n ** 9n;
const BLOB_HASH = `0x01${'00'.repeat(31)}`;

/** viem's two clients for one account. */
interface Viem {
  readonly publicClient: PublicClient;
  readonly wallet: WalletClient;
  readonly account: PrivateKeyAccount;
}

function viemOf(network: TestNetwork, from: ShownAccount): Viem {
  const { rpcUrl, chainId } = network.network;
  const rpcUrls = { default: { http: [rpcUrl] } };
  const chain = defineChain({ id: chainId, name: 'Shardlab', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls });
  const account = privateKeyToAccount(from.secretKey);
  const common = { chain, transport: http(rpcUrl, { retryCount: 0 }), pollingInterval: POLL_MS, cacheTime: 0 };
  return { publicClient: createPublicClient(common), wallet: createWalletClient({ ...common, account }), account };
}

function ethersOf(t: TestContext, network: TestNetwork, from: ShownAccount): Wallet {
  const provider = new JsonRpcProvider(network.network.rpcUrl, undefined, { pollingInterval: POLL_MS, cacheTimeout: -1 });
  t.after(() => provider.destroy());
  return new Wallet(from.secretKey, provider);
}

async function viemTransfer(network: TestNetwork, from: ShownAccount, to: ShownAccount): Promise<void> {
  const { publicClient, wallet, account } = viemOf(network, from);
  const value = 10n ** 15n + 7n;
  const [fromBefore, toBefore, nonce] = await Promise.all([
    publicClient.getBalance({ address: from.address }),
    publicClient.getBalance({ address: to.address }),
    publicClient.getTransactionCount({ address: from.address }),
  ]);
  const gas = await publicClient.estimateGas({ account, to: to.address, value });
  const hash = await wallet.sendTransaction({ account, chain: wallet.chain!, to: to.address, value });
  const receipt = await publicClient.waitForTransactionReceipt({ hash, timeout: RECEIPT_TIMEOUT_MS });
  const height = await publicClient.getBlockNumber();
  assert.ok(height >= receipt.blockNumber, 'a receipt is null until the chain has reached its block');
  // The heartbeat moves an idle chain on: the second confirmation must come without anybody's transaction.
  const confirmed = await publicClient.waitForTransactionReceipt({ hash, confirmations: 2, timeout: RECEIPT_TIMEOUT_MS });
  assert.equal(confirmed.blockHash, receipt.blockHash);
  assert.ok((await publicClient.getBlockNumber()) > receipt.blockNumber);

  assert.deepEqual([receipt.status, receipt.type, receipt.transactionHash], ['success', 'eip1559', hash]);
  assert.deepEqual([receipt.from, receipt.to, receipt.contractAddress], [from.address, to.address, null].map((address) => address?.toLowerCase() ?? null));
  assert.ok(receipt.gasUsed > 0n && receipt.gasUsed <= gas, `gas used ${receipt.gasUsed}, estimated ${gas}`);
  assert.deepEqual(receipt.logs, []);
  const fee = receipt.gasUsed * receipt.effectiveGasPrice;
  assert.equal(await publicClient.getBalance({ address: from.address }), fromBefore - value - fee);
  assert.equal(await publicClient.getBalance({ address: to.address }), toBefore + value);
  assert.equal(await publicClient.getTransactionCount({ address: from.address }), nonce + 1);

  const transaction = await publicClient.getTransaction({ hash });
  assert.deepEqual([transaction.value, transaction.nonce, transaction.blockNumber, transaction.blockHash], [value, nonce, receipt.blockNumber, receipt.blockHash]);
  assert.equal(transaction.transactionIndex, receipt.transactionIndex);
  const block = await publicClient.getBlock({ blockNumber: receipt.blockNumber });
  assert.equal(block.hash, receipt.blockHash);
  assert.equal(block.transactions[receipt.transactionIndex], hash);
  const full = await publicClient.getBlock({ blockHash: receipt.blockHash, includeTransactions: true });
  assert.equal(full.transactions[receipt.transactionIndex]?.hash, hash);
  assert.ok(Math.abs(Number(block.timestamp) * 1000 - Date.now()) < 120_000, 'a block says when it was made, in seconds');
}

async function ethersTransfer(t: TestContext, network: TestNetwork, from: ShownAccount, to: ShownAccount): Promise<void> {
  const wallet = ethersOf(t, network, from);
  const provider = wallet.provider!;
  const value = 3n * 10n ** 15n + 1n;
  const [fromBefore, toBefore, nonce] = await Promise.all([provider.getBalance(from.address), provider.getBalance(to.address), wallet.getNonce()]);
  const sent = await wallet.sendTransaction({ to: to.address, value });
  const receipt = (await sent.wait(1, RECEIPT_TIMEOUT_MS)) as TransactionReceipt;
  const confirmed = (await sent.wait(2, RECEIPT_TIMEOUT_MS)) as TransactionReceipt;
  assert.ok((await confirmed.confirmations()) >= 2);
  assert.deepEqual([receipt.status, receipt.hash, receipt.blockHash], [1, sent.hash, confirmed.blockHash]);
  assert.equal(await provider.getBalance(from.address), fromBefore - value - receipt.fee);
  assert.equal(await provider.getBalance(to.address), toBefore + value);
  assert.equal(await wallet.getNonce(), nonce + 1);
  const block = await provider.getBlock(receipt.blockNumber);
  assert.ok(block?.transactions.includes(sent.hash));
  const found = await provider.getTransaction(sent.hash);
  assert.deepEqual([found?.blockNumber, found?.value, found?.nonce], [receipt.blockNumber, value, nonce]);
}

test('wallets: viem and ethers through one URL', async (t) => {
  const network = await startNetwork(t);
  const [a, b] = network.accountsOn(0, 2) as [ShownAccount, ShownAccount];
  const [c, d] = network.accountsOn(1, 2) as [ShownAccount, ShownAccount];

  await t.test('viem within a shard, and across', async () => {
    await viemTransfer(network, a, b);
    await viemTransfer(network, c, d);
    await viemTransfer(network, a, c);
    await viemTransfer(network, d, b);
  });

  await t.test('ethers within a shard, and across', async (sub) => {
    await ethersTransfer(sub, network, a, b);
    await ethersTransfer(sub, network, c, a);
  });

  await t.test('transactions of types 0 and 1', async () => {
    const { publicClient, wallet, account } = viemOf(network, b);
    const usual = { account, chain: wallet.chain!, to: d.address, value: 5n, gasPrice: 2n * GWEI } as const;
    const legacy = await wallet.sendTransaction({ ...usual, type: 'legacy' });
    const listed = await wallet.sendTransaction({ ...usual, type: 'eip2930', accessList: [] });
    for (const [hash, type] of [[legacy, 'legacy'], [listed, 'eip2930']] as const) {
      const receipt = await publicClient.waitForTransactionReceipt({ hash, timeout: RECEIPT_TIMEOUT_MS });
      assert.deepEqual([receipt.status, receipt.type], ['success', type]);
    }
  });

  await t.test('an account that nobody has funded is made by a credit from the other shard', async () => {
    const { publicClient, wallet, account } = viemOf(network, a);
    const nobody = privateKeyToAccount(keccak256('0x01')).address;
    const hash = await wallet.sendTransaction({ account, chain: wallet.chain!, to: nobody, value: 9n });
    await publicClient.waitForTransactionReceipt({ hash, timeout: RECEIPT_TIMEOUT_MS });
    assert.equal(await publicClient.getBalance({ address: nobody }), 9n);
    assert.equal(await publicClient.getTransactionCount({ address: nobody }), 0);
  });

  await t.test('questions: tags, fees, history, what is not there', async () => {
    const { publicClient, account } = viemOf(network, a);
    assert.equal(await publicClient.getChainId(), network.network.chainId);
    assert.equal(await network.call('net_version'), String(network.network.chainId));
    assert.match(await network.call<string>('web3_clientVersion'), /^Shardlab\//);
    const latest = await publicClient.getBlock();
    for (const blockTag of ['latest', 'safe', 'finalized'] as const) {
      assert.ok((await publicClient.getBlock({ blockTag })).number! >= latest.number, blockTag);
      assert.equal(await publicClient.getBalance({ address: c.address, blockTag }), await publicClient.getBalance({ address: c.address }));
    }
    assert.equal((await publicClient.getBlock({ blockTag: 'earliest' })).number, 0n);
    assert.equal(await network.call('eth_getBlockByNumber', ['0xffffffff', false]), null);
    const hash = `0x${'ee'.repeat(32)}`;
    for (const method of ['eth_getTransactionByHash', 'eth_getTransactionReceipt', 'shard_getCrossShardTransaction']) assert.equal(await network.call(method, [hash]), null);
    assert.equal(await network.call('eth_getBlockByHash', [hash, false]), null);
    const fees = await publicClient.estimateFeesPerGas();
    assert.ok(fees.maxFeePerGas >= (latest.baseFeePerGas ?? 0n) && (latest.baseFeePerGas ?? 0n) > 0n);
    const history = await publicClient.getFeeHistory({ blockCount: 4, rewardPercentiles: [25, 75] });
    assert.deepEqual([history.baseFeePerGas.length, history.gasUsedRatio.length, history.reward?.length], [5, 4, 4]);
    assert.equal(await publicClient.estimateGas({ account, to: b.address, value: 1n }), 21_000n);
    await assert.rejects(publicClient.estimateGas({ account, to: b.address, value: 10n ** 30n }), /insufficient funds|exceeds the balance/i);
  });

  await t.test('refusals, in the words that wallets know', (sub) => refusals(sub, network, a, c));

  const audit = await network.audit();
  assert.ok(BigInt(audit.supply.burned) > 0n, 'fees were burned');
});

async function refusals(t: TestContext, network: TestNetwork, from: ShownAccount, to: ShownAccount): Promise<void> {
  const wallet = ethersOf(t, network, from);
  const provider = wallet.provider!;
  const nonce = await wallet.getNonce();
  const fees = { maxFeePerGas: 4n * GWEI, maxPriorityFeePerGas: 1n };
  const usual = { to: to.address, value: 1n, gasLimit: 30_000n, type: 2, chainId: network.network.chainId, nonce, ...fees } satisfies TransactionRequest;
  const raw = (change: Partial<TransactionRequest>): Promise<string> => wallet.signTransaction({ ...usual, ...change });
  const refused = async (bytes: string, message: RegExp): Promise<void> => {
    await assert.rejects(network.call('eth_sendRawTransaction', [bytes]), (error: Error & { code?: number }) => {
      assert.match(error.message, message);
      assert.equal(error.code, -32000, error.message);
      assert.ok(!error.message.includes('\n'));
      return true;
    });
  };

  await assert.rejects(wallet.sendTransaction({ ...usual, nonce: nonce - 1 }), { code: 'NONCE_EXPIRED' });
  await assert.rejects(wallet.sendTransaction({ ...usual, value: 10n ** 30n }), { code: 'INSUFFICIENT_FUNDS' });
  await refused(await raw({ gasLimit: 20_999n }), /intrinsic gas too low/);
  await refused(await raw({ gasLimit: 10n ** 12n }), /exceeds block gas limit|insufficient funds/);
  await refused(await raw({ maxFeePerGas: 1n, maxPriorityFeePerGas: 1n }), /underpriced|max fee per gas less than block base fee/);
  await refused(await raw({ chainId: 1 }), /invalid chain id for signer/);
  await refused(await raw({ nonce: nonce + 1_000_000 }), /nonce too high/);
  const blob = { type: 3, maxFeePerBlobGas: 1n, blobVersionedHashes: [BLOB_HASH] };
  await refused(await raw(blob), /transaction type not supported.*type 3/);
  await refused('0x02c0', /malformed/);
  await refused('0x7f00', /transaction type not supported/);
  const good = Transaction.from(await raw({}));
  await refused(malleable(good), /malleable/);
  await assert.rejects(network.call('eth_sendRawTransaction', ['0xzz']), { code: -32602 });

  // One ahead of its turn stays in the pool: it can be replaced, if it pays for that.
  const waiting = await raw({ nonce: nonce + 1 });
  assert.equal(await network.call('eth_sendRawTransaction', [waiting]), keccak256(waiting as `0x${string}`));
  await refused(waiting, /already known/);
  await assert.rejects(wallet.sendTransaction({ ...usual, nonce: nonce + 1, value: 2n, maxFeePerGas: fees.maxFeePerGas + 1n }), { code: 'REPLACEMENT_UNDERPRICED' });
  assert.equal(await wallet.getNonce('pending'), nonce, 'a gap is not counted');
  const { nonce: waitingNonce, blockNumber } = (await provider.getTransaction(keccak256(waiting as `0x${string}`)))!;
  assert.deepEqual([waitingNonce, blockNumber], [nonce + 1, null]);
  const dearer = await raw({ nonce: nonce + 1, value: 3n, maxFeePerGas: 8n * GWEI, maxPriorityFeePerGas: 2n });
  await network.call('eth_sendRawTransaction', [dearer]);
  await network.call('eth_sendRawTransaction', [good.serialized]);
  const receipt = await provider.waitForTransaction(keccak256(dearer as `0x${string}`), 1, RECEIPT_TIMEOUT_MS);
  assert.equal(receipt?.status, 1);
  assert.equal(await provider.getTransaction(keccak256(waiting as `0x${string}`)), null, 'what was replaced is gone');
  assert.equal(await wallet.getNonce(), nonce + 2);
  await refused(good.serialized, /nonce too low/);
}

/** The same transaction with the other s: anybody can make it, and it would have another hash (EIP-2). */
function malleable(transaction: Transaction): string {
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const { r, s, yParity } = transaction.signature!;
  const other = (order - BigInt(s)).toString(16).padStart(64, '0');
  // ethers refuses to hold such a signature, so it is exchanged in the bytes: the y parity stands before r, each length one byte.
  const yByte = (parity: 0 | 1): string => (parity === 0 ? '80' : '01');
  const tail = (parity: 0 | 1, sHex: string): string => `${yByte(parity)}a0${r.slice(2)}a0${sHex}`;
  const before = tail(yParity, s.slice(2));
  assert.ok(transaction.serialized.endsWith(before), 'r and s of 32 bytes each');
  return transaction.serialized.slice(0, -before.length) + tail(yParity === 0 ? 1 : 0, other);
}
