import { bytesKey } from '@shardlab/crosslink';
import { CodeCache } from '../evm/code.ts';
import { Evm } from '../evm/evm.ts';
import { applyTransaction, type EvmTransaction } from '../evm/transaction.ts';
import type { BlockEnvironment, EvmCrypto, StateSource } from '../evm/types.ts';
import { type WorldChanges, type WorldReads, WorldState } from '../evm/world-state.ts';
import type { AccountRead } from '../evm/world/accounts.ts';
import { LayeredSource } from './layered-source.ts';
import type { ExecutionRules } from './run-executor.ts';
import type { SpeculatedTransaction } from './speculation.ts';

const NO_OUTPUT = new Uint8Array(0);

/** Executes transactions beforehand, one after the other, and says of each what it read and changed. Keeps code and hashes between calls. */
export class SpeculativeExecutor {
  private readonly rules: ExecutionRules;
  private readonly world: WorldState;
  private readonly evm: Evm;

  /** `seed`: see {@link WorldState}; `compileAfter`: see {@link Evm}. */
  constructor(options: ExecutionRules & { readonly seed: number; readonly compileAfter?: number }, modules: { readonly crypto: EvmCrypto; readonly source: StateSource }) {
    const { seed, fork, feePolicy, compileAfter } = options;
    const { crypto, source } = modules;
    this.rules = { fork, feePolicy };
    this.world = new WorldState(source, crypto, new CodeCache(), { hashSeed: seed });
    this.evm = new Evm({ fork, ...(compileAfter === undefined ? {} : { compileAfter }) }, { crypto, world: this.world });
  }

  /**
   * Over `source` as it is; each sees what those before it changed. undefined for one that is invalid there, or makes contracts: that is left to the block. So is one that the
   * block has no gas for behind those before it: candidates may claim a thousand blocks' worth of gas, and nobody pays for what is executed here.
   */
  execute(source: StateSource, block: BlockEnvironment, transactions: readonly EvmTransaction[]): (SpeculatedTransaction | undefined)[] {
    const { world, evm } = this;
    const layered = new LayeredSource(source);
    let gasLeft = Number(block.gasLimit);
    return transactions.map((transaction): SpeculatedTransaction | undefined => {
      if (transaction.gasLimit > gasLeft) return undefined;
      world.reset(layered);
      const outcome = applyTransaction(evm, world, block, transaction, this.rules.feePolicy);
      const homes = layered.takeHomes();
      const creates = layered.takeStorageAsked();
      if ('invalid' in outcome) return undefined;
      gasLeft -= outcome.gasUsed;
      const changes = world.changes();
      const read = world.reads();
      const reads = { ...read, homes, unread: unreadNonces(read, changes) };
      layered.apply(changes);
      return creates ? undefined : { outcome: { ...outcome, output: NO_OUTPUT }, reads, changes };
    });
  }
}

/**
 * Changes say nonces as they are afterwards, also where only the balance was added to: such a nonce must still be what it was. That of an account whose nonce was read is
 * among the reads already.
 */
function unreadNonces(reads: WorldReads, changes: WorldChanges): AccountRead[] {
  const known = new Set<string>();
  for (const { address, nonce } of reads.accounts) if (nonce !== undefined) known.add(bytesKey(address));
  const more = changes.accounts.filter(({ address }) => !known.has(bytesKey(address)));
  // As it was seen: who asks the source again may hear something else.
  return more.map(({ address, nonceBefore }) => ({ address, nonce: nonceBefore, balance: undefined, codeHash: undefined, observed: false }));
}
