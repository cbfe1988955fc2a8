import {
  accountOwner,
  type Address,
  codeChunkPosition,
  type Crypto,
  encodeBasicData,
  encodeCodeChunks,
  encodeFlatKey,
  encodeFlatValue,
  type Hash32,
  keyBytes,
  type LeafPosition,
  type Owner,
  storagePosition,
  toHex,
} from '@shardlab/crosslink';

/** An account as a test thinks of it. */
export interface ModelAccount {
  balance: bigint;
  nonce: number;
  code: Uint8Array;
  /** Values that are not zero by slot. */
  storage: Map<bigint, bigint>;
}

/** 32 bytes, big-endian. */
export function word(value: bigint): Uint8Array {
  const out = new Uint8Array(32);
  for (let at = 31, rest = value; rest > 0n; at--, rest >>= 8n) out[at] = Number(rest & 0xffn);
  return out;
}

/** The account, made if it is absent. */
export function modelAccount(model: Map<string, ModelAccount>, key: string): ModelAccount {
  const known = model.get(key);
  if (known !== undefined) return known;
  const made = { balance: 0n, nonce: 0, code: new Uint8Array(0), storage: new Map<bigint, bigint>() };
  model.set(key, made);
  return made;
}

/** A copy that later changes do not reach. */
export function copyModel(model: ReadonlyMap<string, ModelAccount>): Map<string, ModelAccount> {
  return new Map([...model].map(([key, account]) => [key, { ...account, storage: new Map(account.storage) }]));
}

/** The flat entries of a model in hex, sorted: written with the general codecs alone, one leaf after the other. */
export function modelEntries(crypto: Crypto, model: ReadonlyMap<string, ModelAccount>): string[] {
  const stems = new Map<string, { owner: Owner; treeIndex: bigint; leaves: Map<number, Uint8Array> }>();
  const put = (owner: Owner, { treeIndex, suffix }: LeafPosition, value: Uint8Array): void => {
    if (value.every((byte) => byte === 0)) return;
    const name = `${toHex(owner)}/${treeIndex}`;
    const stem = stems.get(name) ?? { owner, treeIndex, leaves: new Map<number, Uint8Array>() };
    stems.set(name, stem);
    stem.leaves.set(suffix, value);
  };
  for (const [key, { balance, nonce, code, storage }] of model) {
    const owner = accountOwner(keyBytes(key) as Address);
    put(owner, { treeIndex: 0n, suffix: 0 }, encodeBasicData({ status: 0, codeSize: code.length, nonce, balance }));
    if (code.length > 0) put(owner, { treeIndex: 0n, suffix: 1 }, crypto.keccak256(code));
    const chunks = encodeCodeChunks(code);
    for (let chunk = 0; 32 * chunk < chunks.length; chunk++) put(owner, codeChunkPosition(chunk), chunks.slice(32 * chunk, 32 * chunk + 32));
    for (const [slot, value] of storage) put(owner, storagePosition(slot), word(value));
  }
  const entries = [...stems.values()].map(({ owner, treeIndex, leaves }) => {
    const sorted = [...leaves].sort(([a], [b]) => a - b).map(([suffix, value]) => ({ suffix, value }));
    return `${toHex(encodeFlatKey({ owner, treeIndex }))}=${toHex(encodeFlatValue(sorted))}`;
  });
  return entries.sort();
}

/** Whether the account is one that EIP-161 says is none. */
export function isNobody({ balance, nonce, code }: ModelAccount): boolean {
  return balance === 0n && nonce === 0 && code.length === 0;
}

/** keccak-256 of no bytes. */
export function noCodeHash(crypto: Crypto): Hash32 {
  return crypto.keccak256(new Uint8Array(0));
}
