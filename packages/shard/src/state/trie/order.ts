const STEM_BYTES = 31;

/**
 * Indices of the stems in `stems` (31 bytes each) in ascending order. A radix sort on the first four bytes, because stems are hashes and a million of
 * them are to be loaded in a moment; then runs that agree in those are sorted by comparison, of which there are few unless someone ground for them.
 */
export function sortStems(stems: Uint8Array, count: number): Int32Array {
  const heads = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const at = STEM_BYTES * i;
    heads[i] = (stems[at]! << 24) | (stems[at + 1]! << 16) | (stems[at + 2]! << 8) | stems[at + 3]!;
  }
  let order = new Int32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  for (const shift of [0, 16]) {
    const next = new Int32Array(0x1_0001);
    for (let i = 0; i < count; i++) next[((heads[i]! >>> shift) & 0xffff) + 1]!++;
    for (let digit = 0; digit < 0x1_0000; digit++) next[digit + 1]! += next[digit]!;
    const sorted = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      const index = order[i]!;
      sorted[next[(heads[index]! >>> shift) & 0xffff]!++] = index;
    }
    order = sorted;
  }
  for (let start = 0; start < count; ) {
    let end = start + 1;
    while (end < count && heads[order[end]!] === heads[order[start]!]) end++;
    if (end - start > 1) order.subarray(start, end).sort((a, b) => compareStems(stems, a, b));
    start = end;
  }
  return order;
}

/** Order of the stems at two indices. */
export function compareStems(stems: Uint8Array, a: number, b: number): number {
  for (let k = 0; k < STEM_BYTES; k++) {
    const difference = stems[STEM_BYTES * a + k]! - stems[STEM_BYTES * b + k]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Puts the first `count` references in order of the first `bits` (0 to 8) bits of their stems, of which the first byte is in their `meta` words. `ends` are the ends of the
 * 2^bits parts.
 */
export function partition(refs: Int32Array, count: number, meta: Int32Array, bits: number): { sorted: Int32Array; ends: Int32Array } {
  const shift = 24 - bits;
  const ends = new Int32Array(1 << bits);
  for (let i = 0; i < count; i++) ends[meta[refs[i]!]! >> shift]!++;
  let total = 0;
  for (let part = 0; part < ends.length; part++) {
    const size = ends[part]!;
    ends[part] = total;
    total += size;
  }
  const sorted = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const ref = refs[i]!;
    sorted[ends[meta[ref]! >> shift]!++] = ref;
  }
  return { sorted, ends };
}
