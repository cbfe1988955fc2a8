/** The same calls on `@ethereumjs/evm`: what the EVM benchmark compares with. */
import { Common, Hardfork, Mainnet } from '@ethereumjs/common';
import { createEVM } from '@ethereumjs/evm';
import { SimpleStateManager } from '@ethereumjs/statemanager';
import { Account, Address as PeerAddress, setLengthLeft } from '@ethereumjs/util';
import { bytesKey } from '@shardlab/crosslink';
import type { Address } from '@shardlab/crosslink';
import type { WorldReads } from '../../packages/shard/src/execution/evm/world-state.ts';
import { BLOCK } from '../support/contract-host.ts';
import type { ContractHost, ContractCall } from '../support/contract-host.ts';

/**
 * Calls to a fresh state. SimpleStateManager copies all its maps at each checkpoint, so a state of 100 k holders would measure nothing but that: it is given
 * no more than what so few calls touch.
 */
const CALLS_PER_STATE = 50;

/** What the peer needed. */
export interface PeerRound {
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

function stripped(value: Uint8Array): Uint8Array {
  const first = value.findIndex((byte) => byte !== 0);
  return first === -1 ? new Uint8Array(0) : value.subarray(first);
}

/** A state manager with what was read, as it was. */
async function stateOf(host: ContractHost, { accounts, slots }: WorldReads, common: Common): Promise<SimpleStateManager> {
  const state = new SimpleStateManager({ common });
  const addresses = new Map<string, Address>([...accounts, ...slots].map(({ address }) => [bytesKey(address), address]));
  for (const address of addresses.values()) {
    const account = host.state.account(address);
    if (account === undefined) continue;
    const peer = new PeerAddress(address);
    await state.putAccount(peer, new Account(account.nonce, account.balance));
    const code = host.state.code(account.codeHash);
    if (code.length > 0) await state.putCode(peer, code);
  }
  for (const { address, key, value } of slots) await state.putStorage(new PeerAddress(address), setLengthLeft(key, 32), stripped(value));
  return state;
}

/** Runs the calls in order, in portions of {@link CALLS_PER_STATE}, each on the state that `bench` has now. Only the calls are timed. Throws unless each succeeds, with our gas. */
export async function runPeer(host: ContractHost, calls: readonly ContractCall[]): Promise<PeerRound> {
  const common = new Common({ chain: Mainnet, hardfork: Hardfork.Cancun });
  const { number, timestamp, gasLimit, coinbase, prevRandao, baseFeePerGas } = BLOCK;
  const header = { number, timestamp, gasLimit, coinbase: new PeerAddress(coinbase), prevRandao, baseFeePerGas, difficulty: 0n, getBlobGasPrice: () => 1n };
  let elapsedMs = 0;
  let cpuUs = 0;
  for (let from = 0; from < calls.length; from += CALLS_PER_STATE) {
    const portion = calls.slice(from, from + CALLS_PER_STATE);
    const ours = host.dryRun(portion);
    const stateManager = await stateOf(host, ours.reads, common);
    const evm = await createEVM({ common, stateManager });
    const messages = portion.map(({ caller, to, data, gas }) => ({ caller: new PeerAddress(caller), to: new PeerAddress(to), data, gas: BigInt(gas) }));
    let gasUsed = 0n;
    const startCpu = process.cpuUsage();
    const start = performance.now();
    for (const { caller, to, data, gas } of messages) {
      for (const address of [caller, to, header.coinbase]) evm.journal.addAlwaysWarmAddress(address.toString());
      const { execResult } = await evm.runCall({ block: { header }, caller, origin: caller, to, data, gasLimit: gas, gasPrice: 7n, skipNonceIncrement: true });
      await evm.journal.cleanup();
      stateManager.originalStorageCache.clear();
      if (execResult.exceptionError !== undefined) throw new Error(`a call ended on the peer with ${execResult.exceptionError.error}`);
      gasUsed += execResult.executionGasUsed;
    }
    elapsedMs += performance.now() - start;
    const { user, system } = process.cpuUsage(startCpu);
    cpuUs += user + system;
    if (Number(gasUsed) !== ours.gasUsed) throw new Error(`the same calls took ${ours.gasUsed} gas, and ${gasUsed} on the peer`);
  }
  return { perSecond: (calls.length / elapsedMs) * 1_000, perCpuSecond: (calls.length / cpuUs) * 1_000_000 };
}
