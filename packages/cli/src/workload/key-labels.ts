import { createHash } from 'node:crypto';

/** Names a family of simulated accounts: derived ones by index, a trace's by historical address. */
export type KeyFamily =
  | { readonly kind: 'derived'; readonly seed: number; readonly count: number }
  | { readonly kind: 'trace'; readonly seed: number; readonly addresses: readonly string[] };

function secretOf(label: string): Buffer {
  return createHash('sha256').update(label).digest();
}

/** The 32-byte secret key of derived account `index`: SHA-256("shardlab/account/" + seed + "/" + index). Test money only: anyone can derive it. */
export function derivedSecret(seed: number, index: number): Uint8Array {
  return secretOf(`shardlab/account/${seed}/${index}`);
}

/**
 * The 32-byte secret key that stands in for the historical `address` (lower-case hex with `0x`): SHA-256("shardlab/trace/" + seed + "/" + address).
 * Test money only: anyone can derive it.
 */
export function traceSecret(seed: number, address: string): Uint8Array {
  return secretOf(`shardlab/trace/${seed}/${address}`);
}

/** The secret keys of accounts `from` to `from + count` - 1 of a family, 32 bytes each, back to back. */
export function familySecrets(family: KeyFamily, from: number, count: number): Uint8Array<ArrayBuffer> {
  const secrets = new Uint8Array(32 * count);
  for (let i = 0; i < count; i++) {
    const index = from + i;
    secrets.set(family.kind === 'derived' ? derivedSecret(family.seed, index) : traceSecret(family.seed, family.addresses[index]!), 32 * i);
  }
  return secrets;
}

/** Accounts in a family. */
export function familySize(family: KeyFamily): number {
  return family.kind === 'derived' ? family.count : family.addresses.length;
}
