/** One lie for each check of the audit: what a node, a validator or a whole committee would have to do for the check to fail. */
import {
  type Block,
  bytesKey,
  type CoordinatorRecord,
  type CrossShardMessage,
  decodeBlock,
  decodeCoordinatorRecord,
  decodeFlatValue,
  decodeMessage,
  decodeRecord,
  encodeBlock,
  encodeCoordinatorRecord,
  encodeFlatValue,
  encodeMessage,
  encodeRecord,
  fromHex,
  type Height,
  type QuorumCertificate,
  toHex,
  XTX_COORDINATOR,
} from '@shardlab/crosslink';
import type { CheckName } from '../../src/audit/findings.ts';
import type { LedgerEntry } from '../../src/audit/ledger.ts';
import type { ChainHooks, Draft, FakeChain } from './audit-fake-chain.ts';
import type { NodeHooks } from './audit-fake-node.ts';

/** How one check is made to fail. */
export interface Lie {
  readonly check: CheckName;
  readonly chain?: () => ChainHooks;
  /** Changes what is stored when all is made. */
  readonly stored?: (chain: FakeChain) => void;
  readonly node?: (chain: FakeChain) => NodeHooks;
  readonly ledger?: (honest: LedgerEntry[]) => LedgerEntry[];
}

/** From this height on a lie may be told: there is traffic of all kinds. */
const HEIGHT = 8;
const HEAD = 24;

/** Runs `tell` on the drafts from {@link HEIGHT} on until it says that it has found what to falsify. */
function once(tell: (draft: Draft) => boolean): () => ChainHooks {
  return () => {
    let told = false;
    return {
      draft: (draft) => {
        if (!told && draft.height >= HEIGHT) told = tell(draft);
      },
    };
  };
}

type Edit = (message: CrossShardMessage) => CrossShardMessage[] | undefined;

/** Applies `edit` to messages in place until it has changed one; `undefined` leaves a message. */
function rewrite(messages: Uint8Array[], edit: Edit): boolean {
  for (let at = 0; at < messages.length; at++) {
    const edited = edit(decodeMessage(messages[at]!));
    if (edited === undefined) continue;
    messages.splice(at, 1, ...edited.map(encodeMessage));
    return true;
  }
  return false;
}

const sent = (edit: Edit): (() => ChainHooks) => once((draft) => draft.outgoing.some((each) => rewrite(each.messages as Uint8Array[], edit)));
const heard = (edit: Edit): (() => ChainHooks) => once((draft) => draft.inbox.some((each) => rewrite(each.messages as Uint8Array[], edit)));

function flipped<T extends Uint8Array>(bytes: T): T {
  const out = bytes.slice() as T;
  out[7]! ^= 1;
  return out;
}

function forged(certificate: QuorumCertificate): QuorumCertificate {
  return { ...certificate, signatures: certificate.signatures.map(flipped) };
}

const headerAt = (change: NonNullable<ChainHooks['header']>, always = false) => (): ChainHooks => ({
  header: (header) => {
    if (header.shard === 1 && (header.height === HEIGHT || (always && header.height > HEIGHT))) change(header);
  },
});

const sealedAt = (change: (block: Block) => Block) => (): ChainHooks => ({
  sealed: (block) => (block.header.shard === 1 && block.header.height === HEIGHT ? change(block) : block),
});

/** Whether a flat key is a coordinator's record. */
function isCoordinatorKey(key: string): boolean {
  return key.startsWith(bytesKey(XTX_COORDINATOR));
}

function recordOf(value: Uint8Array): CoordinatorRecord {
  return decodeCoordinatorRecord(decodeRecord(decodeFlatValue(value).map((leaf) => leaf.value)));
}

function flatRecord(record: CoordinatorRecord): Uint8Array {
  return encodeFlatValue(encodeRecord(encodeCoordinatorRecord(record)).map((value, suffix) => ({ suffix, value })));
}

/** Falsifies the coordinators' records of shard 0 in what the node serves. */
const recordsAs = (change: (record: CoordinatorRecord, index: number) => CoordinatorRecord | undefined) => (): NodeHooks => ({
  state: (shard, _height, entries) => {
    if (shard !== 0) return;
    [...entries.keys()].filter(isCoordinatorKey).sort().forEach((key, index) => {
      const changed = change(recordOf(entries.get(key)!), index);
      if (changed === undefined) entries.delete(key);
      else entries.set(key, flatRecord(changed));
    });
  },
});

