import type { Address, Hash32, Hasher, Wei } from '@shardlab/crosslink';

import { TransactionError } from './errors.ts';
import { intrinsicGas } from './intrinsic-gas.ts';
import { RlpCursor } from './rlp.ts';
import { TransactionScanner } from './scanner.ts';
import type { AccessListEntry, DecodedTransaction, RecoveryPrimitives, TransactionFields } from './types.ts';

function readBig(raw: Uint8Array, start: number, length: number): Wei {
  let value = 0n;
  for (let i = start; i < start + length; i++) value = (value << 8n) | BigInt(raw[i]!);
  return value;
}

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

function readFields(raw: Uint8Array, scanner: TransactionScanner): TransactionFields {
  const common = {
    nonce: scanner.nonce,
    gasLimit: scanner.gasLimit,
    to: scanner.toStart < 0 ? undefined : (raw.slice(scanner.toStart, scanner.toStart + 20) as Address),
    value: readBig(raw, scanner.valueStart, scanner.valueLength),
    data: raw.slice(scanner.dataStart, scanner.dataStart + scanner.dataLength),
  };
  const fee = readBig(raw, scanner.feeStart, scanner.feeLength);
  const { chainId } = scanner;
  switch (scanner.type) {
    case 0:
      return { type: 0, chainId: chainId < 0 ? undefined : chainId, gasPrice: fee, ...common };
    case 1:
      return { type: 1, chainId, gasPrice: fee, accessList: readAccessList(raw, scanner), ...common };
    case 2: {
      const tip = readBig(raw, scanner.tipStart, scanner.tipLength);
      return { type: 2, chainId, maxPriorityFeePerGas: tip, maxFeePerGas: fee, accessList: readAccessList(raw, scanner), ...common };
    }
  }
}

/**
 * Decodes a signed transaction of type 0, 1 or 2 from its EIP-2718 encoding, of which only the canonical form is taken; byte fields are copies. Throws
 * a {@link TransactionError}: form and signature ranges are checked, what an admission policy judges (chain id, fees, gas) is not.
 */
export function decodeTransaction(raw: Uint8Array): DecodedTransaction {
  const scanner = new TransactionScanner();
  scanner.scan(raw);
  const { signature, yParity } = scanner;
  return { fields: readFields(raw, scanner), signature: { yParity, r: signature.slice(0, 32), s: signature.slice(32) } };
}

/** Intrinsic gas of decoded fields; see {@link intrinsicGas}. */
export function intrinsicGasOf(fields: TransactionFields): number {
  const accessList = fields.type === 0 ? [] : fields.accessList;
  let keys = 0;
  for (const entry of accessList) keys += entry.storageKeys.length;
  return intrinsicGas(fields.data, 0, fields.data.length, fields.to === undefined, accessList.length, keys);
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
