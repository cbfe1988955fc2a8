/** A state of senders and one contract that counts, blocks over it, and pools that execute them. */
import { type Address, type Hash32, Prng, toHex } from '@shardlab/crosslink';
import type { BlockEnvironment, BlockResult, EvmTransaction, SourceAccount, StateSource, WorldChanges } from '@shardlab/shard';
import { createEvmCrypto } from '../../src/crypto/create-evm-crypto.ts';
import { ExecutionPool } from '../../src/execution/execution-pool.ts';
import type { Execution, ExecutionPoolOptions } from '../../src/execution/pool-options.ts';
import type { ExecutionRequest } from '../../src/execution/execution-request.ts';

export const crypto = await createEvmCrypto();
export const EMPTY_HASH = crypto.keccak256(new Uint8Array(0));
export const addressOf = (first: number, last: number): Address => Uint8Array.from({ length: 20 }, (_, at) => (at === 19 ? last : first)) as Address;
/** [w0] := [w0] + 1, and a log. */
const COUNTER_CODE = Uint8Array.from([0x5f, 0x35, 0x80, 0x54, 0x60, 0x01, 0x01, 0x81, 0x55, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xa0]);
const COUNTER = addressOf(0xcc, 0xcc);
const SIZE = { accountsLog2: 10, slotsLog2: 10 };
const SENDERS = 40;

export const BLOCK: BlockEnvironment = {
  chainId: 7n, number: 300n, timestamp: 1_000n, gasLimit: 1_000_000_000n, coinbase: addressOf(0xcb, 0xcb), prevRandao: new Uint8Array(32) as Hash32,
  baseFeePerGas: 7n, blobBaseFee: 1n, blockHash: (number) => new Uint8Array(32).fill(Number(number % 251n)) as Hash32,
};

/** A state of senders and one contract that counts. */
export class Ledger implements StateSource {
  readonly accounts = new Map<string, SourceAccount>();
  readonly slots = new Map<string, Uint8Array>();
  questions = 0;

  constructor() {
    for (let i = 0; i < SENDERS; i++) this.accounts.set(toHex(addressOf(1, i)), { nonce: 0n, balance: 10n ** 18n, codeHash: EMPTY_HASH });
    this.accounts.set(toHex(COUNTER), { nonce: 1n, balance: 0n, codeHash: crypto.keccak256(COUNTER_CODE) });
  }
  account(address: Address): SourceAccount | undefined {
    return this.accounts.get(toHex(address));
  }
  code(): Uint8Array {
    this.questions++;
    return COUNTER_CODE;
  }
  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    this.questions++;
    out.set(this.slots.get(toHex(address) + toHex(key)) ?? new Uint8Array(32));
  }
  hasStorage(): boolean {
    return this.slots.size > 0;
  }
  homeOf(): number {
    return -1;
  }
  apply({ accounts, slots }: WorldChanges): void {
    for (const { address, nonce, balance, codeHash } of accounts) this.accounts.set(toHex(address), { nonce, balance, codeHash });
    for (const { address, key, value } of slots) this.slots.set(toHex(address) + toHex(key), value.slice());
  }
}

/** Calls of the counter at random places of `places`, and plain transfers. */
export function blockOf(ledger: Ledger, seed: number, count: number, places: number): EvmTransaction[] {
  const prng = new Prng(seed);
  const nonces = new Map<number, bigint>();
  return Array.from({ length: count }, () => {
    const from = prng.below(SENDERS);
    const sender = addressOf(1, from);
    const nonce = nonces.get(from) ?? ledger.account(sender)!.nonce;
    nonces.set(from, nonce + 1n);
    const data = new Uint8Array(32);
    data[31] = prng.below(places);
    const plain = prng.below(4) === 0;
    return {
      type: 2, sender, chainId: 7n, nonce, gasLimit: 100_000n, maxFeePerGas: 10n, maxPriorityFeePerGas: 1n, to: plain ? addressOf(2, prng.below(200)) : COUNTER,
      value: plain ? 5n : 0n, data: plain ? new Uint8Array(0) : data, accessList: [], blobHashes: [], maxFeePerBlobGas: 0n, authorizations: [],
    };
  });
}

export function textOf(result: BlockResult): string[] {
  const show = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value instanceof Uint8Array ? toHex(value) : value);
  const { accounts, slots } = result.changes();
  const lines = [...accounts, ...slots].map((change) => JSON.stringify(change, show)).toSorted();
  return [`gas ${result.gasUsed}`, ...Array.from({ length: result.count }, (_, index) => JSON.stringify(result.outcome(index), show)), ...lines];
}

export function execute(pool: ExecutionPool, ledger: Ledger, transactions: readonly EvmTransaction[], prepared: ExecutionRequest['prepared'] = []): Promise<Execution> {
  return new Promise((resolve, reject) => {
    pool.execute({ block: BLOCK, transactions, prepared, source: ledger }, (result) => (result.ok ? resolve(result.value) : reject(result.error)));
  });
}

export async function withPool<T>(options: Partial<ExecutionPoolOptions> & { workers: number }, use: (pool: ExecutionPool, lost: string[]) => Promise<T>): Promise<T> {
  const lost: string[] = [];
  const pool = new ExecutionPool(
    { fork: 'prague', feePolicy: 'ethereum', size: SIZE, parallel: { transactionsMin: 1, serialAbove: 1, repeatsMax: 8 }, ...options },
    { crypto, onWorkerLost: (reason) => lost.push(reason) },
  );
  await pool.start();
  try {
    return await use(pool, lost);
  } finally {
    await pool.stop();
  }
}

export async function expected(ledger: Ledger, transactions: readonly EvmTransaction[]): Promise<Execution> {
  return withPool({ workers: 0 }, (pool) => execute(pool, ledger, transactions));
}
