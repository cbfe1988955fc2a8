import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ascii, BEACON, hash32, shardId } from '@shardlab/crosslink';

import { createCrypto } from '../../src/crypto/create-crypto.ts';
import { createLibp2pNetwork, type Libp2pNetwork } from '../../src/network/host.ts';
import { nodeLabel } from '../../src/network/names.ts';
import type { NodeName, Storage } from '../../src/ports.ts';
import { SystemClock } from '../../src/process/clock.ts';
import { openLevelStorage } from '../../src/storage/open.ts';
import { clockCompliance } from './clock-compliance.ts';
import { realDrive } from './drive.ts';
import { networkCompliance } from './network-compliance.ts';
import { storageCompliance } from './storage-compliance.ts';

/** Generous: the machine may be busy with other tests. It is only waited for when something is wrong. */
const DEADLINE_MS = 20_000;
const GENESIS = hash32(new Uint8Array(32).fill(0x5a));
const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined };
const UNCOUNTED = { count: () => undefined, set: () => undefined };

clockCompliance('process', async () => ({ clock: new SystemClock(), drive: realDrive(DEADLINE_MS), stop: async () => undefined }));

storageCompliance('process, level', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'shardlab-compliance-'));
  const opened: Storage[] = [];
  const open = async (): Promise<Storage> => {
    const { storage } = await openLevelStorage({ directory, genesisHash: GENESIS, createIfMissing: true }, { logger: SILENT });
    opened.push(storage);
    return storage;
  };
  const stop = async (): Promise<void> => {
    // Those that a test has closed say so; nothing else can go wrong here that matters.
    await Promise.all(opened.map((storage) => new Promise<void>((resolve) => storage.close(() => resolve()))));
    await rm(directory, { recursive: true, force: true });
  };
  return { storage: await open(), drive: realDrive(DEADLINE_MS), reopen: open, stop };
});

networkCompliance('process, libp2p', async (count) => {
  const crypto = await createCrypto();
  const secret = (node: NodeName, purpose: string): Uint8Array => crypto.sha256(ascii(`${purpose} of ${nodeLabel(node)}`));
  const names = Array.from({ length: count }, (_, index): NodeName => ({ chain: index === 0 ? BEACON : shardId(index - 1), validator: 0 }));
  const clock = new SystemClock();
  const hosts: { name: NodeName; network: Libp2pNetwork }[] = [];
  const started: Libp2pNetwork[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((network) => network.stop()));
  };
  const start = async (name: NodeName): Promise<Libp2pNetwork> => {
    const network = createLibp2pNetwork(
      {
        transportSeed: secret(name, 'transport'),
        listen: ['/ip4/127.0.0.1/tcp/0'],
        announce: [],
        genesisHash: GENESIS,
        node: name,
        validatorSecret: secret(name, 'validator'),
        validatorKey: (node) => crypto.publicKey(secret(node, 'validator')),
        nodes: count,
        bootstrap: hosts[0]?.network.addresses ?? [],
        onRecords: () => undefined,
      },
      { crypto, clock, log: SILENT, metrics: UNCOUNTED },
    );
    started.push(network);
    await network.start();
    return network;
  };
  try {
    for (const name of names) hosts.push({ name, network: await start(name) });
  } catch (error) {
    await stop();
    throw error;
  }
  const crash = async (index: number) => {
    const { name, network } = hosts[index]!;
    await network.stop();
    return async () => void (await start(name));
  };
  return { nodes: hosts, absent: { chain: shardId(77), validator: 0 }, drive: realDrive(DEADLINE_MS), crash, stop };
});
