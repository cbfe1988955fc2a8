import type { Genesis, PairEntry } from '@shardlab/crosslink';
import type { BlockChecker, ShardBlockRecord, Violations } from './violations.ts';

/** Heights of each shard that are kept to lower a cut by. */
const HEIGHTS_KEPT = 64;

/** What one height of one shard says of wei. */
interface Books {
  readonly height: number;
  /** Balances, escrow and burned. */
  readonly held: bigint;
  readonly pairs: ReadonlyMap<number, PairEntry>;
}

/**
 * Balances + escrow + in flight + burned = genesis, on the latest consistent cut after each block (a cut: for every pair, consumed <= sent; design, Accounts).
 * Cuts are found as an auditor finds them: heights are lowered until none has consumed what its source has not sent. Keeps {@link HEIGHTS_KEPT} heights a shard.
 */
export class SupplyChecker implements BlockChecker {
  /** Cuts that were summed. */
  cuts = 0;
  private readonly supply: bigint;
  private readonly violations: Violations;
  /** Ascending heights, by shard. */
  private readonly books: Books[][];

  constructor(options: { readonly genesis: Genesis; readonly genesisHeld: readonly bigint[] }, modules: { readonly violations: Violations }) {
    this.violations = modules.violations;
    this.supply = options.genesis.allocation.reduce((sum, { balance }) => sum + balance, 0n);
    this.books = options.genesisHeld.map((held) => [{ height: 0, held, pairs: new Map() }]);
  }

  block({ block }: ShardBlockRecord): void {
    const { header, body } = block;
    const { balances, escrow, burned } = header.totals;
    const books = this.books[header.shard];
    if (books === undefined) return;
    books.push({ height: header.height, held: balances + escrow + burned, pairs: new Map(body.pairs.map((pair) => [pair.shard, pair])) });
    if (books.length > HEIGHTS_KEPT) books.shift();
    this.sum(`after block ${header.height} of shard ${header.shard}`);
  }

  atRest(): void {
    const latest = this.books.map((books) => books.at(-1)!);
    if (this.inFlight(latest) !== 0n) this.violations.add('supply', `${this.inFlight(latest)} wei are in flight at rest`);
    this.sum('at rest');
  }

  private sum(when: string): void {
    const cut = this.latestCut();
    if (cut === undefined) {
      this.violations.add('supply', `no consistent cut in the last ${HEIGHTS_KEPT} heights ${when}`);
      return;
    }
    this.cuts++;
    const found = cut.reduce((sum, { held }) => sum + held, 0n) + this.inFlight(cut);
    if (found === this.supply) return;
    const heights = cut.map(({ height }) => height).join(',');
    this.violations.add('supply', `${when} the cut ${heights} holds ${found} wei, genesis ${this.supply}`);
  }

  /** The latest cut in which nobody has consumed what was not sent; `undefined` if it is older than what is kept. */
  private latestCut(): Books[] | undefined {
    const at = this.books.map((books) => books.length - 1);
    for (let lowered = true; lowered; ) {
      lowered = false;
      for (let to = 0; to < at.length; to++) {
        while (this.ahead(to, at)) {
          if (at[to] === 0) return undefined;
          at[to]!--;
          lowered = true;
        }
      }
    }
    return this.books.map((books, shard) => books[at[shard]!]!);
  }

  /** Whether shard `to` has consumed, at its place in the cut, what some source has not sent at its own. */
  private ahead(to: number, at: readonly number[]): boolean {
    for (const [from, { consumedSequence }] of this.books[to]![at[to]!]!.pairs) {
      const sent = this.books[from]![at[from]!]!.pairs.get(to)?.sentSequence ?? 0;
      if (consumedSequence > sent) return true;
    }
    return false;
  }

  private inFlight(cut: readonly Books[]): bigint {
    let wei = 0n;
    for (const { pairs } of cut) for (const { sentValue, receivedValue } of pairs.values()) wei += sentValue - receivedValue;
    return wei;
  }
}
