/** Options about the nodes of a network that several commands have. */
import { Option } from 'commander';
import { FORK_DEFAULT, FORKS } from '../cluster/genesis-file.ts';
import { oneOf, wholeNumber } from './values.ts';

/** Most execution threads of a node. */
const WORKERS_MAX = 64;

/** `--fork`: of Ethereum, whose rules the network has. */
export function forkOption(): Option {
  return new Option('--fork <name>', `of Ethereum, whose rules hold: ${FORKS.join(', ')}`).default(FORK_DEFAULT).argParser(oneOf(FORKS));
}

/** `--workers`: execution threads of each shard's node, without a default: a network that is resumed keeps what it had. */
export function workersOption(): Option {
  const what = "threads of each shard's node that execute calls of contracts beforehand, and recover senders; 0, the default: blocks are executed serially";
  return new Option('--workers <number>', what).argParser(wholeNumber(0, WORKERS_MAX));
}
