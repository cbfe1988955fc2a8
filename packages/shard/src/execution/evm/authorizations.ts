/** Set-code authorizations (EIP-7702). */
import { type Address, concatBytes, equalBytes, type Hasher, ZERO_ADDRESS } from '@shardlab/crosslink';
import { addressOfPublicKey } from '../../transaction/decode.ts';
import { rlpBytes, rlpList, rlpUint } from '../../transaction/rlp.ts';
import type { RecoveryPrimitives } from '../../transaction/types.ts';
import { GAS_AUTHORIZATION, GAS_AUTHORIZATION_NEW } from './fork-rules.ts';
import type { WorldState } from './world-state.ts';

/** EIP-7702 `MAGIC`. */
const MAGIC = Uint8Array.of(0x05);
/** What the code of a delegated account begins with. */
const DELEGATION_PREFIX = Uint8Array.of(0xef, 0x01, 0x00);
const NO_CODE = new Uint8Array(0);
/** An authorization with this nonce, and any above it, is void (EIP-2681). */
const NONCE_END = 0xffff_ffff_ffff_ffffn;
const HOME = -1;
/** Order of secp256k1, and half of it: s above that is malleable (EIP-2). */
const ORDER = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n;
const HALF_ORDER = ORDER / 2n;

/** What an account signs to let its code be that of another one. */
export interface AuthorizationFields {
  /** Of the chain that it is for; 0: any (EIP-7702). Below 2^256. */
  readonly chainId: bigint;
  /** Whose code it takes; zeros: none any more. */
  readonly address: Address;
  /** Of the account that signs; below 2^64. */
  readonly nonce: bigint;
}

/** An authorization whose signer was recovered, which is too slow for where it is executed. */
export interface Authorization extends AuthorizationFields {
  /** Who signed; undefined: nobody did, and the authorization counts for nothing but its gas. */
  readonly authority: Address | undefined;
}

/** keccak-256 of what the authority signs. */
export function authorizationDigest(fields: AuthorizationFields, crypto: Pick<Hasher, 'keccak256'>): Uint8Array {
  const list = rlpList([rlpUint(fields.chainId), rlpBytes(fields.address), rlpUint(fields.nonce)]);
  return crypto.keccak256(concatBytes(MAGIC, list));
}

/** Who signed; undefined if the signature is none: out of range, s in the upper half, or no key that fits. */
export function recoverAuthority(
  fields: AuthorizationFields,
  signature: { readonly yParity: number; readonly r: bigint; readonly s: bigint },
  primitives: RecoveryPrimitives,
): Address | undefined {
  const { yParity, r, s } = signature;
  if ((yParity !== 0 && yParity !== 1) || r <= 0n || r >= ORDER || s <= 0n || s > HALF_ORDER) return undefined;
  const compact = new Uint8Array(64);
  for (let i = 0, [restR, restS] = [r, s]; i < 32; i++, restR >>= 8n, restS >>= 8n) {
    compact[31 - i] = Number(restR & 0xffn);
    compact[63 - i] = Number(restS & 0xffn);
  }
  const publicKey = new Uint8Array(65);
  const digest = authorizationDigest(fields, primitives);
  return primitives.recoverPublicKey(digest, compact, yParity, publicKey) ? addressOfPublicKey(publicKey, primitives) : undefined;
}

/**
 * Applies the authorizations of a transaction, in order; those that are void are passed over. What is paid too much, because the authority exists already, goes to
 * the refund counter. Equivalent to execution-specs' `set_delegation`; and an authority of another shard (R8) is void.
 */
export function applyAuthorizations(world: WorldState, chainId: bigint, authorizations: readonly Authorization[]): void {
  for (const { authority, address, nonce, chainId: signedFor } of authorizations) {
    if (authority === undefined || nonce >= NONCE_END || (signedFor !== 0n && signedFor !== chainId)) continue;
    const account = world.accountOf(authority);
    if (world.homeOf(account) !== HOME) continue;
    world.warmAccount(account);
    const code = world.code(account);
    if ((code.bytes.length !== 0 && code.delegate === undefined) || world.nonce(account) !== nonce) continue;
    if (world.exists(account)) world.addRefund(GAS_AUTHORIZATION_NEW - GAS_AUTHORIZATION);
    world.setCode(account, equalBytes(address, ZERO_ADDRESS) ? NO_CODE : concatBytes(DELEGATION_PREFIX, address));
    world.setNonce(account, nonce + 1n);
  }
}
