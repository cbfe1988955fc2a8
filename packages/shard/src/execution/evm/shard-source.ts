import { type Address, bytesKey, type Hash32, InvariantError, type ShardId } from '@shardlab/crosslink';
import type { ExecutionState } from '../../state/execution-state.ts';
import type { Account } from '../../state/shard-state.ts';
import { HERE, type SourceAccount, type StateSource } from './types.ts';

/** Tells where an address lives (R11); `key` is its `bytesKey`, if the caller knows it. */
export interface HomeLookup {
  homeOf(address: Address, key?: string): ShardId;
}

/** An account of a state as the EVM sees it; undefined: it is empty, so that there is none (EIP-161). */
export function sourceAccountOf(account: Readonly<Account>, state: Pick<ExecutionState, 'codeHashOf'>): SourceAccount | undefined {
  const { balance, nonce, contract } = account;
  if (balance === 0n && nonce === 0 && (contract === undefined || contract.code.bytes.length === 0)) return undefined;
  return { nonce: BigInt(nonce), balance, codeHash: state.codeHashOf(account) };
}

/** The state of a shard as the EVM reads it: as it is now, with what was written since the last commit. */
export class ShardSource implements StateSource {
  private readonly shard: ShardId;
  private readonly state: ExecutionState;
  private readonly homes: HomeLookup;
  private readonly sender = new Remembered();
  private readonly recipient = new Remembered();
  /** The address that was asked for last: a contract's slots are mostly read one after the other, and a string costs as much as a slot. */
  private readonly other = new Remembered();

  constructor(options: { readonly shard: ShardId }, modules: { readonly state: ExecutionState; readonly homes: HomeLookup }) {
    this.shard = options.shard;
    this.state = modules.state;
    this.homes = modules.homes;
  }

  /** Says whom the next run asks for most, by the very arrays that it will ask with, and their `bytesKey`s. */
  expect(sender: Address, senderKey: string, recipient: Address | undefined, recipientKey: string | undefined): void {
    this.sender.set(sender, senderKey);
    if (recipient !== undefined && recipientKey !== undefined) this.recipient.set(recipient, recipientKey);
  }

  account(address: Address): SourceAccount | undefined {
    const account = this.find(address);
    return account === undefined ? undefined : sourceAccountOf(account, this.state);
  }

  code(codeHash: Hash32): Uint8Array {
    const code = this.state.codeByHash(codeHash);
    if (code === undefined) throw new InvariantError('the code of an account is not in the state');
    return code;
  }

  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    const account = this.find(address);
    if (account === undefined) out.fill(0, 0, 32);
    else this.state.storageOf(account, key, out);
  }

  hasStorage(address: Address): boolean {
    return this.state.hasStorage(this.remembered(address).key);
  }

  homeOf(address: Address): number {
    const home = this.homes.homeOf(address, this.remembered(address).key);
    return home === this.shard ? HERE : home;
  }

  /** The account in the state, made if it is absent; see `ShardState.open`. */
  open(address: Address): Account {
    const known = this.remembered(address);
    return (known.account ??= this.state.open(known.key));
  }

  private find(address: Address): Account | undefined {
    const known = this.remembered(address);
    // One that is absent may come.
    return (known.account ??= this.state.account(known.key));
  }

  /** By identity: `WorldState` hands over one array per address, which nobody writes to. */
  private remembered(address: Address): Remembered {
    const { sender, recipient, other } = this;
    const known = address === sender.address ? sender : address === recipient.address ? recipient : other;
    if (known === other && address !== other.address) other.set(address, bytesKey(address));
    if (known.version !== this.state.version) {
      known.version = this.state.version;
      known.account = undefined;
    }
    return known;
  }
}

/** An address with what is known of it. */
class Remembered {
  address: Address | undefined;
  key = '';
  account: Account | undefined;
  /** Of the state when `account` was found. */
  version = -1;

  set(address: Address, key: string): void {
    this.address = address;
    // Most transactions call the contract that the last one called.
    if (key === this.key) return;
    this.key = key;
    this.account = undefined;
  }
}
