import { addressOfPublicKey, type RecoveryPrimitives, type TransactionSigner } from '@shardlab/shard';
import type { Address } from '@shardlab/crosslink';
import { type Authorization, recoverAuthority } from '../../packages/shard/src/execution/evm/authorizations.ts';
import type { EvmTransaction } from '../../packages/shard/src/execution/evm/transaction.ts';
import { MalformedTest } from './json-fields.ts';
import type { StateTest, TestAuthorization, TestCase, TestTransaction } from './state-test.ts';

/** What senders and authorities are found with. */
export type TestKeys = RecoveryPrimitives & Pick<TransactionSigner, 'secpPublicKey'>;

const [U8, U64, U256] = [8n, 64n, 256n];

function senderOf(transaction: TestTransaction, name: string, keys: TestKeys): Address {
  if (transaction.sender !== undefined) return transaction.sender;
  const { secretKey } = transaction;
  if (secretKey === undefined) throw new MalformedTest(`${name}.transaction`, 'neither sender nor secretKey');
  try {
    return addressOfPublicKey(keys.secpPublicKey(secretKey), keys);
  } catch {
    throw new MalformedTest(`${name}.transaction.secretKey`, 'not a key');
  }
}

function typeOf(transaction: TestTransaction, hasAccessList: boolean): EvmTransaction['type'] {
  if (transaction.authorizations !== undefined) return 4;
  if (transaction.maxFeePerBlobGas !== undefined || transaction.blobHashes !== undefined) return 3;
  if (transaction.maxFeePerGas !== undefined) return 2;
  return hasAccessList ? 1 : 0;
}

function authorizationOf(signed: TestAuthorization, keys: TestKeys): Authorization {
  const { chainId, address, nonce, yParity, r, s } = signed;
  const fields = { chainId, address, nonce };
  return { ...fields, authority: recoverAuthority(fields, { yParity: Number(yParity), r, s }, keys) };
}

/** Whether a transaction with these fields has an encoding: all integers are within the widths that the EIPs give them. */
function encodable(tx: EvmTransaction, authorizations: readonly TestAuthorization[]): boolean {
  const words = [tx.maxFeePerGas, tx.maxPriorityFeePerGas, tx.value, tx.maxFeePerBlobGas];
  if (tx.nonce >> U64 !== 0n || tx.gasLimit >> U64 !== 0n || words.some((value) => value >> U256 !== 0n)) return false;
  return authorizations.every(
    ({ chainId, nonce, yParity, r, s }) => nonce >> U64 === 0n && yParity >> U8 === 0n && [chainId, r, s].every((value) => value >> U256 === 0n),
  );
}

/** The transaction of a case; undefined: none has such fields, and it counts as refused. Throws {@link MalformedTest}. */
export function transactionOf(test: StateTest, which: TestCase, keys: TestKeys): EvmTransaction | undefined {
  const { transaction } = test;
  const where = `${test.name}.transaction`;
  const [data, gasLimit, value] = [transaction.data[which.data], transaction.gasLimit[which.gas], transaction.value[which.value]];
  if (data === undefined || gasLimit === undefined || value === undefined) throw new MalformedTest(where, 'an index is beyond the variants');
  const accessList = transaction.accessLists[which.data];
  const type = typeOf(transaction, accessList !== undefined);
  const maxFeePerGas = type >= 2 ? transaction.maxFeePerGas : transaction.gasPrice;
  if (maxFeePerGas === undefined) throw new MalformedTest(where, 'no price of gas');
  const signed = transaction.authorizations ?? [];
  const tx: EvmTransaction = {
    type,
    sender: senderOf(transaction, test.name, keys),
    chainId: test.environment.chainId,
    nonce: transaction.nonce,
    gasLimit,
    maxFeePerGas,
    maxPriorityFeePerGas: type >= 2 ? (transaction.maxPriorityFeePerGas ?? 0n) : maxFeePerGas,
    to: transaction.to,
    value,
    data,
    accessList: accessList ?? [],
    blobHashes: transaction.blobHashes ?? [],
    maxFeePerBlobGas: transaction.maxFeePerBlobGas ?? 0n,
    authorizations: [],
  };
  if (!encodable(tx, signed)) return undefined;
  return { ...tx, authorizations: signed.map((entry) => authorizationOf(entry, keys)) };
}
