import { type Address, bytesKey, fromHex, type Hash32, ZERO_ADDRESS } from '@shardlab/crosslink';
import type { AccessListEntry, AccountOverride } from '@shardlab/shard';
import { parseData } from '../format.ts';
import { invalidParams } from '../rpc-error.ts';

/** Most gas of one call, whoever asks for more. */
export const CALL_GAS_MAX = 50_000_000;
/** Most bytes of call data or initcode: those of the largest transaction. */
const CALL_DATA_MAX = 128 * 1024;
/** Entries, and keys of an entry, of an access list. */
const ACCESS_MAX = 4_096;
/** Accounts of state overrides, and slots of one of them. */
const OVERRIDES_MAX = 64;
const SLOTS_MAX = 1_024;

/** A call object as wallets send it. */
export interface CallRequest {
  /** undefined: nobody, which is the zero address. */
  readonly from: Address | undefined;
  /** undefined: a creation. */
  readonly to: Address | undefined;
  /** Gas limit; undefined: as much as there can be. */
  readonly gas: number | undefined;
  /** Wei per gas; for dynamic fees the most that is paid, and the most that goes to the tip. Neither: the call is free. */
  readonly gasPrice: bigint | undefined;
  readonly maxFeePerGas: bigint | undefined;
  readonly maxPriorityFeePerGas: bigint | undefined;
  readonly value: bigint;
  readonly data: Uint8Array;
  /** undefined: there is none, which for `eth_createAccessList` is the start. */
  readonly accessList: readonly AccessListEntry[] | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

function given(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function addressIn(value: unknown, name: string): Address {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{40}$/.test(value)) throw invalidParams(`"${name}" must be an address: 0x and 40 hex digits`);
  return fromHex(value) as Address;
}

function quantityIn(value: unknown, name: string, what: string): bigint {
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,64}$/.test(value)) throw invalidParams(`"${name}" must be ${what}: 0x and up to 64 hex digits`);
  return BigInt(value);
}

function weiIn(fields: Fields, name: string): bigint | undefined {
  return given(fields[name]) ? quantityIn(fields[name], name, 'wei') : undefined;
}

function bytesIn(value: unknown, name: string): Uint8Array {
  const bytes = parseData(value);
  if (bytes === undefined || bytes.length > CALL_DATA_MAX) throw invalidParams(`"${name}" must be data of at most ${CALL_DATA_MAX} bytes`);
  return bytes;
}

function wordIn(value: unknown, name: string): Hash32 {
  const bytes = parseData(value);
  if (bytes?.length !== 32) throw invalidParams(`"${name}" must be 32 bytes: 0x and 64 hex digits`);
  return bytes as Hash32;
}

function dataIn(fields: Fields): Uint8Array {
  const [input, data] = ['input', 'data'].map((name) => (given(fields[name]) ? bytesIn(fields[name], name) : undefined));
  if (input !== undefined && data !== undefined && bytesKey(input) !== bytesKey(data)) throw invalidParams('"data" and "input" are both set, and differ: use "input"');
  return input ?? data ?? new Uint8Array(0);
}

function gasIn(fields: Fields): number | undefined {
  if (!given(fields['gas'])) return undefined;
  const gas = quantityIn(fields['gas'], 'gas', 'a number');
  if (gas > BigInt(CALL_GAS_MAX)) throw invalidParams(`"gas" is ${gas}, and a call here may use at most ${CALL_GAS_MAX}`);
  return Number(gas);
}

function accessListIn(value: unknown): AccessListEntry[] | undefined {
  if (!given(value)) return undefined;
  if (!Array.isArray(value) || value.length > ACCESS_MAX) throw invalidParams(`"accessList" must be a list of at most ${ACCESS_MAX} entries`);
  return (value as readonly unknown[]).map((entry) => {
    const { address, storageKeys } = (entry ?? {}) as Fields;
    if (!Array.isArray(storageKeys) || storageKeys.length > ACCESS_MAX) throw invalidParams('"accessList[].storageKeys" must be a list');
    const keys = (storageKeys as readonly unknown[]).map((key) => wordIn(key, 'accessList[].storageKeys[]'));
    return { address: addressIn(address, 'accessList[].address'), storageKeys: keys };
  });
}

