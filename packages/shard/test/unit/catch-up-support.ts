/** A chain of one shard with messages to two others, and validators that hand out its state: honest ones, and any kind of liar. */
import {
  type Address,
  type Block,
  buildCertificate,
  bytesKey,
  checkHeaderCertificate,
  compareBytes,
  decodeBlock,
  encodeBlock,
  encodeBlockEvents,
  encodeSnapshotHead,
  encodeSnapshotPage,
  equalBytes,
  type Hasher,
  type Height,
  reject,
  type ShardId,
  voteMessage,
  type WireRequest,
} from '@shardlab/crosslink';
import type { ExecutedBlock } from '../../src/execution/types.ts';
import { SnapshotFetch, type SnapshotFault, type SnapshotFetchModules, type SnapshotLimits, type SnapshotStep } from '../../src/replica/catch-up/snapshot-fetch.ts';
import type { FlatEntry } from '../../src/state/flat-account.ts';
import { ShardState } from '../../src/state/shard-state.ts';
import { testCrypto } from '../support/crypto.ts';
import { byHome, GENESIS_MS, testGenesis, validatorSecret } from '../support/genesis.ts';
import { HandShard } from '../support/hand-shard.ts';
import { poolTransfer } from '../support/transactions.ts';

export const SHARD = 0 as ShardId;
/** Blocks of the chain. */
export const HEIGHT = 12;
/** Entries in an honest page: several pages. */
const PAGE = 7;

const crypto = testCrypto();
/** Pool transfers of these tests have SHA-256 for their hash. */
const hasher: Hasher = { ...crypto, keccak256: crypto.sha256 };
const { genesis, hash: genesisHash, table, addresses } = testGenesis(crypto, { shards: 3, accounts: 60 });

function certified(block: ExecutedBlock, secretKey: Uint8Array): Block {
  const { header, hash: blockHash, body, outgoing, receipts, events } = block;
  const subject = { genesisHash, chain: header.shard, epoch: header.epoch, height: header.height, phase: 'commit' as const, blockHash };
  const certificate = buildCertificate(crypto.scheme, 0, 1, new Map([[0, crypto.sign(secretKey, voteMessage(subject, 0))]]));
  return { header, certificate, body, outgoing, receipts, events: encodeBlockEvents(events), wallMs: header.timestampMs + 77 };
}

/** A shard's chain: to shard 1 it sends in every block, to shard 2 in the first three. Another `salt` makes another chain. */
function chain(shard: ShardId, salt = 0): { readonly blocks: Block[]; readonly entries: FlatEntry[] } {
  const hand = new HandShard(crypto, genesis, shard);
  const homes = byHome(table, addresses);
  const own = homes[shard]!;
  const blocks: Block[] = [];
  const others = [1, 2].map((step) => homes[(shard + step) % 3]![0]!);
  for (let n = 0; n < HEIGHT; n++) {
    const to = n < 3 ? [others[0]!, others[1]!, own[1]!] : [others[0]!, own[1]!];
    const transfers = to.map((each, index) => poolTransfer(crypto, { from: own[2 + index]!, to: each, nonce: hand.nonce(own[2 + index]!), value: BigInt(1 + n + salt) }));
    if (n === 4) deploy(hand, own[5]!);
    const block = hand.execute(hand.proposal(transfers, GENESIS_MS + (n + 1) * 100));
    hand.store(block);
    blocks.push(certified(block, validatorSecret(crypto, shard)));
  }
  return { blocks, entries: [...hand.flat.values()].sort((a, b) => compareBytes(a.key, b.key)) };
}

/** Gives an account code of three stems, and slots beside it and elsewhere: what a state has of a contract. The block that is executed next commits it. */
function deploy({ state }: HandShard, address: Address): void {
  const account = state.open(bytesKey(address));
  state.setCode(account, new Uint8Array(10_000).fill(0x5b));
  for (const at of [31, 30, 0]) state.setStorage(account, new Uint8Array(32).fill(7, at, at + 1), new Uint8Array(32).fill(9));
}

/** What all validators of the shard have. */
export const TRUE = chain(SHARD);
/** Another history of the same shard, certified by somebody with its key: what hash chains are for. */
export const FORKED = chain(SHARD, 1_000);
/** Another shard's history. */
export const FOREIGN = chain(1 as ShardId);

