import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { type Genesis, SHARDS_MAX } from '@shardlab/crosslink';
import { type Command, Option } from 'commander';
import { genesisText, nameGenesis } from '../cluster/genesis-file.ts';
import { writeFileAtomic } from '../cluster/json.ts';
import { clusterPaths, idsInWords, nodeIdentities, nodePaths } from '../cluster/layout.ts';
import { nodeConfig, writeNodeConfig } from '../cluster/node-config.ts';
import { EXIT_GOOD, usageError } from '../output/cli-error.ts';
import { LOG_LEVELS, type LogLevel } from '../output/log-entry.ts';
import { type Cli, type CommonOptions, type SizeOptions, sizeOf } from './cli.ts';
import { ACCOUNTS_DEFAULT, SEED_DEFAULT, SHARDS_DEFAULT } from './start-network.ts';
import { forkOption, workersOption } from './node-options.ts';
import { oneOf, text, wholeNumber } from './values.ts';

interface NodeOptions extends CommonOptions, SizeOptions {
  readonly id: string;
  readonly accounts: number;
  readonly seed: number;
  readonly fork: Genesis['forks'];
  readonly workers?: number;
  readonly listen: string[];
  readonly announce: string[];
  readonly bootstrap: string[];
  readonly rpcHost: string;
  readonly rpcPort: number;
  readonly logLevel: LogLevel;
}

function collect(value: string, all: string[]): string[] {
  return [...all, text('a multiaddr')(value)];
}

/** Writes the genesis that the options give, or checks that the one that is there is the same network's. */
async function prepareGenesis(cli: Cli, options: NodeOptions, dataDir: string): Promise<string> {
  const { modules } = cli.context;
  const crypto = await modules.crypto();
  const { genesisFile } = clusterPaths(dataDir);
  const plan = await modules.planDerivedGenesis(options.accounts, options.seed);
  const wanted = genesisText(crypto, { ...sizeOf(options), seed: options.seed, forks: options.fork, accounts: plan });
  if (!existsSync(genesisFile)) {
    writeFileAtomic(genesisFile, wanted);
    return genesisFile;
  }
  const there = nameGenesis(crypto, readFileSync(genesisFile, 'utf8')).hash;
  const { hash } = nameGenesis(crypto, wanted);
  if (there === hash) return genesisFile;
  throw usageError('cluster/contradiction', `${dataDir} holds another network (genesis ${there}, these options give ${hash}): empty it, or choose another --data-dir`);
}

/**
 * `shardlab node`, hidden: one node of a network whose nodes agree on the genesis because they are given the same numbers. For containers, where nobody
 * can write a common `genesis.json` beforehand; logs go to stdout.
 */
export function nodeCommand(cli: Cli): Command {
  const addresses = (flag: string, what: string): Option => new Option(`${flag} <multiaddr>`, what).default([]).argParser(collect as (value: string) => unknown);
  const command = cli.command('node', 'become one node of a network that is given by numbers');
  return cli
    .withSize(command, SHARDS_MAX, SHARDS_DEFAULT)
    .addOption(new Option('--id <id>', 'beacon, shard-0, shard-1.2, …').makeOptionMandatory())
    .addOption(new Option('--accounts <number>', 'funded accounts').default(ACCOUNTS_DEFAULT).argParser(wholeNumber(1, 2_000_000)))
    .addOption(new Option('--seed <seed>', 'of all keys').default(SEED_DEFAULT).argParser(wholeNumber(0, Number.MAX_SAFE_INTEGER)))
    .addOption(forkOption())
    .addOption(workersOption())
    .addOption(addresses('--listen', 'libp2p address to listen on; may be repeated'))
    .addOption(addresses('--announce', 'libp2p address that others are told; may be repeated'))
    .addOption(addresses('--bootstrap', 'libp2p address to dial at first; may be repeated'))
    .addOption(new Option('--rpc-host <host>', 'address of JSON-RPC').default('127.0.0.1').argParser(text('a host')))
    .addOption(new Option('--rpc-port <port>', 'port of JSON-RPC').default(8_545).argParser(wholeNumber(0, 65_535)))
    .addOption(new Option('--log-level <level>', 'of the log').default('info').argParser(oneOf(Object.keys(LOG_LEVELS) as LogLevel[])))
    .action(
      cli.run<NodeOptions>(async (options) => {
        const size = sizeOf(options);
        const identity = nodeIdentities(size).find((candidate) => candidate.id === options.id);
        if (identity === undefined) throw usageError('cluster/no-node', `there is no node ${options.id}: give ${idsInWords(size)}`);
        const dataDir = cli.dataDir(options);
        const paths = nodePaths(dataDir, identity.id);
        mkdirSync(paths.directory, { recursive: true });
        const genesisFile = await prepareGenesis(cli, options, dataDir);
        const { listen, announce, bootstrap, logLevel } = options;
        const config = nodeConfig(identity, options.seed, {
          genesisFile,
          directory: paths.directory,
          listen: listen.length === 0 ? ['/ip4/127.0.0.1/tcp/0'] : listen,
          announce,
          bootstrap,
          rpc: { host: options.rpcHost, port: options.rpcPort },
          logLevel,
          logFile: null,
          workers: options.workers ?? 0,
        });
        writeNodeConfig(paths.configFile, config);
        await cli.context.modules.runNode(paths.configFile);
        return EXIT_GOOD;
      }),
    );
}
