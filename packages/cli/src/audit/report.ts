import type { Finding, Findings } from './findings.ts';
import type { InvariantName } from './invariants.ts';

/** What `audit --json` prints: wei as decimal strings. `ok` says that nothing at all was found wrong. */
export type AuditReport = {
  readonly ok: boolean;
  /** Over the cut: balances + escrow + inFlight + burned - genesis = difference, which must be 0. Burned is recounted from the receipts. */
  readonly supply: {
    readonly genesis: string;
    readonly balances: string;
    readonly escrow: string;
    readonly inFlight: string;
    readonly burned: string;
    readonly difference: string;
  };
  /** Cross-shard transactions judged, and rules that they break. */
  readonly atomicity: { readonly checked: number; readonly violations: number };
  /** Locks at the cut; stuck are those of transactions whose deadline passed more than twice `deadlineMs` ago, in block time. */
  readonly locks: { readonly held: number; readonly stuck: number };
  /** Messages left out, and repeated, in the sequences of all ordered pairs of shards. */
  readonly sequences: { readonly gaps: number; readonly duplicates: number };
  /** Receipt batches and nodes' account proofs that were verified, and those that do not hold. */
  readonly proofs: { readonly batchesChecked: number; readonly bad: number };
  /** Entries of loaders' ledgers that were looked up in the blocks. */
  readonly ledger: { readonly checked: number; readonly violations: number };
  /** Load runs whose contracts were looked at, and by invariant whether it holds for all of them. Wei that moves inside of contracts is checked by shard only, by `supply`. */
  readonly contracts: { readonly runs: number; readonly invariants: Readonly<Partial<Record<InvariantName, boolean>>>; readonly violations: number };
  /** Validators whose blocks were compared with those of their committee, and those that have others. */
  readonly validators: { readonly compared: number; readonly forks: number };
  /** Shard blocks up to the cut, transactions listed in them, beacon blocks. */
  readonly blocks: number;
  readonly transactions: number;
  /** Of those, local ones that reverted: in the chain, fee paid, nothing else done. */
  readonly reverted: number;
  readonly beaconBlocks: number;
  /** Height of each shard at the cut. */
  readonly cut: Readonly<Record<string, number>>;
  /** Violations by check, all of them counted. */
  readonly checks: Readonly<Record<string, number>>;
  /** The first violations of each check. */
  readonly findings: readonly Finding[];
};

/** Sums in wei over the whole cut. */
export interface Sums {
  readonly genesis: bigint;
  readonly balances: bigint;
  readonly escrow: bigint;
  readonly inFlight: bigint;
  readonly burned: bigint;
}

/** Everything else that a report says. */
export type Counts = Pick<AuditReport, 'locks' | 'sequences' | 'proofs' | 'ledger' | 'contracts' | 'validators' | 'blocks' | 'transactions' | 'reverted' | 'beaconBlocks' | 'cut'> & { readonly crossShard: number };

/** Puts a report together. Adds the finding `supply` if the sums do not balance. */
export function makeReport(sums: Sums, counts: Counts, findings: Findings): AuditReport {
  const { genesis, balances, escrow, inFlight, burned } = sums;
  const difference = balances + escrow + inFlight + burned - genesis;
  if (difference !== 0n) findings.add('supply', `balances, escrow, in flight and burned come to ${difference} wei more than the genesis`);
  const { crossShard, ...rest } = counts;
  return {
    ok: findings.total === 0,
    supply: {
      genesis: String(genesis),
      balances: String(balances),
      escrow: String(escrow),
      inFlight: String(inFlight),
      burned: String(burned),
      difference: String(difference),
    },
    atomicity: { checked: crossShard, violations: findings.area('atomicity') },
    ...rest,
    checks: findings.byCheck(),
    findings: findings.listed,
  };
}
