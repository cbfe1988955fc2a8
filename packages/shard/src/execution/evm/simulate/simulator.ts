import { type Address, bytesKey, type Hash32, type Wei } from '@shardlab/crosslink';
import { INITCODE_BYTES_MAX } from '../../../transaction/intrinsic-gas.ts';
import type { AccessListEntry } from '../../../transaction/types.ts';
import { CodeCache } from '../code.ts';
import { Evm } from '../evm.ts';
import { FORK_RULES, intrinsicGasUnder } from '../fork-rules.ts';
import type { Tracer } from '../tracer.ts';
import { type AccountId, type BlockEnvironment, type EvmCrypto, type EvmFork, type EvmLog, type Halt, HERE, type StateSource } from '../types.ts';
import { fromBytes } from '../words/basic.ts';
import { WorldState } from '../world-state.ts';

/** At most a fifth of the gas is given back (EIP-3529). */
const REFUND_QUOTIENT = 5;
const NO_BLOBS: readonly Hash32[] = [];
/** Entries of remembered hashes (2^10, 100 KB) and bytes of analysed codes: simulations are few. */
const MEMO_ENTRIES_LOG2 = 10;
const CODE_BYTES_MAX = 16 * 1024 * 1024;

/** A call or creation that is tried out. */
export interface SimulatedRequest {
  readonly from: Address;
  /** undefined: a creation. */
  readonly to: Address | undefined;
  /** Gas limit, the intrinsic gas included. */
  readonly gas: number;
  /** Wei per gas, for GASPRICE and for what the sender must be able to pay; 0: free. */
  readonly gasPrice: Wei;
  readonly value: Wei;
  readonly data: Uint8Array;
  readonly accessList: readonly AccessListEntry[];
}

/** What it came to. */
export interface Simulated {
  /** undefined: it succeeded. */
  readonly halt: Halt | undefined;
  /** As a receipt would say. */
  readonly gasUsed: number;
  /** Gas that is in use before refunds. */
  readonly gasSpent: number;
  /** Return or revert data; of a creation that succeeded, the code. */
  readonly output: Uint8Array;
  readonly logs: readonly EvmLog[];
  readonly created: Address | undefined;
}

/** Why it cannot even begin. */
export interface NotSimulated {
  readonly invalid: 'intrinsic-gas' | 'initcode-too-long' | 'insufficient-funds';
  /** Gas that would have to be there; wei that the sender has. */
  readonly have: bigint;
  readonly want: bigint;
}

/**
 * Tries calls and creations out on a state, without a transaction: go-ethereum's `eth_call`, equivalent. Nonce, signature and code of the sender do not matter; a
 * price is optional. Nothing is kept but analysed code.
 */
export class Simulator {
  private readonly evm: Evm;
  private readonly world: WorldState;

  /** `hashSeed`: see {@link WorldState}. */
  constructor(options: { readonly fork: EvmFork; readonly hashSeed?: number }, modules: { readonly crypto: EvmCrypto }) {
    const { fork, hashSeed } = options;
    this.world = new WorldState(NOTHING, modules.crypto, new CodeCache(CODE_BYTES_MAX), hashSeed === undefined ? {} : { hashSeed });
    this.evm = new Evm({ fork, memoEntriesLog2: MEMO_ENTRIES_LOG2 }, { crypto: modules.crypto, world: this.world });
  }

