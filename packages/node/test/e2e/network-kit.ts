/** Shared by the network's tests: a small genesis, real hosts on loopback ports that the system assigns, conditions with a deadline. */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

import { keccak_256 } from '@noble/hashes/sha3.js';
import { BEACON, type Crypto, type Hash32, hash32, type ShardId } from '@shardlab/crosslink';

import { createLibp2pNetwork, type Libp2pNetwork } from '../../src/network/host.ts';
import type { NetworkLog, NetworkMetrics } from '../../src/network/metrics.ts';
import { nodeLabel } from '../../src/network/names.ts';
import type { NetworkLimits, NetworkModules, NetworkOptions } from '../../src/network/options.ts';
import type { Clock, NodeName } from '../../src/ports.ts';

const PRIVATE_DER = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_DER = Buffer.from('302a300506032b6570032100', 'hex');
const privateKey = (seed: Uint8Array): KeyObject => createPrivateKey({ key: Buffer.concat([PRIVATE_DER, seed]), format: 'der', type: 'pkcs8' });

/** The platform's SHA-256 and ed25519. */
export const crypto: Crypto = {
  scheme: 1,
  sha256: (data) => Uint8Array.from(createHash('sha256').update(data).digest()) as Hash32,
  keccak256: (data) => keccak_256(data) as Hash32,
  hashPairs: (input, output) => {
    for (let at = 0; at < input.length; at += 64) output.set(crypto.sha256(input.subarray(at, at + 64)), at / 2);
  },
  publicKey: (seed) => Uint8Array.from(createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' }).subarray(PUBLIC_DER.length)),
  sign: (seed, message) => Uint8Array.from(sign(null, message, privateKey(seed))),
  verify: (key, message, signature) => {
    try {
      return verify(null, message, createPublicKey({ key: Buffer.concat([PUBLIC_DER, key]), format: 'der', type: 'spki' }), signature);
    } catch {
      return false;
    }
  },
};

/** Real time; `offsetMs` shifts what it says, not when its timers fire. */
export class TestClock implements Clock {
  offsetMs = 0;

  nowMs(): number {
    return Date.now() + this.offsetMs;
  }

  schedule(delayMs: number, task: () => void): () => void {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  }
}

/** Counts by name and labels. */
export class TestMetrics implements NetworkMetrics {
  readonly values = new Map<string, number>();

  count(name: string, labels: Readonly<Record<string, string>>, by = 1): void {
    const key = `${name}${JSON.stringify(labels)}`;
    this.values.set(key, (this.values.get(key) ?? 0) + by);
  }

  set(name: string, labels: Readonly<Record<string, string>>, value: number): void {
    this.values.set(`${name}${JSON.stringify(labels)}`, value);
  }

  /** The sum over all label values that contain `labels`. */
  total(name: string, labels: Readonly<Record<string, string>> = {}): number {
    let sum = 0;
    for (const [key, value] of this.values) {
      if (!key.startsWith(`${name}{`)) continue;
      const found = JSON.parse(key.slice(name.length)) as Record<string, string>;
      if (Object.entries(labels).every(([label, wanted]) => found[label] === wanted)) sum += value;
    }
    return sum;
  }
}

/** Keeps the last lines, for the diagnosis of a test that fails. */
export class TestLog implements NetworkLog {
  readonly lines: string[] = [];

  debug(fields: object, message: string): void {
    this.keep(fields, message);
  }

  info(fields: object, message: string): void {
    this.keep(fields, message);
  }

  warn(fields: object, message: string): void {
    this.keep(fields, message);
  }

  private keep(fields: object, message: string): void {
    this.lines.push(`${message} ${JSON.stringify(fields)}`);
    if (this.lines.length > 200) this.lines.shift();
  }
}

/** 32 bytes made of one text. */
export function seedOf(text: string): Hash32 {
  return hash32(crypto.sha256(new TextEncoder().encode(text)));
}

/** Validator 0 of shard `index`. */
export function shard(index: number): NodeName {
  return { chain: index as ShardId, validator: 0 };
}

/** Validator 0 of the beacon. */
export const BEACON_NODE: NodeName = { chain: BEACON, validator: 0 };

/** The secret of a node's validator key in the tests' genesis. */
export function validatorSecret(node: NodeName): Uint8Array {
  return seedOf(`validator ${nodeLabel(node)}`);
}

/** A validator of a shard; from {@link COMMITTEES_FROM} on they have four. */
export function committeeShard(index: number, validator: number): NodeName {
  return { chain: index as ShardId, validator };
}

/** The first shard of the tests' genesis with a committee of four. */
const COMMITTEES_FROM = 60;

/** The tests' genesis: the beacon and 64 shards of one validator, the last four of them of four. */
export function validatorKey(node: NodeName): Uint8Array | undefined {
  const isShard = node.chain !== BEACON;
  if (node.validator >= (isShard && node.chain >= COMMITTEES_FROM ? 4 : 1) || (isShard && node.chain >= 64)) return undefined;
  const label = nodeLabel(node);
  const key = validatorKeys.get(label) ?? crypto.publicKey(validatorSecret(node));
  validatorKeys.set(label, key);
  return key;
}

const validatorKeys = new Map<string, Uint8Array>();

/** One host and what it is built on. */
export interface TestNode {
  readonly node: NodeName;
  readonly network: Libp2pNetwork;
  readonly metrics: TestMetrics;
  readonly log: TestLog;
  readonly clock: TestClock;
  /** What was persisted last. */
  records: Uint8Array | undefined;
}

/** What differs from the usual. */
export interface TestNodeOptions {
  readonly bootstrap?: readonly string[];
  readonly genesis?: string;
  readonly listen?: readonly string[];
  readonly records?: Uint8Array;
  readonly transport?: string;
  readonly limits?: Partial<NetworkLimits>;
  readonly clock?: TestClock;
  readonly wrapStreams?: NetworkModules['wrapStreams'];
}

const started: TestNode[] = [];

const QUICK: Partial<NetworkLimits> = { heartbeatMs: 200, redialMs: 50, redialMaxMs: 500, dialYieldMs: 100, recordsDelayMs: 20 };

/** Builds a host that is not started. */
export function buildNode(node: NodeName, options: TestNodeOptions = {}): TestNode {
  const metrics = new TestMetrics();
  const log = new TestLog();
  const clock = options.clock ?? new TestClock();
  const networkOptions: NetworkOptions = {
    transportSeed: seedOf(options.transport ?? `transport ${nodeLabel(node)}`),
    listen: options.listen ?? ['/ip4/127.0.0.1/tcp/0'],
    announce: [],
    genesisHash: seedOf(options.genesis ?? 'genesis'),
    node,
    validatorSecret: validatorSecret(node),
    validatorKey,
    nodes: 5,
    bootstrap: options.bootstrap ?? [],
    ...(options.records === undefined ? {} : { records: options.records }),
    onRecords: (encoded) => {
      made.records = encoded;
    },
    limits: { ...QUICK, ...options.limits },
  };
  const modules = { crypto, clock, log, metrics, ...(options.wrapStreams === undefined ? {} : { wrapStreams: options.wrapStreams }) };
  const made: TestNode = { node, network: createLibp2pNetwork(networkOptions, modules), metrics, log, clock, records: undefined };
  return made;
}

/** Builds and starts a host. */
export async function startNode(node: NodeName, options: TestNodeOptions = {}): Promise<TestNode> {
  const made = buildNode(node, options);
  await made.network.start();
  started.push(made);
  return made;
}

/** Stops all hosts that were started since, for `afterEach`: also those of a test that failed. */
export async function stopAll(): Promise<void> {
  await Promise.all(started.splice(0).map(({ network }) => network.stop()));
}

/** Waits until `condition` holds; fails with what the nodes say when it does not within `deadlineMs`. */
export async function until(what: string, condition: () => boolean, nodes: readonly TestNode[] = [], deadlineMs = 20_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}\n${nodes.map(describeNode).join('\n')}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function describeNode({ node, network, metrics, log }: TestNode): string {
  const counts = [...metrics.values].map(([key, value]) => `    ${key} ${value}`);
  const connected = network.connected().map(nodeLabel).join(' ');
  return [`  ${nodeLabel(node)} connected to [${connected}]`, ...counts, ...log.lines.slice(-20).map((line) => `    ${line}`)].join('\n');
}

/** Whether each of `nodes` is connected to all the others. */
export function meshed(nodes: readonly TestNode[]): boolean {
  return nodes.every(({ network }) => network.connected().length === nodes.length - 1);
}

/** A request as a promise: the answer, or the error's code. */
export function ask(from: TestNode, to: NodeName, body: Uint8Array, timeoutMs = 5_000): Promise<Uint8Array | string> {
  return new Promise((resolve) => {
    from.network.request(to, body, timeoutMs, (result) => resolve(result.ok ? result.value : result.error.code));
  });
}
