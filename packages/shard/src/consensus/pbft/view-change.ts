import { compareBytes, equalBytes, type Hash32, type QuorumCertificate } from '@shardlab/crosslink';
import type { AgreedHead, HeaderFields } from '../types.ts';
import type { Committee } from './committee.ts';
import { type NewView, newView, newViewPayload, type PreparedBlock, type ViewChange, viewChange, viewChangePayload } from './messages.ts';

/** A block that a new view has to agree on again. */
export interface ChosenBlock {
  readonly height: number;
  readonly hash: Hash32;
  readonly fields: HeaderFields;
  readonly header: Uint8Array;
  readonly certificate: QuorumCertificate;
  /** Validators that say they have prepared it, and so hold it, in order of index; those that voted for it follow. */
  readonly holders: readonly number[];
}

/** What follows from a quorum of view changes. */
export interface Choice {
  /** The highest head that is proven: nothing at or below it is voted on in the new view. */
  readonly base: AgreedHead;
  /** The validator that has proven it. */
  readonly witness: number;
  /** Blocks directly above the base, each the parent of the next. */
  readonly blocks: readonly ChosenBlock[];
}

/** Signs this validator's own view change. */
export function makeViewChange(committee: Committee, view: number, head: AgreedHead, prepared: readonly PreparedBlock[]): ViewChange {
  const payload = viewChangePayload(view, committee.self, head, prepared);
  return viewChange(payload, committee.sign('view-change', payload));
}

/** Signs a new view that this validator leads. */
export function makeNewView(committee: Committee, view: number, changes: readonly ViewChange[]): NewView {
  const payload = newViewPayload(view, committee.self, changes);
  return newView(payload, committee.sign('new-view', payload));
}

/** Checks that a head is certified: `undefined` when it is, else a stable reason (`epoch-unknown`: cannot be told here yet). */
export function headFault(committee: Committee, head: AgreedHead): string | undefined {
  // Nobody signs the first block of a chain, and only that one.
  if (head.certificate === undefined) return head.height === 0 ? undefined : 'head-unproven';
  return head.height === 0 ? 'head-genesis' : committee.checkCertificate('commit', head, head.certificate);
}

function preparedFault(committee: Committee, change: ViewChange): string | undefined {
  let below = change.head.height;
  for (const { header, certificate } of change.prepared) {
    const { epoch, height } = committee.readHeader(header);
    if (height <= below || height > change.head.height + committee.window) return 'prepared-height';
    if (certificate.view >= change.view) return 'prepared-view';
    const fault = committee.checkCertificate('prepare', { epoch, height, hash: committee.hash(header) }, certificate);
    if (fault !== undefined) return fault;
    below = height;
  }
  return undefined;
}

/**
 * Checks a view change with all that it holds: `undefined` when it is good, else a stable reason (`epoch-unknown`: cannot be told here yet). Throws `DecodeError` on a
 * header that is none.
 */
export function viewChangeFault(committee: Committee, change: ViewChange): string | undefined {
  const { head, validator, payload, signature } = change;
  if (validator >= committee.size) return 'validator';
  const signed = committee.checkSignature('view-change', head.epoch, validator, payload, signature);
  if (signed !== 'good') return signed;
  return headFault(committee, head) ?? preparedFault(committee, change);
}

/**
 * Checks a new view with all that it holds; `known` tells of view changes that were checked before. `undefined` when it is good, else a stable reason. Throws
 * `DecodeError` on a header that is none.
 */
