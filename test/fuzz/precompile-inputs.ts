/** Inputs that precompiles accept, so that the fuzzer does not only see them refuse. Noise is added by whoever uses them. */
import type { Prng } from '@shardlab/crosslink';
import { concatBytes, fromHex } from '@shardlab/crosslink';

function word(value: bigint): Uint8Array {
  return fromHex(`0x${value.toString(16).padStart(64, '0')}`);
}

/** Hash, v, r, s: the example of the Yellow Paper's tests. */
const RECOVER = fromHex(
  '0x456e9aea5e197a1f1af7a3e85a3212fa4049a3ba34c2289b4c860fc0b0c64ef3' +
    '000000000000000000000000000000000000000000000000000000000000001c' +
    '9242685bf161793cc25603c231bc2f568eb630ea16aa137d2664ac8038825608' +
    '4f8ae3bd7535248d0bd448298cc2e2071e56992d0774dc340c368ae950852ada',
);
/** The generator of the curve of EIP-196, and its negative. */
const BN_FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;
const G1 = concatBytes(word(1n), word(2n));
const G1_NEGATIVE = concatBytes(word(1n), word(BN_FIELD - 2n));
/** The generator of its second group, imaginary parts first (EIP-197). */
const G2 = fromHex(
  '0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c21800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed' +
    '090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa',
);

function modexp(prng: Prng): Uint8Array {
  const [base, exponent, modulus] = [prng.below(40), prng.below(36), prng.below(40)];
  return concatBytes(word(BigInt(base)), word(BigInt(exponent)), word(BigInt(modulus)), prng.bytes(base + exponent + modulus));
}

/** EIP-152: rounds, state, message, offsets, and whether the block is the last one. */
function blake(prng: Prng): Uint8Array {
  const input = prng.bytes(213);
  input.set([0, 0, 0, prng.below(40)]);
  input[212] = prng.below(2);
  return input;
}

/** An input for the precompile at `number`: usually valid where that is easy, else noise. */
export function precompileInput(prng: Prng, number: number): Uint8Array {
  switch (number) {
    case 1:
      return RECOVER;
    case 5:
      return modexp(prng);
    case 6:
      return concatBytes(G1, prng.below(2) === 0 ? G1 : G1_NEGATIVE);
    case 7:
      return concatBytes(G1, prng.below(2) === 0 ? word(BigInt(prng.below(1_000))) : prng.bytes(32));
    case 8:
      return prng.below(2) === 0 ? concatBytes(G1, G2, G1_NEGATIVE, G2) : concatBytes(G1, G2);
    case 9:
      return blake(prng);
    default:
      return prng.bytes(prng.below(200));
  }
}
