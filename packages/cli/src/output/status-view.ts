import type { Output } from './output.ts';
import { printable, shortHash, type Style } from './style.ts';
import { tableLines } from './table.ts';

/** One node as `status` shows it: the fields that everybody has, and all else that the node says of itself. */
export interface StatusNode extends Readonly<Record<string, unknown>> {
  readonly id: string;
  readonly role: string;
  readonly shard: number | null;
  /** null: unknown, because it does not answer. */
  readonly height: number | null;
  readonly stateRoot: string | null;
  readonly peers: number | null;
  readonly healthy: boolean;
  readonly rpcUrl: string;
  readonly pid: number | null;
}

/** The answer of `status --json`. */
export interface StatusView {
  readonly nodes: readonly StatusNode[];
  readonly beacon: { readonly height: number; readonly epoch: number };
}

function numberIn(node: StatusNode, group: string, name: string): number | undefined {
  const fields = node[group];
  if (typeof fields !== 'object' || fields === null) return undefined;
  const value = (fields as Record<string, unknown>)[name];
  return typeof value === 'number' ? value : undefined;
}

function count(value: number | null | undefined): string {
  return value === null || value === undefined ? '-' : String(value);
}

function health(node: StatusNode, style: Style): string {
  if (node.healthy) return style.good('healthy');
  const reason = node['reason'];
  return style.bad(typeof reason === 'string' && reason !== '' ? printable(reason) : 'not healthy');
}

const COLUMNS = [
  { title: 'node' },
  { title: 'height', align: 'right' },
  { title: 'state root' },
  { title: 'peers', align: 'right' },
  { title: 'mempool', align: 'right' },
  { title: 'outbox', align: 'right' },
  { title: 'gossip', align: 'right' },
  { title: 'pull', align: 'right' },
  { title: 'locks', align: 'right' },
  { title: 'pid', align: 'right' },
  { title: 'rpc' },
  { title: 'health' },
] as const;

/** The table of `status`, for a terminal or a pipe. */
export function statusLines(view: StatusView, output: Output): string[] {
  const { style } = output;
  const rows = view.nodes.map((node) => [
    style.bold(printable(node.id)),
    count(node.height),
    node.stateRoot === null ? '-' : printable(output.isTerminal ? shortHash(node.stateRoot) : node.stateRoot),
    count(node.peers),
    count(numberIn(node, 'mempool', 'pending')),
    count(numberIn(node, 'outbox', 'messages')),
    count(numberIn(node, 'receiptBatches', 'gossip')),
    count(numberIn(node, 'receiptBatches', 'pull')),
    count(numberIn(node, 'crossShard', 'locksHeld')),
    count(node.pid),
    printable(node.rpcUrl),
    health(node, style),
  ]);
  const well = view.nodes.filter((node) => node.healthy).length;
  const sum = `${well} of ${view.nodes.length} nodes healthy`;
  return [
    ...tableLines(COLUMNS, rows, style.dim),
    '',
    `beacon at height ${view.beacon.height}, epoch ${view.beacon.epoch}; ${well === view.nodes.length ? style.good(sum) : style.bad(sum)}`,
  ];
}
