import { createCrypto } from '../../src/crypto/create-crypto.ts';
import { benchExecute as benchShard, type ExecuteBench } from '../../../shard/test/perf/execute.ts';

/** Execution of plain transfers with the hashes that nodes run with; see the shard package's benchmark. */
export async function benchExecute(): Promise<ExecuteBench> {
  return benchShard(await createCrypto());
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await benchExecute())}\n`);
