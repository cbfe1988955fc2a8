import { type Address, type AssignmentTable, bytesKey, decodeStub, type ShardId } from '@shardlab/crosslink';
import type { Account, ShardState } from '../../state/shard-state.ts';

/** Addresses 1 to 0xff: precompiles, those of later forks included. */
const PRECOMPILE_LAST = 0xff;

/** The number of an address that is nearly all zeros: 1 to 255; 0 for every other address, and for the zero address. */
function smallNumber(address: Address): number {
  for (let at = 0; at < 19; at++) if (address[at] !== 0) return 0;
  return address[19]! <= PRECOMPILE_LAST ? address[19]! : 0;
}

/** Whether an account has code. */
export function hasCode(account: Readonly<Account>): boolean {
  return account.contract !== undefined && account.contract.code.bytes.length !== 0;
}

/** Whether somebody acts from here, or code runs here: such an account lives where it is, whatever a stub says. */
export function isRooted(account: Readonly<Account>): boolean {
  return account.nonce !== 0 || hasCode(account);
}

/**
 * Where addresses live, as one block sees it: in local state first (an account, then a forwarding stub, R11), then by the table of the assignment certificate that the
 * header names. Never from a cache of the process.
 */
export class Homes {
  private readonly shard: ShardId;
  private readonly state: Pick<ShardState, 'account' | 'record'>;
  private readonly assignment: Pick<AssignmentTable, 'shardOf'>;

  constructor(shard: ShardId, modules: { readonly state: Pick<ShardState, 'account' | 'record'>; readonly assignment: Pick<AssignmentTable, 'shardOf'> }) {
    this.shard = shard;
    this.state = modules.state;
    this.assignment = modules.assignment;
  }

  /** The shard where `address` lives; `key` is its `bytesKey`, `account` what the state has of it, for callers that know them. A precompile lives everywhere (R12). */
  homeOf(address: Address, key: string = bytesKey(address), account: Account | undefined = this.state.account(key)): ShardId {
    if ((account !== undefined && isRooted(account)) || this.isPrecompile(address, key)) return this.shard;
    // A stub tells more than wei that came here before it, or past it.
    const stub = this.state.record('stub', address);
    if (stub !== undefined) return decodeStub(stub);
    return account !== undefined && account.balance !== 0n ? this.shard : this.assignment.shardOf(address);
  }

  /** The shard that the assignment gives the address to, whatever this shard's state says: the one that keeps the stub of a contract that is made elsewhere (R11). */
  ruleOf(address: Address): ShardId {
    return this.assignment.shardOf(address);
  }

  /** Of contracts that were made here, those whose stub another shard has to keep. */
  keptElsewhere(created: readonly Address[]): Address[] {
    return created.filter((address) => this.ruleOf(address) !== this.shard);
  }

  /**
   * Whether the address is a precompile's, or one that a later fork may give to one. Whoever has just looked the account up by `key`, the `bytesKey` of the address, gives it
   * too: its bytes are in cache then, which those of the address are not.
   */
  isPrecompile(address: Address, key?: string): boolean {
    return (key === undefined ? address[0] : key.charCodeAt(0)) === 0 && smallNumber(address) !== 0;
  }

  /** Whether this shard may take in the stub of `address`: its own by rule, with no code, nonce or stub there. */
  canKeepStub(address: Address): boolean {
    if (this.assignment.shardOf(address) !== this.shard || this.state.record('stub', address) !== undefined) return false;
    const account = this.state.account(bytesKey(address));
    return account === undefined || (account.nonce === 0 && !hasCode(account));
  }
}

