import type { Builder } from './builder.ts';
import type { TraceState } from './state.ts';

/**
 * Emits an instruction that touches more than words, with its operands wherever they are. False: that is not possible with these operands, and nothing has happened;
 * the interpreter's instruction must be called.
 */
export type Effect = (builder: Builder, state: TraceState) => boolean;
