import type { Command } from 'commander';
import { killNode } from '../cluster/change-cluster.ts';
import { EXIT_GOOD } from '../output/cli-error.ts';
import { writeJsonLine, writeLines } from '../output/output.ts';
import type { Cli, CommonOptions } from './cli.ts';

/** `shardlab kill ID [--restart]`. */
export function killCommand(cli: Cli): Command {
  return cli
    .command('kill', 'SIGKILL to one node, and back again')
    .argument('<id>', 'beacon, shard-0, shard-1, …')
    .option('--restart', 'start it again on the same ports, and wait until it is healthy')
    .action(
      cli.run<CommonOptions & { readonly restart?: true }>(async (options, _command, [id = '']) => {
        const { stdout, nodeCommand, env } = cli.context;
        const progress = cli.progress(options);
        const report = await cli.context.interruptible((signal) =>
          killNode({
            dataDir: cli.dataDir(options),
            id,
            restart: options.restart === true,
            launch: { command: nodeCommand, env },
            signal,
            onProgress: ({ step }) => progress.update(`${id}: ${step}`),
          }),
        );
        progress.clear();
        const { killedPid, node } = report;
        if (options.json === true) {
          writeJsonLine(stdout, { ok: true, id, killedPid, pid: node.pid, rpcUrl: node.rpcUrl });
          return EXIT_GOOD;
        }
        const killed = killedPid === null ? `${id} was not running` : `${id} (pid ${killedPid}) was killed`;
        writeLines(stdout, [node.pid === null ? killed : `${killed} and runs again: pid ${node.pid}, ${node.rpcUrl}`]);
        return EXIT_GOOD;
      }),
    );
}
