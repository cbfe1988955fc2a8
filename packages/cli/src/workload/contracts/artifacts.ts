/**
 * The contracts that workloads deploy. `artifacts.json` is made by `node scripts/compile-contracts.ts` from the Solidity sources beside it and from what
 * Uniswap publishes; it is committed because the compiler takes seconds and is a development dependency only. A test compiles again and compares.
 */
import { readFileSync } from 'node:fs';
import { fromHex, ShardlabError } from '@shardlab/crosslink';

/** Every contract that there is an artifact of. */
export const CONTRACT_NAMES = ['Token', 'Collectible', 'LendingPool', 'WETH9', 'UniswapV2Factory', 'UniswapV2Pair', 'UniswapV2Router02'] as const;
/** One of {@link CONTRACT_NAMES}. */
export type ContractName = (typeof CONTRACT_NAMES)[number];

/** What is known of a contract before it is deployed. */
export interface ContractArtifact {
  readonly name: ContractName;
  /** Initcode without the constructor's arguments, which are appended to it, ABI-encoded. */
  readonly initcode: Uint8Array;
  /** The contract's JSON ABI, as Solidity's documentation defines it. */
  readonly abi: readonly unknown[];
  /** Selectors of 4 bytes (hex with `0x`) by signature: `transfer(address,uint256)`. */
  readonly methods: Readonly<Record<string, string>>;
  /** First topics of 32 bytes (hex with `0x`) by signature: `Transfer(address,address,uint256)`. */
  readonly events: Readonly<Record<string, string>>;
}

/** The file, as the script writes it. */
export interface ArtifactFile {
  /** Version of the Solidity compiler. */
  readonly solc: string;
  readonly contracts: Readonly<Record<ContractName, { readonly initcode: string } & Pick<ContractArtifact, 'abi' | 'methods' | 'events'>>>;
}

/** Where the artifacts are. */
export const ARTIFACT_FILE = new URL('./artifacts.json', import.meta.url);

/** The artifact of a contract, read from disk: keep it. Throws `workload/artifact` if the file does not have it. */
export function contractArtifact(name: ContractName): ContractArtifact {
  const file = JSON.parse(readFileSync(ARTIFACT_FILE, 'utf8')) as ArtifactFile;
  const found = file.contracts[name];
  if (found === undefined) throw new ShardlabError('workload/artifact', `artifacts.json has no contract ${String(name)}: run scripts/compile-contracts.ts`);
  return { name, initcode: fromHex(found.initcode), abi: found.abi, methods: found.methods, events: found.events };
}

/** The 4 bytes that name a function. Throws `workload/method` if the contract has none of that signature. */
export function selector(artifact: ContractArtifact, signature: string): Uint8Array {
  const found = artifact.methods[signature];
  if (found === undefined) throw new ShardlabError('workload/method', `${artifact.name} has no function ${signature}`);
  return fromHex(found);
}
