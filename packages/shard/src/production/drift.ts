/** How far a proposer's clock may be ahead of this validator's, in milliseconds (R5). */
export const AHEAD_MAX_MS = 5_000;
/** How old a proposal may be: more, because a machine that is too slow makes everything old, and refusing it would only cost more. */
export const BEHIND_MAX_MS = 30_000;
