/** What a load can consist of. Contract workloads deploy their contracts on every shard first. */
export const WORKLOADS = ['transfer', 'erc20', 'erc721-mint', 'amm-swap', 'amm-swap-many', 'lending', 'mixed'] as const;
/** One of {@link WORKLOADS}. */
export type WorkloadName = (typeof WORKLOADS)[number];

/** What one transaction of a load does. */
export const CALL_KINDS = ['transfer', 'erc20', 'mint', 'swap', 'lend'] as const;
/** One of {@link CALL_KINDS}. */
export type CallKind = (typeof CALL_KINDS)[number];

/** Of what a workload consists. */
export interface WorkloadMix {
  /** Per cent of the transactions; 100 in all. */
  readonly shares: Readonly<Partial<Record<CallKind, number>>>;
  /** Uniswap pools on each shard. */
  readonly pools: number;
}

/** The workloads in figures. `mixed`: half transfers, and of the rest half ERC-20 transfers. */
export const MIXES: Readonly<Record<WorkloadName, WorkloadMix>> = {
  transfer: { shares: { transfer: 100 }, pools: 0 },
  erc20: { shares: { erc20: 100 }, pools: 0 },
  'erc721-mint': { shares: { mint: 100 }, pools: 0 },
  'amm-swap': { shares: { swap: 100 }, pools: 1 },
  'amm-swap-many': { shares: { swap: 100 }, pools: 8 },
  lending: { shares: { lend: 100 }, pools: 0 },
  mixed: { shares: { transfer: 50, erc20: 25, swap: 15, mint: 5, lend: 5 }, pools: 2 },
};
