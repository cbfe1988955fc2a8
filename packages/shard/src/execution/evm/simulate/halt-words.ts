import type { Halt } from '../types.ts';

/** What wallets and tracers are told of each halt: go-ethereum's words where it has some. */
const WORDS: Readonly<Record<Halt, string>> = {
  revert: 'execution reverted',
  'out-of-gas': 'out of gas',
  'invalid-opcode': 'invalid opcode',
  'stack-underflow': 'stack underflow',
  'stack-overflow': 'stack limit reached 1024',
  'invalid-jump': 'invalid jump destination',
  'static-violation': 'write protection',
  'return-data-out-of-bounds': 'return data out of bounds',
  'call-depth': 'max call depth exceeded',
  'insufficient-balance': 'insufficient balance for transfer',
  'nonce-overflow': 'nonce uint64 overflow',
  'create-collision': 'contract address collision',
  'initcode-too-long': 'max initcode size exceeded',
  'code-too-long': 'max code size exceeded',
  'invalid-code': 'invalid code: must not begin with 0xef',
  'precompile-failure': 'precompiled contract failed',
  // To its caller it is a revert, with a custom error (R12).
  'foreign-account': 'execution reverted',
};

/** A halt in words. */
export function haltWords(halt: Halt): string {
  return WORDS[halt];
}
