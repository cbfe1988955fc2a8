import type { Address, Reader, Writer } from '@shardlab/crosslink';
import type { EvmLog, Halt } from '../evm/types.ts';
import type { InvalidTransaction, TransactionOutcome } from '../evm/transaction.ts';

/** More than the gas of any block can make. */
const LIST_MAX = 1 << 20;
const BYTES_MAX = 1 << 28;
const TOPICS_MAX = 4;
/** First byte: what follows. */
const APPLIED = 0;
const CREATED = 1;
const INVALID = 2;

/** Each once; the place in the list goes over the wire, which never leaves the process. The types make sure that none is missing. */
const HALTS = Object.keys({
  revert: 0, 'out-of-gas': 0, 'invalid-opcode': 0, 'stack-underflow': 0, 'stack-overflow': 0, 'invalid-jump': 0, 'static-violation': 0,
  'return-data-out-of-bounds': 0, 'call-depth': 0, 'insufficient-balance': 0, 'nonce-overflow': 0, 'create-collision': 0, 'initcode-too-long': 0,
  'code-too-long': 0, 'invalid-code': 0, 'precompile-failure': 0, 'foreign-account': 0,
} satisfies Record<Halt, 0>) as Halt[];
const INVALIDS = Object.keys({
  'type-not-supported': 0, 'chain-id': 0, 'nonce-too-low': 0, 'nonce-too-high': 0, 'nonce-max': 0, 'sender-not-eoa': 0, 'gas-above-block': 0,
  'intrinsic-gas': 0, 'initcode-too-long': 0, 'tip-above-fee-cap': 0, 'fee-cap-below-base-fee': 0, 'insufficient-funds': 0, 'blob-creation': 0,
  'blob-count': 0, 'blob-hash-version': 0, 'blob-fee-cap': 0, 'authorizations-creation': 0, 'authorizations-empty': 0,
} satisfies Record<InvalidTransaction, 0>) as InvalidTransaction[];
const NO_HALT = HALTS.length;
/** How a gas price is written: most fit a number. */
const SMALL = 0;
const LARGE = 1;

function writeLog(writer: Writer, { address, topics, data }: EvmLog): void {
  writer.fixed(address, 20).u8(topics.length);
  for (const topic of topics) writer.fixed(topic, 32);
  writer.bytes(data, BYTES_MAX);
}

function readLog(reader: Reader): EvmLog {
  const address = reader.address();
  const count = Math.min(reader.u8(), TOPICS_MAX);
  const topics = Array.from({ length: count }, () => reader.fixed(32));
  return { address, topics, data: reader.bytes(BYTES_MAX) };
}

/** Appends the outcome; gas that is rounded (above 2^53, in tests alone) cannot travel and is refused as `invariant`. */
export function writeOutcome(writer: Writer, outcome: TransactionOutcome): void {
  if ('invalid' in outcome) {
    writer.u8(INVALID).u8(INVALIDS.indexOf(outcome.invalid));
    return;
  }
  const { status, gasUsed, gasPrice, logs, credits, output, halt, created } = outcome;
  writer.u8(created === undefined ? APPLIED : CREATED).u8(status).u8(halt === undefined ? NO_HALT : HALTS.indexOf(halt));
  writer.u64(gasUsed);
  const price = Number(gasPrice);
  if (price <= Number.MAX_SAFE_INTEGER) writer.u8(SMALL).u64(price);
  else writer.u8(LARGE).u256(gasPrice);
  writer.bytes(output, BYTES_MAX);
  if (created !== undefined) writer.fixed(created, 20);
  writer.u32(logs.length);
  for (const log of logs) writeLog(writer, log);
  writer.u32(credits.length);
  for (const { address, wei } of credits) writer.fixed(address, 20).u256(wei);
}

/** Reads what {@link writeOutcome} wrote; bytes are views. */
export function readOutcome(reader: Reader): TransactionOutcome {
  const kind = reader.u8();
  if (kind === INVALID) return { invalid: INVALIDS[reader.u8()]! };
  const status = reader.u8() === 1 ? 1 : 0;
  const halt = HALTS[reader.u8()];
  const gasUsed = reader.u64();
  const gasPrice = reader.u8() === SMALL ? BigInt(reader.u64()) : reader.u256();
  const output = reader.bytes(BYTES_MAX);
  const created: Address | undefined = kind === CREATED ? reader.address() : undefined;
  const logs = reader.list(LIST_MAX, readLog);
  const credits = reader.list(LIST_MAX, () => ({ address: reader.address(), wei: reader.u256() }));
  return { status, gasUsed, gasPrice, logs, credits, output, halt, created };
}
