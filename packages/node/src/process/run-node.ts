import { readFileSync } from 'node:fs';
import { equalBytes, type Genesis, genesisHash, type Hash32, parseGenesis, ShardlabError, toHex } from '@shardlab/crosslink';
import type { Logger } from 'pino';
import { createExecutionCrypto } from '../crypto/create-evm-crypto.ts';
import type { NodeCrypto } from '../crypto/types.ts';
import { createLogger } from '../observability/logger.ts';
import { validatorKey } from '../runtime/assemble.ts';
import { readNodeConfig, type NodeProcessConfig } from './config.ts';
import { NodeProcess } from './node-process.ts';
import { releaseMemory } from './release-memory.ts';
import { removeReady, writeReady } from './ready-file.ts';

/** The genesis file, with the name that it gives the network. */
function readGenesis(config: NodeProcessConfig, crypto: NodeCrypto): { readonly genesis: Genesis; readonly hash: Hash32 } {
  let text: string;
  try {
    text = readFileSync(config.genesisFile, 'utf8');
  } catch (cause) {
    throw new ShardlabError('genesis/missing', `${config.genesisFile} can not be read: name the network's genesis.json`, {}, { cause });
  }
  const genesis = parseGenesis(text);
  const expected = validatorKey(genesis, config.name.chain, config.name.validator);
  if (expected === undefined) throw new ShardlabError('config/no-validator', `genesis.json has no validator for ${config.id}`);
  if (!equalBytes(expected, crypto.publicKey(config.validatorSecret))) {
    throw new ShardlabError('config/wrong-key', `validatorSecretKey is not the key that genesis.json names for ${config.id}`);
  }
  return { genesis, hash: genesisHash(crypto, genesis) };
}

function onSignals(node: NodeProcess, config: NodeProcessConfig, logger: Logger): void {
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) return;
    stopping = true;
    logger.info({ event: 'node.stopping', signal }, 'stopping');
    removeReady(config.directory);
    node.stop().then(
      () => {
        logger.info({ event: 'node.stopped' }, 'stopped');
        process.exit(0);
      },
      (error: unknown) => {
        logger.error({ event: 'node.stop-failed', error: String(error) }, 'could not stop cleanly');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
}

/**
 * Becomes the node that `configFile` describes, and resolves when it serves: then `ready.json` stands in its directory. Ends the process with 0 on SIGTERM or
 * SIGINT, with 1 when its disk fails or an invariant breaks. Throws one clear error when it can not start.
 */
export async function runNode(configFile: string): Promise<void> {
  const config = readNodeConfig(configFile);
  const startedMs = Date.now();
  const { name, id } = config;
  const logger = createLogger({ level: config.logLevel, file: config.logFile, node: id, shard: name.chain === 0xffff ? null : name.chain });
  try {
    removeReady(config.directory);
    const crypto = await createExecutionCrypto();
    const { genesis, hash } = readGenesis(config, crypto);
    logger.info({ event: 'node.starting', genesisHash: toHex(hash), chainId: genesis.chainId, shards: genesis.shards, ...crypto.names, version: process.version }, 'starting');
    const node = new NodeProcess({ config, genesis, genesisHash: hash, startedMs }, { crypto, logger }, (error) => {
      logger.fatal({ event: 'node.failed', error: error.message, stack: error.stack }, 'the node can not go on');
      process.stderr.write(`${error.message}\n`);
      removeReady(config.directory);
      process.exit(1);
    });
    onSignals(node, config, logger);
    const { rpcUrl, p2p } = await node.start();
    releaseMemory();
    writeReady(config.directory, { pid: process.pid, rpcUrl, p2p, startedMs });
    logger.info({ event: 'node.ready', rpcUrl, p2p, startMs: Date.now() - startedMs }, 'ready');
  } catch (error) {
    const code = error instanceof ShardlabError ? error.code : 'unexpected';
    logger.fatal({ event: 'startup-failed', code, error: error instanceof Error ? error.message : String(error) }, 'could not start');
    throw error;
  }
}
