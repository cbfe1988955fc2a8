/** The program as a process of its own, with the fake node and the stand-ins of the tests: for what only a process can show, such as Ctrl-C. */
import process from 'node:process';
import { interruptible } from '../../src/commands/interrupt.ts';
import { runCli } from '../../src/commands/program.ts';
import { streamOutput } from '../../src/output/output.ts';
import { testModules, FAKE_NODE, newScript } from './cli-harness.ts';

const slow = process.env['DRIVER_SLOW_LOAD'] === '1';
const modules = testModules(newScript());

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdout: streamOutput(process.stdout, process.env),
  stderr: streamOutput(process.stderr, process.env),
  nodeCommand: [process.execPath, FAKE_NODE],
  modules: {
    ...modules,
    runLoad: async (options, parts) => {
      process.stdout.write('loading\n');
      // Until the interruption: a load that ends early still reports.
      const { signal } = parts;
      if (slow && signal !== undefined) {
        const alive = setInterval(() => undefined, 1_000);
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        clearInterval(alive);
      }
      return modules.runLoad(options, parts);
    },
  },
  interruptible,
});
