import {
  BLOCK_HASHES,
  bytesKey,
  DecodeError,
  type Namespace,
  PARKED,
  type RecordNamespace,
  STUBS,
  XTX_COORDINATOR,
  XTX_PARTICIPANT,
} from '@shardlab/crosslink';

/** Namespaces of the reserved key space: those of the cross-shard protocol, and the executor's own. */
export type StateNamespace = RecordNamespace | 'stub' | 'blockhash';

const NAMESPACES: Readonly<Record<StateNamespace, Namespace>> = {
  coordinator: XTX_COORDINATOR,
  participant: XTX_PARTICIPANT,
  parked: PARKED,
  stub: STUBS,
  blockhash: BLOCK_HASHES,
};
const BY_BYTES = new Map<string, StateNamespace>(
  (Object.keys(NAMESPACES) as StateNamespace[]).map((name) => [bytesKey(NAMESPACES[name]), name]),
);

/** Whether the records of a namespace are the cross-shard protocol's, which follows each change of them. */
export function isOfProtocol(name: StateNamespace): name is RecordNamespace {
  return name !== 'stub' && name !== 'blockhash';
}

/** The 12 bytes of a namespace in the reserved key space (R10). */
export function namespaceOf(name: StateNamespace): Namespace {
  return NAMESPACES[name];
}

/** The inverse of {@link namespaceOf}. Throws `state/namespace`. */
export function recordNamespaceOf(bytes: Uint8Array): StateNamespace {
  const name = BY_BYTES.get(bytesKey(bytes));
  if (name === undefined) throw new DecodeError('state/namespace', 'unknown namespace in the reserved key space');
  return name;
}
