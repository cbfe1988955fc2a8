import type { Command } from 'commander';
import { killNodes, type KillReport } from '../cluster/change-cluster.ts';
import { EXIT_GOOD, usageError } from '../output/cli-error.ts';
import { writeJsonLine, writeLines } from '../output/output.ts';
import type { Cli, CommonOptions } from './cli.ts';

/** Which nodes the command line names; undefined: all. */
function idsOf(id: string | undefined, all: boolean): readonly string[] | undefined {
  if (id !== undefined && all) throw usageError('cli/contradiction', `--all and ${id} exclude each other`);
  if (id === undefined && !all) throw usageError('cli/kill', 'name the node to kill, such as shard-0, or give --all');
  return id === undefined ? undefined : [id];
}

function reportLine({ killedPid, node }: KillReport): string {
  const killed = killedPid === null ? `${node.id} was not running` : `${node.id} (pid ${killedPid}) was killed`;
  return node.pid === null ? killed : `${killed} and runs again: pid ${node.pid}, ${node.rpcUrl}`;
}

/** `shardlab kill ID | --all [--restart]`. */
export function killCommand(cli: Cli): Command {
  return cli
    .command('kill', 'SIGKILL to one node, and back again')
    .argument('[id]', 'beacon, shard-0, shard-1.2, …')
    .option('--all', 'to all nodes at once, instead')
    .option('--restart', 'start again on the same ports, and wait until the others are connected again')
    .action(
      cli.run<CommonOptions & { readonly all?: true; readonly restart?: true }>(async (options, _command, [id]) => {
        const { stdout, nodeCommand, env } = cli.context;
        const ids = idsOf(id, options.all === true);
        const progress = cli.progress(options);
        const reports = await cli.context.interruptible((signal) =>
          killNodes({
            dataDir: cli.dataDir(options),
            ids,
            restart: options.restart === true,
            launch: { command: nodeCommand, env },
            signal,
            onProgress: (at) => progress.update(`${at.id}: ${at.step}`),
          }),
        );
        progress.clear();
        if (options.json === true) {
          const nodes = reports.map(({ killedPid, node }) => ({ id: node.id, killedPid, pid: node.pid, rpcUrl: node.rpcUrl }));
          writeJsonLine(stdout, { ok: true, ...(ids === undefined ? { nodes } : nodes[0]) });
          return EXIT_GOOD;
        }
        writeLines(stdout, reports.map(reportLine));
        return EXIT_GOOD;
      }),
    );
}
