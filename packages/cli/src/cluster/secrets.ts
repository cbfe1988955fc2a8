import { hash } from 'node:crypto';

function derived(domain: string, seed: number, id: string): Uint8Array {
  return new Uint8Array(hash('sha256', `shardlab/${domain}/${seed}/${id}`, 'buffer'));
}

/** The ed25519 seed, 32 bytes, that node `id` signs blocks and votes with. Derived and therefore public: a test network guards nothing. */
export function validatorSecretKey(seed: number, id: string): Uint8Array {
  return derived('validator', seed, id);
}

/** The ed25519 seed, 32 bytes, of node `id` as a libp2p peer; apart from the validator key, so that either can be replaced. */
export function p2pSecretKey(seed: number, id: string): Uint8Array {
  return derived('p2p', seed, id);
}
