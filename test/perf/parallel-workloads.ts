/** Blocks that `npm run bench -- parallel` executes: made beforehand, with fixed seeds. */
import { address as brandAddress, type Address, bytesKey, type Hash32, type Hasher, Prng } from '@shardlab/crosslink';
import { addressOfSecretKey, type AdmissionPolicy, type EvmCrypto, type EvmTransaction, SerialExecutor, type SharedState, signTransaction, type TransactionSigner } from '@shardlab/shard';
import { encodeArguments, encodeCall } from '../../packages/cli/src/workload/contracts/abi.ts';
import { contractArtifact } from '../../packages/cli/src/workload/contracts/artifacts.ts';
import { BLOCK, ContractHost, FORK } from '../support/contract-host.ts';
import { FlatState } from '../support/flat-state.ts';
import { type EvmWorkload, uniswapSwaps } from './evm-workloads.ts';

const SEED = 43;
const DEPLOYER = brandAddress(new Uint8Array(20).fill(0xde));
const ETHER = 10n ** 18n;
const HOLDER_TOKENS = 10n ** 21n;
/** Where OpenZeppelin's ERC-20 has `_balances`: its first variable. */
const BALANCES_SLOT = 0n;
const GAS_LIMIT = 100_000n;
const PRICE = 10n;
const TIP = 1n;

/** What signed transactions are judged by. */
export const SIGNED_POLICY: AdmissionPolicy = { chainId: Number(BLOCK.chainId), allowUnprotected: false, fork: FORK };

/** A state that blocks are executed over. */
export interface BenchState {
  readonly state: FlatState;
  /** Fills what threads share, as a node does that has run for a while. */
  share(shared: SharedState): void;
}

function blank(sender: Address, to: Address | undefined, nonce: bigint): EvmTransaction {
  return {
    type: 2, sender, chainId: BLOCK.chainId, nonce, gasLimit: GAS_LIMIT, maxFeePerGas: PRICE, maxPriorityFeePerGas: TIP, to, value: 0n,
    data: new Uint8Array(0), accessList: [], blobHashes: [], maxFeePerBlobGas: 0n, authorizations: [],
  };
}

/** Token holders with Ether for fees, and the token. */
export class TokenBench implements BenchState {
  readonly state = new FlatState();
  private readonly hasher: Pick<Hasher, 'keccak256'>;
  private readonly emptyHash: Hash32;
  private readonly token: Address;
  private readonly holders: readonly Address[];
  private readonly nonces: Uint32Array;
  private readonly prng = new Prng(SEED);
  private readonly artifact = contractArtifact('Token');
  private readonly signer: TransactionSigner | undefined;
  /** Secret keys of the first holders. */
  private readonly keys: readonly Uint8Array[];

  /** `signers`: how many of the accounts can sign, with `signer`. */
  constructor(crypto: EvmCrypto, { accounts, signers = 0, signer }: { readonly accounts: number; readonly signers?: number; readonly signer?: TransactionSigner }) {
    this.hasher = crypto;
    this.signer = signer;
    this.emptyHash = crypto.keccak256(new Uint8Array(0));
    this.keys = Array.from({ length: signers }, () => this.prng.bytes(32));
    this.holders = Array.from({ length: accounts }, (_, index) => {
      if (signer !== undefined && index < signers) return addressOfSecretKey(this.keys[index]!, signer);
      return brandAddress(crypto.keccak256(encodeArguments(['uint256'], [BigInt(index)])).slice(12));
    });
    this.nonces = new Uint32Array(accounts);
    for (const holder of [DEPLOYER, ...this.holders]) this.state.setAccount(holder, { nonce: 0n, balance: ETHER, codeHash: this.emptyHash });
    const initcode = Uint8Array.from([...this.artifact.initcode, ...encodeArguments(['string', 'string', 'uint256'], ['Token', 'TKN', 10n ** 30n])]);
    const serial = new SerialExecutor({ fork: FORK, feePolicy: 'ethereum', hashSeed: SEED }, { crypto, source: this.state });
    const deployed = serial.execute(this.state, BLOCK, [{ ...blank(DEPLOYER, undefined, 0n), data: initcode, gasLimit: 5_000_000n }]);
    const outcome = deployed.outcome(0);
    if ('invalid' in outcome || outcome.created === undefined) throw new Error('the token was not made');
    this.token = outcome.created.slice() as Address;
    this.state.apply(deployed.changes());
    for (const holder of this.holders) this.state.setSlot(this.token, this.slotOf(holder), encodeArguments(['uint256'], [HOLDER_TOKENS]));
  }

