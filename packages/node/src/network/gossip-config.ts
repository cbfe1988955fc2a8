import type { GossipsubOpts } from '@chainsafe/libp2p-gossipsub';
import { bytesKey, type Hasher } from '@shardlab/crosslink';

import { DECODE_LIMITS, frameBytesMax } from './gossip-guard.ts';
import type { NetworkLimits } from './options.ts';

/**
 * Peers that a message is passed on to. Every node is connected to every other, a publisher sends to all subscribers itself, and what is lost is pulled: the mesh is only
 * the second way: what comes by it is a duplicate as a rule, decoded and hashed to find that out. gossipsub's default of 6 made 20 idle nodes use 1.2 cores.
 */
const DEGREE = 1;
/** Below this a duplicate costs less than telling peers that we need no other copy. */
const IDONTWANT_BYTES_MIN = 4 << 10;
/** Scores at which gossipsub itself turns away; below them all, the host disconnects (`banScore`). */
const THRESHOLDS = { gossip: 0.4, publish: 0.6, graylist: 0.9 } as const;

/**
 * gossipsub's settings for a small, fully connected network.
 * - `floodPublish`: a publisher sends to every subscriber it is connected to; the mesh is the second way.
 * - No lazy gossip (IHAVE and IWANT): gossip is a hint and what is missing is pulled (R14); an answer to IWANT packs thousands of messages into one
 *   frame, beyond any bound that a receiver could keep.
 * - Scores: ours alone, and gossipsub's penalty for breaking its protocol. None for sharing an address, because all nodes of a laptop do; none for
 *   delivering little, because an idle shard delivers nothing.
 */
export function gossipConfig(nodes: number, limits: NetworkLimits, crypto: Hasher, score: (peer: string) => number): Partial<GossipsubOpts> {
  const degree = Math.max(1, Math.min(DEGREE, nodes - 1));
  const out = Math.floor((degree - 1) / 2);
  return {
    globalSignaturePolicy: 'StrictNoSign',
    msgIdFn: (message) => crypto.sha256(message.data),
    msgIdToStrFn: bytesKey,
    emitSelf: false,
    fallbackToFloodsub: false,
    floodPublish: true,
    batchPublish: true,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    asyncValidation: true,
    // One frame at a time per peer: what is not read yet waits in its window, not in our memory.
    awaitRpcHandler: true,
    awaitRpcMessageHandler: true,
    doPX: false,
    tagMeshPeers: false,
    D: degree,
    Dlo: Math.max(1, degree - 2),
    Dhi: degree * 2,
    Dscore: Math.max(1, degree - 2),
    Dout: Math.min(2, out),
    Dlazy: 0,
    gossipFactor: 0,
    mcacheGossip: 0,
    // A message must outlive its verdict here, or else it is not forwarded.
    mcacheLength: Math.ceil(limits.verdictTimeoutMs / limits.heartbeatMs) + 1,
    seenTTL: 60_000,
    heartbeatInterval: limits.heartbeatMs,
    pruneBackoff: 10_000,
    idontwantMinDataSize: IDONTWANT_BYTES_MIN,
    maxInboundDataLength: frameBytesMax(limits.gossipBytesMax),
    maxOutboundBufferSize: limits.gossipQueueBytesMax,
    maxInboundStreams: 4,
    maxOutboundStreams: 4,
    decodeRpcLimits: DECODE_LIMITS,
    scoreParams: {
      topics: {},
      appSpecificScore: score,
      appSpecificWeight: 1,
      IPColocationFactorWeight: 0,
      behaviourPenaltyWeight: -1,
      behaviourPenaltyThreshold: 6,
      behaviourPenaltyDecay: 0.9,
      retainScore: limits.banMs,
    },
    scoreThresholds: {
      gossipThreshold: limits.banScore * THRESHOLDS.gossip,
      publishThreshold: limits.banScore * THRESHOLDS.publish,
      graylistThreshold: limits.banScore * THRESHOLDS.graylist,
    },
  };
}
