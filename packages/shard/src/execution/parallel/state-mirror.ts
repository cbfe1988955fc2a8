import { type Address, bytesKey, decodeStub, type Hash32, keyBytes } from '@shardlab/crosslink';
import type { Account } from '../../state/account.ts';
import type { ShardState } from '../../state/shard-state.ts';
import type { StateFollower } from '../../state/state-follower.ts';
import { isRooted } from '../contracts/homes.ts';
import { sourceAccountOf } from '../evm/shard-source.ts';
import { HERE, type StateSource } from '../evm/types.ts';
import type { SharedState } from './shared-state.ts';

/**
 * Keeps the part of a shard's state that threads share in step with it. What is wrong there costs time and no more: what was found out is held against the state itself,
 * see `validates`.
 */
export class StateMirror implements StateFollower {
  private readonly state: ShardState;
  private readonly shared: SharedState;
  private readonly emptyHash: Hash32;
  private readonly source: Pick<StateSource, 'account' | 'homeOf'>;
  private filled = false;
  private lastKey = '';
  private lastAddress: Address | undefined;

  /** `emptyHash`: keccak-256 of no bytes. Follows from its {@link fill} on. */
  constructor(options: { readonly emptyHash: Hash32 }, modules: { readonly state: ShardState; readonly shared: SharedState }) {
    this.emptyHash = options.emptyHash;
    this.state = modules.state;
    this.shared = modules.shared;
    this.source = this.asSource();
    this.state.follow(this);
  }

  /** To be called before threads read: copies everything, the first time. */
  fill(): void {
    if (this.filled) return;
    this.filled = true;
    if (!this.shared.fits(this.state.accountCount, this.state.slotCount)) return;
    this.state.tellAll(this);
    this.shared.markComplete();
  }

  account(account: Readonly<Account>): void {
    if (this.filled) this.shared.setAccount(this.addressOf(account), sourceAccountOf(account, this.state), this.homeOf(account), this.emptyHash);
  }

  slot(account: Readonly<Account>, key: Uint8Array, value: Uint8Array): void {
    if (this.filled) this.shared.setSlot(this.addressOf(account), key, value, this.source, this.emptyHash);
  }

  /** Slots come in runs of one account. */
  private addressOf({ key }: Readonly<Account>): Address {
    if (this.lastAddress === undefined || key !== this.lastKey) {
      this.lastKey = key;
      this.lastAddress = keyBytes(key) as Address;
    }
    return this.lastAddress;
  }

  /** One without nonce and code may have been given away: see `Homes`. */
  private homeOf(account: Readonly<Account>): number {
    if (isRooted(account)) return HERE;
    const stub = this.state.record('stub', keyBytes(account.key));
    return stub === undefined ? HERE : decodeStub(stub);
  }

  /** What a shared state asks for of an account whose slot it is given, and that it does not have. */
  private asSource(): Pick<StateSource, 'account' | 'homeOf'> {
    const find = (address: Address): Account | undefined => this.state.account(bytesKey(address));
    return {
      account: (address) => {
        const account = find(address);
        return account === undefined ? undefined : sourceAccountOf(account, this.state);
      },
      homeOf: (address) => {
        const account = find(address);
        return account === undefined ? HERE : this.homeOf(account);
      },
    };
  }
}
