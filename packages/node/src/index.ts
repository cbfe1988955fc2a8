export { createCrypto } from './crypto/create-crypto.ts';
export { type CryptoNames, type CryptoOptions, type NodeCrypto } from './crypto/types.ts';
export { type NodeName } from './ports.ts';

/**
 * Becomes the node that a `node.json` describes; resolves when it serves. Its parts are imported here, at the first use: who only wants the crypto (a signing
 * thread) shall not load a network.
 */
export async function runNode(configFile: string): Promise<void> {
  const { runNode: run } = await import('./process/run-node.ts');
  await run(configFile);
}