/** One wei more on one account of shard 2. */
const oneWei = (): NodeHooks => ({
  state: (shard, _height, entries) => {
    if (shard !== 2) return;
    const key = [...entries.keys()].find((each) => !isCoordinatorKey(each) && each.length === 33)!;
    const value = entries.get(key)!.slice();
    // The last byte of the first leaf: an account's balance, whatever else is in its stem.
    value[34]! ^= 1;
    entries.set(key, value);
  },
});

const answers = (method: string, change: (result: Record<string, unknown>, params: readonly unknown[], shard: number | undefined) => unknown) => (): NodeHooks => ({
  answer: (called, shard, params, result) => (called === method ? change({ ...(result as Record<string, unknown>) }, params, shard) : result),
});

const CHAIN_LIES: readonly Lie[] = [
  { check: 'genesis-hash', node: answers('shard_status', (status, _, shard) => (shard === undefined ? { ...status, genesisHash: toHex(new Uint8Array(32)) } : status)) },
  { check: 'block-encoding', stored: (chain) => void (chain.shards[1]!.blocks[4] = chain.shards[1]!.blocks[4]!.subarray(0, 500)) },
  { check: 'block-place', stored: (chain) => void (chain.shards[1]!.blocks[4] = chain.shards[1]!.blocks[5]!) },
  {
    check: 'block-changed',
    node: answers('shard_getBlocks', (answer, [from]) => {
      if (from !== HEAD) return answer;
      const block = decodeBlock(fromHex((answer['blocks'] as string[])[0]!));
      return { ...answer, blocks: [toHex(encodeBlock({ ...block, header: { ...block.header, gasUsed: block.header.gasUsed + 1 } }))] };
    }),
  },
  { check: 'parent-hash', chain: headerAt((header) => void (header.parentHash = flipped(header.parentHash))) },
  { check: 'timestamp', chain: headerAt((header) => void (header.timestampMs -= 60_000)) },
  { check: 'epoch', chain: headerAt((header) => void (header.epochCertificateHash = flipped(header.epochCertificateHash))) },
  { check: 'epoch', chain: headerAt((header) => void (header.epoch = 9)) },
  { check: 'certificate', chain: sealedAt((block) => ({ ...block, certificate: forged(block.certificate) })) },
  { check: 'header-fields', chain: headerAt((header) => void (header.baseFeePerGas += 1n)) },
  { check: 'tx-root', chain: headerAt((header) => void (header.txRoot = flipped(header.txRoot))) },
  { check: 'receipt-root', chain: headerAt((header) => void (header.receiptRoot = flipped(header.receiptRoot))) },
  { check: 'out-root', chain: headerAt((header) => void (header.outRoot = flipped(header.outRoot))) },
  { check: 'pair-root', chain: headerAt((header) => void (header.pairRoot = flipped(header.pairRoot))) },
  { check: 'receipts', chain: once(({ receipts }) => receipts[0] !== undefined && (receipts[0].cumulativeGasUsed += 1) > 0) },
  { check: 'transaction-count', chain: headerAt((header) => void (header.totals = { ...header.totals, transactions: header.totals.transactions + 1 })) },
  {
    check: 'transaction-twice',
    chain: () => ({ draft: (draft, { sent: all }) => (draft.height === HEIGHT ? void draft.transactions.push(all[0]!.raw) : undefined) }),
  },
  { check: 'transaction-lost', chain: once(({ transactions }) => transactions.push(new Uint8Array(50)) > 0) },
  { check: 'receipt-place', chain: once(({ receipts }) => receipts[0] !== undefined && (receipts[0].bodyIndex += 3) > 0) },
  { check: 'listed-twice', chain: once(({ receipts }) => receipts[0] !== undefined && receipts.push({ ...receipts[0] }) > 0) },
];

const SUPPLY_LIES: readonly Lie[] = [
  { check: 'state-root', node: oneWei },
  { check: 'supply', node: oneWei },
  {
    check: 'state-leaf',
    node: () => ({ state: (shard, _height, entries) => (shard === 2 ? void entries.set([...entries.keys()][0]!, new Uint8Array(35)) : undefined) }),
  },
  { check: 'balance-total', chain: headerAt((header) => void (header.totals = { ...header.totals, balances: header.totals.balances + 1n }), true) },
  { check: 'escrow-total', chain: headerAt((header) => void (header.totals = { ...header.totals, escrow: header.totals.escrow + 1n }), true) },
  { check: 'pair-table', chain: once(({ pairs }) => (pairs[0]!.sentValue += 1n) > 0n) },
  { check: 'conservation', chain: headerAt((header) => void (header.totals = { ...header.totals, balances: header.totals.balances + 1n })) },
  {
    check: 'burned',
    chain: headerAt((header) => void (header.totals = { ...header.totals, burned: header.totals.burned + 1n, balances: header.totals.balances - 1n })),
  },
  { check: 'in-flight', chain: () => ({ draft: ({ shard, pairs }) => (shard === 2 ? void (pairs[0]!.receivedValue += 10n ** 30n) : undefined) }) },
];

