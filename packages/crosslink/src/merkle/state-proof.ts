import { Reader } from '../codec/reader.ts';
import { Writer } from '../codec/writer.ts';
import type { Hasher } from '../crypto.ts';
import { DecodeError, InvariantError } from '../errors.ts';
import { equalBytes, ZERO_HASH } from '../primitives.ts';
import { pathBit, stateInternalHash, stateLeafHash, stateStemHash, stateSubtreeHash } from './state-hash.ts';

/** The hashes beside a path, 32 bytes each, from the top down; 32 zero bytes where nothing is. */
type Siblings = readonly Uint8Array[];

/**
 * What the state says about one key.
 * - `present`: the key's stem stands at depth `siblings.length`, and holds `value` (not zero).
 * - `absent-suffix`: the key's stem stands there, and holds nothing at the key's suffix.
 * - `other-stem`: another stem stands there alone, with its subtree's root, so the key's stem is nowhere.
 * - `empty`: nothing stands there.
 */
export type StateProof =
  | { readonly kind: 'present'; readonly siblings: Siblings; readonly subtreeSiblings: Siblings; readonly value: Uint8Array }
  | { readonly kind: 'absent-suffix'; readonly siblings: Siblings; readonly subtreeSiblings: Siblings }
  | { readonly kind: 'other-stem'; readonly siblings: Siblings; readonly otherStem: Uint8Array; readonly subtreeRoot: Uint8Array }
  | { readonly kind: 'empty'; readonly siblings: Siblings };

/** Why a proof was refused: a stable metric label. A code starting with `decode/` means that it is no canonical encoding. */
export type StateProofFailure =
  | 'length'
  | 'not-canonical'
  | 'same-stem'
  | 'foreign-stem'
  | 'root-mismatch'
  | `decode/${string}`;

/** What a proof shows: the value of the key (32 bytes), `undefined` if the key is absent, or why it shows nothing. */
export type StateProofResult =
  | { readonly ok: true; readonly value: Uint8Array | undefined }
  | { readonly ok: false; readonly reason: StateProofFailure };

/** Depth of the deepest stem: two stems may differ in their last bit only. */
export const STATE_DEPTH_MAX = 248;
/** Levels between a stem's subtree root and its leaves. */
const SUBTREE_LEVELS = 8;
/** Most bytes of an encoded proof: version, kind, depth, bitmaps, all siblings, value. */
export const STATE_PROOF_BYTES_MAX = 3 + 31 + STATE_DEPTH_MAX * 32 + 1 + SUBTREE_LEVELS * 32 + 32;

const VERSION = 1;
const KINDS = ['present', 'absent-suffix', 'other-stem', 'empty'] as const;

/** Canonical bytes of a proof. Throws `invariant` on shapes that {@link decodeStateProof} would refuse. */
export function encodeStateProof(proof: StateProof): Uint8Array {
  const depth = proof.siblings.length;
  if (depth > STATE_DEPTH_MAX) throw new InvariantError(`proof of depth ${depth}`);
  const writer = new Writer(512).u8(VERSION).u8(KINDS.indexOf(proof.kind)).u8(depth);
  writeSiblings(writer, proof.siblings);
  switch (proof.kind) {
    case 'present':
    case 'absent-suffix':
      if (proof.subtreeSiblings.length !== SUBTREE_LEVELS) throw new InvariantError('a subtree path has 8 siblings');
      writeSiblings(writer, proof.subtreeSiblings);
      if (proof.kind === 'present') {
        if (equalBytes(proof.value, ZERO_HASH)) throw new InvariantError('a zero value is absent');
        writer.fixed(proof.value, 32);
      }
      break;
    case 'other-stem':
      writer.fixed(proof.otherStem, 31).fixed(proof.subtreeRoot, 32);
      break;
    case 'empty':
      break;
  }
  return writer.finish();
}

/** Reads a proof; byte fields are views. Throws a `DecodeError` unless `data` is the canonical encoding of one. */
export function decodeStateProof(data: Uint8Array): StateProof {
  if (data.length > STATE_PROOF_BYTES_MAX) throw new DecodeError('decode/bound', `proof of ${data.length} bytes`);
  const reader = new Reader(data);
  reader.version(VERSION);
  const kind = KINDS[reader.u8()];
  if (kind === undefined) throw new DecodeError('decode/range', 'unknown kind of proof');
  const depth = reader.u8();
  if (depth > STATE_DEPTH_MAX) throw new DecodeError('decode/range', `proof of depth ${depth}`);
  const siblings = readSiblings(reader, depth);
  const proof = readRest(reader, kind, siblings);
  reader.end();
  return proof;
}

/**
 * Judges an encoded proof about `key` (32 bytes: stem and suffix) against a state root (32 bytes). Never throws on any `proof` bytes. Shares nothing with
 * the trie that makes proofs; why no node can pose as one of another kind is told at `stateStemHash`.
 */
