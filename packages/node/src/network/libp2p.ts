import type { GossipsubEvents, GossipsubOpts } from '@chainsafe/libp2p-gossipsub';
import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { type Identify, identify } from '@libp2p/identify';
import type { Libp2p, PubSub } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { createLibp2p } from 'libp2p';

import type { GossipGate } from './gossip-gate.ts';
import type { NetworkLimits } from './options.ts';

/** The libp2p node with the services that this project runs on it. */
export type NetworkLibp2p = Libp2p<{ identify: Identify; pubsub: PubSub<GossipsubEvents> }>;

/** What is particular to one node. */
export interface Libp2pOptions {
  readonly transportSeed: Uint8Array;
  readonly listen: readonly string[];
  readonly limits: NetworkLimits;
  readonly gossip: Partial<GossipsubOpts>;
  readonly gate: GossipGate;
  /** Whether a peer, by its id as text, is blocked. */
  banned(peer: string): boolean;
}

/** Builds libp2p, not started: TCP, noise, yamux, identify, gossipsub. Many nodes share one address here, so that limits by address are wide. */
export async function buildLibp2p(options: Libp2pOptions): Promise<NetworkLibp2p> {
  const { limits } = options;
  return createLibp2p({
    start: false,
    privateKey: await generateKeyPairFromSeed('Ed25519', options.transportSeed),
    addresses: { listen: [...options.listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ maxInboundStreams: 256, maxOutboundStreams: 256 })],
    connectionManager: {
      maxConnections: limits.connectionsMax,
      maxIncomingPendingConnections: limits.connectionsMax,
      inboundConnectionThreshold: limits.connectionsMax,
      maxParallelDials: 32,
      dialTimeout: limits.dialTimeoutMs,
      inboundUpgradeTimeout: limits.helloTimeoutMs,
      // We redial ourselves, for ever.
      reconnectRetries: 0,
    },
    connectionMonitor: {
      pingInterval: limits.pingMs,
      // A machine with more nodes than cores answers late; late is not dead.
      pingTimeout: { minTimeout: limits.pingTimeoutMs, maxTimeout: limits.pingTimeoutMs * 3 },
    },
    connectionGater: {
      denyDialPeer: (peer) => options.banned(peer.toString()),
      // libp2p's default forbids private addresses in browsers; a testbed has no others.
      denyDialMultiaddr: () => false,
      denyInboundEncryptedConnection: (peer) => options.banned(peer.toString()),
    },
    // Addresses come from signed records alone.
    peerStore: { addressFilter: () => false },
    nodeInfo: { name: 'shardlab', version: '1', userAgent: 'shardlab/1' },
    services: {
      // gossipsub insists on the service; names and addresses come from our own handshake, so it need not run by itself.
      identify: identify({ runOnConnectionOpen: false }),
      pubsub: options.gate.service(options.gossip),
    },
  });
}
