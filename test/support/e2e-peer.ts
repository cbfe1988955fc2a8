/** A peer that a test controls: the project's own libp2p host, under whatever identity the test gives it. */
import type { TestContext } from 'node:test';
import { fromHex, type Genesis, genesisHash, parseGenesis, type ShardId, type WireRequest, decodeAnswer, encodeRequest } from '@shardlab/crosslink';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCrypto, type NodeCrypto, type NodeName } from '@shardlab/node';
import { createLibp2pNetwork, type Libp2pNetwork } from '../../packages/node/src/network/host.ts';
import { SystemClock } from '../../packages/node/src/process/clock.ts';
import { validatorKey } from '../../packages/node/src/runtime/assemble.ts';
import type { TestNetwork } from './e2e-network.ts';

/** Who the peer says it is. */
export interface PeerIdentity {
  readonly node: NodeName;
  /** 32-byte secret seed of the validator that it claims to be. */
  readonly validatorSecret: Uint8Array;
  /** 32-byte seed of the transport's key. */
  readonly transportSeed: Uint8Array;
  /** Changes the name of the network that it speaks for. */
  readonly genesisHash?: Uint8Array;
}

/** A running peer, and what it needs to make messages. */
export interface TestPeer {
  readonly host: Libp2pNetwork;
  readonly crypto: NodeCrypto;
  readonly genesis: Genesis;
  readonly genesisHash: ReturnType<typeof genesisHash>;
  /** Asks a node; its answer's items. */
  ask(shard: number, request: WireRequest): Promise<readonly Uint8Array[]>;
}

/** The validator secret of `id`, from its configuration: on a test network everybody may read it. */
export function validatorSecretOf(network: TestNetwork, id: string): Uint8Array {
  const config = JSON.parse(readFileSync(network.node(id).configFile, 'utf8')) as { validatorSecretKey: string };
  return fromHex(config.validatorSecretKey);
}

/** Starts a peer that dials the beacon, until the end of the test. */
export async function startPeer(t: TestContext, network: TestNetwork, identity: PeerIdentity): Promise<TestPeer> {
  const crypto = await createCrypto();
  const genesis = parseGenesis(readFileSync(join(network.dataDir, 'genesis.json'), 'utf8'));
  const hash = genesisHash(crypto, genesis);
  const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined };
  const host = createLibp2pNetwork(
    {
      ...{ transportSeed: identity.transportSeed, validatorSecret: identity.validatorSecret, node: identity.node },
      ...{ listen: ['/ip4/127.0.0.1/tcp/0'], announce: [], bootstrap: network.cluster.nodes.map((node) => node.p2p), nodes: 1 + genesis.shards },
      genesisHash: (identity.genesisHash ?? hash) as typeof hash,
      validatorKey: (node) => validatorKey(genesis, node.chain, node.validator),
      onRecords: () => undefined,
    },
    { crypto, clock: new SystemClock(), log: quiet, metrics: { count: () => undefined, set: () => undefined } },
  );
  await host.start();
  t.after(() => host.stop());
  const ask = (shard: number, request: WireRequest): Promise<readonly Uint8Array[]> =>
    new Promise((resolve, reject) => {
      host.request({ chain: shard as ShardId, validator: 0 }, encodeRequest(request), 10_000, (result) => {
        if (result.ok) resolve(decodeAnswer(result.value));
        else reject(result.error);
      });
    });
  return { host, crypto, genesis, genesisHash: hash, ask };
}

/** The sum of a metric of a node over all lines whose labels contain `labels`. */
export async function metric(rpcUrl: string, name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const text = await (await fetch(`${rpcUrl}/metrics`)).text();
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  let sum = 0;
  for (const line of text.split('\n')) {
    if ((line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && wanted.every((pair) => line.includes(pair))) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}
