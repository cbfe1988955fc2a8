export { type Cluster, type ClusterNode, parseCluster, readCluster } from './cluster/cluster-file.ts';
export { stopCluster } from './cluster/change-cluster.ts';
export type { AuditReport } from './audit/report.ts';
export { type AccountPlan, CHAIN_ID, GENESIS_TIMESTAMP_MS, genesisText } from './cluster/genesis-file.ts';
export { type NodeConfig, nodeConfig } from './cluster/node-config.ts';
export type { AuditRequest, CliContext, CliModules } from './commands/context.ts';
export { systemModules } from './commands/modules.ts';
export { runCli } from './commands/program.ts';
export { type Output, streamOutput } from './output/output.ts';
