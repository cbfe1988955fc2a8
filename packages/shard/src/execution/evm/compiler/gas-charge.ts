import { OUT_OF_GAS } from '../interpreter/outcome.ts';
import type { Builder } from './builder.ts';
import type { TraceState } from './state.ts';

/** Emits the charge of gas that has been used so far; behind it `g` is exact, and not negative. */
export function takeGas(builder: Builder, state: TraceState): void {
  if (state.gas > 0) builder.emitter.statement(`if((g-=${state.gas})<0)return ${OUT_OF_GAS};`);
  else if (state.unchecked) builder.emitter.statement(`if(g<0)return ${OUT_OF_GAS};`);
  state.gas = 0;
  state.unchecked = false;
}