  /** Fills what threads share with all of the state. */
  share(shared: SharedState): void {
    for (const address of [DEPLOYER, BLOCK.coinbase, this.token, ...this.holders]) shared.setAccount(address, this.state.account(address), -1, this.emptyHash);
    const value = new Uint8Array(32);
    for (const holder of this.holders) {
      const key = this.slotOf(holder);
      this.state.storage(this.token, key, value);
      shared.setSlot(this.token, key, value, this.state, this.emptyHash);
    }
    // The token's other variables matter to no transfer.
    shared.markComplete();
  }

  /** A block of transfers between random holders, of which `conflicts` (0 to 1) go to one holder: they depend on each other. */
  block(count: number, conflicts: number): EvmTransaction[] {
    const { prng, holders } = this;
    return Array.from({ length: count }, () => {
      const from = 1 + prng.below(holders.length - 1);
      const to = prng.float() < conflicts ? holders[0]! : this.anyHolder();
      return { ...blank(holders[from]!, this.token, BigInt(this.nonces[from]!++)), data: this.transfer(to) };
    });
  }

  /** The bytes of signed transfers from holders that can sign to random holders. */
  signedBlock(count: number): Uint8Array[] {
    const { prng, keys, signer } = this;
    if (signer === undefined) throw new Error('nobody can sign');
    return Array.from({ length: count }, () => {
      const from = prng.below(keys.length);
      const fields = {
        type: 2, chainId: Number(BLOCK.chainId), nonce: this.nonces[from]!++, maxPriorityFeePerGas: TIP, maxFeePerGas: PRICE, gasLimit: Number(GAS_LIMIT), to: this.token, value: 0n,
        data: this.transfer(this.anyHolder()), accessList: [],
      } as const;
      return signTransaction(fields, keys[from]!, signer).raw;
    });
  }

  private anyHolder(): Address {
    return this.holders[1 + this.prng.below(this.holders.length - 1)]!;
  }

  private transfer(to: Address): Uint8Array {
    return encodeCall(this.artifact, 'transfer(address,uint256)', [to, BigInt(1 + this.prng.below(1_000_000))]);
  }

  private slotOf(holder: Address): Uint8Array {
    return this.hasher.keccak256(encodeArguments(['address', 'uint256'], [holder, BALANCES_SLOT]));
  }
}

/** Traders with Ether for fees, and one pool of Uniswap V2, in which all of them swap. */
export class SwapBench implements BenchState {
  readonly state: FlatState;
  readonly kind: string;
  private readonly emptyHash: Hash32;
  private readonly workload: EvmWorkload;
  private readonly nonces = new Map<string, bigint>();
  private next = 0;

  /** `count` swaps in each of `blocks`. */
  constructor(crypto: EvmCrypto, { accounts, blocks, count }: { readonly accounts: number; readonly blocks: number; readonly count: number }) {
    const host = new ContractHost(crypto);
    this.emptyHash = crypto.keccak256(new Uint8Array(0));
    this.workload = uniswapSwaps(host, crypto, { accounts, blocks, callsPerBlock: count });
    this.state = host.state;
    this.kind = this.workload.kind;
    for (const { caller } of this.workload.blocks.flat()) this.state.setAccount(caller, { nonce: 0n, balance: ETHER, codeHash: this.emptyHash });
  }

  share(shared: SharedState): void {
    for (const { caller } of this.workload.blocks.flat()) shared.setAccount(caller, this.state.account(caller), -1, this.emptyHash);
  }

  /** The next block. */
  block(): EvmTransaction[] {
    return this.workload.blocks[this.next++]!.map(({ caller, to, data, gas }) => {
      const key = bytesKey(caller);
      const nonce = this.nonces.get(key) ?? 0n;
      this.nonces.set(key, nonce + 1n);
      return { ...blank(caller, to, nonce), data, gasLimit: BigInt(gas) };
    });
  }
}
