import {
  assignmentHash,
  bytesKey,
  crosslinkRoot,
  type Crypto,
  decodeBeaconHeader,
  decodeCrosslinks,
  DecodeError,
  encodeHeader,
  equalBytes,
  type Genesis,
  type Hash32,
  ZERO_HASH,
} from '@shardlab/crosslink';
import type { Proposal } from '../consensus/types.ts';
import type { Epochs } from '../exchange/epochs.ts';
import type { HeaderCheck } from '../exchange/header-check.ts';
import type { CrosslinkQueue } from './crosslink-queue.ts';
import { AHEAD_MAX_MS, BEHIND_MAX_MS } from '../production/drift.ts';
import { nextAssignment } from './epoch-votes.ts';


/** What a beacon validator judges a proposal by. */
export interface BeaconRules {
  readonly genesis: Genesis;
  readonly genesisHash: Hash32;
  readonly crypto: Crypto;
  readonly epochs: Epochs;
  readonly headers: HeaderCheck;
  readonly queue: CrosslinkQueue;
  readonly tip: { readonly hash: Hash32; readonly height: number; readonly timestampMs: number } | undefined;
  readonly nowMs: number;
}

/** What is wrong with a proposed beacon block; `undefined` = it follows on the tip, and every header in it is certified and next in its shard. */
export function beaconFault(rules: BeaconRules, proposal: Proposal, fresh: boolean): string | undefined {
  try {
    return fault(rules, proposal, fresh);
  } catch (error) {
    if (error instanceof DecodeError) return error.code;
    throw error;
  }
}

function fault(rules: BeaconRules, proposal: Proposal, fresh: boolean): string | undefined {
  const { genesis, crypto, epochs, headers, queue, tip, nowMs } = rules;
  const header = decodeBeaconHeader(proposal.header);
  const crosslinks = decodeCrosslinks(proposal.body);
  const epoch = epochs.latest?.assignment ?? nextAssignment(crypto, rules, undefined);
  const parentMs = tip?.timestampMs ?? genesis.timestampMs;
  if (header.chainId !== genesis.chainId) return 'foreign';
  if (header.height !== (tip?.height ?? 0) + 1 || !equalBytes(header.parentHash, tip?.hash ?? ZERO_HASH)) return 'parent';
  if (header.epoch !== epoch.epoch || !equalBytes(header.epochCertificateHash, assignmentHash(crypto, epoch))) return 'epoch';
  if (header.timestampMs <= parentMs) return 'time';
  if (fresh && header.timestampMs > Math.max(nowMs + AHEAD_MAX_MS, parentMs + 1)) return 'time-ahead';
  if (fresh && header.timestampMs < nowMs - BEHIND_MAX_MS) return 'time-behind';
  if (!equalBytes(header.crosslinkRoot, crosslinkRoot(crypto, crosslinks))) return 'crosslink-root';
  const order = queue.fault(crosslinks);
  if (order !== undefined) return order;
  for (const { header: shardHeader, certificate } of crosslinks) {
    const verdict = headers.check(shardHeader, certificate, bytesKey(crypto.sha256(encodeHeader(shardHeader))));
    if (verdict !== undefined) return verdict.kind === 'accept' ? undefined : verdict.reason;
  }
  return undefined;
}
