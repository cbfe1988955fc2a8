import type { Address, Hash32, Hasher } from '@shardlab/crosslink';

import { FORK_RULES, GAS_AUTHORIZATION_NEW } from '../execution/evm/fork-rules.ts';
import type { EvmFork } from '../execution/evm/types.ts';
import { TransactionError } from './errors.ts';
import { readBig } from './field-readers.ts';
import { batchIntrinsicGas, dataFloor, dataGas, intrinsicGas } from './intrinsic-gas.ts';
import { RlpCursor } from './rlp.ts';
import { TransactionScanner } from './scanner.ts';
import {
  type AccessListEntry,
  BATCH_TYPE,
  type BatchCall,
  type DecodedTransaction,
  type RecoveryPrimitives,
  type SignedAuthorization,
  type TransactionFields,
} from './types.ts';

function readAccessList(raw: Uint8Array, scanner: TransactionScanner): AccessListEntry[] {
  const out: AccessListEntry[] = [];
  const entries = new RlpCursor();
  const entry = new RlpCursor();
  entries.open(raw, scanner.accessStart, scanner.accessStart + scanner.accessLength);
  while (!entries.done) {
    entries.next();
    entry.open(raw, entries.start, entries.start + entries.length);
    entry.next();
    const address = raw.slice(entry.start, entry.start + 20) as Address;
    entry.next();
    const storageKeys: Hash32[] = [];
    // The scan has found each key to be 0xa0 and 32 bytes.
    for (let at = entry.start; at < entry.start + entry.length; at += 33) storageKeys.push(raw.slice(at + 1, at + 33) as Hash32);
    out.push({ address, storageKeys });
  }
  return out;
}

function readAuthorizations(raw: Uint8Array, scanner: TransactionScanner): SignedAuthorization[] {
  const out: SignedAuthorization[] = [];
  const entries = new RlpCursor();
  const entry = new RlpCursor();
  const integer = (): bigint => {
    entry.next();
    return readBig(raw, entry.start, entry.length);
  };
  entries.open(raw, scanner.authorizationsStart, scanner.authorizationsStart + scanner.authorizationsLength);
  while (!entries.done) {
    entries.next();
    entry.open(raw, entries.start, entries.start + entries.length);
    const chainId = integer();
    entry.next();
    const address = raw.slice(entry.start, entry.start + 20) as Address;
    out.push({ chainId, address, nonce: integer(), yParity: Number(integer()), r: integer(), s: integer() });
  }
  return out;
}

/** The calls of the batch that `scanner` has read last, as copies. */
function readCalls(raw: Uint8Array, { calls }: TransactionScanner): BatchCall[] {
  return Array.from({ length: calls.count }, (_, i): BatchCall => {
    const [to, value, data] = [calls.toStart[i]!, calls.valueStart[i]!, calls.dataStart[i]!];
    return {
      to: raw.slice(to, to + 20) as Address,
      value: readBig(raw, value, calls.valueLength[i]!),
      gasLimit: calls.gasLimit[i]!,
      data: raw.slice(data, data + calls.dataLength[i]!),
    };
  });
}

function readFields(raw: Uint8Array, scanner: TransactionScanner): TransactionFields {
  const { chainId, nonce, gasLimit } = scanner;
  const maxFeePerGas = readBig(raw, scanner.feeStart, scanner.feeLength);
  const fees = { maxPriorityFeePerGas: readBig(raw, scanner.tipStart, scanner.tipLength), maxFeePerGas };
  if (scanner.type === BATCH_TYPE) return { type: BATCH_TYPE, chainId, nonce, ...fees, gasLimit, calls: readCalls(raw, scanner) };
  const to = scanner.toStart < 0 ? undefined : (raw.slice(scanner.toStart, scanner.toStart + 20) as Address);
  const value = readBig(raw, scanner.valueStart, scanner.valueLength);
  const data = raw.slice(scanner.dataStart, scanner.dataStart + scanner.dataLength);
  const common = { nonce, gasLimit, to, value, data };
  switch (scanner.type) {
    case 0:
      return { type: 0, chainId: chainId < 0 ? undefined : chainId, gasPrice: maxFeePerGas, ...common };
    case 1:
      return { type: 1, chainId, gasPrice: maxFeePerGas, accessList: readAccessList(raw, scanner), ...common };
    case 2:
      return { type: 2, chainId, ...fees, accessList: readAccessList(raw, scanner), ...common };
    case 4: {
      const lists = { accessList: readAccessList(raw, scanner), authorizations: readAuthorizations(raw, scanner) };
      // The scan refuses type 4 without a recipient.
      return { type: 4, chainId, ...fees, ...lists, ...common, to: to! };
    }
  }
}

