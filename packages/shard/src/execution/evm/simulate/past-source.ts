import {
  type Address,
  BASIC_DATA_POSITION,
  bytesKey,
  CODE_HASH_POSITION,
  codeChunkCount,
  codeChunkPosition,
  decodeBasicData,
  decodeCodeChunks,
  type Hash32,
  type Hasher,
  InvariantError,
  type ShardId,
  storagePosition,
} from '@shardlab/crosslink';
import type { ShardState } from '../../../state/shard-state.ts';
import type { Homes } from '../../contracts/homes.ts';
import { HERE, type SourceAccount, type StateSource } from '../types.ts';
import { toWei } from './hex-words.ts';
import type { Leaves, PastStems } from './past-stems.ts';

const NO_CODE = new Uint8Array(0);

/** What a past state is read from. */
export interface PastSourceModules {
  readonly hasher: Pick<Hasher, 'keccak256'>;
  /** The state as it is now, without changes under way. */
  readonly state: ShardState;
  readonly homes: Pick<Homes, 'homeOf' | 'ruleOf'>;
  /** What differs from it. */
  readonly past: PastStems;
}

/** The state of a shard as it was some blocks ago: the state in memory under what the blocks since then have changed. Synchronous; valid until the next block executes. */
export class PastSource implements StateSource {
  private readonly shard: ShardId;
  private readonly modules: PastSourceModules;
  private readonly emptyHash: Hash32;
  private readonly emptyKey: string;
  /** Codes that accounts had then, and that nobody may have now. */
  private readonly codes = new Map<string, Uint8Array>();

  constructor(options: { readonly shard: ShardId }, modules: PastSourceModules) {
    this.shard = options.shard;
    this.modules = modules;
    this.emptyHash = modules.hasher.keccak256(NO_CODE);
    this.emptyKey = bytesKey(this.emptyHash);
  }

  account(address: Address): SourceAccount | undefined {
    const { state, past } = this.modules;
    const key = bytesKey(address);
    const leaves = past.has(key) ? past.stem(address, 0n) : undefined;
    if (leaves !== undefined) return this.pastAccount(leaves);
    const account = state.account(key);
    if (account === undefined) return undefined;
    const { balance, nonce, contract } = account;
    if (balance === 0n && nonce === 0 && (contract === undefined || contract.code.bytes.length === 0)) return undefined;
    return { nonce: BigInt(nonce), balance, codeHash: state.codeHash(key) };
  }

  private pastAccount(leaves: Leaves): SourceAccount | undefined {
    const basic = leaves.get(BASIC_DATA_POSITION.suffix);
    if (basic === undefined) return undefined;
    const { nonce, balance, codeSize } = decodeBasicData(basic);
    const codeHash = (leaves.get(CODE_HASH_POSITION.suffix) ?? this.emptyHash) as Hash32;
    if (codeSize > 0) this.keepCode(codeHash, leaves, codeSize);
    return nonce === 0 && balance === 0n && codeSize === 0 ? undefined : { nonce: BigInt(nonce), balance, codeHash };
  }

  /** Only a delegation (EIP-7702) is ever replaced, and it fits into the first stem: every longer code is still there. */
  private keepCode(hash: Hash32, leaves: Leaves, codeSize: number): void {
    if (codeChunkCount(codeSize) > 1 || this.modules.state.codeByHash(hash) !== undefined) return;
    const chunk = leaves.get(codeChunkPosition(0).suffix);
    if (chunk !== undefined) this.codes.set(bytesKey(hash), decodeCodeChunks(chunk, codeSize));
  }

  code(codeHash: Hash32): Uint8Array {
    const key = bytesKey(codeHash);
    if (key === this.emptyKey) return NO_CODE;
    const code = this.modules.state.codeByHash(codeHash) ?? this.codes.get(key);
    if (code === undefined) throw new InvariantError('the code of an account is not in the state');
    return code;
  }

  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    const { state, past } = this.modules;
    const account = bytesKey(address);
    if (past.has(account)) {
      const { treeIndex, suffix } = storagePosition(toWei(key));
      const leaves = past.stem(address, treeIndex);
      if (leaves !== undefined) {
        const leaf = leaves.get(suffix);
        if (leaf === undefined) out.fill(0);
        else out.set(leaf);
        return;
      }
    }
    state.storage(account, key, out);
  }

  /** An account without nonce and code has no storage on these chains: whatever writes storage has given it one of them first. */
  hasStorage(address: Address): boolean {
    const account = this.account(address);
    if (account === undefined || (account.nonce === 0n && bytesKey(account.codeHash) === this.emptyKey)) return false;
    return this.modules.state.hasStorage(bytesKey(address));
  }

  homeOf(address: Address): number {
    const { homes, past } = this.modules;
    const then = past.has(bytesKey(address)) ? past.stem(address, 0n) : undefined;
    if (then !== undefined && then.size > 0) return HERE;
    // Made here since then: what the assignment says is what the state said.
    const home = then === undefined ? homes.homeOf(address) : homes.ruleOf(address);
    return home === this.shard ? HERE : home;
  }
}
