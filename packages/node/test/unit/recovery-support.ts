import { type Address, Prng } from '@shardlab/crosslink';
import { type AdmissionBatch, type AdmissionPolicy, type DynamicFeeFields, signTransaction, type TransactionSigner } from '@shardlab/shard';

import type { Result } from '../../src/ports.ts';
import type { SenderRecovery } from '../../src/recovery/sender-recovery.ts';

/** The rules of the networks in these tests. */
export const POLICY: AdmissionPolicy = { chainId: 1337, allowUnprotected: false, fork: 'cancun' };

/** A plain transfer, to be varied. */
export const TRANSFER: DynamicFeeFields = {
  type: 2,
  chainId: 1337,
  nonce: 0,
  maxPriorityFeePerGas: 1_000_000_000n,
  maxFeePerGas: 20_000_000_000n,
  gasLimit: 21_000,
  to: new Uint8Array(20).fill(0xaa) as Address,
  value: 123_456_789_000_000_000n,
  data: new Uint8Array(0),
  accessList: [],
};

/** `count` signed transfers of a few senders, the same for the same seed. */
export function signedTransfers(count: number, seed: number, signer: TransactionSigner): Uint8Array[] {
  const random = new Prng(seed);
  const keys = Array.from({ length: 16 }, () => {
    const key = random.bytes(32);
    key[0] = 1;
    return key;
  });
  return Array.from({ length: count }, (_, i) => {
    const fields = { ...TRANSFER, nonce: Math.floor(i / keys.length), to: random.bytes(20) as Address, value: BigInt(random.u32()) * 10n ** 9n };
    return signTransaction(fields, keys[i % keys.length]!, signer).raw;
  });
}

/** The outcome of one call. */
export function recovered(recovery: SenderRecovery, raws: readonly Uint8Array[]): Promise<Result<AdmissionBatch>> {
  return new Promise((resolve) => recovery.recover(raws, resolve));
}

/** The value of a call that must succeed. */
export async function mustRecover(recovery: SenderRecovery, raws: readonly Uint8Array[]): Promise<AdmissionBatch> {
  const result = await recovered(recovery, raws);
  if (!result.ok) throw result.error;
  return result.value;
}

/** The error code of a call that must fail. */
export async function mustFail(recovery: SenderRecovery, raws: readonly Uint8Array[]): Promise<string> {
  const result = await recovered(recovery, raws);
  if (result.ok) throw new Error('the call succeeded');
  return result.error.code;
}
