import { type Address, AssignmentTable, BloomBuilder, type Height, type PairEntry, Prng, type ShardId, TwoPhaseCommit, ZERO_HASH } from '@shardlab/crosslink';
import { blockEnvironment } from '../../src/execution/block-environment.ts';
import { BlockExecutor, type ExecutionCrypto, genesisBlock } from '../../src/execution/block-executor.ts';
import { BlockRun } from '../../src/execution/block-run.ts';
import { ContractRunner } from '../../src/execution/contracts/runner.ts';
import { nextBaseFee } from '../../src/execution/fees.ts';
import { accountFlatKey, accountFlatValue } from '../../src/state/flat-account.ts';
import { ShardState } from '../../src/state/shard-state.ts';
import type { PoolTransaction } from '../../src/transaction/types.ts';
import { CHAIN_ID, poolTransfer, testAddress } from '../support/transactions.ts';

/** What {@link benchExecute} measures; one JSON line of `npm run bench`. All figures: plain transfers, senders known, on one core. */
export interface ExecuteBench {
  readonly bench: 'execute';
  /** Executed in one second of wall time, without any root: median of the rounds. */
  readonly perSecond: number;
  /** The same of processor time, which other processes on the machine do not disturb. */
  readonly perCpuSecond: number;
  /** Whole blocks: executed, flat values and undo records made, state, transaction and receipt roots and header hashed. */
  readonly perSecondWithRoot: number;
  readonly perCpuSecondWithRoot: number;
  /** Of `perSecond`: what the roots leave. */
  readonly ratio: number;
  readonly accounts: number;
  readonly blockTransactions: number;
  readonly rounds: number;
}

const ACCOUNTS = 100_000;
const BLOCK = 5_000;
const WARM = 8;
const ROUNDS = 24;
const SEED = 42;
const BALANCE = 10n ** 21n;
const RULES = { fork: 'cancun', feePolicy: 'burn' } as const;
const GAS_LIMIT = 2 * 21_000 * BLOCK;
const SHARD = 0 as ShardId;
const PROTOCOL = { openPreparesMax: 1_024, attemptsMax: 6, lockWaitersMax: 1_024, deadlineMs: 30_000 };

