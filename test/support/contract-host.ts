/** Contracts on Shardlab's EVM over a state in memory, without a network: for benchmarks, and for tests of the contracts themselves. */
import { address as brandAddress, toHex } from '@shardlab/crosslink';
import type { Address, Hash32 } from '@shardlab/crosslink';
import { FlatState } from './flat-state.ts';
import { CodeCache } from '../../packages/shard/src/execution/evm/code.ts';
import { Evm } from '../../packages/shard/src/execution/evm/evm.ts';
import type { AccountId, BlockEnvironment, CallResult, EvmCrypto } from '../../packages/shard/src/execution/evm/types.ts';
import { type WorldReads, WorldState } from '../../packages/shard/src/execution/evm/world-state.ts';

/** The rules that all calls run under. */
export const FORK = 'cancun';
const PRECOMPILES = 0x0a;
const COINBASE = brandAddress(new Uint8Array(20).fill(0xcb));
const ZERO_HASH = new Uint8Array(32) as Hash32;
const GAS = 30_000_000;

/** The block in which all calls run. */
export const BLOCK: BlockEnvironment = {
  chainId: 1n,
  number: 20_000_000n,
  timestamp: 1_750_000_000n,
  gasLimit: 1_000_000_000n,
  coinbase: COINBASE,
  prevRandao: ZERO_HASH,
  baseFeePerGas: 7n,
  blobBaseFee: 1n,
  blockHash: () => undefined,
};

/** One call of a contract by an account; no value. */
export interface ContractCall {
  readonly caller: Address;
  readonly to: Address;
  readonly data: Uint8Array;
  readonly gas: number;
}

/** An EVM over a {@link FlatState}: one world for each block, as a node has. */
export class ContractHost {
  readonly state = new FlatState();
  private readonly evm: Evm;
  private readonly world: WorldState;

  constructor(crypto: EvmCrypto) {
    this.world = new WorldState(this.state, crypto, new CodeCache());
    this.evm = new Evm({ fork: FORK }, { crypto, world: this.world });
  }

  /**
   * Runs calls as a block's: each a transaction of its own, with the warm accounts, logs and the end that a transaction has; nonces and fees are not touched, because
   * the peer's `runCall` does not either. Changes are collected at the end and written. Returns the gas of all calls. Throws unless each succeeds.
   */
  runBlock(calls: readonly ContractCall[]): number {
    this.world.reset(this.state);
    const gasUsed = this.runAll(calls);
    this.state.apply(this.world.changes());
    return gasUsed;
  }

  /** Runs calls as {@link runBlock} does and keeps nothing: what they read, as it was before them, and their gas. */
  dryRun(calls: readonly ContractCall[]): { readonly reads: WorldReads; readonly gasUsed: number } {
    this.world.reset(this.state);
    const gasUsed = this.runAll(calls);
    return { reads: this.world.reads(), gasUsed };
  }

  private runAll(calls: readonly ContractCall[]): number {
    let gasUsed = 0;
    for (const call of calls) {
      const { gasLeft, halt } = this.transact(call);
      if (halt !== undefined) throw new Error(`a call ended with ${halt}`);
      gasUsed += call.gas - gasLeft;
    }
    return gasUsed;
  }

  /** Makes a contract. `nonce`: the creator's, which is neither checked nor raised. Throws unless it succeeds. */
  deploy(creator: Address, nonce: bigint, initcode: Uint8Array): Address {
    this.world.reset(this.state);
    this.begin(creator);
    const { created, halt } = this.evm.create({ caller: this.world.accountOf(creator), value: 0n, initcode, gas: GAS, nonce });
    if (created === undefined) throw new Error(`a contract was not made: ${halt}`);
    const address = this.world.address(created).slice() as Address;
    this.world.endTransaction();
    this.state.apply(this.world.changes());
    return address;
  }

  /** Calls and keeps what it did. Returns the output. Throws unless it succeeds, with the revert data. */
  call(caller: Address, to: Address, data: Uint8Array): Uint8Array {
    this.world.reset(this.state);
    const { halt, output } = this.transact({ caller, to, data, gas: GAS });
    if (halt !== undefined) throw new Error(`the call ended with ${halt}${output.length === 0 ? '' : ` and ${toHex(output)}`}`);
    this.state.apply(this.world.changes());
    return output;
  }

  private transact({ caller, to, data, gas }: ContractCall): CallResult {
    const callerId = this.begin(caller);
    const toId = this.world.accountOf(to);
    this.world.warmAccount(toId);
    const result = this.evm.call({ caller: callerId, to: toId, value: 0n, data, gas });
    this.world.endTransaction();
    return result;
  }

  private begin(caller: Address): AccountId {
    const { world } = this;
    world.beginTransaction();
    world.keepWarm(PRECOMPILES);
    const id = world.accountOf(caller);
    world.warmAccount(id);
    world.warmAccount(world.accountOf(COINBASE));
    this.evm.begin(BLOCK, { origin: caller, gasPrice: 7n, blobHashes: [] });
    return id;
  }
}
