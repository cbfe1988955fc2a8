import { type Address, concatBytes, invariant, type TxHash } from '@shardlab/crosslink';

import { addressOfPublicKey } from './decode.ts';
import { minimalBytes, rlpBytes, rlpList, rlpUint } from './rlp.ts';
import {
  type AccessListEntry,
  BATCH_CALLS_MAX,
  BATCH_TYPE,
  type BatchCall,
  type SignedAuthorization,
  type TransactionFields,
  type TransactionSignature,
  type TransactionSigner,
} from './types.ts';

const NONE = new Uint8Array(0);

function accessListItem(accessList: readonly AccessListEntry[]): Uint8Array {
  return rlpList(accessList.map((entry) => rlpList([rlpBytes(entry.address), rlpList(entry.storageKeys.map((key) => rlpBytes(key)))])));
}

function authorizationItem(authorizations: readonly SignedAuthorization[]): Uint8Array {
  invariant(authorizations.length > 0, 'a set-code transaction has an authorization');
  return rlpList(
    authorizations.map(({ chainId, address, nonce, yParity, r, s }) => {
      for (const big of [chainId, r, s]) checkWord(big);
      invariant(nonce >= 0n && nonce >> 64n === 0n, 'a nonce of an authorization has 64 bits');
      invariant(Number.isInteger(yParity) && yParity >= 0 && yParity <= 255, 'a y parity of an authorization has 8 bits');
      invariant(address.length === 20, 'an address has 20 bytes');
      return rlpList([rlpUint(chainId), rlpBytes(address), rlpUint(nonce), rlpUint(yParity), rlpUint(r), rlpUint(s)]);
    }),
  );
}

function callsItem(calls: readonly BatchCall[]): Uint8Array {
  invariant(calls.length >= 1 && calls.length <= BATCH_CALLS_MAX, `a batch has 1 to ${BATCH_CALLS_MAX} calls`);
  return rlpList(
    calls.map(({ to, value, gasLimit, data }) => {
      checkWord(value);
      checkSafe(gasLimit);
      invariant(to.length === 20, 'a recipient has 20 bytes');
      return rlpList([rlpBytes(to), rlpUint(value), rlpUint(gasLimit), rlpBytes(data)]);
    }),
  );
}

function checkWord(big: bigint): void {
  invariant(big >= 0n && big >> 256n === 0n, 'a transaction field has 256 bits');
}

function checkSafe(number: number): void {
  invariant(Number.isSafeInteger(number) && number >= 0, 'not a nonce or gas limit');
}

function checkFields(fields: TransactionFields): void {
  const { chainId } = fields;
  checkSafe(fields.nonce);
  checkSafe(fields.gasLimit);
  // 2 x chainId + 36 must be exact in a legacy v.
  const chainIdMax = fields.type === 0 ? 2 ** 52 - 19 : Number.MAX_SAFE_INTEGER;
  if (chainId !== undefined) invariant(Number.isSafeInteger(chainId) && chainId >= 1 && chainId <= chainIdMax, 'not a chain id', { chainId });
  for (const big of 'gasPrice' in fields ? [fields.gasPrice] : [fields.maxFeePerGas, fields.maxPriorityFeePerGas]) checkWord(big);
  if (fields.type === BATCH_TYPE) return;
  checkWord(fields.value);
  invariant(fields.to === undefined || fields.to.length === 20, 'a recipient has 20 bytes');
}

/** The items that are signed, in order, without EIP-155's tail. */
function items(fields: TransactionFields): Uint8Array[] {
  checkFields(fields);
  const nonce = rlpUint(fields.nonce);
  const gasLimit = rlpUint(fields.gasLimit);
  if (fields.type === BATCH_TYPE) {
    return [rlpUint(fields.chainId), nonce, rlpUint(fields.maxPriorityFeePerGas), rlpUint(fields.maxFeePerGas), gasLimit, callsItem(fields.calls)];
  }
  const rest = [gasLimit, rlpBytes(fields.to ?? NONE), rlpUint(fields.value), rlpBytes(fields.data)];
  switch (fields.type) {
    case 0:
      return [nonce, rlpUint(fields.gasPrice), ...rest];
    case 1:
      return [rlpUint(fields.chainId), nonce, rlpUint(fields.gasPrice), ...rest, accessListItem(fields.accessList)];
    case 2:
    case 4: {
      const fees = [rlpUint(fields.maxPriorityFeePerGas), rlpUint(fields.maxFeePerGas)];
      const list = [rlpUint(fields.chainId), nonce, ...fees, ...rest, accessListItem(fields.accessList)];
      return fields.type === 2 ? list : [...list, authorizationItem(fields.authorizations)];
    }
  }
}

function envelope(fields: TransactionFields, list: readonly Uint8Array[]): Uint8Array {
  const body = rlpList(list);
  return fields.type === 0 ? body : concatBytes(Uint8Array.of(fields.type), body);
}

/** What the sender signs the keccak-256 of (EIP-155, EIP-2930, EIP-1559, EIP-7702; see `BatchFields`). */
export function signingPayload(fields: TransactionFields): Uint8Array {
  const list = items(fields);
  if (fields.type === 0 && fields.chainId !== undefined) list.push(rlpUint(fields.chainId), rlpUint(0), rlpUint(0));
  return envelope(fields, list);
}

/** r or s without leading zeros, as RLP writes integers. */
function scalar(bytes: Uint8Array): Uint8Array {
  let zeros = 0;
  while (zeros < bytes.length && bytes[zeros] === 0) zeros++;
  return rlpBytes(bytes.subarray(zeros));
}

/** The EIP-2718 encoding of a signed transaction: canonical, so decoding and encoding again gives the same bytes. */
export function encodeTransaction(fields: TransactionFields, signature: TransactionSignature): Uint8Array {
  const { yParity } = signature;
  const v = fields.type !== 0 ? yParity : fields.chainId === undefined ? 27 + yParity : 35 + 2 * fields.chainId + yParity;
  return envelope(fields, [...items(fields), rlpBytes(minimalBytes(v)), scalar(signature.r), scalar(signature.s)]);
}

/** A transaction that was just signed. */
export interface SignedTransaction {
  readonly raw: Uint8Array;
  readonly hash: TxHash;
}

/** Signs `fields` with the 32-byte secp256k1 `secretKey`, deterministically (RFC 6979). Throws on a key or a field that is out of range. */
export function signTransaction(fields: TransactionFields, secretKey: Uint8Array, signer: TransactionSigner): SignedTransaction {
  const { signature, yParity } = signer.secpSign(signer.keccak256(signingPayload(fields)), secretKey);
  const raw = encodeTransaction(fields, { yParity, r: signature.subarray(0, 32), s: signature.subarray(32) });
  return { raw, hash: signer.keccak256(raw) as TxHash };
}

/** The address of the account that `secretKey` (32 bytes) signs for. */
export function addressOfSecretKey(secretKey: Uint8Array, signer: TransactionSigner): Address {
  return addressOfPublicKey(signer.secpPublicKey(secretKey), signer);
}