/** Answers a request, or `undefined` = does not. */
export type Answerer = (request: WireRequest) => readonly Uint8Array[] | undefined;

/** An honest validator at the end of the chain; `messagesFrom` is what it knows of consumption, and an answer has at most `blocksMax` blocks. */
export function honest(options: { messagesFrom?: number; blocksMax?: number } = {}): Answerer {
  const { messagesFrom = 1, blocksMax = 256 } = options;
  return (request) => {
    switch (request.kind) {
      case 'snapshot-head':
        return [encodeSnapshotHead({ block: encodeBlock(TRUE.blocks[HEIGHT - 1]!), messagesFrom: messagesFrom as Height })];
      case 'snapshot-page': {
        if (request.height !== HEIGHT) return [];
        const after = TRUE.entries.filter(({ key }) => compareBytes(key, request.cursor) > 0);
        const page = after.slice(0, PAGE);
        return [after.length > PAGE ? page.at(-1)!.key : new Uint8Array(0), encodeSnapshotPage(page)];
      }
      case 'blocks':
        return TRUE.blocks.slice(request.fromHeight - 1, request.fromHeight - 1 + blocksMax).map((each) => encodeBlock(each));
      default:
        throw new Error(`${request.kind} is not asked for`);
    }
  };
}

/** An honest validator but for its answers to requests of one kind. */
export function bent<K extends WireRequest['kind']>(
  kind: K,
  bend: (items: readonly Uint8Array[], request: Extract<WireRequest, { kind: K }>, count: number) => readonly Uint8Array[] | undefined,
): Answerer {
  const truth = honest();
  let count = 0;
  return (request) => (request.kind === kind ? bend(truth(request)!, request as Extract<WireRequest, { kind: K }>, count++) : truth(request));
}

/** What a whole fetch came to. */
export interface Outcome {
  readonly end: Exclude<SnapshotStep, { kind: 'ask' }>;
  readonly faults: SnapshotFault[];
  /** Who was asked for what, in order. */
  readonly asked: string[];
  readonly fetch: SnapshotFetch;
}

/** How the fetching validator is set up. */
export interface Setup {
  readonly ownHeight?: number;
  readonly consumed?: (destination: ShardId) => number | undefined;
  readonly limits?: SnapshotLimits;
}

const key = crypto.publicKey(validatorSecret(crypto, SHARD));

export const MODULES: Omit<SnapshotFetchModules, 'consumed'> = {
  hasher,
  checkHeader(header, certificate) {
    const wrong = checkHeaderCertificate(crypto, genesisHash, [key], header, certificate);
    return wrong === undefined ? undefined : reject(wrong);
  },
  rootOf: (entries) => new ShardState(crypto).load(entries),
};

/** Fetches from these validators, in order, to the end. */
export function run(answerers: readonly Answerer[], setup: Setup = {}): Outcome {
  const { ownHeight = 0, consumed = () => undefined, limits } = setup;
  const validators = answerers.map((_, index) => 10 + index);
  const options = { shard: SHARD, ownHeight, validators, ...(limits === undefined ? {} : { limits }) };
  const fetch = new SnapshotFetch(options, { ...MODULES, consumed });
  const faults: SnapshotFault[] = [];
  const asked: string[] = [];
  for (let steps = 0; steps < 2_000; steps++) {
    const step = fetch.next();
    if (step.kind !== 'ask') return { end: step, faults, asked, fetch };
    asked.push(`${step.to} ${step.request.kind}`);
    const fault = fetch.answer(answerers[step.to - 10]!(step.request));
    if (fault !== undefined) faults.push(fault);
  }
  throw new Error('the fetch does not end');
}

/** A copy of an encoded block with some fields changed, everything else as it was. */
export function altered(encoded: Uint8Array, change: (block: Block) => Partial<Block>): Uint8Array {
  const block = decodeBlock(encoded);
  return encodeBlock({ ...block, ...change(block) });
}

/** Whether two lists hold the same entries in the same order: a plain answer, where a difference of maps would print whole states. */
export function sameEntries(a: readonly FlatEntry[], b: readonly FlatEntry[]): boolean {
  return a.length === b.length && a.every(({ key: name, value }, at) => equalBytes(name, b[at]!.key) && equalBytes(value, b[at]!.value));
}
