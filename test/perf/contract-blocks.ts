import { type Address, AssignmentTable, bytesKey, type Height, Prng, type ShardId, TwoPhaseCommit, ZERO_HASH } from '@shardlab/crosslink';
import { encodeArguments, encodeCall } from '../../packages/cli/src/workload/contracts/abi.ts';
import { contractArtifact } from '../../packages/cli/src/workload/contracts/artifacts.ts';
import { BlockExecutor, type ExecutionCrypto, genesisBlock } from '../../packages/shard/src/execution/block-executor.ts';
import { createAddress } from '../../packages/shard/src/execution/evm/creations.ts';
import type { ExecutedBlock } from '../../packages/shard/src/execution/types.ts';
import { accountFlatKey, accountFlatValue } from '../../packages/shard/src/state/flat-account.ts';
import { ShardState } from '../../packages/shard/src/state/shard-state.ts';
import type { PoolTransaction } from '../../packages/shard/src/transaction/types.ts';
import { CHAIN_ID, poolCall, testAddress } from '../../packages/shard/test/support/transactions.ts';

/** Whole blocks of contract calls on one core; one JSON line of `npm run bench`. */
export interface ContractBlocksBench {
  readonly bench: 'contract-blocks';
  /** What one transaction is. */
  readonly kind: string;
  /** Whole blocks: decoded, executed, receipts with logs and filter made, flat values and undo records made, state, transaction and receipt roots and header hashed. Median of the rounds. */
  readonly perSecond: number;
  readonly perSecondBest: number;
  /** Median of the same of the executing thread's own processor time, which other processes on the machine disturb less. */
  readonly perThreadSecond: number;
  /** Median of the same of processor time of all threads, those that collect garbage included. */
  readonly perCpuSecond: number;
  readonly target: number;
  /** `perSecond` / `target`. */
  readonly ratio: number;
  readonly gasPerTransaction: number;
  readonly holders: number;
  readonly blockTransactions: number;
  readonly rounds: number;
}

const HOLDERS = 100_000;
const BLOCK = 5_000;
const WARM = 4;
const ROUNDS = 20;
const SEED = 42;
const BALANCE = 10n ** 21n;
const GAS = 60_000;
const GAS_LIMIT = 2 * GAS * BLOCK;
const SHARD = 0 as ShardId;
const TARGET = 40_000;
const PROTOCOL = { openPreparesMax: 1_024, attemptsMax: 6, lockWaitersMax: 1_024, deadlineMs: 30_000 };
const TOKEN = contractArtifact('Token');

/** A shard of its own with funded accounts, all of them holders of one token. */
class TokenShard {
  readonly holders: readonly Address[];
  readonly token: Address;
  private readonly executor: BlockExecutor;
  private readonly table: AssignmentTable;
  private timestampMs = 1_000;

  constructor(crypto: ExecutionCrypto) {
    this.holders = Array.from({ length: HOLDERS }, (_, index) => testAddress(crypto, index));
    const state = new ShardState(crypto, HOLDERS);
    const root = state.load(this.holders.map((each) => ({ key: accountFlatKey(bytesKey(each)), value: accountFlatValue(BALANCE, 0) })));
    const options = { chainId: CHAIN_ID, shard: SHARD, gasLimit: GAS_LIMIT };
    const parent = genesisBlock(crypto, { ...options, shards: 1, timestampMs: this.timestampMs, baseFeePerGas: 10n ** 9n }, root, BALANCE * BigInt(HOLDERS));
    this.executor = new BlockExecutor({ ...options, fork: 'cancun', feePolicy: 'burn' }, { crypto, state, protocol: new TwoPhaseCommit(PROTOCOL) }, parent);
    this.table = new AssignmentTable(crypto, { shards: 1, overrides: [] });
    const deployer = this.holders[0]!;
    const data = Uint8Array.from([...TOKEN.initcode, ...encodeArguments(['string', 'string', 'uint256'], ['Token', 'TKN', 10n ** 30n])]);
    const [receipt] = this.execute([poolCall(crypto, { from: deployer, to: undefined, nonce: 0, data })]).receipts;
    if (receipt?.status !== 1) throw new Error('the token was not deployed');
    this.token = createAddress(crypto, deployer, 0n);
    const account = state.open(bytesKey(this.token));
    const balance = encodeArguments(['uint256'], [BALANCE]);
    // OpenZeppelin's `_balances` is the first variable.
    for (const holder of this.holders) state.setStorage(account, crypto.keccak256(encodeArguments(['address', 'uint256'], [holder, 0n])), balance);
    state.commit();
  }

