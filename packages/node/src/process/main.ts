import { ShardlabError } from '@shardlab/crosslink';
import { runNode } from './run-node.ts';

/** `node main.ts --config FILE`: one node. What can not start says why in one line and exits 2. */
async function main(args: readonly string[]): Promise<void> {
  if (args.length !== 2 || args[0] !== '--config' || args[1] === undefined) {
    throw new ShardlabError('config/usage', 'usage: main.ts --config <node.json>');
  }
  await runNode(args[1]);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
