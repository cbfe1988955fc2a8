/** Blocks of ERC-20 transfers that `npm run bench -- parallel` executes: made beforehand, with fixed seeds. */
import { address as brandAddress, type Address, type Hash32, type Hasher, Prng } from '@shardlab/crosslink';
import { type EvmCrypto, type EvmTransaction, SerialExecutor, type SharedState } from '@shardlab/shard';
import { encodeArguments, encodeCall } from '../../packages/cli/src/workload/contracts/abi.ts';
import { contractArtifact } from '../../packages/cli/src/workload/contracts/artifacts.ts';
import { BLOCK, FORK } from '../support/contract-host.ts';
import { FlatState } from '../support/flat-state.ts';

const SEED = 43;
const DEPLOYER = brandAddress(new Uint8Array(20).fill(0xde));
const ETHER = 10n ** 18n;
const HOLDER_TOKENS = 10n ** 21n;
/** Where OpenZeppelin's ERC-20 has `_balances`: its first variable. */
const BALANCES_SLOT = 0n;
const GAS_LIMIT = 100_000n;
const PRICE = 10n;
const TIP = 1n;

/** Token holders with Ether for fees, and the token. */
export class TokenBench {
  readonly state = new FlatState();
  private readonly hasher: Pick<Hasher, 'keccak256'>;
  private readonly emptyHash: Hash32;
  private readonly token: Address;
  private readonly holders: readonly Address[];
  private readonly nonces: Uint32Array;
  private readonly prng = new Prng(SEED);
  private readonly artifact = contractArtifact('Token');

  constructor(crypto: EvmCrypto, accounts: number) {
    this.hasher = crypto;
    this.emptyHash = crypto.keccak256(new Uint8Array(0));
    this.holders = Array.from({ length: accounts }, (_, index) => brandAddress(crypto.keccak256(encodeArguments(['uint256'], [BigInt(index)])).slice(12)));
    this.nonces = new Uint32Array(accounts);
    for (const holder of [DEPLOYER, ...this.holders]) this.state.setAccount(holder, { nonce: 0n, balance: ETHER, codeHash: this.emptyHash });
    const initcode = Uint8Array.from([...this.artifact.initcode, ...encodeArguments(['string', 'string', 'uint256'], ['Token', 'TKN', 10n ** 30n])]);
    const serial = new SerialExecutor({ fork: FORK, feePolicy: 'ethereum', hashSeed: SEED }, { crypto, source: this.state });
    const deployed = serial.execute(this.state, BLOCK, [{ ...this.blank(DEPLOYER, 0n), to: undefined, data: initcode, gasLimit: 5_000_000n }]);
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
      const to = prng.float() < conflicts ? holders[0]! : holders[1 + prng.below(holders.length - 1)]!;
      const data = encodeCall(this.artifact, 'transfer(address,uint256)', [to, BigInt(1 + prng.below(1_000_000))]);
      return { ...this.blank(holders[from]!, BigInt(this.nonces[from]!++)), to: this.token, data };
    });
  }

  private blank(sender: Address, nonce: bigint): EvmTransaction {
    return {
      type: 2, sender, chainId: BLOCK.chainId, nonce, gasLimit: GAS_LIMIT, maxFeePerGas: PRICE, maxPriorityFeePerGas: TIP, to: this.token, value: 0n,
      data: new Uint8Array(0), accessList: [], blobHashes: [], maxFeePerBlobGas: 0n, authorizations: [],
    };
  }

  private slotOf(holder: Address): Uint8Array {
    return this.hasher.keccak256(encodeArguments(['address', 'uint256'], [holder, BALANCES_SLOT]));
  }
}
