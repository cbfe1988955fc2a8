import { readFileSync } from 'node:fs';
import { toHex } from '@shardlab/crosslink';
import { JsonFields, parseJson, writeFileAtomic } from './json.ts';
import type { NodeIdentity } from './layout.ts';
import { p2pSecretKey, validatorSecretKey } from './secrets.ts';

/** `node.json`: all that one node process is told. Multiaddrs are text; keys are 0x and 32 bytes in hex. */
export interface NodeConfig {
  readonly formatVersion: 1;
  readonly id: string;
  readonly role: 'beacon' | 'shard';
  readonly shard: number | null;
  /** Index in the chain's committee. */
  readonly validator: number;
  readonly genesisFile: string;
  readonly directory: string;
  readonly validatorSecretKey: string;
  readonly p2pSecretKey: string;
  readonly listen: readonly string[];
  /** What other nodes are told to dial instead of `listen`. */
  readonly announce: readonly string[];
  readonly bootstrap: readonly string[];
  readonly rpc: { readonly host: string; readonly port: number };
  readonly logLevel: string;
  /** null: stdout. */
  readonly logFile: string | null;
  /** Execution threads; 0: none. */
  readonly workers: number;
  /** See `controlTokenHash` of the cluster's control token; absent: nobody can set faults. */
  readonly controlTokenHash?: string;
}

/** What differs between nodes, besides what follows from their identity and the seed. */
export type NodeConfigOptions = Pick<
  NodeConfig,
  'genesisFile' | 'directory' | 'listen' | 'announce' | 'bootstrap' | 'rpc' | 'logLevel' | 'logFile' | 'workers' | 'controlTokenHash'
>;

/** The configuration of node `identity` in the network of `seed`. */
export function nodeConfig(identity: NodeIdentity, seed: number, options: NodeConfigOptions): NodeConfig {
  return {
    formatVersion: 1,
    ...identity,
    validatorSecretKey: toHex(validatorSecretKey(seed, identity.id)),
    p2pSecretKey: toHex(p2pSecretKey(seed, identity.id)),
    ...options,
  };
}

/** Writes `node.json` atomically, readable by its owner alone: it holds keys. */
export function writeNodeConfig(file: string, config: NodeConfig): void {
  writeFileAtomic(file, `${JSON.stringify(config, null, 2)}\n`, 0o600);
}

/** `ready.json`: what a node says of itself once it serves. */
export interface ReadyFile {
  readonly pid: number;
  readonly rpcUrl: string;
  /** Multiaddrs with /p2p/; at least one. */
  readonly p2p: readonly string[];
  readonly startedMs: number;
}

/** Reads `ready.json`; undefined while there is none. Throws `cluster/damaged`. */
export function readReadyFile(file: string): ReadyFile | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const fields = new JsonFields(parseJson(text, file), file);
  const p2p = fields.list('p2p', 64).filter((address) => typeof address === 'string');
  return { pid: fields.integer('pid', 1), rpcUrl: fields.string('rpcUrl'), p2p, startedMs: fields.integer('startedMs', 0) };
}
