import { type Address, decodeAll, type EventLog, type Hash32, readLogs, type Reader, type ShardId, Writer, writeLogs } from '@shardlab/crosslink';
import type { WorldChanges, WorldCredit } from '../evm/world-state.ts';

/** A credit with the shard that its address had when the operation ran: whoever lives elsewhere by then is reached through a stub there. */
export interface HomedCredit extends WorldCredit {
  readonly home: ShardId;
}

/** Most accounts, and most slots, of one operation: what fits into its bytes ends long before. */
const ITEMS_MAX = 65_536;
/** EIP-170, with room. */
const CODE_BYTES_MAX = 65_536;

/** What an operation does to one account. */
export interface AccountEffect {
  readonly address: Address;
  /** Wei; may be negative. */
  readonly balance: bigint;
  /** The new nonce; undefined: it stays. */
  readonly nonce: number | undefined;
  /** The new code; undefined: it stays. */
  readonly code: Uint8Array | undefined;
  /** Storage that changes: 32-byte keys and values. */
  readonly slots: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[];
}

/** What a participant keeps of an operation that it executed, until the Decision (R15). */
export interface OperationEffects {
  readonly accounts: readonly AccountEffect[];
  readonly credits: readonly HomedCredit[];
  readonly logs: readonly EventLog[];
}

/** The effects that a world's changes come to. A world that empties an account deletes nothing that its balance, nonce and code do not tell. */
export function effectsOf(changes: WorldChanges, credits: readonly HomedCredit[], logs: readonly EventLog[]): OperationEffects {
  const accounts = new Map<Address, { -readonly [K in keyof AccountEffect]: AccountEffect[K] } & { slots: { key: Uint8Array; value: Uint8Array }[] }>();
  const of = (address: Address) => {
    let effect = accounts.get(address);
    if (effect === undefined) accounts.set(address, (effect = { address, balance: 0n, nonce: undefined, code: undefined, slots: [] }));
    return effect;
  };
  // By identity: a world hands over one array per address.
  for (const change of changes.accounts) {
    const effect = of(change.address);
    effect.balance = change.balance - change.balanceBefore;
    if (change.nonce !== change.nonceBefore) effect.nonce = Number(change.nonce);
    effect.code = change.code;
  }
  for (const { address, key, value } of changes.slots) of(address).slots.push({ key, value });
  return { accounts: [...accounts.values()], credits, logs };
}

function writeAccount(writer: Writer, { address, balance, nonce, code, slots }: AccountEffect): void {
  writer.fixed(address, 20).bool(balance < 0n).u128(balance < 0n ? -balance : balance).bool(nonce !== undefined);
  if (nonce !== undefined) writer.u64(nonce);
  writer.bool(code !== undefined);
  if (code !== undefined) writer.bytes(code, CODE_BYTES_MAX);
  writer.list(slots, ITEMS_MAX, (out, slot) => out.fixed(slot.key, 32).fixed(slot.value, 32));
}

function readAccount(reader: Reader): AccountEffect {
  const address = reader.address();
  const negative = reader.bool();
  const amount = reader.u128();
  const nonce = reader.bool() ? reader.u64() : undefined;
  const code = reader.bool() ? reader.bytes(CODE_BYTES_MAX) : undefined;
  const slots = reader.list(ITEMS_MAX, (input) => ({ key: input.fixed(32) as Hash32, value: input.fixed(32) }));
  return { address, balance: negative ? -amount : amount, nonce, code, slots };
}

/** Canonical bytes of effects. */
export function encodeEffects(effects: OperationEffects): Uint8Array {
  const writer = new Writer(1024).u8(1).list(effects.accounts, ITEMS_MAX, writeAccount);
  writer.list(effects.credits, ITEMS_MAX, (out, { address, wei, home }) => out.fixed(address, 20).u128(wei).u16(home));
  writeLogs(writer, effects.logs);
  return writer.finish();
}

/** The inverse of {@link encodeEffects}; byte fields are views. Throws `DecodeError`. */
export function decodeEffects(data: Uint8Array): OperationEffects {
  return decodeAll(data, (reader) => {
    reader.version(1);
    const accounts = reader.list(ITEMS_MAX, readAccount);
    const credits = reader.list(ITEMS_MAX, (input) => ({ address: input.address(), wei: input.u128(), home: input.shard() }));
    return { accounts, credits, logs: readLogs(reader) };
  });
}
