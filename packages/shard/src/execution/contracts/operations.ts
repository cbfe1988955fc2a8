import {
  type AbortReason,
  accountLock,
  type Address,
  ACK_LOGS_BYTES_MAX,
  balanceLock,
  bytesKey,
  EFFECTS_BYTES_MAX,
  encodeLogs,
  encodeStub,
  invariant,
  NEEDS_MAX,
  type Operation,
  type OperationOutcome,
  type ShardId,
  type TxHash,
} from '@shardlab/crosslink';
import type { ExecutionState } from '../../state/execution-state.ts';
import { GAS_TRANSACTION } from '../../transaction/intrinsic-gas.ts';
import type { Halt } from '../evm/types.ts';
import type { Ledger } from '../ledger.ts';
import type { CreditSender } from './credit-sender.ts';
import { decodeEffects, effectsOf, encodeEffects } from './effects-codec.ts';
import { hasCode, type Homes } from './homes.ts';
import type { LockRequest } from './lock-set.ts';
import type { ContractRunner, OperationCall, OperationRun } from './runner.ts';

const NO_DATA = new Uint8Array(0);
const NO_LOGS = new Uint8Array(0);

/** What operations work on. */
export interface OperationModules {
  readonly state: ExecutionState;
  readonly homes: Homes;
  readonly contracts: ContractRunner;
  readonly ledger: Ledger;
  readonly credits: CreditSender;
}

/** An outcome, and the gas that it took of the block. */
export interface ExecutedOperation {
  readonly outcome: OperationOutcome | { readonly kind: 'busy' };
  readonly blockGas: number;
}

/** The part of a cross-shard transaction that runs on this shard: executed tentatively for the vote, and applied with the Decision (R15, R16). */
export class Operations {
  private readonly shard: ShardId;
  private readonly modules: OperationModules;

  constructor(shard: ShardId, modules: OperationModules) {
    this.shard = shard;
    this.modules = modules;
  }

  /** Executes `operation` if the block has `room` for its gas; changes nothing. */
  execute(operation: Operation, gasPrice: bigint, room: number, txHash: TxHash): ExecutedOperation {
    const executed = this.judge(operation, gasPrice, room, txHash);
    this.modules.contracts.observer?.judged(txHash, operation, executed.outcome);
    return executed;
  }

  private judge(operation: Operation, gasPrice: bigint, room: number, txHash: TxHash): ExecutedOperation {
    const elsewhere = this.elsewhere(operation);
    if (elsewhere !== undefined) return { outcome: elsewhere, blockGas: 0 };
    if (GAS_TRANSACTION > room) return { outcome: { kind: 'busy' }, blockGas: 0 };
    if (operation.kind === 'transfer' && !this.runsCode(operation)) {
      return { outcome: { kind: 'yes', gasUsed: 0, locks: [{ key: balanceLock(operation.to), mode: 'delta' }], effects: undefined }, blockGas: GAS_TRANSACTION };
    }
    if (GAS_TRANSACTION + operation.gasLimit > room) return { outcome: { kind: 'busy' }, blockGas: 0 };
    const outcome = this.run(operation, gasPrice, txHash);
    return { outcome, blockGas: GAS_TRANSACTION + ('gasUsed' in outcome ? outcome.gasUsed : 0) };
  }

  /** Whose accounts do not live here (R11), or whose stub can not be kept here. */
  private elsewhere(operation: Operation): OperationOutcome | undefined {
    const { homes } = this.modules;
    const targets = operation.kind === 'transfer' ? [operation.to] : operation.kind === 'call' ? operation.calls.map((call) => call.to) : [];
    const found = new Set(targets.map((to) => homes.homeOf(to)));
    const [home] = found;
    if (found.size === 1 && home !== undefined && home !== this.shard) return { kind: 'moved', shard: home };
    if (found.size > 1) return { kind: 'no', gasUsed: 0, reason: 'refused' };
    if (operation.kind !== 'transfer' && !operation.stubs.every(({ address }) => homes.canKeepStub(address))) return { kind: 'no', gasUsed: 0, reason: 'refused' };
    return undefined;
  }

  private runsCode({ to }: Operation & { readonly kind: 'transfer' }): boolean {
    const account = this.modules.state.account(bytesKey(to));
    return (account !== undefined && hasCode(account)) || this.modules.homes.isPrecompile(to);
  }

