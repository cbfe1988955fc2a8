import { type Address, bytesKey, type Hash32 } from '@shardlab/crosslink';
import {
  address,
  bytes,
  bytesIn,
  type Fields,
  fieldsOf,
  has,
  indexIn,
  listIn,
  MalformedTest,
  objectIn,
  quantity,
  quantityIn,
  word,
} from './json-fields.ts';

/** What a fixture lets the runner read at most; the largest of ethereum/tests has 3,000 cases and 2,000 accounts. */
const CASES_MAX = 100_000;
const VARIANTS_MAX = 100_000;
const LIST_MAX = 100_000;
/** Fee of EIP-1559 where a file names none: what retesteth and geth take. */
const BASE_FEE_DEFAULT = 10n;

/** An account of a pre- or post-state. Storage is keyed by `bytesKey` of the 32-byte key; no value is zero. */
export interface TestAccount {
  readonly address: Address;
  readonly nonce: bigint;
  readonly balance: bigint;
  readonly code: Uint8Array;
  readonly storage: ReadonlyMap<string, Hash32>;
}

/** Accounts by `bytesKey` of the address. */
export type TestAccounts = ReadonlyMap<string, TestAccount>;

/** The block in which the transaction stands. */
export interface TestEnvironment {
  readonly chainId: bigint;
  readonly coinbase: Address;
  readonly gasLimit: bigint;
  readonly number: bigint;
  readonly timestamp: bigint;
  readonly baseFeePerGas: bigint;
  readonly prevRandao: Hash32;
  readonly excessBlobGas: bigint;
}

/** A signed authorization as the file has it. */
export interface TestAuthorization {
  readonly chainId: bigint;
  readonly address: Address;
  readonly nonce: bigint;
  readonly yParity: bigint;
  readonly r: bigint;
  readonly s: bigint;
}

/** The transaction, with all variants of data, gas limit and value. */
export interface TestTransaction {
  readonly sender: Address | undefined;
  readonly secretKey: Uint8Array | undefined;
  readonly to: Address | undefined;
  readonly nonce: bigint;
  readonly gasPrice: bigint | undefined;
  readonly maxFeePerGas: bigint | undefined;
  readonly maxPriorityFeePerGas: bigint | undefined;
  readonly maxFeePerBlobGas: bigint | undefined;
  readonly blobHashes: readonly Hash32[] | undefined;
  readonly authorizations: readonly TestAuthorization[] | undefined;
  readonly data: readonly Uint8Array[];
  readonly gasLimit: readonly bigint[];
  readonly value: readonly bigint[];
  /** By data variant; undefined: that variant has none. */
  readonly accessLists: readonly (readonly { readonly address: Address; readonly storageKeys: readonly Hash32[] }[] | undefined)[];
}

/** One case: variants of the transaction, and what comes of it. */
export interface TestCase {
  readonly data: number;
  readonly gas: number;
  readonly value: number;
  readonly root: Uint8Array;
  readonly logs: Uint8Array;
  /** The transaction must be refused. */
  readonly exception: string | undefined;
  readonly txBytes: Uint8Array | undefined;
  /** The post-state, where the file lists it. */
  readonly state: TestAccounts | undefined;
}

/** One named test of a file. Read in parts, so that what is wrong with one case costs the others nothing. */
export interface StateTest {
  readonly name: string;
  readonly environment: TestEnvironment;
  readonly pre: TestAccounts;
  readonly transaction: TestTransaction;
}

function readAccounts(fields: Fields): TestAccounts {
  const out = new Map<string, TestAccount>();
  for (const name of Object.keys(fields.values)) {
    const account = objectIn(fields, name);
    const stored = objectIn(account, 'storage');
    const storage = new Map<string, Hash32>();
    for (const [key, value] of Object.entries(stored.values)) {
      const content = word(value, `${stored.where}.${key}`);
      if (content.some((byte) => byte !== 0)) storage.set(bytesKey(word(key, stored.where)), content);
    }
    const own = address(name, fields.where);
    const [nonce, balance] = [quantityIn(account, 'nonce'), quantityIn(account, 'balance')];
    if (nonce >> 64n !== 0n || balance >> 256n !== 0n) throw new MalformedTest(account.where, 'nonce or balance out of range');
    out.set(bytesKey(own), { address: own, nonce, balance, code: bytesIn(account, 'code'), storage });
  }
  return out;
}

function readEnvironment(test: Fields): TestEnvironment {
  const env = objectIn(test, 'env');
  const random = has(env, 'currentRandom') ? 'currentRandom' : 'currentDifficulty';
  const chainId = has(test, 'config') ? quantityIn(objectIn(test, 'config'), 'chainid', 1n) : 1n;
  return {
    chainId,
    coinbase: address(env.values.currentCoinbase, `${env.where}.currentCoinbase`),
    gasLimit: quantityIn(env, 'currentGasLimit'),
    number: quantityIn(env, 'currentNumber'),
    timestamp: quantityIn(env, 'currentTimestamp'),
    baseFeePerGas: quantityIn(env, 'currentBaseFee', BASE_FEE_DEFAULT),
    prevRandao: word(env.values[random] ?? '0x00', `${env.where}.${random}`),
    excessBlobGas: quantityIn(env, 'currentExcessBlobGas', 0n),
  };
}

