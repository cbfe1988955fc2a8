import { equalBytes, toHex } from '@shardlab/crosslink';
import { BATCH_TYPE, decodeTransaction, recoverSender, TransactionError, type TransactionErrorCode } from '@shardlab/shard';
import type { EvmTransaction } from '../../packages/shard/src/execution/evm/transaction.ts';
import type { TestKeys } from './test-transaction.ts';

/** What Ethereum allows and Shardlab's admission does not: the codec says nothing of such a transaction. */
const OWN_BOUNDS: ReadonlySet<TransactionErrorCode> = new Set([
  'tx/oversized',
  'tx/type3-unsupported',
  'tx/nonce-range',
  'tx/gas-range',
  'tx/value-range',
  'tx/fee-range',
]);

/** Where the signed bytes, read by the codec of the network, differ from the fields of the test; undefined: nowhere. */
export function bytesDifference(tx: EvmTransaction, raw: Uint8Array, keys: TestKeys): string | undefined {
  try {
    const { fields } = decodeTransaction(raw);
    const sender = recoverSender(raw, keys);
    if (!equalBytes(sender, tx.sender)) return `the sender of txbytes is ${toHex(sender)}, not ${toHex(tx.sender)}`;
    const price = 'gasPrice' in fields ? fields.gasPrice : fields.maxFeePerGas;
    const same =
      fields.type !== BATCH_TYPE &&
      fields.type === tx.type &&
      BigInt(fields.nonce) === tx.nonce &&
      BigInt(fields.gasLimit) === tx.gasLimit &&
      fields.value === tx.value &&
      price === tx.maxFeePerGas &&
      equalBytes(fields.data, tx.data) &&
      (fields.to === undefined ? tx.to === undefined : tx.to !== undefined && equalBytes(fields.to, tx.to));
    return same ? undefined : 'txbytes is another transaction than the fields';
  } catch (error) {
    if (error instanceof TransactionError) return OWN_BOUNDS.has(error.code) ? undefined : `txbytes: ${error.message}`;
    throw error;
  }
}
