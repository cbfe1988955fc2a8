/** The native half of `secp256k1` 5.0.2, which ships no types: only what is used here. All functions throw `Error` on failure. */
declare module 'secp256k1/bindings.js' {
  interface Secp256k1Bindings {
    /** Uncompressed (65 bytes) when `compressed` is false. */
    publicKeyCreate(secretKey: Uint8Array, compressed: boolean, output?: Uint8Array): Uint8Array;
    /** RFC 6979, low s; `signature` is r and s in 64 bytes. */
    ecdsaSign(hash: Uint8Array, secretKey: Uint8Array): { readonly signature: Uint8Array; readonly recid: number };
    ecdsaRecover(signature: Uint8Array, recoveryId: number, hash: Uint8Array, compressed: boolean, output: Uint8Array): Uint8Array;
  }
  const bindings: Secp256k1Bindings;
  export default bindings;
}
