import type { Command } from 'commander';
import { badAnswer, EXIT_GOOD } from '../output/cli-error.ts';
import { writeJsonLine, writeLines } from '../output/output.ts';
import { traceDiagram, traceLines } from '../output/trace-diagram.ts';
import { parseTrace, type TransactionTrace } from '../output/transaction-trace.ts';
import type { RpcClient } from '../rpc/client.ts';
import type { Cli, CommonOptions, NetworkOptions } from './cli.ts';
import { clientOf, findNetwork } from './network.ts';
import { hex } from './values.ts';

/** Asks a network for one transaction's life; undefined when it does not know the hash. */
export async function fetchTrace(client: RpcClient, hash: string): Promise<TransactionTrace | undefined> {
  return parseTrace(await client.call('/', 'shard_getCrossShardTransaction', [hash]));
}

/** Prints a trace: JSON, a sequence diagram on a terminal, or plain lines. */
export function printTrace(cli: Cli, options: CommonOptions, trace: TransactionTrace): void {
  const { stdout } = cli.context;
  if (options.json === true) {
    const { hash, kind, outcome, ...rest } = trace;
    writeJsonLine(stdout, { hash, kind, outcome, ...rest });
    return;
  }
  writeLines(stdout, stdout.isTerminal ? traceDiagram(trace, stdout.columns, stdout.style) : traceLines(trace, stdout.style));
}

/** `shardlab trace HASH`. */
export function traceCommand(cli: Cli): Command {
  return cli
    .networkCommand('trace', "one transaction's life: each phase with shard, height and time")
    .argument('<hash>', 'transaction hash', hex(32, 'a transaction hash'))
    .action(
      cli.run<NetworkOptions>(async (options, _command, [given = '']) => {
        const hash = given.toLowerCase();
        const client = clientOf(await findNetwork(cli, options));
        try {
          const trace = await fetchTrace(client, hash);
          if (trace === undefined) throw badAnswer('cli/unknown-transaction', `no transaction ${hash} on the network at ${client.url}`);
          printTrace(cli, options, trace);
          return EXIT_GOOD;
        } finally {
          client.close();
        }
      }),
    );
}
