/** The calls that `npm run bench -- evm` measures: made beforehand, with fixed seeds. */
import { address as brandAddress, type Address, type Hasher, Prng } from '@shardlab/crosslink';
import { type AbiValue, encodeArguments, encodeCall } from '../../packages/cli/src/workload/contracts/abi.ts';
import { type ContractArtifact, contractArtifact } from '../../packages/cli/src/workload/contracts/artifacts.ts';
import type { ContractHost, ContractCall } from '../support/contract-host.ts';
import { BLOCK } from '../support/contract-host.ts';

const SEED = 42;
const SUPPLY = 10n ** 30n;
const TRANSFER_GAS = 100_000;
const SWAP_GAS = 300_000;
const DEPLOYER = brandAddress(new Uint8Array(20).fill(0xde));
/** Where OpenZeppelin's ERC-20 has `_balances`: its first variable. */
const BALANCES_SLOT = 0n;
const HOLDER_BALANCE = 10n ** 21n;
const POOL_DEPTH = 10n ** 26n;
const MAX_UINT = (1n << 256n) - 1n;
const ISSUE_BATCH = 200;

/** Contracts in place, and calls block by block. */
export interface EvmWorkload {
  readonly name: 'erc20' | 'swap';
  readonly kind: string;
  readonly accounts: number;
  readonly blocks: readonly (readonly ContractCall[])[];
}

/** What a workload is made of: how many accounts, blocks, and calls in each. */
export interface WorkloadSize {
  readonly accounts: number;
  readonly blocks: number;
  readonly callsPerBlock: number;
}

function people(hasher: Pick<Hasher, 'keccak256'>, count: number): Address[] {
  return Array.from({ length: count }, (_, index) => {
    const seed = new Uint8Array(4);
    new DataView(seed.buffer).setUint32(0, index);
    return brandAddress(hasher.keccak256(seed).slice(12));
  });
}

function word(value: bigint): Uint8Array {
  return encodeArguments(['uint256'], [value]);
}

function deploy(host: ContractHost, nonce: number, artifact: ContractArtifact, types: readonly string[], values: readonly AbiValue[]): Address {
  const initcode = Uint8Array.from([...artifact.initcode, ...encodeArguments(types, values)]);
  return host.deploy(DEPLOYER, BigInt(nonce), initcode);
}

function deployToken(host: ContractHost, nonce: number): Address {
  return deploy(host, nonce, contractArtifact('Token'), ['string', 'string', 'uint256'], ['Token', 'TKN', SUPPLY]);
}

/** ERC-20 transfers between random pairs of holders; all of them hold tokens already. */
export function erc20Transfers(host: ContractHost, hasher: Pick<Hasher, 'keccak256'>, size: WorkloadSize): EvmWorkload {
  const token = contractArtifact('Token');
  const to = deployToken(host, 0);
  const holders = people(hasher, size.accounts);
  for (const holder of holders) host.state.setSlot(to, hasher.keccak256(encodeArguments(['address', 'uint256'], [holder, BALANCES_SLOT])), word(HOLDER_BALANCE));
  const prng = new Prng(SEED);
  const one = (): ContractCall => {
    const values = [holders[prng.below(size.accounts)]!, BigInt(1 + prng.below(1_000_000))];
    return { caller: holders[prng.below(size.accounts)]!, to, data: encodeCall(token, 'transfer(address,uint256)', values), gas: TRANSFER_GAS };
  };
  return { name: 'erc20', kind: "transfer of OpenZeppelin's ERC-20", accounts: size.accounts, blocks: blocksOf(size, one) };
}

/** Swaps through Uniswap V2's router in one pool, in both directions, by traders who have approved it. */
export function uniswapSwaps(host: ContractHost, hasher: Pick<Hasher, 'keccak256'>, size: WorkloadSize): EvmWorkload {
  const tokens = [deployToken(host, 0), deployToken(host, 1)] as const;
  const factory = deploy(host, 2, contractArtifact('UniswapV2Factory'), ['address'], [DEPLOYER]);
  const weth = deploy(host, 3, contractArtifact('WETH9'), [], []);
  const routerArtifact = contractArtifact('UniswapV2Router02');
  const router = deploy(host, 4, routerArtifact, ['address', 'address'], [factory, weth]);
  const token = contractArtifact('Token');
  const traders = people(hasher, size.accounts);
  const deadline = BLOCK.timestamp + 1_000n;
  for (const each of tokens) {
    for (const owner of [DEPLOYER, ...traders]) host.call(owner, each, encodeCall(token, 'approve(address,uint256)', [router, MAX_UINT]));
    for (let from = 0; from < traders.length; from += ISSUE_BATCH) {
      host.call(DEPLOYER, each, encodeCall(token, 'issue(address[],uint256)', [traders.slice(from, from + ISSUE_BATCH), HOLDER_BALANCE]));
    }
  }
  const liquidity = [...tokens, POOL_DEPTH, POOL_DEPTH, 0n, 0n, DEPLOYER, deadline];
  host.call(DEPLOYER, router, encodeCall(routerArtifact, 'addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)', liquidity));
  const prng = new Prng(SEED);
  const one = (): ContractCall => {
    const caller = traders[prng.below(size.accounts)]!;
    const path = prng.below(2) === 0 ? tokens : tokens.toReversed();
    const values = [BigInt(1_000 + prng.below(1_000_000)), 0n, path, caller, deadline];
    const data = encodeCall(routerArtifact, 'swapExactTokensForTokens(uint256,uint256,address[],address,uint256)', values);
    return { caller, to: router, data, gas: SWAP_GAS };
  };
  return { name: 'swap', kind: 'swapExactTokensForTokens of Uniswap V2, one pool', accounts: size.accounts, blocks: blocksOf(size, one) };
}

function blocksOf({ blocks, callsPerBlock }: WorkloadSize, one: () => ContractCall): ContractCall[][] {
  return Array.from({ length: blocks }, () => Array.from({ length: callsPerBlock }, one));
}
