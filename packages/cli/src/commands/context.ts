import type { Crypto } from '@shardlab/crosslink';
import type { AuditReport } from '../audit/report.ts';
import type { GenesisPlan } from '../workload/genesis-plan.ts';
import type { LoadOptions } from '../load/options.ts';
import type { LoadModules } from '../load/run-load.ts';
import type { Output } from '../output/output.ts';
import type { LoadReport } from '../report/load-report.ts';

/** A plain transfer, before it is signed. Amounts in wei. */
export interface TransferFields {
  readonly chainId: number;
  readonly nonce: number;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  readonly gasLimit: number;
  /** 20 bytes. */
  readonly to: Uint8Array;
  readonly value: bigint;
}

/** One call of an atomic batch. */
export interface BatchCallFields {
  /** 20 bytes. */
  readonly to: Uint8Array;
  /** Wei. */
  readonly value: bigint;
  readonly gasLimit: number;
  readonly data: Uint8Array;
}

/** An atomic batch (type 0x70), before it is signed; `gasLimit` is left out: it is what the calls and the batch itself need. */
export interface BatchFields extends Omit<TransferFields, 'to' | 'value' | 'gasLimit'> {
  readonly calls: readonly BatchCallFields[];
}

/** What `audit` asks of the auditor. */
export interface AuditRequest {
  readonly rpcUrl: string;
  /** Ledgers of load runs whose outcomes the blocks must agree with. */
  readonly ledgerFiles: readonly string[];
  /** `workload.json` of the data directory, which need not exist. */
  readonly workloadFile: string | undefined;
  readonly signal: AbortSignal | undefined;
  onProgress(text: string): void;
}

/** The heavy parts, loaded when a command needs them: `status` shall not wait for the load generator's imports. */
export interface CliModules {
  crypto(): Promise<Crypto>;
  /** Address, 20 bytes, of a 32-byte secret key. */
  addressOf(secretKey: Uint8Array): Promise<Uint8Array>;
  /** Signs as type 2. */
  signTransfer(fields: TransferFields, secretKey: Uint8Array): Promise<{ readonly raw: Uint8Array; readonly hash: Uint8Array }>;
  /** Signs as type 0x70. */
  signBatch(fields: BatchFields, secretKey: Uint8Array): Promise<{ readonly raw: Uint8Array; readonly hash: Uint8Array }>;
  planDerivedGenesis(accounts: number, seed: number): Promise<GenesisPlan>;
  planTraceGenesis(file: string, seed: number): Promise<GenesisPlan>;
  runLoad(options: LoadOptions, modules: LoadModules): Promise<LoadReport>;
  runAudit(request: AuditRequest): Promise<AuditReport>;
  /** Becomes the node that `configFile` describes; resolves when it has stopped, or has started and goes on by itself. */
  runNode(configFile: string): Promise<void>;
}

/** Everything that a command takes from its surroundings: nothing else reaches for `process`. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Program and first arguments of a node process; `--config FILE` follows. */
  readonly nodeCommand: readonly [string, ...string[]];
  readonly modules: CliModules;
  /**
   * Runs `task` with Ctrl-C and termination signals turned into an abort, so that it can clean up; a second signal ends the program at once. Outside of
   * it they end the program as usual.
   */
  interruptible<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T>;
}
