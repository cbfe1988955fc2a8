import { decodeFlatKey, decodeFlatValue, deriveFlatStems, type Hasher, type Owner, ShardlabError, type StateLeaf, STEM_BYTES, type StemLeaf } from '@shardlab/crosslink';
import { badAnswer } from './rpc.ts';

/** Most stems of one shard that an audit takes. */
const STEMS_MAX = 8_000_000;

/** One stem of a state: whose it is, and its leaves. */
export interface AuditedStem {
  readonly owner: Owner;
  readonly treeIndex: bigint;
  readonly leaves: readonly StemLeaf[];
}

/** Splits a page of state into its flat entries. Throws `audit/bad-answer`. */
export function* flatEntries(page: Uint8Array): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }> {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const field = (at: number): Uint8Array => {
    const end = at + 2 <= page.length ? at + 2 + view.getUint16(at) : Number.POSITIVE_INFINITY;
    if (end > page.length) throw badAnswer('shard_readState', 'ends in the middle of an entry');
    return page.subarray(at + 2, end);
  };
  for (let at = 0; at < page.length; ) {
    const key = field(at);
    const value = field(at + 2 + key.length);
    yield { key, value };
    at += 4 + key.length + value.length;
  }
}

/** Takes the flat entries of one state and makes the leaves from which its root is built: the stems are derived here, not taken from the node. */
export class StateLeaves {
  readonly leaves: StateLeaf[] = [];
  private readonly hasher: Hasher;
  private stems = 0;

  constructor(hasher: Hasher) {
    this.hasher = hasher;
  }

  /** Takes one page. Throws {@link ShardlabError} on an entry that is none. */
  take(page: Uint8Array): AuditedStem[] {
    const entries = [...flatEntries(page)];
    this.stems += entries.length;
    if (this.stems > STEMS_MAX) throw new ShardlabError('audit/too-large', `a state of more than ${STEMS_MAX} stems`);
    const stems = entries.map(({ key, value }) => ({ ...decodeFlatKey(key), leaves: decodeFlatValue(value) }));
    const keys = entries.map(({ key }) => key);
    const derived = deriveFlatStems(this.hasher, keys, keys.length);
    stems.forEach(({ leaves }, index) => this.add(derived.subarray(index * STEM_BYTES, (index + 1) * STEM_BYTES), leaves));
    return stems;
  }

  private add(stem: Uint8Array, leaves: readonly StemLeaf[]): void {
    for (const { suffix, value } of leaves) {
      const key = new Uint8Array(STEM_BYTES + 1);
      key.set(stem);
      key[STEM_BYTES] = suffix;
      this.leaves.push({ key, value });
    }
  }
}
