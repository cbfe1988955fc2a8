import { bytesKey, DecodeError, type Namespace, PARKED, type RecordNamespace, XTX_COORDINATOR, XTX_PARTICIPANT } from '@shardlab/crosslink';

const NAMESPACES: Readonly<Record<RecordNamespace, Namespace>> = {
  coordinator: XTX_COORDINATOR,
  participant: XTX_PARTICIPANT,
  parked: PARKED,
};
const BY_BYTES = new Map<string, RecordNamespace>(
  (Object.keys(NAMESPACES) as RecordNamespace[]).map((name) => [bytesKey(NAMESPACES[name]), name]),
);

/** The 12 bytes of a protocol's namespace in the reserved key space (R10). */
export function namespaceOf(name: RecordNamespace): Namespace {
  return NAMESPACES[name];
}

/** The inverse of {@link namespaceOf}. Throws `state/namespace`. */
export function recordNamespaceOf(bytes: Uint8Array): RecordNamespace {
  const name = BY_BYTES.get(bytesKey(bytes));
  if (name === undefined) throw new DecodeError('state/namespace', 'unknown namespace in the reserved key space');
  return name;
}
