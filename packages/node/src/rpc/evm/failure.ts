import { toHex } from '@shardlab/crosslink';
import { haltWords, type NotSimulated, revertReason, type Simulated } from '@shardlab/shard';
import { data } from '../format.ts';
import { RPC_CODES, RpcError, serverError } from '../rpc-error.ts';
import type { CallRequest } from './call-request.ts';

/** What wallets are told of a revert: code 3, the reason in the message, and the revert data. */
export function reverted(output: Uint8Array): RpcError {
  const reason = revertReason(output);
  const message = reason === undefined ? haltWords('revert') : `${haltWords('revert')}: ${reason}`;
  return new RpcError(RPC_CODES.reverted, message, { rpcData: data(output) });
}

/** The error for a call that could not begin or has failed; undefined if it succeeded. go-ethereum's words and codes. */
export function failureOf(outcome: Simulated | NotSimulated, call: CallRequest): RpcError | undefined {
  if (!('invalid' in outcome)) {
    const { halt, output } = outcome;
    if (halt === undefined) return undefined;
    return halt === 'revert' || halt === 'foreign-account' ? reverted(output) : serverError(haltWords(halt));
  }
  const { invalid, have, want } = outcome;
  switch (invalid) {
    case 'intrinsic-gas':
      return serverError(`intrinsic gas too low: have ${have}, want ${want}`);
    case 'initcode-too-long':
      return serverError(`max initcode size exceeded: code size ${have}, limit ${want}`);
    case 'insufficient-funds':
      if (want === call.value) return serverError('insufficient funds for transfer');
      return serverError(`insufficient funds for gas * price + value: address ${call.from === undefined ? '0x0' : toHex(call.from)} have ${have} want ${want}`);
  }
}
