import { LIMBS } from '../words/basic.ts';

/** Words of temporaries that one trace may use. */
export const TEMPORARIES_MAX = 4096;

/**
 * What library functions take from and give to compiled traces. One array for all of them: a trace writes each word before it reads it, and keeps none when
 * another one runs. Being a constant, its address is one in the machine code too.
 */
export const TEMPORARIES: Uint32Array = new Uint32Array(TEMPORARIES_MAX * LIMBS);
/** The same limbs, signed. */
export const SIGNED_TEMPORARIES: Int32Array = new Int32Array(TEMPORARIES.buffer);
