/**
 * Contracts for the model: a call's data names a slot and what to add to it. A shard has a map of slots; whoever adds reads the old value first and writes down the new one, so
 * that two that run at once lose an update unless locks keep them apart.
 */
import { Writer } from '../../src/codec/writer.ts';
import { decodeAll } from '../../src/codec/reader.ts';
import type { Address, ShardId } from '../../src/primitives.ts';

/** What the data of a toy call says. */
export interface ToyCall {
  readonly slot: number;
  readonly add: number;
  /** Of the wei that come with the call, to whom one is given away; undefined: nobody. */
  readonly gift: Address | undefined;
  readonly fails: boolean;
  /** An address where this call makes a contract: its home by rule keeps the stub. */
  readonly makes: Address | undefined;
}

/** What toy calls of one operation do. */
export interface ToyEffects {
  readonly slots: readonly { readonly slot: number; readonly value: number }[];
  readonly gifts: readonly { readonly to: Address; readonly home: ShardId }[];
  /** Wei that stay with the called. */
  readonly kept: readonly { readonly to: Address; readonly value: bigint }[];
}

const LIST_MAX = 64;

/** Call data of a toy call. */
export function encodeToyCall({ slot, add, gift, fails, makes }: ToyCall): Uint8Array {
  const writer = new Writer(64).u8(slot).u8(add).bool(fails);
  for (const address of [gift, makes]) {
    writer.bool(address !== undefined);
    if (address !== undefined) writer.fixed(address, 20);
  }
  return writer.finish();
}

/** The inverse of {@link encodeToyCall}. */
export function decodeToyCall(data: Uint8Array): ToyCall {
  return decodeAll(data, (reader) => ({
    slot: reader.u8(),
    add: reader.u8(),
    fails: reader.bool(),
    gift: reader.bool() ? reader.address() : undefined,
    makes: reader.bool() ? reader.address() : undefined,
  }));
}

/** What stands in a participant's record. */
export function encodeToyEffects({ slots, gifts, kept }: ToyEffects): Uint8Array {
  const writer = new Writer(64).list(slots, LIST_MAX, (out, { slot, value }) => out.u8(slot).u32(value));
  writer.list(gifts, LIST_MAX, (out, { to, home }) => out.fixed(to, 20).u16(home));
  return writer.list(kept, LIST_MAX, (out, { to, value }) => out.fixed(to, 20).u128(value)).finish();
}

/** The inverse of {@link encodeToyEffects}. */
export function decodeToyEffects(data: Uint8Array): ToyEffects {
  return decodeAll(data, (reader) => ({
    slots: reader.list(LIST_MAX, (input) => ({ slot: input.u8(), value: input.u32() })),
    gifts: reader.list(LIST_MAX, (input) => ({ to: input.address(), home: input.shard() })),
    kept: reader.list(LIST_MAX, (input) => ({ to: input.address(), value: input.u128() })),
  }));
}
