import { RLP } from '@ethereumjs/rlp';
import { ascii, equalBytes, type Hash32, toHex } from '@shardlab/crosslink';
import { CodeCache } from '../../packages/shard/src/execution/evm/code.ts';
import { Evm } from '../../packages/shard/src/execution/evm/evm.ts';
import { blobBaseFee } from '../../packages/shard/src/execution/evm/fork-rules.ts';
import { applyTransaction, type TransactionOutcome } from '../../packages/shard/src/execution/evm/transaction.ts';
import type { BlockEnvironment, EvmCrypto, EvmFork, EvmLog } from '../../packages/shard/src/execution/evm/types.ts';
import { WorldState } from '../../packages/shard/src/execution/evm/world-state.ts';
import { firstDifference } from './post-state.ts';
import { PreSource } from './pre-source.ts';
import { StateRoots } from './state-root.ts';
import type { StateTest, TestCase, TestEnvironment } from './state-test.ts';
import { type TestKeys, transactionOf } from './test-transaction.ts';
import { bytesDifference } from './transaction-bytes.ts';

/** 4,096 hashes: a test runs one transaction. */
const MEMO_ENTRIES_LOG2 = 12;

/** What a worker runs tests with. */
export type TestCrypto = EvmCrypto & TestKeys;

/** Hash of block `number`, as all clients take it in state tests: keccak-256 of its decimal digits. */
function blockHashOf(number: bigint, crypto: EvmCrypto): Hash32 {
  return crypto.keccak256(ascii(number.toString()));
}

function blockOf(environment: TestEnvironment, fork: EvmFork, crypto: EvmCrypto): BlockEnvironment {
  const { excessBlobGas, ...fields } = environment;
  return { ...fields, blobBaseFee: blobBaseFee(fork, excessBlobGas), blockHash: (number) => blockHashOf(number, crypto) };
}

function logsHash(logs: readonly EvmLog[], crypto: EvmCrypto): Uint8Array {
  return crypto.keccak256(RLP.encode(logs.map(({ address, topics, data }) => [address, [...topics], data])));
}

/** Why a case has not passed. */
function describe(outcome: TransactionOutcome | undefined): string {
  if (outcome === undefined) return 'no transaction has such fields';
  if ('invalid' in outcome) return `refused: ${outcome.invalid}`;
  return `status ${outcome.status}${outcome.halt === undefined ? '' : ` (${outcome.halt})`}, gas used ${outcome.gasUsed}`;
}

/** Runs cases; one for each thread. It keeps the EVMs, the world and the codes from one case to the next, as a node does. */
export class CaseRunner {
  private readonly crypto: TestCrypto;
  private readonly codes = new CodeCache();
  private readonly world: WorldState;
  private readonly evms: Readonly<Record<EvmFork, Evm>>;

  constructor(crypto: TestCrypto) {
    this.crypto = crypto;
    this.world = new WorldState(new PreSource(new Map(), crypto), crypto, this.codes);
    const evm = (fork: EvmFork): Evm => new Evm({ fork, memoEntriesLog2: MEMO_ENTRIES_LOG2 }, { crypto, world: this.world });
    this.evms = { cancun: evm('cancun'), prague: evm('prague') };
  }

  /** Prepares the cases of one test and fork. */
  open(test: StateTest, fork: EvmFork): OpenTest {
    return new OpenTest(test, fork, { crypto: this.crypto, world: this.world, evm: this.evms[fork] });
  }
}

interface Modules {
  readonly crypto: TestCrypto;
  readonly world: WorldState;
  readonly evm: Evm;
}

/** The cases of one test under one fork, which share the pre-state and the block. */
export class OpenTest {
  private readonly test: StateTest;
  private readonly modules: Modules;
  private readonly block: BlockEnvironment;
  private readonly source: PreSource;
  private readonly roots: StateRoots;

  constructor(test: StateTest, fork: EvmFork, modules: Modules) {
    this.test = test;
    this.modules = modules;
    this.block = blockOf(test.environment, fork, modules.crypto);
    this.source = new PreSource(test.pre, modules.crypto);
    this.roots = new StateRoots(test.pre, modules.crypto);
  }

  /** Runs one case; undefined: it passed, else what is wrong. Throws {@link MalformedTest}. */
  async run(which: TestCase): Promise<string | undefined> {
    const { crypto, world } = this.modules;
    world.reset(this.source);
    const tx = transactionOf(this.test, which, crypto);
    const outcome = tx === undefined ? undefined : applyTransaction(this.modules.evm, world, this.block, tx, 'ethereum');
    const applied = outcome !== undefined && !('invalid' in outcome) ? outcome : undefined;
    if (which.exception !== undefined && applied !== undefined) return `must be refused (${which.exception}): ${describe(outcome)}`;
    if (which.exception === undefined && applied === undefined) return `must not be refused: ${describe(outcome)}`;
    const changes = world.changes();
    const wrong = which.state === undefined ? undefined : firstDifference(this.test.pre, changes, which.state);
    if (wrong !== undefined) return `${wrong}; ${describe(outcome)}`;
    const root = await this.roots.after(changes);
    if (!equalBytes(root, which.root)) return `the state root is ${toHex(root)}, not ${toHex(which.root)}; ${describe(outcome)}`;
    const logs = logsHash(applied?.logs ?? [], crypto);
    if (!equalBytes(logs, which.logs)) return `the logs hash is ${toHex(logs)}, not ${toHex(which.logs)}; ${describe(outcome)}`;
    if (tx === undefined || applied === undefined || which.txBytes === undefined) return undefined;
    return bytesDifference(tx, which.txBytes, crypto);
  }
}
