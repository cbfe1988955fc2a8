import { type Address, invariant } from '@shardlab/crosslink';
import { addressOfSecretKey, signTransaction, type TransactionSigner } from '@shardlab/shard';
import { type AddressJob, type AddressResult, type SigningJob, type SigningResult, type SignJob, type SignResult, TRANSFER_RECORD_BYTES } from './signing-job.ts';

/** Longest frame without its data: 4 of length, and at most 180 of type 2 without access list; and what the length of long data adds. */
const FRAME_BYTES_MAX = 192;

/** Does one job: the body of a signing worker, without the thread. */
export function runSigningJob(job: SigningJob, signer: TransactionSigner): SigningResult {
  return job.kind === 'addresses' ? addressesOf(job, signer) : signChunk(job, signer);
}

function addressesOf(job: AddressJob, signer: TransactionSigner): AddressResult {
  const count = job.secrets.length / 32;
  const addresses = new Uint8Array(20 * count);
  const placements = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const address = addressOfSecretKey(job.secrets.subarray(32 * i, 32 * i + 32), signer);
    addresses.set(address, 20 * i);
    const digest = signer.keccak256(address);
    placements[i] = new DataView(digest.buffer, digest.byteOffset).getUint32(0);
  }
  return { kind: 'addresses', addresses, placements };
}

function signChunk(job: SignJob, signer: TransactionSigner): SignResult {
  const { chainId, maxFeePerGas, maxPriorityFeePerGas, records, data, dataEnds } = job;
  const count = records.length / TRANSFER_RECORD_BYTES;
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  const frames = new Uint8Array(count * FRAME_BYTES_MAX + data.length);
  const frameView = new DataView(frames.buffer);
  const offsets = new Uint32Array(count + 1);
  const hashes = new Uint8Array(32 * count);
  let end = 0;
  for (let i = 0; i < count; i++) {
    const at = i * TRANSFER_RECORD_BYTES;
    const fields = {
      type: 2,
      chainId,
      nonce: Number(view.getBigUint64(at + 52)),
      maxFeePerGas,
      maxPriorityFeePerGas,
      gasLimit: Number(view.getBigUint64(at + 60)),
      to: records[at + 84] === 1 ? undefined : (records.subarray(at + 32, at + 52) as Address),
      value: (view.getBigUint64(at + 68) << 64n) | view.getBigUint64(at + 76),
      data: data.subarray(i === 0 ? 0 : dataEnds[i - 1], dataEnds[i] ?? 0),
      accessList: [],
    } as const;
    const signed = signTransaction(fields, records.subarray(at, at + 32), signer);
    invariant(signed.raw.length + 4 <= FRAME_BYTES_MAX + fields.data.length, 'a transaction is longer than expected', { length: signed.raw.length });
    offsets[i] = end;
    frameView.setUint32(end, signed.raw.length);
    frames.set(signed.raw, end + 4);
    end += 4 + signed.raw.length;
    hashes.set(signed.hash, 32 * i);
  }
  offsets[count] = end;
  return { kind: 'sign', frames: frames.slice(0, end), offsets, hashes };
}
