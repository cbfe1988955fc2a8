/** A small valid `genesis.json`, as an object. Tests change copies of it. */
export const SAMPLE_GENESIS = {
  formatVersion: 1,
  chainId: 31337,
  shards: 2,
  validators: {
    beacon: [`0x${'b0'.repeat(32)}`],
    shards: [[`0x${'00'.repeat(32)}`], [1, 2, 3, 4].map((each) => `0x0${each}${'00'.repeat(31)}`)],
  },
  parameters: {
    blockIntervalMs: 250,
    heartbeatMs: 5_000,
    deadlineMs: 30_000,
    blockGasLimit: 120_000_000,
    baseFeePerGas: '1000000000',
    openPreparesMax: 4_096,
    attemptsMax: 6,
    lockWaitersMax: 1_024,
    epochLength: 100,
  },
  forks: 'cancun',
  feePolicy: 'burn',
  crossShardProtocol: 'two-phase-commit',
  timestampMs: 1_700_000_000_000,
  workload: { seed: 1, accounts: 2 },
  allocation: [
    [`0x${'0a'.repeat(20)}`, '1000000000000000000'],
    [`0x${'0b'.repeat(20)}`, '2'],
  ],
};
