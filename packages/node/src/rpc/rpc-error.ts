import { ShardlabError } from '@shardlab/crosslink';

/** JSON-RPC 2.0's codes, and EIP-1474's above -32000 that are in use here. */
export const RPC_CODES = {
  parse: -32_700,
  invalidRequest: -32_600,
  methodNotFound: -32_601,
  invalidParams: -32_602,
  internal: -32_603,
  server: -32_000,
  unavailable: -32_002,
  notSupported: -32_004,
  limit: -32_005,
  moved: -32_010,
  /** A call was reverted by the contract; what wallets know (go-ethereum's `revertError`). */
  reverted: 3,
} as const;

/** An error that a caller gets to see: one line, JSON-RPC's code, and for some codes data. */
export class RpcError extends ShardlabError {
  readonly rpcCode: number;
  /** The error's `data`, as JSON; undefined: it has none. */
  readonly rpcData: unknown;

  constructor(rpcCode: number, message: string, options: ErrorOptions & { readonly rpcData?: unknown } = {}) {
    super('rpc/error', message, { rpcCode }, options);
    this.rpcCode = rpcCode;
    this.rpcData = options.rpcData;
  }
}

/** -32602: names the parameter and what would be right. */
export function invalidParams(message: string): RpcError {
  return new RpcError(RPC_CODES.invalidParams, message);
}

/** -32000, with go-ethereum's words where it has some. */
export function serverError(message: string): RpcError {
  return new RpcError(RPC_CODES.server, message);
}

/** -32005: too much was asked for, or too much waits. */
export function limitExceeded(message: string): RpcError {
  return new RpcError(RPC_CODES.limit, message);
}

/** -32010: the account is kept by another shard than its address says (R11); the data names it. */
export function moved(address: string, shard: number): RpcError {
  return new RpcError(RPC_CODES.moved, `the contract ${address} lives on shard ${shard}: ask there, or on /`, { rpcData: { shard } });
}

/** The shard that a {@link moved} error names; undefined for any other error. */
export function movedTo(error: unknown): number | undefined {
  if (!(error instanceof RpcError) || error.rpcCode !== RPC_CODES.moved) return undefined;
  const { shard } = (error.rpcData ?? {}) as { shard?: unknown };
  return typeof shard === 'number' && Number.isInteger(shard) && shard >= 0 ? shard : undefined;
}

/** -32002: another node is needed, and does not answer. */
export function unavailable(message: string): RpcError {
  return new RpcError(RPC_CODES.unavailable, message);
}

/** What a caller is told of any failure. Causes that are the node's own stay inside: their texts may hold paths. */
export function publicError(error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  if (error instanceof ShardlabError) {
    if (error.code.startsWith('pin/')) return error.code === 'pin/limit' ? limitExceeded(error.message) : serverError(error.message);
    if (error.code === 'trace/differs') return serverError(error.message);
    if (error.code.startsWith('trace/')) return limitExceeded(error.message);
    if (error.code === 'rpc/busy' || error.code === 'storage/overload') return limitExceeded('this node is busy: try again');
    if (error.code === 'rpc/no-block' || error.code === 'chain/history') return serverError(error.message);
    if (error.code === 'storage/damaged' || error.code === 'storage/closed') return new RpcError(RPC_CODES.internal, `this node cannot read its store (${error.code})`, { cause: error });
  }
  return new RpcError(RPC_CODES.internal, 'internal error', { cause: error });
}
