import type { Address } from '@shardlab/crosslink';
import type { CliModules } from './context.ts';

/** The real parts, each imported at its first use. */
export const systemModules: CliModules = {
  async crypto() {
    const { createCrypto } = await import('@shardlab/node');
    return createCrypto();
  },
  async addressOf(secretKey) {
    const [{ createCrypto }, { addressOfSecretKey }] = await Promise.all([import('@shardlab/node'), import('@shardlab/shard')]);
    return addressOfSecretKey(secretKey, await createCrypto());
  },
  async signTransfer(fields, secretKey) {
    const [{ createCrypto }, { signTransaction }] = await Promise.all([import('@shardlab/node'), import('@shardlab/shard')]);
    const transaction = { ...fields, type: 2, to: fields.to as Address, data: new Uint8Array(0), accessList: [] } as const;
    return signTransaction(transaction, secretKey, await createCrypto());
  },
  async signBatch({ calls, ...rest }, secretKey) {
    const [{ createCrypto }, { BATCH_TYPE, intrinsicGasOf, signTransaction }] = await Promise.all([import('@shardlab/node'), import('@shardlab/shard')]);
    const fields = { ...rest, type: BATCH_TYPE, gasLimit: 0, calls: calls.map((call) => ({ ...call, to: call.to as Address })) } as const;
    // Prague asks for no less than Cancun, and what is not used is not paid.
    const gasLimit = calls.reduce((sum, call) => sum + call.gasLimit, intrinsicGasOf(fields, 'prague'));
    return signTransaction({ ...fields, gasLimit }, secretKey, await createCrypto());
  },
  async planDerivedGenesis(accounts, seed) {
    const { planDerivedGenesis } = await import('../workload/genesis-plan.ts');
    return planDerivedGenesis(accounts, seed);
  },
  async planTraceGenesis(file, seed) {
    const { planTraceGenesis } = await import('../workload/genesis-plan.ts');
    return planTraceGenesis(file, seed);
  },
  async runLoad(options, modules) {
    const { runLoad } = await import('../load/run-load.ts');
    return runLoad(options, modules);
  },
  async runAudit(request) {
    const [{ createCrypto }, { runAudit }] = await Promise.all([import('@shardlab/node'), import('../audit/run-audit.ts')]);
    return runAudit(request, { crypto: await createCrypto() });
  },
  async runNode(configFile) {
    const { runNode } = await import('@shardlab/node');
    await runNode(configFile);
  },
};
