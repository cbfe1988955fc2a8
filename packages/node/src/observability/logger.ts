import { type BlockEvent, toHex } from '@shardlab/crosslink';
import type { LogLine } from '@shardlab/shard';
import { destination, type Logger, pino } from 'pino';
import type { RuntimeLog } from '../runtime/node-runtime.ts';

/** Levels that a node can be told. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** The node's logger: NDJSON with `node` and `shard` bound, `time` in ms, and a stable `event` code in each line (R3). Written synchronously, so that `kill -9` loses none. */
export function createLogger(options: { readonly level: string; readonly file: string | null; readonly node: string; readonly shard: number | null }): Logger {
  const out = destination({ dest: options.file ?? 1, sync: true, mkdir: true });
  const base = options.shard === null ? { node: options.node } : { node: options.node, shard: options.shard };
  return pino({ level: options.level, base, formatters: { level: (label) => ({ level: label }) } }, out);
}

/** Lines of the core, as the runtime hands them over. */
export function runtimeLog(logger: Logger): RuntimeLog {
  return {
    transactions: logger.isLevelEnabled('debug'),
    line(line: LogLine) {
      const fields = Object.fromEntries(Object.entries(line.fields).map(([name, value]) => [name, typeof value === 'bigint' ? value.toString() : value]));
      logger[line.level]({ event: line.event, ...fields }, MESSAGES[line.event] ?? 'event');
    },
    transactionEvents(height: number, events: readonly BlockEvent[]) {
      for (const { phase, outcome, peer, txHash, reason } of events) {
        logger.debug({ event: `tx.${phase}`, tx: toHex(txHash), height, outcome, peer, reason }, 'transaction');
      }
    },
  };
}

/** Constant messages, for people; programs look at `event`. */
const MESSAGES: Readonly<Record<string, string>> = {
  'block.committed': 'block committed',
  'beacon.committed': 'beacon block committed',
  'receipts.pull': 'asked for missing receipts',
  'epoch.adopted': 'epoch adopted',
  'peer.rejected': 'message of a peer rejected',
  'peer.penalised': 'peer penalised',
};
