import { readFileSync } from 'node:fs';
import { BEACON, fromHex, SHARDS_MAX, ShardlabError, type ShardId, VALIDATORS_MAX } from '@shardlab/crosslink';
import { nodeLabel } from '../network/names.ts';
import { LOG_LEVELS } from '../observability/logger.ts';
import type { NodeName } from '../ports.ts';

/** A parsed `node.json`: what one node process is told. */
export interface NodeProcessConfig {
  readonly id: string;
  readonly name: NodeName;
  readonly genesisFile: string;
  readonly directory: string;
  readonly validatorSecret: Uint8Array;
  readonly transportSeed: Uint8Array;
  readonly listen: readonly string[];
  readonly announce: readonly string[];
  readonly bootstrap: readonly string[];
  readonly rpc: { readonly host: string; readonly port: number };
  readonly logLevel: string;
  /** null = stdout. */
  readonly logFile: string | null;
  /** Execution threads, which also recover senders; 0: one thread that recovers senders. */
  readonly workers: number;
  /** SHA-256 of the token that lets its holder set faults between nodes; undefined: nobody can. */
  readonly controlTokenHash: Uint8Array | undefined;
}

/** Most execution threads of one node. */
const WORKERS_MAX = 64;

/** Reads and checks `node.json`. Throws `config/invalid` with one line that says what is wrong and what would be right. */
export function readNodeConfig(file: string): NodeProcessConfig {
  const fail = (what: string, cause?: unknown): never => {
    throw new ShardlabError('config/invalid', `${file}: ${what}`, {}, { cause });
  };
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    return fail('it must be a readable JSON file', cause);
  }
  if (typeof json !== 'object' || json === null || json['formatVersion'] !== 1) return fail('formatVersion must be 1');
  const text = (name: string): string => (typeof json[name] === 'string' && json[name] !== '' ? json[name] : fail(`${name} must be text`));
  const texts = (name: string): string[] => {
    const value = json[name];
    return Array.isArray(value) && value.length <= 64 && value.every((item) => typeof item === 'string') ? value : fail(`${name} must be a list of at most 64 texts`);
  };
  const whole = (value: unknown, name: string, min: number, max: number): number =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : fail(`${name} must be a whole number from ${min} to ${max}`);
  const key = (name: string): Uint8Array => (/^0x[0-9a-fA-F]{64}$/.test(text(name)) ? fromHex(text(name)) : fail(`${name} must be 0x and 32 bytes in hex`));
  const role = text('role');
  if (role !== 'beacon' && role !== 'shard') return fail('role must be beacon or shard');
  const chain = role === 'beacon' ? BEACON : (whole(json['shard'], 'shard', 0, SHARDS_MAX - 1) as ShardId);
  const rpc = (json['rpc'] ?? {}) as Record<string, unknown>;
  const logLevel = text('logLevel');
  if (!(LOG_LEVELS as readonly string[]).includes(logLevel)) return fail(`logLevel must be one of ${LOG_LEVELS.join(', ')}`);
  const name: NodeName = { chain, validator: whole(json['validator'], 'validator', 0, VALIDATORS_MAX - 1) };
  // Peers, logs and whoever started it must mean the same node by one name.
  if (text('id') !== nodeLabel(name)) return fail(`id must be ${nodeLabel(name)}, as role, shard and validator say`);
  return {
    id: text('id'),
    name,
    genesisFile: text('genesisFile'),
    directory: text('directory'),
    validatorSecret: key('validatorSecretKey'),
    transportSeed: key('p2pSecretKey'),
    listen: texts('listen'),
    announce: texts('announce'),
    bootstrap: texts('bootstrap'),
    rpc: { host: typeof rpc['host'] === 'string' ? rpc['host'] : fail('rpc.host must be text'), port: whole(rpc['port'], 'rpc.port', 0, 65_535) },
    logLevel,
    logFile: json['logFile'] === null ? null : text('logFile'),
    workers: whole(json['workers'], 'workers', 0, WORKERS_MAX),
    controlTokenHash: json['controlTokenHash'] === undefined ? undefined : key('controlTokenHash'),
  };
}
