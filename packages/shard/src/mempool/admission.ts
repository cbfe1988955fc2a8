import { FORK_RULES } from '../execution/evm/fork-rules.ts';
import type { EvmFork } from '../execution/evm/types.ts';
import type { PoolTransaction } from '../transaction/types.ts';
import type { TransactionErrorCode } from '../transaction/errors.ts';

/** Why a transaction was not taken into the pool: stable codes of the submit interface. */
export type RejectionCode =
  | 'malformed'
  | 'oversized'
  | 'type-3-unsupported'
  | 'type-unsupported'
  | 'wrong-chain-id'
  | 'bad-signature'
  | 'malleable-signature'
  | 'nonce-too-low'
  | 'nonce-too-high'
  | 'insufficient-funds'
  | 'intrinsic-gas'
  | 'gas-limit'
  | 'underpriced'
  | 'fee-cap'
  | 'replacement-underpriced'
  | 'already-known'
  | 'pool-full'
  | 'wrong-shard'
  | 'busy';

/** A refusal: its code, and go-ethereum's customary message. */
export interface Rejection {
  readonly code: RejectionCode;
  readonly message: string;
}

/** Builds a {@link Rejection}. */
export function rejection(code: RejectionCode, message: string): Rejection {
  return { code, message };
}

/** What a transaction that could not even be decoded or recovered is refused with. */
export function rejectionOf(error: TransactionErrorCode): Rejection {
  switch (error) {
    case 'tx/type3-unsupported':
      return rejection('type-3-unsupported', 'transaction type not supported: blob transactions (type 3) are not accepted');
    case 'tx/type4-unsupported':
    case 'tx/type-unknown':
      return rejection('type-unsupported', 'transaction type not supported');
    case 'tx/malleable-signature':
      return rejection('malleable-signature', 'invalid sender: malleable signature (s is in the upper half)');
    case 'tx/chain-id':
      return rejection('wrong-chain-id', 'invalid sender: invalid chain id for signer');
    case 'tx/unprotected':
      return rejection('wrong-chain-id', 'only replay-protected (EIP-155) transactions allowed over RPC');
    case 'tx/oversized':
      return rejection('oversized', 'oversized data: transaction exceeds 131072 bytes');
    case 'tx/initcode-size':
      return rejection('oversized', 'max initcode size exceeded');
    case 'tx/tip-above-fee-cap':
      return rejection('fee-cap', 'max priority fee per gas higher than max fee per gas');
    case 'tx/intrinsic-gas':
      return rejection('intrinsic-gas', 'intrinsic gas too low');
    case 'tx/value-range':
      return rejection('insufficient-funds', 'insufficient funds for gas * price + value: the value is above the whole supply');
    case 'tx/fee-range':
      return rejection('insufficient-funds', 'insufficient funds for gas * price + value: the fee is above the whole supply');
    case 'tx/nonce-range':
      return rejection('nonce-too-high', 'nonce too high: above 2^53 - 1');
    case 'tx/gas-range':
      return rejection('gas-limit', 'exceeds block gas limit');
    case 'tx/signature-range':
    case 'tx/y-parity':
    case 'tx/unrecoverable':
      return rejection('bad-signature', 'invalid sender: invalid transaction v, r, s values');
    case 'tx/batch-gas':
      return rejection('intrinsic-gas', "intrinsic gas too low: the calls' gas limits do not fit into the batch's");
    case 'tx/no-recipient':
      return rejection('malformed', 'EIP-7702 transaction cannot be used to create contract');
    case 'tx/authorizations-empty':
      return rejection('malformed', 'EIP-7702 transaction with empty auth list');
    case 'tx/batch-calls':
      return rejection('malformed', 'a batch has 1 to 16 calls');
    case 'tx/rlp':
    case 'tx/field':
      return rejection('malformed', `malformed transaction: not canonical RLP of a known type (${error})`);
  }
}

/** What all transactions of a chain are measured by, from its first block on. */
export interface ChainRules {
  readonly chainId: number;
  /** Of a block. */
  readonly gasLimit: number;
  readonly fork: EvmFork;
}

/** Checks that need nothing but the transaction and the chain's constants. */
export function checkStatic(tx: PoolTransaction, rules: ChainRules): Rejection | undefined {
  if (tx.type === 4 && !FORK_RULES[rules.fork].delegations) return rejectionOf('tx/type4-unsupported');
  if (tx.chainId !== rules.chainId) return rejection('wrong-chain-id', 'invalid sender: invalid chain id for signer');
  if (tx.gasLimit < tx.intrinsicGas) {
    return rejection('intrinsic-gas', `intrinsic gas too low: gas ${tx.gasLimit}, minimum needed ${tx.intrinsicGas}`);
  }
  if (tx.gasLimit > rules.gasLimit) return rejection('gas-limit', 'exceeds block gas limit');
  return undefined;
}