  private run(operation: Operation, gasPrice: bigint, txHash: TxHash): OperationOutcome {
    const { contracts, homes, credits } = this.modules;
    const { halt, gasUsed, logs, credits: sent } = contracts.operation(runOf(operation), gasPrice, txHash);
    const no = (reason: AbortReason): OperationOutcome => ({ kind: 'no', gasUsed, reason });
    if (halt !== undefined) return no(reasonOf(halt));
    const granted = operation.kind === 'transfer' ? new Set<string>() : new Set(operation.granted.map(bytesKey));
    const kept = homes.keptElsewhere(contracts.created());
    const stubless = kept.filter((address) => !granted.has(bytesKey(address)));
    // Who makes contracts has gone on since the stubs were agreed on: one of them would lead nowhere.
    if (kept.length - stubless.length < granted.size) return no('refused');
    if (stubless.length > NEEDS_MAX) return no('needs');
    if (stubless.length > 0) return { kind: 'needs', gasUsed, accounts: stubless.map((address) => ({ shard: homes.ruleOf(address), address })) };
    if (!credits.fit(sent)) return no('refused');
    const effects = encodeEffects(effectsOf(contracts.changes(), sent.map((credit) => ({ ...credit, home: homes.homeOf(credit.address) })), logs));
    if (effects.length > EFFECTS_BYTES_MAX || encodeLogs(logs).length > ACK_LOGS_BYTES_MAX) return no('refused');
    return { kind: 'yes', gasUsed, locks: [...contracts.locks(operation.from), ...this.furtherLocks(operation)], effects };
  }

  /** The account where the sender lives here was debited when the value went to escrow; the addresses of stubs are taken whole. */
  private furtherLocks(operation: Operation): LockRequest[] {
    const locks: LockRequest[] = [];
    if (this.modules.state.account(bytesKey(operation.from)) !== undefined) locks.push({ key: balanceLock(operation.from), mode: 'delta' });
    if (operation.kind === 'transfer') return locks;
    for (const { address } of operation.stubs) locks.push({ key: balanceLock(address), mode: 'write' }, { key: accountLock(address), mode: 'write' });
    return locks;
  }

  /** Applies what {@link execute} promised. The operation's value stands in escrow, and goes where the effects say. Returns the encoded logs for the Ack. */
  apply(operation: Operation, effects: Uint8Array | undefined, txHash: TxHash): Uint8Array {
    if (operation.kind !== 'transfer') for (const { address, home } of operation.stubs) this.keepStub(address, home, txHash);
    if (effects === undefined) {
      this.modules.ledger.burnEscrow(operation.value);
      return NO_LOGS;
    }
    const { accounts, credits, logs } = decodeEffects(effects);
    const { state, ledger } = this.modules;
    let balances = 0n;
    for (const { address, balance, nonce, code, slots } of accounts) {
      const account = state.open(bytesKey(address));
      state.touch(account);
      account.balance += balance;
      invariant(account.balance >= 0n, 'effects take more than there is');
      balances += balance;
      if (nonce !== undefined) account.nonce = nonce;
      if (code !== undefined) state.setCode(account, code);
      for (const { key, value } of slots) state.setStorage(account, key, value);
    }
    ledger.fromEscrow(balances);
    let sent = 0n;
    for (const credit of credits) sent += this.modules.credits.send(credit.home, credit.address, credit.wei, txHash);
    const burned = operation.value - balances - sent;
    invariant(burned >= 0n, 'effects make wei');
    ledger.burnEscrow(burned);
    return logs.length === 0 ? NO_LOGS : encodeLogs(logs);
  }

  /** R11: what was prefunded goes to where the contract lives, and so does everything that comes later. */
  private keepStub(address: Address, home: ShardId, txHash: TxHash): void {
    const { state, ledger, credits } = this.modules;
    const account = state.account(bytesKey(address));
    if (account !== undefined && account.balance > 0n) {
      const { balance } = account;
      state.touch(account);
      account.balance = 0n;
      ledger.toEscrow(balance);
      credits.send(home, address, balance, txHash);
    }
    state.putRecord('stub', address, encodeStub(home));
  }
}

/** Why a call failed, in the words of receipts and votes. */
export function reasonOf(halt: Halt): AbortReason {
  return halt === 'out-of-gas' ? 'out-of-gas' : 'reverted';
}

/** What the runner is to do for an operation. */
function runOf(operation: Operation): OperationRun {
  const { from } = operation;
  switch (operation.kind) {
    case 'transfer': {
      const { to, value, gasLimit } = operation;
      const call: OperationCall = { to, value, gasLimit, data: NO_DATA };
      return { kind: 'calls', from, calls: [call] };
    }
    case 'call':
      return { kind: 'calls', from, calls: operation.calls };
    case 'create': {
      const { value, gasLimit, initcode, nonce } = operation;
      return { kind: 'create', from, value, gasLimit, initcode, nonce };
    }
  }
}