export function newViewFault(committee: Committee, message: NewView, known: (change: ViewChange) => boolean): string | undefined {
  const { view, validator, changes, payload, signature } = message;
  const askers = new Set(changes.map((change) => change.validator));
  if (askers.size !== changes.length || changes.some((change) => change.view !== view)) return 'new-view-changes';
  if (askers.size < committee.quorum) return 'new-view-quorum';
  const { base } = choose(committee, changes);
  if (committee.leader(view, base.height + 1) !== validator) return 'new-view-leader';
  const signed = committee.checkSignature('new-view', base.epoch, validator, payload, signature);
  if (signed !== 'good') return signed;
  for (const change of changes) {
    const fault = known(change) ? undefined : viewChangeFault(committee, change);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/**
 * What a quorum of view changes for view w leaves open, and what it does not: the base is the highest proven head; above it, height by height, the prepared certificate
 * of the highest view among those for a block whose parent is the one chosen below, until there is none. A function of the messages alone, so the new view need not
 * state it and cannot state it wrongly. (PBFT, OSDI 1999, section 4.4; deviates: a certificate counts only as a link of the chain, and there are no null requests.)
 *
 * Why nothing that may be final is lost. Say that A at height h has a commit quorum in view v < w.
 * - Any two quorums share a correct validator. So among the askers there is one, i, that voted commit for A in v, and it had asked for no higher view then: it had
 *   executed A and held a prepared certificate for it of view v. A vote at h needs a head of at least h - window, so i's view change either proves a head at or above h
 *   (then h is no question any more), or lists h.
 * - By induction over the views v < u < w: each new view u that i or any other correct validator entered has chosen A at h, or has a base at or above h, because its
 *   askers too are a quorum. Nobody correct votes in u for another block at h: at a chosen height only for the chosen one, at or below the base for none. So no other
 *   block at h has a prepared certificate of a view above v; and none of view v, because a validator votes prepare once per view and height. i has kept its
 *   certificate, for it only drops those that a new view has not chosen. Hence A has the certificate of the highest view at h.
 * - And A's parent is the one chosen below: i votes commit at h only when h - 1 is final, or prepared by i in the same view v. In the second case a quorum had the
 *   parent prepared in v, so all of the above holds for the parent as well, as if it were final.
 *
 * Why older certificates may be dropped: a validator that enters w drops its certificate for a block B at h that the choice does not name. Had B a commit quorum in
 * any view below w, the choice would name it, as just shown; so B is not final, and it can not become so in a view below w, where a quorum votes no more. What could
 * count for B later is a new certificate only, of view w or above. The same holds for a child whose parent lost: it could only be final with its parent.
 */
export function choose(committee: Committee, changes: readonly ViewChange[]): Choice {
  const [highest] = changes.toSorted((a, b) => b.head.height - a.head.height || a.validator - b.validator);
  const base = highest!.head;
  const blocks: ChosenBlock[] = [];
  for (;;) {
    const next = chooseAt(committee, changes, base, blocks.at(-1));
    if (next === undefined) return { base, witness: highest!.validator, blocks };
    blocks.push(next);
  }
}

function chooseAt(committee: Committee, changes: readonly ViewChange[], base: AgreedHead, below: ChosenBlock | undefined): ChosenBlock | undefined {
  const wanted = (below?.height ?? base.height) + 1;
  const found: { readonly block: PreparedBlock; readonly fields: HeaderFields; readonly hash: Hash32; readonly validator: number }[] = [];
  for (const { prepared, validator } of changes) {
    for (const block of prepared) {
      const fields = committee.readHeader(block.header);
      // The first block of a chain is not proven by a message: what a quorum has voted for on top of it stands on the right one.
      const linked = wanted === 1 || equalBytes(fields.parentHash, below?.hash ?? base.hash);
      if (fields.height === wanted && linked) found.push({ block, fields, hash: committee.hash(block.header), validator });
    }
  }
  found.sort((a, b) => b.block.certificate.view - a.block.certificate.view || compareBytes(a.hash, b.hash));
  const best = found[0];
  if (best === undefined) return undefined;
  const { block, fields, hash } = best;
  const holders = found.filter((other) => equalBytes(other.hash, hash)).map(({ validator }) => validator).toSorted((a, b) => a - b);
  for (let voter = 0; voter < committee.size; voter++) {
    const voted = (((block.certificate.bitmap[voter >> 3] ?? 0) >> (voter & 7)) & 1) === 1;
    if (voted && !holders.includes(voter)) holders.push(voter);
  }
  return { height: wanted, hash, fields, header: block.header, certificate: block.certificate, holders };
}