  execute(transactions: readonly PoolTransaction[]): ExecutedBlock {
    const { header } = this.executor.head;
    this.timestampMs += 250;
    const fixed = { epoch: 0, epochCertificateHash: ZERO_HASH, proposer: 0, inbox: [], mode: 'build' } as const;
    return this.executor.execute({ ...fixed, height: (header.height + 1) as Height, timestampMs: this.timestampMs, transactions }, this.table);
  }
}

/**
 * The blocks' transactions, all made beforehand: in a node, other threads decode them. Made between the blocks, what that leaves behind (small pieces of memory outside of
 * the heap) was given back to malloc while the next block ran, for a tenth of its time.
 */
function blocksOf(crypto: ExecutionCrypto, { holders, token }: TokenShard): PoolTransaction[][] {
  const prng = new Prng(SEED);
  // The first holder has deployed the token.
  const nonces = new Map<number, number>([[0, 1]]);
  const transfer = (): PoolTransaction => {
    const from = prng.below(HOLDERS);
    const nonce = nonces.get(from) ?? 0;
    nonces.set(from, nonce + 1);
    const data = encodeCall(TOKEN, 'transfer(address,uint256)', [holders[prng.below(HOLDERS)]!, BigInt(1 + prng.below(1_000_000))]);
    return poolCall(crypto, { from: holders[from]!, to: token, nonce, data, gasLimit: GAS });
  };
  return Array.from({ length: WARM + ROUNDS }, () => Array.from({ length: BLOCK }, transfer));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Measures whole blocks of transfers of OpenZeppelin's ERC-20 between random holders; senders are known. */
export function benchContractBlocks(crypto: ExecutionCrypto): ContractBlocksBench {
  const shard = new TokenShard(crypto);
  const blocks = blocksOf(crypto, shard);
  const wall: number[] = [];
  const cpu: number[] = [];
  const thread: number[] = [];
  let gasUsed = 0;
  for (const [round, transactions] of blocks.entries()) {
    globalThis.gc?.();
    const startCpu = process.cpuUsage();
    const startThread = process.threadCpuUsage();
    const start = performance.now();
    const block = shard.execute(transactions);
    const wallMs = performance.now() - start;
    const { user, system } = process.cpuUsage(startCpu);
    const ownThread = process.threadCpuUsage(startThread);
    if (block.receipts.length !== BLOCK || block.receipts.some(({ status, logs }) => status !== 1 || logs.length !== 1)) throw new Error('a transfer failed');
    gasUsed = block.header.gasUsed;
    if (round < WARM) continue;
    wall.push((BLOCK / wallMs) * 1_000);
    cpu.push((BLOCK / (user + system)) * 1_000_000);
    thread.push((BLOCK / (ownThread.user + ownThread.system)) * 1_000_000);
  }
  const perSecond = median(wall);
  return {
    bench: 'contract-blocks',
    kind: "transfer of OpenZeppelin's ERC-20",
    perSecond: Math.round(perSecond),
    perSecondBest: Math.round(Math.max(...wall)),
    perThreadSecond: Math.round(median(thread)),
    perCpuSecond: Math.round(median(cpu)),
    target: TARGET,
    ratio: Number((perSecond / TARGET).toFixed(2)),
    gasPerTransaction: Math.round(gasUsed / BLOCK),
    holders: HOLDERS,
    blockTransactions: BLOCK,
    rounds: ROUNDS,
  };
}
