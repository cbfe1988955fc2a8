import type { Command } from 'commander';
import { stopCluster } from '../cluster/change-cluster.ts';
import { EXIT_GOOD } from '../output/cli-error.ts';
import { writeJsonLine, writeLines } from '../output/output.ts';
import type { Cli, CommonOptions } from './cli.ts';

/** `shardlab down`. */
export function downCommand(cli: Cli): Command {
  return cli.command('down', 'stop what up has started, leaving no process').action(
    cli.run<CommonOptions>(async (options) => {
      const { stdout } = cli.context;
      const report = await stopCluster(cli.dataDir(options));
      if (options.json === true) {
        writeJsonLine(stdout, { ok: true, ...report });
        return EXIT_GOOD;
      }
      const { stopped, killed } = report;
      const total = stopped.length + killed.length;
      const lines = [total === 0 ? 'no node was running' : `${total} ${total === 1 ? 'node' : 'nodes'} stopped, no process is left`];
      if (killed.length > 0) lines.push(`did not stop when asked, and were killed: ${killed.join(', ')}`);
      writeLines(stdout, lines);
      return EXIT_GOOD;
    }),
  );
}
