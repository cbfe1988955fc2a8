import type { Reader } from '../codec/reader.ts';
import type { Writer } from '../codec/writer.ts';
import { DecodeError } from '../errors.ts';
import type { Address, ShardId } from '../primitives.ts';

/** Most calls of one operation, and of one atomic batch. */
export const CALLS_MAX = 16;
/** Most forwarding stubs that one operation keeps, or that it is granted. */
export const STUBS_MAX = 64;
/** Most bytes of one call's data, or of initcode: what fits into a raw transaction. */
export const CALL_DATA_BYTES_MAX = 128 * 1024;

/** What a participant is asked to do: credit `to` with `value`. The recipient's shard decides whether that is a credit or a call (R16). */
export interface TransferOperation {
  readonly kind: 'transfer';
  readonly from: Address;
  readonly to: Address;
  /** Wei, below 2^128. */
  readonly value: bigint;
  /** Gas that the participant may use beyond a plain credit. */
  readonly gasLimit: number;
}

/** One call of a contract. */
export interface Call {
  readonly to: Address;
  /** Wei, below 2^128. */
  readonly value: bigint;
  readonly gasLimit: number;
  readonly data: Uint8Array;
}

/** A forwarding stub to keep: the contract at `address`, which this shard would have by rule, lives at `home` (R11). */
export interface Stub {
  readonly address: Address;
  readonly home: ShardId;
}

interface WithStubs {
  readonly from: Address;
  /** Wei that the commit Decision carries, below 2^128. */
  readonly value: bigint;
  readonly gasLimit: number;
  /** Stubs that this shard is to keep, at most {@link STUBS_MAX}. */
  readonly stubs: readonly Stub[];
  /** Addresses of contracts that may be made here, because other shards keep their stubs. At most {@link STUBS_MAX}. */
  readonly granted: readonly Address[];
}

/** Calls of one shard's contracts, in order: all succeed, or the operation fails. None, if the shard only keeps stubs. `value` and `gasLimit` are their sums. */
export interface CallOperation extends WithStubs {
  readonly kind: 'call';
  readonly calls: readonly Call[];
}

/** The creation of a contract, on the coordinator's own shard. */
export interface CreateOperation extends WithStubs {
  readonly kind: 'create';
  /** The sender's nonce that the transaction took. */
  readonly nonce: number;
  readonly initcode: Uint8Array;
}

/** A participant's part of a cross-shard transaction. */
export type Operation = TransferOperation | CallOperation | CreateOperation;

const KINDS = ['transfer', 'call', 'create'] as const;

function writeStubs(writer: Writer, operation: WithStubs): void {
  writer.list(operation.stubs, STUBS_MAX, (out, { address, home }) => out.fixed(address, 20).u16(home));
  writer.list(operation.granted, STUBS_MAX, (out, address) => out.fixed(address, 20));
}

function readStubs(reader: Reader): Pick<WithStubs, 'stubs' | 'granted'> {
  const stubs = reader.list(STUBS_MAX, (input) => ({ address: input.address(), home: input.shard() }));
  return { stubs, granted: reader.list(STUBS_MAX, (input) => input.address()) };
}

/** Appends an operation. */
export function writeOperation(writer: Writer, operation: Operation): void {
  writer.u8(KINDS.indexOf(operation.kind) + 1).fixed(operation.from, 20).u128(operation.value).u64(operation.gasLimit);
  switch (operation.kind) {
    case 'transfer':
      writer.fixed(operation.to, 20);
      break;
    case 'call':
      writer.list(operation.calls, CALLS_MAX, (out, { to, value, gasLimit, data }) => out.fixed(to, 20).u128(value).u64(gasLimit).bytes(data, CALL_DATA_BYTES_MAX));
      writeStubs(writer, operation);
      break;
    case 'create':
      writer.u64(operation.nonce).bytes(operation.initcode, CALL_DATA_BYTES_MAX);
      writeStubs(writer, operation);
      break;
  }
}