function readAccessList(value: unknown, where: string): TestTransaction['accessLists'][number] {
  if (value === null || value === undefined) return undefined;
  if (!Array.isArray(value)) throw new MalformedTest(where, 'not a list');
  return value.map((entry: unknown, i) => {
    const fields = fieldsOf(entry, `${where}[${i}]`);
    const keys = listIn(fields, 'storageKeys', LIST_MAX);
    return {
      address: address(fields.values.address, `${fields.where}.address`),
      storageKeys: keys.map((key) => word(key, `${fields.where}.storageKeys`)),
    };
  });
}

function readAuthorization(value: unknown, where: string): TestAuthorization {
  const fields = fieldsOf(value, where);
  return {
    chainId: quantityIn(fields, 'chainId'),
    address: address(fields.values.address, `${where}.address`),
    nonce: quantityIn(fields, 'nonce'),
    yParity: quantityIn(fields, has(fields, 'yParity') ? 'yParity' : 'v'),
    r: quantityIn(fields, 'r'),
    s: quantityIn(fields, 's'),
  };
}

function optionalQuantity(fields: Fields, name: string): bigint | undefined {
  return has(fields, name) ? quantityIn(fields, name) : undefined;
}

function readTransaction(test: Fields): TestTransaction {
  const fields = objectIn(test, 'transaction');
  const { where, values } = fields;
  const to = bytesIn(fields, 'to');
  const blobs = has(fields, 'blobVersionedHashes') ? listIn(fields, 'blobVersionedHashes', LIST_MAX) : undefined;
  const authorizations = has(fields, 'authorizationList') ? listIn(fields, 'authorizationList', LIST_MAX) : undefined;
  const accessLists = has(fields, 'accessLists') ? listIn(fields, 'accessLists', VARIANTS_MAX) : [];
  return {
    sender: has(fields, 'sender') ? address(values.sender, `${where}.sender`) : undefined,
    secretKey: has(fields, 'secretKey') ? bytesIn(fields, 'secretKey') : undefined,
    to: to.length === 0 ? undefined : address(values.to, `${where}.to`),
    nonce: quantityIn(fields, 'nonce'),
    gasPrice: optionalQuantity(fields, 'gasPrice'),
    maxFeePerGas: optionalQuantity(fields, 'maxFeePerGas'),
    maxPriorityFeePerGas: optionalQuantity(fields, 'maxPriorityFeePerGas'),
    maxFeePerBlobGas: optionalQuantity(fields, 'maxFeePerBlobGas'),
    blobHashes: blobs?.map((hash) => word(hash, `${where}.blobVersionedHashes`)),
    authorizations: authorizations?.map((entry, i) => readAuthorization(entry, `${where}.authorizationList[${i}]`)),
    data: listIn(fields, 'data', VARIANTS_MAX).map((entry) => bytes(entry, `${where}.data`)),
    gasLimit: listIn(fields, 'gasLimit', VARIANTS_MAX).map((entry) => quantity(entry, `${where}.gasLimit`)),
    value: listIn(fields, 'value', VARIANTS_MAX).map((entry) => quantity(entry, `${where}.value`)),
    accessLists: accessLists.map((entry) => readAccessList(entry, `${where}.accessLists`)),
  };
}

/** Reads a test without its cases. Throws {@link MalformedTest}. */
export function readTest(name: string, value: unknown): StateTest {
  const test = fieldsOf(value, name);
  return { name, environment: readEnvironment(test), pre: readAccounts(objectIn(test, 'pre')), transaction: readTransaction(test) };
}

/** The cases of a test by fork, unread. Throws {@link MalformedTest}. */
export function casesByFork(name: string, value: unknown): ReadonlyMap<string, readonly unknown[]> {
  const post = objectIn(fieldsOf(value, name), 'post');
  return new Map(Object.keys(post.values).map((fork) => [fork, listIn(post, fork, CASES_MAX)]));
}

/** Reads one case. Throws {@link MalformedTest}. */
export function readCase(value: unknown, where: string): TestCase {
  const fields = fieldsOf(value, where);
  const indexes = objectIn(fields, 'indexes');
  const [root, logs] = [bytesIn(fields, 'hash'), bytesIn(fields, 'logs')];
  if (root.length !== 32 || logs.length !== 32) throw new MalformedTest(where, 'hash and logs have 32 bytes');
  const exception = fields.values.expectException;
  return {
    data: indexIn(indexes, 'data'),
    gas: indexIn(indexes, 'gas'),
    value: indexIn(indexes, 'value'),
    root,
    logs,
    exception: typeof exception === 'string' && exception !== '' ? exception : undefined,
    txBytes: has(fields, 'txbytes') ? bytesIn(fields, 'txbytes') : undefined,
    state: has(fields, 'state') ? readAccounts(objectIn(fields, 'state')) : undefined,
  };
}