interface Measure {
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

/** A shard of its own, with `ACCOUNTS` funded accounts. */
function setUp(crypto: ExecutionCrypto): { state: ShardState; executor: BlockExecutor; protocol: TwoPhaseCommit; table: AssignmentTable; addresses: Address[] } {
  const addresses = Array.from({ length: ACCOUNTS }, (_, index) => testAddress(crypto, index));
  const state = new ShardState(crypto, ACCOUNTS);
  const root = state.load(addresses.map((each) => ({ key: accountFlatKey(String.fromCharCode(...each)), value: accountFlatValue(BALANCE, 0) })));
  const options = { chainId: CHAIN_ID, shard: SHARD, gasLimit: GAS_LIMIT };
  const genesis = { ...options, shards: 1, timestampMs: 1_000, baseFeePerGas: 10n ** 9n };
  const parent = genesisBlock(crypto, genesis, root, BALANCE * BigInt(ACCOUNTS));
  const protocol = new TwoPhaseCommit(PROTOCOL);
  const executor = new BlockExecutor({ ...options, ...RULES }, { crypto, state, protocol }, parent);
  return { state, executor, protocol, table: new AssignmentTable(crypto, { shards: 1, overrides: [] }), addresses };
}

/** Makes the blocks' transactions beforehand: random pairs, nonces in order. */
function blocksOf(crypto: ExecutionCrypto, addresses: readonly Address[], count: number): PoolTransaction[][] {
  const prng = new Prng(SEED);
  const nonces = new Map<number, number>();
  return Array.from({ length: count }, () =>
    Array.from({ length: BLOCK }, () => {
      const from = prng.below(ACCOUNTS);
      const to = prng.below(ACCOUNTS);
      const nonce = nonces.get(from) ?? 0;
      nonces.set(from, nonce + 1);
      return poolTransfer(crypto, { from: addresses[from]!, to: addresses[to]!, nonce, value: BigInt(1 + prng.below(1_000_000)) });
    }),
  );
}

/** Times `run` on each block; `after` follows untimed. */
function measure(blocks: readonly PoolTransaction[][], run: (block: readonly PoolTransaction[], index: number) => number, after: () => void = () => undefined): Measure {
  const wall: number[] = [];
  const cpu: number[] = [];
  blocks.forEach((block, index) => {
    const startCpu = process.cpuUsage();
    const start = performance.now();
    const done = run(block, index);
    const wallMs = performance.now() - start;
    const { user, system } = process.cpuUsage(startCpu);
    after();
    if (done !== BLOCK) throw new Error(`${done} of ${BLOCK} transfers were executed`);
    if (index < WARM) return;
    wall.push((BLOCK / wallMs) * 1_000);
    cpu.push((BLOCK / (user + system)) * 1_000_000);
  });
  return { perSecond: median(wall), perCpuSecond: median(cpu) };
}

function benchRuns(crypto: ExecutionCrypto): Measure {
  const { state, executor, protocol, table, addresses } = setUp(crypto);
  const { header } = executor.head;
  const totals = { ...header.totals };
  const blooms = new BloomBuilder(crypto);
  const contracts = new ContractRunner({ shard: SHARD, ...RULES }, { crypto, state });
  const execute = (block: readonly PoolTransaction[], index: number): number => {
    const now = { height: (index + 1) as Height, timestampMs: 2_000 + index };
    const pairs: PairEntry[] = [];
    const [gasLimit, baseFeePerGas] = [GAS_LIMIT, nextBaseFee(header)];
    const environment = blockEnvironment({ chainId: CHAIN_ID, gasLimit, baseFeePerGas, prevRandao: ZERO_HASH, parentHash: ZERO_HASH, ...now }, state);
    const ofBlock = { environment, parentHash: ZERO_HASH, gasLimit, baseFeePerGas, now, totals, pairs };
    const run = new BlockRun({ hasher: crypto, chainId: CHAIN_ID, shard: SHARD, state, protocol, contracts, blooms, assignment: table, ...ofBlock });
    let done = 0;
    for (const tx of block) if (run.transaction(tx, done) === undefined) done++;
    run.finish();
    return done;
  };
  return measure(blocksOf(crypto, addresses, WARM + ROUNDS), execute, () => void state.commit());
}

function benchBlocks(crypto: ExecutionCrypto): Measure {
  const { executor, table, addresses } = setUp(crypto);
  return measure(blocksOf(crypto, addresses, WARM + ROUNDS), (transactions, index) => {
    const proposal = {
      height: (index + 1) as Height,
      timestampMs: 2_000 + index,
      epoch: 0,
      epochCertificateHash: ZERO_HASH,
      proposer: 0,
      inbox: [],
      transactions,
      mode: 'build' as const,
    };
    return executor.execute(proposal, table).transactions.length;
  });
}

/** Measures execution of plain transfers: 5,000 a block between random pairs of 100 k accounts. */
export function benchExecute(crypto: ExecutionCrypto): ExecuteBench {
  const bare = benchRuns(crypto);
  const whole = benchBlocks(crypto);
  return {
    bench: 'execute',
    perSecond: Math.round(bare.perSecond),
    perCpuSecond: Math.round(bare.perCpuSecond),
    perSecondWithRoot: Math.round(whole.perSecond),
    perCpuSecondWithRoot: Math.round(whole.perCpuSecond),
    ratio: Number((whole.perSecond / bare.perSecond).toFixed(3)),
    accounts: ACCOUNTS,
    blockTransactions: BLOCK,
    rounds: ROUNDS,
  };
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}
