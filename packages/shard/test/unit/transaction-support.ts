import { secp256k1 } from '@noble/curves/secp256k1.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { type Address, type Hash32, Prng } from '@shardlab/crosslink';
import fc from 'fast-check';

import { type AccessListEntry, BATCH_TYPE, type BatchFields, type RecoveryPrimitives, type SetCodeFields, type TransactionFields, type TransactionSigner } from '../../src/transaction/types.ts';

/** Pure primitives: this package depends on no native library. */
export const noble: RecoveryPrimitives & TransactionSigner = {
  keccak256: (data) => keccak_256(data) as Hash32,
  recoverPublicKey(hash, signature, recoveryId, output) {
    const recovered = new Uint8Array([recoveryId, ...signature]);
    try {
      output.set(secp256k1.Signature.fromBytes(recovered, 'recovered').recoverPublicKey(hash).toBytes(false));
      return true;
    } catch {
      return false;
    }
  },
  secpPublicKey: (secretKey) => secp256k1.getPublicKey(secretKey, false),
  secpSign(hash, secretKey) {
    const recovered = secp256k1.sign(hash, secretKey, { prehash: false, format: 'recovered' });
    return { signature: recovered.slice(1), yParity: recovered[0] === 0 ? 0 : 1 };
  },
};

/** Recovers a key that depends on the hash alone: for tests of everything around the curve. */
export const fakeRecovery: RecoveryPrimitives = {
  keccak256: noble.keccak256,
  recoverPublicKey(hash, _signature, _recoveryId, output) {
    output.fill(4);
    output.set(hash, 1);
    return true;
  },
};

/** A secret key from a number: far below the group order, never zero. */
export function secretKeyOf(seed: number): Uint8Array {
  const key = new Prng(seed).bytes(32);
  key[0] = 1;
  return key;
}

/** Objects with the ordinary prototype, so that `deepEqual` compares what matters. */
const PLAIN = { noNullPrototype: true } as const;

const addresses = fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => bytes as Address);
const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => bytes as Hash32);
const wei = fc.oneof(fc.constantFrom(0n, 127n, 128n, 2n ** 64n, 2n ** 128n - 1n), fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }));
const safe = fc.oneof(fc.constantFrom(0, 1, 127, 128, 255, 256, Number.MAX_SAFE_INTEGER), fc.maxSafeNat());
const chainIds = fc.oneof(fc.constantFrom(1, 109, 110, 1337), fc.integer({ min: 1, max: 2 ** 40 }));
const accessLists: fc.Arbitrary<readonly AccessListEntry[]> = fc.array(
  fc.record({ address: addresses, storageKeys: fc.array(hashes, { maxLength: 3 }) }, PLAIN),
  { maxLength: 3 },
);

const common = {
  nonce: safe,
  gasLimit: safe,
  to: fc.option(addresses, { nil: undefined }),
  value: wei,
  data: fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ minLength: 50, maxLength: 400 })),
};

const fees = fc.tuple(wei, wei).map(([a, b]) => ({ maxPriorityFeePerGas: a < b ? a : b, maxFeePerGas: a < b ? b : a }));
const words = fc.oneof(fc.constantFrom(0n, 1n, 2n ** 256n - 1n), fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }));
const nonces = fc.oneof(fc.constantFrom(0n, 2n ** 64n - 1n), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const parities = fc.oneof(fc.constantFrom(0, 1, 127, 128, 255), fc.nat(1));
const authorizations = fc.record({ chainId: words, address: addresses, nonce: nonces, yParity: parities, r: words, s: words }, PLAIN);
/** As wallets make them: what libraries for wallets can hold. */
const walletAuthorizations = fc.record(
  { chainId: safe.map(BigInt), address: addresses, nonce: safe.map(BigInt), yParity: fc.nat(1), r: words.map((word) => word | 1n), s: words.map((word) => word | 1n) },
  PLAIN,
);

function setCode(list: typeof authorizations): fc.Arbitrary<SetCodeFields> {
  const fields = { chainId: chainIds, ...common, to: addresses, accessList: accessLists, authorizations: fc.array(list, { minLength: 1, maxLength: 3 }) };
  return fc.tuple(fc.record(fields), fees).map(([rest, fee]) => ({ type: 4, ...rest, ...fee }));
}

/** Fields of Ethereum's types as wallets make them, with every boundary of RLP's integers and lengths in reach; the tip never exceeds the fee cap. */
export const walletFields: fc.Arbitrary<Exclude<TransactionFields, BatchFields>> = fc.oneof(
  fc.record({ type: fc.constant(0 as const), chainId: fc.option(chainIds, { nil: undefined }), gasPrice: wei, ...common }, PLAIN),
  fc.record({ type: fc.constant(1 as const), chainId: chainIds, gasPrice: wei, accessList: accessLists, ...common }, PLAIN),
  fc.tuple(fc.record({ chainId: chainIds, accessList: accessLists, ...common }), fees).map(([rest, fee]) => ({ type: 2 as const, ...rest, ...fee })),
  setCode(walletAuthorizations),
);

const calls = fc.record({ to: addresses, value: wei.map((value) => value >> 4n), gasLimit: fc.nat(2 ** 48), data: common.data }, PLAIN);

/** Fields of atomic batches; 16 values never exceed what an account can hold. */
export const batchFields: fc.Arbitrary<BatchFields> = fc
  .tuple(fc.record({ chainId: chainIds, nonce: safe, gasLimit: safe, calls: fc.array(calls, { minLength: 1, maxLength: 16 }) }), fees)
  .map(([rest, fee]) => ({ type: BATCH_TYPE, ...rest, ...fee }));

/** Fields of all types, authorizations out of all that can be encoded. */
export const fieldsArbitrary: fc.Arbitrary<TransactionFields> = fc.oneof(walletFields, setCode(authorizations), batchFields);

/** A plain transfer, to be varied. */
export const TRANSFER: TransactionFields & { type: 2 } = {
  type: 2,
  chainId: 1337,
  nonce: 7,
  maxPriorityFeePerGas: 1n,
  maxFeePerGas: 100n,
  gasLimit: 21_000,
  to: new Uint8Array(20).fill(0xaa) as Address,
  value: 10n ** 18n,
  data: new Uint8Array(0),
  accessList: [],
};

/** A batch of two calls, to be varied. */
export const BATCH: BatchFields = {
  type: BATCH_TYPE,
  chainId: 1337,
  nonce: 7,
  maxPriorityFeePerGas: 1n,
  maxFeePerGas: 100n,
  gasLimit: 200_000,
  calls: [
    { to: new Uint8Array(20).fill(0xaa) as Address, value: 5n, gasLimit: 30_000, data: new Uint8Array(0) },
    { to: new Uint8Array(20).fill(0xbb) as Address, value: 7n, gasLimit: 40_000, data: Uint8Array.of(0, 1, 2) },
  ],
};

/** A set-code transaction of one authorization, to be varied. */
export const SET_CODE: SetCodeFields = {
  ...TRANSFER,
  type: 4,
  gasLimit: 46_000,
  to: new Uint8Array(20).fill(0xaa) as Address,
  authorizations: [{ chainId: 1337n, address: new Uint8Array(20).fill(0xcc) as Address, nonce: 3n, yParity: 1, r: 5n, s: 6n }],
};
