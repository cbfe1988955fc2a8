/**
 * Finds items of a transaction that was checked before, without an object or a copy for any of them: for the execution of contracts, which needs little of a
 * transaction and that often.
 */

/** Offset of the payload of the item at `at`, whose RLP is known to be canonical and no longer than 16 MiB. */
export function payloadStart(raw: Uint8Array, at: number): number {
  const prefix = raw[at]!;
  if (prefix < 0x80) return at;
  const short = prefix - (prefix >= 0xc0 ? 0xc0 : 0x80);
  return short <= 55 ? at + 1 : at + 1 + short - 55;
}

/** Offset after the item at `at`, of which the same is known. */
export function itemEnd(raw: Uint8Array, at: number): number {
  const prefix = raw[at]!;
  if (prefix < 0x80) return at + 1;
  const short = prefix - (prefix >= 0xc0 ? 0xc0 : 0x80);
  if (short <= 55) return at + 1 + short;
  let length = 0;
  for (let i = at + 1, end = at + 1 + short - 55; i < end; i++) length = length * 256 + raw[i]!;
  return at + 1 + short - 55 + length;
}

/** Offset of item `index` of the transaction's list. */
export function itemAt(raw: Uint8Array, index: number): number {
  let at = payloadStart(raw, raw[0]! >= 0xc0 ? 0 : 1);
  for (let i = 0; i < index; i++) at = itemEnd(raw, at);
  return at;
}