/**
 * Decodes a signed transaction of any type that Shardlab knows from its EIP-2718 encoding, of which only the canonical form is taken; byte fields are copies. Throws a
 * {@link TransactionError}: form and signature ranges are checked, what an admission policy judges (fork, chain id, fees, gas) is not.
 */
export function decodeTransaction(raw: Uint8Array): DecodedTransaction {
  const scanner = new TransactionScanner();
  scanner.scan(raw);
  const { signature, yParity } = scanner;
  return { fields: readFields(raw, scanner), signature: { yParity, r: signature.slice(0, 32), s: signature.slice(32) } };
}

/** The calls of an atomic batch's encoding. Throws a {@link TransactionError}, `tx/type-unknown` for another type. */
export function decodeCalls(raw: Uint8Array): readonly BatchCall[] {
  const scanner = new TransactionScanner();
  scanner.scan(raw);
  if (scanner.type !== BATCH_TYPE) throw new TransactionError('tx/type-unknown', `type ${scanner.type} is no atomic batch`);
  return readCalls(raw, scanner);
}

/** What a transaction of these fields pays at least, before any of it runs; from Prague on not less than EIP-7623's floor for its data. See {@link intrinsicGas}. */
export function intrinsicGasOf(fields: TransactionFields, fork: EvmFork = 'cancun'): number {
  let data = 0;
  let gas: number;
  if (fields.type === BATCH_TYPE) {
    for (const call of fields.calls) data += dataGas(call.data, 0, call.data.length);
    gas = batchIntrinsicGas(fields.calls.length, data);
  } else {
    data = dataGas(fields.data, 0, fields.data.length);
    const accessList = fields.type === 0 ? [] : fields.accessList;
    let keys = 0;
    for (const entry of accessList) keys += entry.storageKeys.length;
    gas = intrinsicGas(fields.data, 0, fields.data.length, fields.to === undefined, accessList.length, keys);
    if (fields.type === 4) gas += GAS_AUTHORIZATION_NEW * fields.authorizations.length;
  }
  return FORK_RULES[fork].dataFloor ? Math.max(gas, dataFloor(data)) : gas;
}

/** The address of an uncompressed public key (65 bytes, 0x04 first): the last 20 bytes of keccak-256 of x and y. */
export function addressOfPublicKey(publicKey: Uint8Array, hasher: Pick<Hasher, 'keccak256'>): Address {
  return hasher.keccak256(publicKey.subarray(1)).slice(12) as Address;
}

/** The sender of one signed transaction, for tools and tests; nodes use `recoverBatch`. Throws a {@link TransactionError}. */
export function recoverSender(raw: Uint8Array, primitives: RecoveryPrimitives): Address {
  const scanner = new TransactionScanner();
  scanner.scan(raw);
  const publicKey = new Uint8Array(65);
  const hash = primitives.keccak256(scanner.signingPayload());
  if (!primitives.recoverPublicKey(hash, scanner.signature, scanner.yParity, publicKey)) {
    throw new TransactionError('tx/unrecoverable', 'no public key fits the signature');
  }
  return addressOfPublicKey(publicKey, primitives);
}
