/** Which contracts a workload has on one shard, and the transactions that make them there. */
import { concatBytes, type Hasher, ShardlabError } from '@shardlab/crosslink';
import type { PlannedCall } from '../signed-load.ts';
import { type CallKind, MIXES, type WorkloadName } from '../names.ts';
import { type AbiValue, encodeArguments } from './abi.ts';
import { createdAddress, pairAddress } from './addresses.ts';
import { contractArtifact, type ContractName } from './artifacts.ts';

/** Nonces that are looked through for one contract: enough for 64 shards, where a pair suits with one in 4,096. */
const NONCES_MAX = 40_000;
/** Tokens that a deployer gives itself: Uniswap's reserves are below 2^112. */
export const TOKEN_SUPPLY = 10n ** 33n;
/** Price of lending collateral: one unit of the asset. */
const PRICE_ONE = 10n ** 18n;
const NO_DATA = new Uint8Array(0);

/** A Uniswap pool of token 0 and another one. */
export interface DeployedPool {
  readonly pair: Uint8Array;
  /** Index of the other token. */
  readonly token: number;
}

/** What stands on one shard; addresses of 20 bytes. */
export interface ShardDeployment {
  readonly shard: number;
  /** Index of the account that makes everything, and has all tokens at first. */
  readonly treasury: number;
  readonly tokens: readonly Uint8Array[];
  readonly collectible: Uint8Array | undefined;
  readonly router: Uint8Array | undefined;
  readonly factory: Uint8Array | undefined;
  readonly pools: readonly DeployedPool[];
  /** Lends token 0 against token 1. */
  readonly lending: Uint8Array | undefined;
}

/** Who deploys where. */
export interface DeploymentPlace {
  readonly shard: number;
  readonly treasury: number;
  readonly address: Uint8Array;
  /** Next nonce of that account. */
  readonly nonce: number;
  /** R8: home of an address. */
  readonly homeOf: (address: Uint8Array) => number;
}

/** Gas that a creation surely does with: data, deposit of the code, and half a million for what the constructor does. */
function creationGas(initcode: Uint8Array): number {
  return 553_000 + 217 * initcode.length;
}

/**
 * Walks through a deployer's nonces. A contract is made at the next one whose address has its home on this shard (R8), so that no other shard takes part in
 * the creation (R11); nonces between are used up by paying oneself nothing.
 */
class Deployer {
  readonly calls: PlannedCall[] = [];
  private readonly place: DeploymentPlace;
  private readonly crypto: Pick<Hasher, 'keccak256'>;
  private nonce: number;

  constructor(place: DeploymentPlace, crypto: Pick<Hasher, 'keccak256'>) {
    this.place = place;
    this.crypto = crypto;
    this.nonce = place.nonce;
  }

  create(name: ContractName, types: readonly string[], values: readonly AbiValue[], suits: (address: Uint8Array) => boolean = () => true): Uint8Array {
    const { shard, homeOf, address: creator } = this.place;
    const base = { valueHigh: 0n, valueLow: 0n };
    for (let tried = 0; tried < NONCES_MAX; tried++) {
      const address = createdAddress(this.crypto, creator, this.nonce++);
      if (homeOf(address) === shard && suits(address)) {
        const initcode = concatBytes(contractArtifact(name).initcode, encodeArguments(types, values));
        this.calls.push({ to: undefined, gasLimit: creationGas(initcode), data: initcode, ...base });
        return address;
      }
      this.calls.push({ to: creator, gasLimit: 21_000, data: NO_DATA, ...base });
    }
    throw new ShardlabError('load/network', `no address for ${name} on shard ${shard} among ${NONCES_MAX} nonces: use fewer shards for this workload`, { shard });
  }
}

/** Plans the creations of a workload on one shard: the transactions of the treasury, in order, and what they make. Throws `load/network`. */
export function planDeployment(workload: WorkloadName, place: DeploymentPlace, crypto: Pick<Hasher, 'keccak256'>): { readonly deployment: ShardDeployment; readonly calls: readonly PlannedCall[] } {
  const { shares, pools: poolCount } = MIXES[workload];
  const has = (kind: CallKind): boolean => (shares[kind] ?? 0) > 0;
  const deployer = new Deployer(place, crypto);
  const tokens: Uint8Array[] = [];
  const pools: DeployedPool[] = [];
  const token = (suits?: (address: Uint8Array) => boolean): Uint8Array => {
    const name = `Shardlab ${tokens.length}`;
    const made = deployer.create('Token', ['string', 'string', 'uint256'], [name, `S${tokens.length}`, TOKEN_SUPPLY], suits);
    tokens.push(made);
    return made;
  };
  const collectible = has('mint') ? deployer.create('Collectible', ['string', 'string'], ['Shardlab', 'SHARD']) : undefined;
  if (has('erc20') || has('swap') || has('lend')) token();
  let router: Uint8Array | undefined;
  let factory: Uint8Array | undefined;
  if (has('swap')) {
    const weth = deployer.create('WETH9', [], []);
    const made = deployer.create('UniswapV2Factory', ['address'], [place.address]);
    factory = made;
    router = deployer.create('UniswapV2Router02', ['address', 'address'], [made, weth]);
    const pairHash = crypto.keccak256(contractArtifact('UniswapV2Pair').initcode);
    const pairOf = (other: Uint8Array): Uint8Array => pairAddress(crypto, made, pairHash, [tokens[0]!, other]);
    for (let pool = 0; pool < poolCount; pool++) {
      const other = token((address) => place.homeOf(pairOf(address)) === place.shard);
      pools.push({ pair: pairOf(other), token: tokens.length - 1 });
    }
  }
  let lending: Uint8Array | undefined;
  if (has('lend')) {
    if (tokens.length < 2) token();
    lending = deployer.create('LendingPool', ['address', 'address', 'uint256'], [tokens[0]!, tokens[1]!, PRICE_ONE]);
  }
  const { shard, treasury } = place;
  return { deployment: { shard, treasury, tokens, collectible, router, factory, pools, lending }, calls: deployer.calls };
}
