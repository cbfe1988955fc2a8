import { type Address, type AssignmentTable, bytesKey, type Hash32, InvariantError, type ShardId } from '@shardlab/crosslink';
import type { ShardState } from '../../state/shard-state.ts';
import type { SourceAccount, StateSource } from './types.ts';

/** {@link StateSource.homeOf}: the account lives here. */
const HERE = -1;

/** The state of a shard as the EVM reads it: as it is now, with what was written since the last commit. */
export class ShardSource implements StateSource {
  private readonly shard: ShardId;
  private readonly state: ShardState;
  private readonly assignment: Pick<AssignmentTable, 'shardOf'>;
  /** The key of the address that was asked for last: a contract's slots are mostly read one after the other, and a string costs as much as a slot. */
  private lastAddress: Address | undefined;
  private lastKey = '';

  constructor(options: { readonly shard: ShardId }, modules: { readonly state: ShardState; readonly assignment: Pick<AssignmentTable, 'shardOf'> }) {
    this.shard = options.shard;
    this.state = modules.state;
    this.assignment = modules.assignment;
  }

  account(address: Address): SourceAccount | undefined {
    const key = bytesKey(address);
    const account = this.state.account(key);
    if (account === undefined) return undefined;
    const { balance, nonce, contract } = account;
    if (balance === 0n && nonce === 0 && (contract === undefined || contract.code.bytes.length === 0)) return undefined;
    return { nonce: BigInt(nonce), balance, codeHash: this.state.codeHash(key) };
  }

  code(codeHash: Hash32): Uint8Array {
    const code = this.state.codeByHash(codeHash);
    if (code === undefined) throw new InvariantError('the code of an account is not in the state');
    return code;
  }

  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    this.state.storage(this.keyOf(address), key, out);
  }

  hasStorage(address: Address): boolean {
    return this.state.hasStorage(this.keyOf(address));
  }

  /** What is here lives here (R11: a contract lives where its creator ran); the table is asked only for strangers. */
  homeOf(address: Address): number {
    if (this.account(address) !== undefined) return HERE;
    const home = this.assignment.shardOf(address);
    return home === this.shard ? HERE : home;
  }

  /** By identity: `WorldState` hands over one array per address, which nobody writes to. */
  private keyOf(address: Address): string {
    if (address !== this.lastAddress) {
      this.lastKey = bytesKey(address);
      this.lastAddress = address;
    }
    return this.lastKey;
  }
}
