import { fileURLToPath } from 'node:url';
import { interruptible } from './commands/interrupt.ts';
import { systemModules } from './commands/modules.ts';
import { runCli } from './commands/program.ts';
import { streamOutput } from './output/output.ts';

/** The node's entry point: a process of its own, so it is named by file, not imported. */
const NODE_MAIN = fileURLToPath(new URL('process/main.ts', import.meta.resolve('@shardlab/node')));

// Set rather than exited with: output that is still being written must get out, and `node` goes on after its command has returned.
process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdout: streamOutput(process.stdout, process.env),
  stderr: streamOutput(process.stderr, process.env),
  nodeCommand: [process.execPath, NODE_MAIN],
  modules: systemModules,
  interruptible,
});
