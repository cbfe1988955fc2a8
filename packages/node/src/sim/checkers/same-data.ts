import { equalBytes } from '@shardlab/crosslink';

/**
 * Where two values of plain data (objects, arrays, bytes, bigints, strings, numbers) first differ, as a path such as `receipts.0.gasUsed`; undefined when they are equal.
 * Bytes are compared by content, whatever view they are. The path is put together on the way back only: nearly all that is compared is equal.
 */
export function firstDifference(a: unknown, b: unknown): string | undefined {
  if (a === b) return undefined;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return '';
  if (a instanceof Uint8Array || b instanceof Uint8Array) return a instanceof Uint8Array && b instanceof Uint8Array && equalBytes(a, b) ? undefined : '';
  if (Array.isArray(a) || Array.isArray(b)) return Array.isArray(a) && Array.isArray(b) ? firstOfLists(a, b) : '';
  const left = a as Readonly<Record<string, unknown>>;
  const right = b as Readonly<Record<string, unknown>>;
  for (const name in left) {
    const found = firstDifference(left[name], right[name]);
    if (found !== undefined) return joined(name, found);
  }
  // What is undefined on one side may be absent on the other.
  for (const name in right) if (right[name] !== undefined && !(name in left)) return name;
  return undefined;
}

function firstOfLists(a: readonly unknown[], b: readonly unknown[]): string | undefined {
  if (a.length !== b.length) return 'length';
  for (let i = 0; i < a.length; i++) {
    const found = firstDifference(a[i], b[i]);
    if (found !== undefined) return joined(String(i), found);
  }
  return undefined;
}

function joined(name: string, rest: string): string {
  return rest === '' ? name : `${name}.${rest}`;
}