export function verifyStateProof(hasher: Hasher, root: Uint8Array, key: Uint8Array, proof: Uint8Array): StateProofResult {
  if (root.length !== 32 || key.length !== 32) return { ok: false, reason: 'length' };
  let decoded: StateProof;
  try {
    decoded = decodeStateProof(proof);
  } catch (error) {
    if (error instanceof DecodeError) return { ok: false, reason: error.code as `decode/${string}` };
    throw error;
  }
  const { siblings } = decoded;
  // A position beside nothing would be its parent: stems stand as high as they can, and no internal node is above fewer than two of them.
  if (siblings.length > 0 && equalBytes(siblings[siblings.length - 1]!, ZERO_HASH)) return { ok: false, reason: 'not-canonical' };
  const bottom = positionHash(hasher, key, decoded);
  if (typeof bottom === 'string') return { ok: false, reason: bottom };
  let hash = bottom;
  for (let depth = siblings.length - 1; depth >= 0; depth--) {
    const sibling = siblings[depth]!;
    hash = pathBit(key, depth) === 0 ? stateInternalHash(hasher, hash, sibling) : stateInternalHash(hasher, sibling, hash);
  }
  if (!equalBytes(hash, root)) return { ok: false, reason: 'root-mismatch' };
  return { ok: true, value: decoded.kind === 'present' ? decoded.value : undefined };
}

/** The hash of what stands at the end of the path, or why it cannot stand there. */
function positionHash(hasher: Hasher, key: Uint8Array, proof: StateProof): Uint8Array | StateProofFailure {
  switch (proof.kind) {
    case 'empty':
      return ZERO_HASH;
    case 'other-stem': {
      if (equalBytes(proof.otherStem, key.subarray(0, 31))) return 'same-stem';
      for (let bit = 0; bit < proof.siblings.length; bit++) {
        if (pathBit(proof.otherStem, bit) !== pathBit(key, bit)) return 'foreign-stem';
      }
      if (equalBytes(proof.subtreeRoot, ZERO_HASH)) return 'not-canonical';
      return stateStemHash(hasher, proof.otherStem, proof.subtreeRoot);
    }
    case 'present':
    case 'absent-suffix': {
      let hash = stateLeafHash(hasher, proof.kind === 'present' ? proof.value : undefined);
      for (let level = SUBTREE_LEVELS - 1; level >= 0; level--) {
        const sibling = proof.subtreeSiblings[level]!;
        const right = pathBit(key, STATE_DEPTH_MAX + level) === 1;
        hash = right ? stateSubtreeHash(hasher, sibling, hash) : stateSubtreeHash(hasher, hash, sibling);
      }
      if (equalBytes(hash, ZERO_HASH)) return 'not-canonical';
      return stateStemHash(hasher, key.subarray(0, 31), hash);
    }
  }
}

function readRest(reader: Reader, kind: (typeof KINDS)[number], siblings: Siblings): StateProof {
  switch (kind) {
    case 'present': {
      const subtreeSiblings = readSiblings(reader, SUBTREE_LEVELS);
      const value = reader.fixed(32);
      if (equalBytes(value, ZERO_HASH)) throw new DecodeError('decode/range', 'a zero value is absent');
      return { kind, siblings, subtreeSiblings, value };
    }
    case 'absent-suffix':
      return { kind, siblings, subtreeSiblings: readSiblings(reader, SUBTREE_LEVELS) };
    case 'other-stem':
      return { kind, siblings, otherStem: reader.fixed(31), subtreeRoot: reader.fixed(32) };
    case 'empty':
      return { kind, siblings };
  }
}

/** A bitmap of the siblings that are not zero (first sibling in the highest bit), then those. */
function writeSiblings(writer: Writer, siblings: Siblings): void {
  const present = siblings.map((sibling) => !equalBytes(sibling, ZERO_HASH));
  for (let at = 0; at < siblings.length; at += 8) {
    let bits = 0;
    for (let k = 0; k < 8; k++) if (present[at + k] === true) bits |= 0x80 >> k;
    writer.u8(bits);
  }
  siblings.forEach((sibling, index) => {
    if (present[index] === true) writer.fixed(sibling, 32);
  });
}

function readSiblings(reader: Reader, count: number): Uint8Array[] {
  const bitmap = reader.fixed((count + 7) >> 3);
  const siblings: Uint8Array[] = [];
  for (let index = 0; index < bitmap.length * 8; index++) {
    const present = pathBit(bitmap, index) === 1;
    if (index >= count) {
      if (present) throw new DecodeError('decode/range', 'bits beyond the depth');
      continue;
    }
    const sibling = present ? reader.fixed(32) : ZERO_HASH;
    if (present && equalBytes(sibling, ZERO_HASH)) throw new DecodeError('decode/range', 'zero sibling written out');
    siblings.push(sibling);
  }
  return siblings;
}