/** Reads a call object. Throws -32602 with one line that names the field. */
export function readCall(value: unknown): CallRequest {
  if (!isFields(value)) throw invalidParams('parameter 1 must be a call: an object');
  if (given(value['blobVersionedHashes']) || given(value['maxFeePerBlobGas'])) throw invalidParams('this network has no blobs');
  if (given(value['authorizationList'])) throw invalidParams('a call with "authorizationList" cannot be tried out here: use state overrides');
  const gasPrice = weiIn(value, 'gasPrice');
  const maxFeePerGas = weiIn(value, 'maxFeePerGas');
  const maxPriorityFeePerGas = weiIn(value, 'maxPriorityFeePerGas');
  if (gasPrice !== undefined && (maxFeePerGas !== undefined || maxPriorityFeePerGas !== undefined)) {
    throw invalidParams('"gasPrice" and "maxFeePerGas" or "maxPriorityFeePerGas" exclude each other');
  }
  if (maxFeePerGas !== undefined && maxPriorityFeePerGas !== undefined && maxFeePerGas < maxPriorityFeePerGas) {
    throw invalidParams(`"maxFeePerGas" (${maxFeePerGas}) is below "maxPriorityFeePerGas" (${maxPriorityFeePerGas})`);
  }
  return {
    from: given(value['from']) ? addressIn(value['from'], 'from') : undefined,
    to: given(value['to']) ? addressIn(value['to'], 'to') : undefined,
    gas: gasIn(value),
    gasPrice,
    maxFeePerGas,
    maxPriorityFeePerGas,
    value: weiIn(value, 'value') ?? 0n,
    data: dataIn(value),
    accessList: accessListIn(value['accessList']),
  };
}

/** Who calls: the zero address, if the call does not say. */
export function callerOf(call: CallRequest): Address {
  return call.from ?? ZERO_ADDRESS;
}

function slotsIn(value: unknown, name: string): Map<string, Uint8Array> {
  if (!isFields(value)) throw invalidParams(`"${name}" must be an object of slots`);
  const entries = Object.entries(value);
  if (entries.length > SLOTS_MAX) throw invalidParams(`"${name}" has ${entries.length} slots, at most ${SLOTS_MAX} are allowed`);
  return new Map(entries.map(([slot, word]) => [bytesKey(wordIn(slot, `${name} slot`)), wordIn(word, `${name} value`)]));
}

function overrideIn(value: unknown): AccountOverride {
  if (!isFields(value)) throw invalidParams('a state override must be an object');
  const { nonce, code, state, stateDiff } = value;
  const unknown = Object.keys(value).find((name) => !['balance', 'nonce', 'code', 'state', 'stateDiff'].includes(name));
  if (unknown !== undefined) throw invalidParams(`a state override has balance, nonce, code, state and stateDiff, not "${unknown.replaceAll(/\W/g, '?').slice(0, 32)}"`);
  if (given(state) && given(stateDiff)) throw invalidParams('"state" and "stateDiff" exclude each other');
  const wholeStorage = given(state);
  return {
    balance: weiIn(value, 'balance'),
    nonce: given(nonce) ? quantityIn(nonce, 'nonce', 'a number') & 0xffff_ffff_ffff_ffffn : undefined,
    code: given(code) ? bytesIn(code, 'code') : undefined,
    slots: wholeStorage ? slotsIn(state, 'state') : given(stateDiff) ? slotsIn(stateDiff, 'stateDiff') : new Map(),
    wholeStorage,
  };
}

/** Reads state overrides (go-ethereum's `StateOverride`), by the `bytesKey` of addresses; undefined: none. Throws -32602. */
export function readOverrides(value: unknown): ReadonlyMap<string, AccountOverride> | undefined {
  if (!given(value)) return undefined;
  if (!isFields(value)) throw invalidParams('state overrides must be an object of accounts');
  const entries = Object.entries(value);
  if (entries.length > OVERRIDES_MAX) throw invalidParams(`state overrides of ${entries.length} accounts, at most ${OVERRIDES_MAX} are allowed`);
  if (entries.length === 0) return undefined;
  return new Map(entries.map(([address, override]) => [bytesKey(addressIn(address, 'an account of the state overrides')), overrideIn(override)]));
}

/** Block overrides are not known here: throws -32602 if there are any. */
export function refuseBlockOverrides(value: unknown): void {
  if (given(value) && !(isFields(value) && Object.keys(value).length === 0)) throw invalidParams('block overrides are not supported');
}
