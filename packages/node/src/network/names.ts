import { BEACON, ShardlabError, toHex, type Hash32 } from '@shardlab/crosslink';

import type { NodeName } from '../ports.ts';

/** Longest short topic name, in characters. */
export const TOPIC_LENGTH_MAX = 64;

/** The topic on which nodes pass on each other's peer records; never given to `subscribe`. */
export const PEERS_TOPIC = 'peers';

/** A node as logs show it: `beacon`, `beacon.1`, `shard-2`, `shard-2.1`; validator 0 goes without its index. Unique, so it is the key of maps too. */
export function nodeLabel(node: NodeName): string {
  const chain = node.chain === BEACON ? 'beacon' : `shard-${node.chain}`;
  return node.validator === 0 ? chain : `${chain}.${node.validator}`;
}

/** Order of nodes: shards by index, then the beacon; validators by index. It decides which of two nodes dials first. */
export function compareNodes(a: NodeName, b: NodeName): number {
  return a.chain - b.chain || a.validator - b.validator;
}

/** Whether the two name the same node. */
export function sameNode(a: NodeName, b: NodeName): boolean {
  return a.chain === b.chain && a.validator === b.validator;
}

/** The ids under which one network speaks (R4): another genesis hash gives other ids, so that networks cannot even negotiate. */
export interface ProtocolNames {
  /** Exchange of peer records on every new connection. */
  readonly hello: string;
  /** One request and its answer. */
  readonly request: string;
  /** Messages between the validators of one committee. */
  readonly committee: string;
  /** Before every gossipsub topic. */
  readonly topicPrefix: string;
}

/** Builds the ids of the network that `genesisHash` names, from its first 8 bytes in hex. */
export function protocolNames(genesisHash: Hash32): ProtocolNames {
  const base = `/shardlab/${toHex(genesisHash.subarray(0, 8)).slice(2)}`;
  return { hello: `${base}/hello/1`, request: `${base}/req/1`, committee: `${base}/committee/1`, topicPrefix: `${base}/` };
}

/** Checks a short topic name: 1 to {@link TOPIC_LENGTH_MAX} of a-z, 0-9, `-` and `/`, not {@link PEERS_TOPIC}. Throws `network/topic`. */
export function checkTopic(topic: string): void {
  if (topic.length > TOPIC_LENGTH_MAX || !/^[a-z0-9-]+(?:\/[a-z0-9-]+)*$/.test(topic) || topic === PEERS_TOPIC) {
    throw new ShardlabError('network/topic', 'a topic is words of a-z, 0-9 and - joined by /, such as receipts/3', { topic });
  }
}

/** The label of a topic in metrics: its first word, so that the number of labels does not grow with shards. */
export function topicFamily(topic: string): string {
  const slash = topic.indexOf('/');
  return slash === -1 ? topic : topic.slice(0, slash);
}
