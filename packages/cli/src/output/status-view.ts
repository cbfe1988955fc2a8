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

/** A chain with its committee. */
export interface StatusChain {
  /** `beacon`, `shard-2`. */
  readonly chain: string;
  readonly validators: number;
  /** Validators that it takes to agree. */
  readonly quorum: number;
  /** Validators that answer. */
  readonly answering: number;
  /** Why it makes no blocks, if it makes none. */
  readonly stands?: string;
}

/** The answer of `status --json`. */
export interface StatusView {
  /** By chain, the beacon's first. */
  readonly nodes: readonly StatusNode[];
  readonly chains: readonly StatusChain[];
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

/** Whether the node leads its committee, and in which view: empty where one validator decides alone. */
function role(node: StatusNode, style: Style): string[] {
  const { view, leader, active } = (node['consensus'] ?? {}) as { readonly view?: unknown; readonly leader?: unknown; readonly active?: unknown };
  if (typeof view !== 'number' || typeof leader !== 'number') return ['-', '-'];
  const index = /\.(\d+)$/.exec(node.id)?.[1] ?? '0';
  const name = String(leader) === index ? style.good('leader') : 'follower';
  return active === true ? [name, String(view)] : [style.warn('electing'), String(view)];
}

const NODE_COLUMN = { title: 'node' } as const;
const COMMITTEE_COLUMNS = [{ title: 'role' }, { title: 'view', align: 'right' }] as const;
const COLUMNS = [
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

/** One line for each chain that stands. */
function standingLines(view: StatusView, style: Style): string[] {
  const standing = view.chains.filter((chain) => chain.stands !== undefined);
  if (standing.length === 0) return [];
  return ['', ...standing.map(({ chain, stands }) => style.bold(style.bad(`${printable(chain)} makes no blocks: ${printable(stands!)}`)))];
}

/** The table of `status`, for a terminal or a pipe: with roles and views where there are committees. */
export function statusLines(view: StatusView, output: Output): string[] {
  const { style } = output;
  const committees = view.chains.some((chain) => chain.validators > 1);
  const rows = view.nodes.map((node) => [
    style.bold(printable(node.id)),
    ...(committees ? role(node, style) : []),
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
    ...tableLines([NODE_COLUMN, ...(committees ? COMMITTEE_COLUMNS : []), ...COLUMNS], rows, style.dim),
    ...standingLines(view, style),
    '',
    `beacon at height ${view.beacon.height}, epoch ${view.beacon.epoch}; ${well === view.nodes.length ? style.good(sum) : style.bad(sum)}`,
  ];
}
