import {
  ascii,
  concatBytes,
  type Crypto,
  DecodeError,
  decodeAll,
  equalBytes,
  type Hash32,
  type Reader,
  ShardlabError,
  Writer,
} from '@shardlab/crosslink';
import { publicKeyFromRaw } from '@libp2p/crypto/keys';
import { peerIdFromPublicKey } from '@libp2p/peer-id';
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr';

import type { NodeName } from '../ports.ts';

const VERSION = 1;
const LIST_VERSION = 1;
/** Separates these signatures from all others that a validator makes. */
const DOMAIN = ascii('shardlab/peer-record/1\0');
/** Addresses of one record. */
export const ADDRESSES_MAX = 8;
/** One address, in bytes. */
export const ADDRESS_BYTES_MAX = 128;
/** One encoded record, generously. */
export const RECORD_BYTES_MAX = 2_048;
/** Records of one list, whatever the host's own limit. */
export const RECORDS_MAX = 2_048;

const HOSTS: ReadonlySet<string> = new Set(['ip4', 'ip6', 'dns', 'dns4', 'dns6']);

/** Where a validator's node is reached, and by which transport key: a statement that only the validator's key can sign. */
export interface PeerRecord {
  /** Names the network. */
  readonly genesisHash: Hash32;
  /** Who speaks. */
  readonly node: NodeName;
  /** 32-byte ed25519 public key of the transport; libp2p's peer id is a function of it. */
  readonly transportKey: Uint8Array;
  /** Host and TCP port each, 1 to {@link ADDRESSES_MAX}, the preferred one first, none twice. */
  readonly addresses: readonly Multiaddr[];
  /** Grows with each record of the node: milliseconds since the Unix epoch when it was made, or more. */
  readonly sequence: number;
}

/** A record with the bytes that prove it. */
export interface SignedPeerRecord extends PeerRecord {
  /** libp2p's peer id, as text. */
  readonly peer: string;
  /** The canonical encoding, signature included. */
  readonly encoded: Uint8Array;
  /** Its leading part, which is signed. */
  readonly body: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** The signature's scheme byte. */
  readonly scheme: number;
}

/** libp2p's peer id, as text, of a 32-byte ed25519 public key. */
export function peerOfKey(transportKey: Uint8Array): string {
  return peerIdFromPublicKey(publicKeyFromRaw(transportKey)).toString();
}

/** Keeps host and port of an address: what is allowed in a record. Throws `network/address` for anything but a host and a TCP port. */
export function recordAddress(text: string): Multiaddr {
  let parsed: Multiaddr;
  try {
    parsed = multiaddr(text);
    if (parsed.getPeerId() !== null) parsed = parsed.decapsulate('/p2p');
  } catch (cause) {
    throw new ShardlabError('network/address', 'not a multiaddr', { address: text }, { cause });
  }
  if (!isHostAndPort(parsed)) throw new ShardlabError('network/address', 'not a host and a TCP port, such as /ip4/127.0.0.1/tcp/9000', { address: text });
  return parsed;
}

function isHostAndPort(address: Multiaddr): boolean {
  const [host, port, ...rest] = address.getComponents();
  return rest.length === 0 && HOSTS.has(host?.name ?? '') && port?.name === 'tcp' && port.value !== '0';
}

/** Encodes and signs with the validator's 32-byte secret seed. Throws an invariant error when a bound is broken. */
export function signPeerRecord(crypto: Crypto, record: PeerRecord, validatorSecret: Uint8Array): SignedPeerRecord {
  const writer = new Writer(512);
  writer.u8(VERSION).fixed(record.genesisHash, 32).u16(record.node.chain).u32(record.node.validator).fixed(record.transportKey, 32);
  writer.list(record.addresses, ADDRESSES_MAX, (inner, address) => inner.bytes(address.bytes, ADDRESS_BYTES_MAX));
  const body = writer.u64(record.sequence).finish();
  const signature = crypto.sign(validatorSecret, concatBytes(DOMAIN, body));
  const encoded = concatBytes(body, Uint8Array.of(crypto.scheme), signature);
  return { ...record, peer: peerOfKey(record.transportKey), encoded, body, signature, scheme: crypto.scheme };
}

/**
 * Decodes what {@link signPeerRecord} encodes; the signature is not verified here. Throws a {@link DecodeError} for what is not canonical, also for an
 * address that is not a host and a TCP port.
 */
export function decodePeerRecord(encoded: Uint8Array): SignedPeerRecord {
  return decodeAll(encoded, (reader) => {
    reader.version(VERSION);
    const genesisHash = reader.hash();
    const node = { chain: reader.shard(), validator: reader.u32() };
    const transportKey = reader.fixed(32);
    const addresses = reader.list(ADDRESSES_MAX, readAddress);
    if (addresses.length === 0) throw new DecodeError('decode/range', 'a peer record has an address');
    if (new Set(addresses.map(String)).size !== addresses.length) throw new DecodeError('decode/range', 'an address stands twice');
    const sequence = reader.u64();
    const body = encoded.subarray(0, reader.offset);
    const scheme = reader.u8();
    const signature = reader.fixed(64);
    return { genesisHash, node, transportKey, addresses, sequence, peer: readPeer(transportKey), encoded, body, signature, scheme };
  });
}

function readPeer(transportKey: Uint8Array): string {
  try {
    return peerOfKey(transportKey);
  } catch (cause) {
    throw new DecodeError('decode/range', 'not an ed25519 public key', {}, { cause });
  }
}

function readAddress(reader: Reader): Multiaddr {
  const bytes = reader.bytes(ADDRESS_BYTES_MAX);
  let address: Multiaddr;
  try {
    address = multiaddr(bytes);
    // The parser is lenient; only what it would itself write is canonical.
    if (!equalBytes(multiaddr(address.toString()).bytes, bytes)) throw new DecodeError('decode/range', 'not a canonical multiaddr');
  } catch (cause) {
    throw new DecodeError('decode/range', 'not a multiaddr', {}, { cause });
  }
  if (!isHostAndPort(address)) throw new DecodeError('decode/range', 'not a host and a TCP port');
  return address;
}

/** Whether the validator's 32-byte public key signed this record, under the scheme of this network. */
export function verifyPeerRecord(crypto: Crypto, record: SignedPeerRecord, validatorKey: Uint8Array): boolean {
  return record.scheme === crypto.scheme && crypto.verify(validatorKey, concatBytes(DOMAIN, record.body), record.signature);
}

/** Encodes records for a hello or for the disk; at most {@link RECORDS_MAX}. */
export function encodeRecordList(records: readonly SignedPeerRecord[]): Uint8Array {
  return new Writer(4_096).u8(LIST_VERSION).list(records, RECORDS_MAX, (inner, record) => inner.bytes(record.encoded, RECORD_BYTES_MAX)).finish();
}

/** Decodes what {@link encodeRecordList} encodes, into the records' own encodings. Throws a {@link DecodeError}. */
export function decodeRecordList(encoded: Uint8Array): Uint8Array[] {
  return decodeAll(encoded, (reader) => {
    reader.version(LIST_VERSION);
    return reader.list(RECORDS_MAX, (inner) => inner.bytes(RECORD_BYTES_MAX));
  });
}
