/**
 * `node scripts/compile-contracts.ts`: compiles the workloads' contracts into packages/cli/src/workload/contracts/artifacts.json. Deterministic: the same sources,
 * compiler and settings give the same bytes, which a test checks. Uniswap V2 is taken as it was published (and audited, and deployed), because its
 * router finds pairs by the hash of that very bytecode.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import solc from 'solc';
import { ARTIFACT_FILE, CONTRACT_NAMES } from '../packages/cli/src/workload/contracts/artifacts.ts';
import type { ArtifactFile, ContractName } from '../packages/cli/src/workload/contracts/artifacts.ts';
import { createCrypto } from '../packages/node/src/crypto/create-crypto.ts';

const require = createRequire(import.meta.url);

/** Contracts of our own: Solidity sources beside the artifacts. */
const OWN: readonly ContractName[] = ['Token', 'Collectible', 'LendingPool'];
/** Contracts that are published compiled. */
const PUBLISHED: Readonly<Partial<Record<ContractName, string>>> = {
  WETH9: '@uniswap/v2-periphery/build/WETH9.json',
  UniswapV2Factory: '@uniswap/v2-core/build/UniswapV2Factory.json',
  UniswapV2Pair: '@uniswap/v2-core/build/UniswapV2Pair.json',
  UniswapV2Router02: '@uniswap/v2-periphery/build/UniswapV2Router02.json',
};

/** 200 runs is what deployments use; without metadata, comments do not change the bytecode. */
const SETTINGS = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: 'cancun',
  metadata: { appendCBOR: false, bytecodeHash: 'none' },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
};

interface AbiItem {
  readonly type: string;
  readonly name?: string;
  readonly inputs?: readonly AbiInput[];
}

interface AbiInput {
  readonly type: string;
  readonly components?: readonly AbiInput[];
}

interface Compiled {
  readonly abi: readonly AbiItem[];
  /** Hex without `0x`. */
  readonly bytecode: string;
}

interface SolcOutput {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[];
  readonly contracts: Readonly<Record<string, Readonly<Record<string, { readonly abi: readonly AbiItem[]; readonly evm: { readonly bytecode: { readonly object: string } } }>>>>;
}

function readImport(path: string): { contents: string } | { error: string } {
  try {
    return { contents: readFileSync(require.resolve(path), 'utf8') };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

/** Throws with the compiler's own messages on errors and on warnings. */
function compileOwn(): ReadonlyMap<ContractName, Compiled> {
  const sources = Object.fromEntries(OWN.map((name) => [`${name}.sol`, { content: readFileSync(new URL(`./${name}.sol`, ARTIFACT_FILE), 'utf8') }]));
  const input = JSON.stringify({ language: 'Solidity', sources, settings: SETTINGS });
  const output = JSON.parse((solc.compile as (input: string, callbacks: { import: typeof readImport }) => string)(input, { import: readImport })) as SolcOutput;
  if (output.errors !== undefined && output.errors.length > 0) throw new Error(output.errors.map((each) => each.formattedMessage).join('\n'));
  return new Map(
    OWN.map((name) => {
      const { abi, evm } = output.contracts[`${name}.sol`]![name]!;
      return [name, { abi, bytecode: evm.bytecode.object }];
    }),
  );
}

function typeOf(input: AbiInput): string {
  if (!input.type.startsWith('tuple')) return input.type;
  return `(${(input.components ?? []).map(typeOf).join(',')})${input.type.slice('tuple'.length)}`;
}

/** Hashes of the signatures of all `kind` items, cut to `bytes`, by signature. */
function hashes(abi: readonly AbiItem[], kind: string, bytes: number, keccak256: (data: Uint8Array) => Uint8Array): Record<string, string> {
  const signatures = abi.filter((item) => item.type === kind).map((item) => `${item.name}(${(item.inputs ?? []).map(typeOf).join(',')})`);
  const hash = (text: string): string => `0x${Buffer.from(keccak256(new TextEncoder().encode(text)).subarray(0, bytes)).toString('hex')}`;
  return Object.fromEntries(signatures.toSorted().map((signature) => [signature, hash(signature)]));
}

/** The text of `artifacts.json`. Throws if anything does not compile without a warning. */
export async function compileContracts(): Promise<string> {
  const { keccak256 } = await createCrypto({ libraries: 'portable' });
  const own = compileOwn();
  const contracts = CONTRACT_NAMES.map((name) => {
    const published = PUBLISHED[name];
    const { abi, bytecode } = own.get(name) ?? (require(published!) as Compiled);
    return [name, { initcode: `0x${bytecode}`, methods: hashes(abi, 'function', 4, keccak256), events: hashes(abi, 'event', 32, keccak256), abi }] as const;
  });
  // A line for each contract: what changed shows in a diff, and the file is no longer than it must be.
  const lines = contracts.map(([name, contract]) => `    ${JSON.stringify(name)}: ${JSON.stringify(contract satisfies ArtifactFile['contracts'][ContractName])}`);
  return `{\n  "solc": ${JSON.stringify(solc.version())},\n  "contracts": {\n${lines.join(',\n')}\n  }\n}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await compileContracts();
  writeFileSync(ARTIFACT_FILE, text);
  process.stdout.write(`${CONTRACT_NAMES.length} contracts, ${text.length} bytes\n`);
}