/** Reads what {@link writeOperation} wrote; byte fields are views. Sums that do not agree are refused, so that no shard can be made to pay out more than it is sent. */
export function readOperation(reader: Reader): Operation {
  const kind = KINDS[reader.u8() - 1];
  if (kind === undefined) throw new DecodeError('decode/range', 'unknown operation');
  const common = { from: reader.address(), value: reader.u128(), gasLimit: reader.u64() };
  switch (kind) {
    case 'transfer':
      return { kind, ...common, to: reader.address() };
    case 'call': {
      const calls = reader.list(CALLS_MAX, (input) => ({ to: input.address(), value: input.u128(), gasLimit: input.u64(), data: input.bytes(CALL_DATA_BYTES_MAX) }));
      const value = calls.reduce((sum, call) => sum + call.value, 0n);
      const gasLimit = calls.reduce((sum, call) => sum + call.gasLimit, 0);
      if (value !== common.value || gasLimit !== common.gasLimit) throw new DecodeError('decode/range', 'calls whose sums are not the operation\'s');
      return { kind, ...common, calls, ...readStubs(reader) };
    }
    case 'create':
      return { kind, ...common, nonce: reader.u64(), initcode: reader.bytes(CALL_DATA_BYTES_MAX), ...readStubs(reader) };
  }
}

const NO_DATA = new Uint8Array(0);

/** The operation without its data: what is left to remember once it has run. */
export function withoutData(operation: Operation): Operation {
  switch (operation.kind) {
    case 'transfer':
      return operation;
    case 'call':
      return { ...operation, calls: operation.calls.map((call) => ({ ...call, data: NO_DATA })) };
    case 'create':
      return { ...operation, initcode: NO_DATA };
  }
}

/** The operation as calls, so that others, or stubs, can be added to it; undefined for a creation. */
function asCalls(operation: Operation): CallOperation | undefined {
  if (operation.kind === 'call') return operation;
  if (operation.kind === 'create') return undefined;
  const { from, to, value, gasLimit } = operation;
  return { kind: 'call', from, value, gasLimit, calls: [{ to, value, gasLimit, data: NO_DATA }], stubs: [], granted: [] };
}

/** Two operations that turned out to be one shard's, the first before the second; undefined if they can not be one. */
export function mergeOperations(a: Operation, b: Operation): Operation | undefined {
  const [first, second] = [asCalls(a), asCalls(b)];
  if (first === undefined || second === undefined) {
    // A creation takes on the stubs of an operation that makes no calls.
    const [creation, other] = a.kind === 'create' ? [a, second] : b.kind === 'create' ? [b, first] : [undefined, undefined];
    if (creation === undefined || other === undefined || other.calls.length > 0) return undefined;
    return bounded({ ...creation, stubs: [...creation.stubs, ...other.stubs], granted: [...creation.granted, ...other.granted] });
  }
  return bounded({
    kind: 'call',
    from: first.from,
    value: first.value + second.value,
    gasLimit: first.gasLimit + second.gasLimit,
    calls: [...first.calls, ...second.calls],
    stubs: [...first.stubs, ...second.stubs],
    granted: [...first.granted, ...second.granted],
  });
}

/** The operation with more addresses granted. */
export function grant(operation: Operation, addresses: readonly Address[]): Operation | undefined {
  const target = operation.kind === 'create' ? operation : asCalls(operation)!;
  return bounded({ ...target, granted: [...target.granted, ...addresses] });
}

/** What keeps stubs and nothing else. */
export function keepStubs(from: Address, stubs: readonly Stub[]): CallOperation {
  return { kind: 'call', from, value: 0n, gasLimit: 0, calls: [], stubs, granted: [] };
}

function bounded(operation: CallOperation | CreateOperation): Operation | undefined {
  const calls = operation.kind === 'call' ? operation.calls.length : 0;
  return calls <= CALLS_MAX && operation.stubs.length <= STUBS_MAX && operation.granted.length <= STUBS_MAX ? operation : undefined;
}