const SEQUENCE_LIES: readonly Lie[] = [
  {
    check: 'sequence-gap',
    chain: once(({ outgoing }) => {
      const run = outgoing.find((each) => each.messages.length > 1);
      if (run === undefined) return false;
      run.messages = run.messages.slice(1);
      run.firstSequence += 1;
      return true;
    }),
  },
  { check: 'sequence-duplicate', chain: once(({ inbox }) => inbox[0] !== undefined && inbox.push({ ...inbox[0] }) > 0) },
  { check: 'inbox-order', chain: once(({ inbox }) => new Set(inbox.map((each) => each.source)).size > 1 && inbox.reverse().length > 0) },
  { check: 'message-encoding', chain: once(({ outgoing }) => outgoing[0] !== undefined && (outgoing[0].messages as Uint8Array[]).push(new Uint8Array([9, 9])) > 0) },
  { check: 'message-unknown', chain: once(({ inbox }) => inbox[0] !== undefined && (inbox[0].firstSequence += 1_000) > 0) },
  { check: 'message-differs', chain: heard((message) => (message.kind === 'vote' ? [{ ...message, gasUsed: message.gasUsed + 1 }] : undefined)) },
  {
    check: 'message-origin',
    chain: once(({ inbox }) => inbox[0] !== undefined && (inbox[0].sourceHeight = (inbox[0].sourceHeight - 1) as Height) >= 0),
  },
];

const PROOF_LIES: readonly Lie[] = [
  { check: 'batch-proof', chain: sealedAt((block) => ({ ...block, certificate: forged(block.certificate) })) },
  { check: 'state-proof', node: answers('shard_getProof', (proof) => ({ ...proof, balance: String(BigInt(proof['balance'] as string) + 1n) })) },
  { check: 'beacon-block', chain: () => ({ beacon: (block) => (block.header.height === HEIGHT ? { ...block, certificate: forged(block.certificate) } : block) }) },
  {
    check: 'crosslink',
    chain: () => ({
      crosslinks: (height, crosslinks) =>
        height === HEIGHT ? crosslinks.map(({ header, certificate }) => ({ certificate, header: { ...header, stateRoot: flipped(header.stateRoot) } })) : crosslinks,
    }),
  },
];

/** Repeats, some rounds later, a yes that a shard has sent. */
function lateVote(): ChainHooks {
  let kept: { height: number; shard: number; destination: number; data: Uint8Array } | undefined;
  return {
    draft: ({ height, shard, outgoing }) => {
      for (const { destination, messages } of outgoing) {
        const vote = messages.find((data) => decodeMessage(data).kind === 'vote');
        if (kept === undefined && shard === 0 && height >= 2 && vote !== undefined) kept = { height, shard, destination, data: vote };
        if (kept === undefined || shard !== kept.shard || destination !== kept.destination || height < kept.height + 5) continue;
        (messages as Uint8Array[]).push(kept.data);
        kept = { ...kept, height: Number.POSITIVE_INFINITY };
      }
    },
  };
}

/** Prepares a transaction at a further shard, of which the commit then says nothing. */
const forgottenParticipant = once(({ outgoing }) => {
  const [first, second] = outgoing;
  if (first === undefined || second === undefined) return false;
  const prepare = first.messages.find((data) => decodeMessage(data).kind === 'prepare');
  return prepare !== undefined && (second.messages as Uint8Array[]).push(prepare) > 0;
});

/** Edits every message of some kind in what is sent, from the first block on. */
const allSent = (edit: Edit) => (): ChainHooks => ({
  draft: ({ outgoing }) => {
    for (const each of outgoing) each.messages = each.messages.flatMap((data) => edit(decodeMessage(data))?.map(encodeMessage) ?? [data]);
  },
});

