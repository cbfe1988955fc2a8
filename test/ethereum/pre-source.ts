import { type Address, bytesKey, type Hash32, type Hasher, InvariantError } from '@shardlab/crosslink';
import type { SourceAccount, StateSource } from '../../packages/shard/src/execution/evm/types.ts';
import type { TestAccounts } from './state-test.ts';

const HERE = -1;

/** A pre-state as the EVM reads it. */
export class PreSource implements StateSource {
  private readonly pre: TestAccounts;
  private readonly accounts = new Map<string, SourceAccount>();
  private readonly codes = new Map<string, Uint8Array>();

  constructor(pre: TestAccounts, crypto: Pick<Hasher, 'keccak256'>) {
    this.pre = pre;
    for (const [key, { nonce, balance, code }] of pre) {
      const codeHash = crypto.keccak256(code);
      this.codes.set(bytesKey(codeHash), code);
      this.accounts.set(key, { nonce, balance, codeHash });
    }
  }

  account(address: Address): SourceAccount | undefined {
    return this.accounts.get(bytesKey(address));
  }

  code(codeHash: Hash32): Uint8Array {
    const code = this.codes.get(bytesKey(codeHash));
    if (code === undefined) throw new InvariantError('no account of the pre-state has this code');
    return code;
  }

  storage(address: Address, key: Uint8Array, out: Uint8Array): void {
    const value = this.pre.get(bytesKey(address))?.storage.get(bytesKey(key));
    if (value === undefined) out.fill(0);
    else out.set(value);
  }

  hasStorage(address: Address): boolean {
    return (this.pre.get(bytesKey(address))?.storage.size ?? 0) > 0;
  }

  homeOf(): number {
    return HERE;
  }
}