  /** Runs `request` on a state, in the environment of a block. What `tracer`, state or environment throw, it throws. */
  run(source: StateSource, block: BlockEnvironment, request: SimulatedRequest, tracer?: Tracer): Simulated | NotSimulated {
    const { world, evm } = this;
    const { from, to, gas, gasPrice, value, data, accessList } = request;
    if (to === undefined && data.length > INITCODE_BYTES_MAX) return { invalid: 'initcode-too-long', have: BigInt(data.length), want: BigInt(INITCODE_BYTES_MAX) };
    const keys = accessList.reduce((sum, entry) => sum + entry.storageKeys.length, 0);
    const fields = { data, creation: to === undefined, addresses: accessList.length, keys, authorizations: 0 };
    const { gas: intrinsic, floor } = intrinsicGasUnder(evm.fork, fields);
    if (gas < Math.max(intrinsic, floor)) return { invalid: 'intrinsic-gas', have: BigInt(gas), want: BigInt(Math.max(intrinsic, floor)) };
    world.reset(source);
    world.beginTransaction();
    const sender = world.accountOf(from);
    const fee = BigInt(gas) * gasPrice;
    // A sender of another shard pays there, and the value comes with the call (R15).
    if (world.homeOf(sender) !== HERE) world.addBalance(sender, value);
    else if (world.balance(sender) < fee + value) return { invalid: 'insufficient-funds', have: world.balance(sender), want: fee + value };
    else if (fee !== 0n) world.subBalance(sender, fee);
    const target = to === undefined ? undefined : world.accountOf(to);
    this.warmUp([sender, world.accountOf(block.coinbase), target], accessList);
    evm.begin(block, { origin: from, gasPrice, blobHashes: NO_BLOBS });
    evm.tracer = tracer;
    try {
      return this.execute(request, { sender, target }, intrinsic, floor);
    } finally {
      evm.tracer = undefined;
    }
  }

  private execute(request: SimulatedRequest, { sender, target }: { readonly sender: AccountId; readonly target: AccountId | undefined }, intrinsic: number, floor: number): Simulated {
    const { world, evm } = this;
    const { gas, value, data } = request;
    const nonce = world.nonce(sender);
    world.setNonce(sender, nonce + 1n);
    const message = { caller: sender, value, gas: gas - intrinsic };
    const { halt, gasLeft, output, ...rest } =
      target === undefined ? evm.create({ ...message, initcode: data, nonce }) : evm.call({ ...message, to: target, data });
    const created = 'created' in rest && rest.created !== undefined ? world.address(rest.created as AccountId) : undefined;
    const spent = gas - gasLeft;
    const gasUsed = Math.max(spent - Math.min(world.refund, Math.floor(spent / REFUND_QUOTIENT)), floor);
    const returned = created === undefined ? output : world.code(world.accountOf(created)).bytes;
    return { halt, gasUsed, gasSpent: Math.max(spent, floor), output: returned, logs: world.logs(), created };
  }

  private warmUp(accounts: readonly (AccountId | undefined)[], accessList: readonly AccessListEntry[]): void {
    const { world } = this;
    world.keepWarm(FORK_RULES[this.evm.fork].precompileLast);
    for (const account of accounts) if (account !== undefined) world.warmAccount(account);
    const key = new Uint32Array(8);
    for (const { address, storageKeys } of accessList) {
      const account = world.accountOf(address);
      world.warmAccount(account);
      for (const storageKey of storageKeys) {
        fromBytes(key, 0, storageKey, 0, 32);
        world.warmSlot(world.slotAt(account, key, 0));
      }
    }
  }

  /**
   * What the last run touched, as an access list (EIP-2930): but for accounts in `without` and precompiles, which are warm anyway and stand here only with slots. In
   * order of first sight.
   */
  accessList(without: readonly Address[]): AccessListEntry[] {
    const { accounts, slots } = this.world.reads();
    const free = new Set(without.map(bytesKey));
    const last = FORK_RULES[this.evm.fork].precompileLast;
    const entries = new Map<string, { readonly address: Address; readonly storageKeys: Hash32[] }>();
    const made = new Set(this.world.created().map(bytesKey));
    for (const { address } of accounts) {
      const key = bytesKey(address);
      if (!free.has(key) && !made.has(key) && !isPrecompile(address, last)) entries.set(key, { address, storageKeys: [] });
    }
    for (const { address, key: slot } of slots) {
      const key = bytesKey(address);
      let entry = entries.get(key);
      if (entry === undefined) entries.set(key, (entry = { address, storageKeys: [] }));
      entry.storageKeys.push(slot as Hash32);
    }
    return [...entries.values()];
  }

  /** Drops what the last run holds of its state. */
  forget(): void {
    this.world.reset(NOTHING);
  }
}

/** A state without anything. */
const NOTHING: StateSource = {
  account: () => undefined,
  code: () => new Uint8Array(0),
  storage: (_address, _key, out) => void out.fill(0),
  hasStorage: () => false,
  homeOf: () => HERE,
};

function isPrecompile(address: Address, last: number): boolean {
  for (let at = 0; at < 19; at++) if (address[at] !== 0) return false;
  return address[19]! >= 1 && address[19]! <= last;
}
