import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { renderAudit } from '../audit/render.ts';
import { clusterPaths } from '../cluster/layout.ts';
import { EXIT_BAD, EXIT_GOOD, usageError } from '../output/cli-error.ts';
import { writeJsonLine, writeLines } from '../output/output.ts';
import { COLOUR_STYLE } from '../output/style.ts';
import type { Cli, NetworkOptions } from './cli.ts';
import { findNetwork } from './network.ts';
import { text } from './values.ts';

/** Newest ledgers that are recounted when a data directory has more. */
const LEDGERS_MAX = 64;

interface AuditOptions extends NetworkOptions {
  readonly ledger?: string;
}

/** The newest ledgers that load runs have left in a data directory, oldest first. */
export function ledgersIn(dataDir: string): string[] {
  const { ledgers } = clusterPaths(dataDir);
  if (!existsSync(ledgers)) return [];
  // Named by the start of the run in milliseconds, all of one length until the year 2286.
  const names = readdirSync(ledgers).filter((name) => /^\d{13}\.ndjson$/.test(name));
  return names.sort().slice(-LEDGERS_MAX).map((name) => join(ledgers, name));
}

/** The ledgers to recount: the one named, or those beside the cluster. A network named by --rpc has none unless told. */
function ledgerFiles(cli: Cli, options: AuditOptions): string[] {
  if (options.ledger !== undefined) {
    const file = cli.file(options.ledger);
    if (!existsSync(file)) throw usageError('cli/ledger', `no ledger at ${file}: give the file that "shardlab load" has written, or leave out --ledger`);
    return [file];
  }
  return options.rpc !== undefined && options.dataDir === undefined ? [] : ledgersIn(cli.dataDir(options));
}

/** What tells of the contracts of load runs. A network named by --rpc has none unless told where it lives. */
function contractsFile(cli: Cli, options: AuditOptions): string | undefined {
  return options.rpc !== undefined && options.dataDir === undefined ? undefined : clusterPaths(cli.dataDir(options)).workloadFile;
}

/** `shardlab audit`: exit code 1 when the books do not balance. */
export function auditCommand(cli: Cli): Command {
  return cli
    .networkCommand('audit', 'check the books from outside: supply, atomicity, locks, sequences, proofs')
    .addOption(new Option('--ledger <file>', 'recount this load run only (default: all in the data directory)').argParser(text('a file')))
    .action(
      cli.run<AuditOptions>(async (options) => {
        const { stdout, modules } = cli.context;
        const files = ledgerFiles(cli, options);
        const { rpcUrl } = await findNetwork(cli, options);
        const progress = cli.progress(options);
        try {
          const report = await cli.context.interruptible((signal) =>
            modules.runAudit({ rpcUrl, ledgerFiles: files, workloadFile: contractsFile(cli, options), signal, onProgress: (line) => progress.update(line) }),
          );
          progress.clear();
          if (options.json === true) writeJsonLine(stdout, report);
          else writeLines(stdout, renderAudit(report, { colour: stdout.style === COLOUR_STYLE }));
          return report.ok ? EXIT_GOOD : EXIT_BAD;
        } finally {
          progress.clear();
        }
      }),
    );
}
