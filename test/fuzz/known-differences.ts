/** Where the oracle itself breaks Ethereum's rules. A program that differs and does such a thing is counted apart, with the reason; one that does it and agrees is not. */
import type { TraceCall } from '../../packages/shard/src/execution/evm/tracer.ts';

/** A fault of the oracle. */
export interface KnownDifference {
  /** What is wrong, and which rule says so. */
  readonly why: string;
  /** Whether a call or creation within a program meets the fault. */
  readonly meets: (call: TraceCall) => boolean;
}

/** Faults of `@ethereumjs/evm` 10.1.3. */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    why:
      'CREATE and CREATE2 of initcode that begins with 0xef00: the oracle pushes 0 and keeps nonce and gas, as EOF would have it (EIP-3540, EIP-7620), though neither Cancun ' +
      'nor Prague has EOF; there 0xef is an undefined instruction, so the creation takes the nonce and loses all its gas (EIP-3541 is about deployed code only)',
    meets: ({ kind, input }) => (kind === 'CREATE' || kind === 'CREATE2') && input[0] === 0xef && input[1] === 0x00,
  },
];
