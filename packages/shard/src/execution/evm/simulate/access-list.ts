import { type Address, bytesKey } from '@shardlab/crosslink';
import type { AccessListEntry } from '../../../transaction/types.ts';
import type { NotSimulated, Simulated } from './simulator.ts';

/** Runs after which the list is taken as it is: one that depends on the gas that it saves may never settle. */
const RUNS_MAX = 8;

/** A list, and what the call came to with it. */
export interface FoundAccessList {
  readonly accessList: readonly AccessListEntry[];
  readonly outcome: Simulated | NotSimulated;
}

function sizeOf(list: readonly AccessListEntry[]): string {
  return list.map(({ address, storageKeys }) => `${bytesKey(address)}${storageKeys.map(bytesKey).sort().join('')}`).sort().join('\n');
}

/**
 * The access list of a call (go-ethereum's `eth_createAccessList`, equivalent): runs it with the list that the run before touched, until nothing is new. `without` are
 * accounts that are warm anyway.
 */
export function findAccessList(
  without: readonly Address[],
  simulate: { run(accessList: readonly AccessListEntry[]): Simulated | NotSimulated; touched(without: readonly Address[]): AccessListEntry[] },
  start: readonly AccessListEntry[],
): FoundAccessList {
  let accessList = start;
  for (let runs = 1; ; runs++) {
    const outcome = simulate.run(accessList);
    if ('invalid' in outcome) return { accessList, outcome };
    const found = simulate.touched(without);
    if (sizeOf(found) === sizeOf(accessList) || runs === RUNS_MAX) return { accessList: found, outcome };
    accessList = found;
  }
}
