import { type Address, ascii, AssignmentTable, BEACON, type Crypto, type Genesis, type GenesisParameters, genesisHash, type Hash32, type ShardId } from '@shardlab/crosslink';
import { CHAIN_ID, testAddress } from './transactions.ts';

/** Wei of each funded account. */
export const BALANCE = 10n ** 21n;
/** Header time of the genesis blocks. */
export const GENESIS_MS = 1_000_000;

/** The secret seed of the one validator of a chain. */
export function validatorSecret(crypto: Crypto, chain: ShardId): Uint8Array {
  return crypto.sha256(ascii(`test validator ${chain}`));
}

/** A network for tests: committees of one, `addresses` (by default some of {@link testAddress}) funded with {@link BALANCE}. */
export function testGenesis(
  crypto: Crypto,
  options: { shards: number; accounts?: number; addresses?: readonly Address[]; parameters?: Partial<GenesisParameters> },
): { genesis: Genesis; hash: Hash32; table: AssignmentTable; addresses: readonly Address[] } {
  const { shards, accounts = 8, parameters = {} } = options;
  const addresses = options.addresses ?? Array.from({ length: accounts }, (_, index) => testAddress(crypto, index));
  const key = (chain: ShardId): Uint8Array => crypto.publicKey(validatorSecret(crypto, chain));
  const genesis: Genesis = {
    chainId: CHAIN_ID,
    shards,
    beaconValidators: [key(BEACON)],
    shardValidators: Array.from({ length: shards }, (_, shard) => [key(shard as ShardId)]),
    parameters: {
      blockIntervalMs: 100,
      heartbeatMs: 1_000,
      deadlineMs: 10_000,
      blockGasLimit: 30_000_000,
      baseFeePerGas: 10n ** 9n,
      openPreparesMax: 1_024,
      attemptsMax: 4,
      lockWaitersMax: 256,
      epochLength: 1_000,
      ...parameters,
    },
    forks: 'cancun',
    feePolicy: 'burn',
    crossShardProtocol: 'two-phase-commit',
    timestampMs: GENESIS_MS,
    workload: { seed: 1, accounts: addresses.length },
    allocation: addresses.map((address) => ({ address, balance: BALANCE })),
  };
  return { genesis, hash: genesisHash(crypto, genesis), table: new AssignmentTable(crypto, { shards, overrides: [] }), addresses };
}

/** The funded addresses of each shard. */
export function byHome(table: AssignmentTable, addresses: readonly Address[]): Address[][] {
  const homes: Address[][] = Array.from({ length: table.shards }, () => []);
  for (const address of addresses) homes[table.shardOf(address)]!.push(address);
  return homes;
}