const ATOMICITY_LIES: readonly Lie[] = [
  { check: 'prepare-identity', chain: sent((message) => (message.kind === 'prepare' ? [{ ...message, id: flipped(message.id) }] : undefined)) },
  { check: 'prepare-order', chain: sent((message) => (message.kind === 'prepare' && message.attempt === 0 ? [{ ...message, attempt: 3 }] : undefined)) },
  { check: 'message-twice', chain: sent((message) => (message.kind === 'vote' ? [message, message] : undefined)) },
  { check: 'vote-without-prepare', chain: sent((message) => (message.kind === 'vote' ? [{ ...message, attempt: 7 }] : undefined)) },
  { check: 'vote-after-decision', chain: lateVote },
  { check: 'decision-without-prepare', chain: sent((message) => (message.kind === 'decision' ? [{ ...message, attempt: 7 }] : undefined)) },
  {
    check: 'decision-mixed',
    chain: sent((message) => (message.kind === 'decision' && message.commit ? [message, { ...message, commit: false, value: 0n }] : undefined)),
  },
  { check: 'decision-partial', chain: forgottenParticipant },
  { check: 'decision-value', chain: sent((message) => (message.kind === 'decision' && message.commit ? [{ ...message, value: message.value + 1n }] : undefined)) },
  { check: 'commit-without-yes', chain: heard((message) => (message.kind === 'vote' && message.answer.kind === 'yes' ? [{ ...message, answer: { kind: 'conflict' } }] : undefined)) },
  { check: 'applied-without-yes', chain: sent((message) => (message.kind === 'vote' && message.answer.kind === 'yes' ? [{ ...message, answer: { kind: 'busy' } }] : undefined)) },
  { check: 'abort-early', chain: allSent((message) => (message.kind === 'prepare' ? [{ ...message, deadlineMs: message.deadlineMs * 2 }] : undefined)) },
  { check: 'abort-without-decision', chain: allSent((message) => (message.kind === 'decision' && !message.commit ? [] : undefined)) },
  { check: 'ack-disagrees', chain: sent((message) => (message.kind === 'ack' ? [{ ...message, commit: !message.commit }] : undefined)) },
  {
    check: 'receipt-disagrees',
    chain: once(({ receipts }) => {
      const receipt = receipts.find((each) => each.crossShard && each.status === 1);
      return receipt !== undefined && (receipt.status = 0) === 0;
    }),
  },
  {
    check: 'receipt-missing',
    chain: once(({ receipts }) => {
      const at = receipts.findIndex((each) => each.crossShard && each.status === 1);
      return at >= 0 && receipts.splice(at, 1).length > 0;
    }),
  },
  { check: 'record-missing', node: recordsAs((record, index) => (index === 0 ? undefined : record)) },
  {
    check: 'record-stale',
    node: (chain) => ({
      state: (shard, height, entries) => {
        const old = [...chain.shards[shard]!.states[height - 10]!].find(([key]) => isCoordinatorKey(key) && !entries.has(key));
        if (old !== undefined) entries.set(...old);
      },
    }),
  },
];

const OTHER_LIES: readonly Lie[] = [
  {
    check: 'fork',
    // Validator 2 of shard 1 has its own idea of what the others agree on.
    node: (chain) => ({
      validators: 4,
      answer: (method, shard, _params, result, validator) =>
        method === 'shard_getBlocks' && shard === 1 && validator === 2 ? { ...(result as object), blocks: [toHex(chain.shards[1]!.blocks[0]!)] } : undefined,
    }),
  },
  { check: 'lock-conflict', node: recordsAs((record) => ({ ...record, locks: [{ key: '\0same', mode: 'write', run: 1 }] })) },
  { check: 'lock-stuck', node: recordsAs((record, index) => (index === 0 ? { ...record, deadlineMs: 1 } : record)) },
  { check: 'ledger-committed', ledger: (honest) => honest.map((entry) => (entry.outcome === 'aborted' ? { ...entry, outcome: 'committed' } : entry)) },
  { check: 'ledger-aborted', ledger: (honest) => [...honest, { hash: toHex(new Uint8Array(32)), outcome: 'aborted' }] },
  { check: 'ledger-rejected', ledger: (honest) => honest.map((entry, index) => (index === 0 ? { ...entry, outcome: 'rejected' } : entry)) },
];

/** At least one lie for every check. */
export const LIES: readonly Lie[] = [...CHAIN_LIES, ...SUPPLY_LIES, ...SEQUENCE_LIES, ...PROOF_LIES, ...ATOMICITY_LIES, ...OTHER_LIES];
