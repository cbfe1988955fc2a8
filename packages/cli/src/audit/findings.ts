import { toHex } from '@shardlab/crosslink';

/** What a check is about; the parts of the report that count violations count those of their own area. */
export type FindingArea = 'genesis' | 'chain' | 'supply' | 'atomicity' | 'locks' | 'sequences' | 'proofs' | 'crosslinks' | 'ledger' | 'contracts';

/** Every check that the audit makes, by the name under which a violation is reported, with its area. */
export const CHECKS = {
  'genesis-hash': 'genesis',
  'block-encoding': 'chain',
  'block-place': 'chain',
  'block-changed': 'chain',
  'parent-hash': 'chain',
  timestamp: 'chain',
  epoch: 'chain',
  certificate: 'chain',
  'header-fields': 'chain',
  'tx-root': 'chain',
  'receipt-root': 'chain',
  'out-root': 'chain',
  'pair-root': 'chain',
  receipts: 'chain',
  'transaction-count': 'chain',
  'transaction-twice': 'chain',
  'transaction-lost': 'chain',
  'receipt-place': 'chain',
  'listed-twice': 'chain',
  fork: 'chain',
  'state-root': 'supply',
  'state-leaf': 'supply',
  'balance-total': 'supply',
  'escrow-total': 'supply',
  'pair-table': 'supply',
  conservation: 'supply',
  burned: 'supply',
  'in-flight': 'supply',
  supply: 'supply',
  'sequence-gap': 'sequences',
  'sequence-duplicate': 'sequences',
  'inbox-order': 'sequences',
  'message-encoding': 'sequences',
  'message-unknown': 'sequences',
  'message-differs': 'sequences',
  'message-origin': 'sequences',
  'batch-proof': 'proofs',
  'state-proof': 'proofs',
  'beacon-block': 'crosslinks',
  crosslink: 'crosslinks',
  'prepare-identity': 'atomicity',
  'prepare-order': 'atomicity',
  'message-twice': 'atomicity',
  'vote-without-prepare': 'atomicity',
  'vote-after-decision': 'atomicity',
  'decision-without-prepare': 'atomicity',
  'decision-mixed': 'atomicity',
  'decision-partial': 'atomicity',
  'decision-value': 'atomicity',
  'commit-without-yes': 'atomicity',
  'applied-without-yes': 'atomicity',
  'abort-early': 'atomicity',
  'abort-without-decision': 'atomicity',
  'ack-disagrees': 'atomicity',
  'receipt-disagrees': 'atomicity',
  'receipt-missing': 'atomicity',
  'record-missing': 'atomicity',
  'record-stale': 'atomicity',
  'lock-conflict': 'locks',
  'lock-stuck': 'locks',
  'ledger-committed': 'ledger',
  'ledger-aborted': 'ledger',
  'ledger-rejected': 'ledger',
  'token-supply': 'contracts',
  'collectible-supply': 'contracts',
  'pool-reserves': 'contracts',
  'constant-product': 'contracts',
  'lending-solvency': 'contracts',
} as const satisfies Record<string, FindingArea>;

/** The name of one check. */
export type CheckName = keyof typeof CHECKS;

/** Where something was found. */
export interface Place {
  readonly shard?: number;
  readonly height?: number;
  /** Hash of a block or a transaction, 32 bytes. */
  readonly hash?: Uint8Array;
}

/** One violation, as it stands in the report. */
export type Finding = {
  readonly check: CheckName;
  readonly message: string;
  readonly shard?: number;
  readonly height?: number;
  /** `0x` hex. */
  readonly hash?: string;
};

/** Violations listed in full; more are only counted. */
export const FINDINGS_MAX = 100;
/** Violations of one check that are listed, so that one fault with many consequences does not hide the others. */
const FINDINGS_PER_CHECK = 10;

/** Collects what is wrong: all of it counted, the first of each check listed. */
export class Findings {
  readonly listed: Finding[] = [];
  private readonly counts = new Map<CheckName, number>();

  /** Violations so far. */
  get total(): number {
    let sum = 0;
    for (const count of this.counts.values()) sum += count;
    return sum;
  }

  /** Notes one violation. */
  add(check: CheckName, message: string, place: Place = {}): void {
    const count = (this.counts.get(check) ?? 0) + 1;
    this.counts.set(check, count);
    if (count > FINDINGS_PER_CHECK || this.listed.length >= FINDINGS_MAX) return;
    const { shard, height, hash } = place;
    this.listed.push({
      check,
      message,
      ...(shard === undefined ? {} : { shard }),
      ...(height === undefined ? {} : { height }),
      ...(hash === undefined ? {} : { hash: toHex(hash) }),
    });
  }

  /** Violations of one check. */
  count(check: CheckName): number {
    return this.counts.get(check) ?? 0;
  }

  /** Violations of all checks of one area. */
  area(area: FindingArea): number {
    let sum = 0;
    for (const [check, count] of this.counts) if (CHECKS[check] === area) sum += count;
    return sum;
  }

  /** Violations by check, in order of name; checks without any are left out. */
  byCheck(): Record<string, number> {
    return Object.fromEntries([...this.counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
