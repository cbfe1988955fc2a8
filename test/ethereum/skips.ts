/**
 * Cases that are not run, by the beginning of their name (`FILE::TEST [FORK dD gG vV]`), each with the reason. Nothing is skipped now; an entry must say why the case
 * cannot pass, and all of them together stay below one case in a hundred.
 */
export const SKIPS: Readonly<Record<string, string>> = {};

/** Why a case is not run; undefined: it is. */
export function skipReason(name: string): string | undefined {
  return Object.entries(SKIPS).find(([prefix]) => name.startsWith(prefix))?.[1];
}
