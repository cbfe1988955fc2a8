import type { Genesis } from '@shardlab/crosslink';
import { threadFlags } from '@shardlab/node';
import { FORK_DEFAULT } from './genesis-file.ts';
import { type NetworkSize, type NodeIdentity, nodeIdentities } from './layout.ts';

/** JSON-RPC of the first node on the host; the others follow. */
const BASE_PORT = 8_545;
/** Ports inside every container. */
const RPC_PORT = 8_545;
const P2P_PORT = 4_001;
/** The image that is built unless another one is named. */
const OWN_IMAGE = 'shardlab:local';

/** What {@link composeFile} describes. */
export interface ComposeOptions extends NetworkSize {
  readonly accounts: number;
  readonly seed: number;
  readonly fork: Genesis['forks'];
  /** Execution threads of each node. */
  readonly workers: number;
  /** An image that exists; undefined: the project's own, which is built. */
  readonly image: string | undefined;
  /** Path from the file's directory to the project's, for the build. */
  readonly context: string;
}

/** A node's service: its id with `-` for `.`, because a host name that ends in a number is no host name to URL parsers (WHATWG URL, "ends in a number"). */
function serviceName({ id }: NodeIdentity): string {
  return id.replace('.', '-');
}

function portVariable(node: NodeIdentity): string {
  return `SHARDLAB_${serviceName(node).toUpperCase().replaceAll('-', '_')}_PORT`;
}

function header({ shards, validators, beaconValidators, image }: ComposeOptions, nodes: number): string[] {
  const committees = validators === 1 && beaconValidators === 1 ? '' : `, committees of ${validators} (beacon: ${beaconValidators})`;
  const services = nodes > shards + 1 ? ['# Services have - where the ids of nodes have a dot: node shard-0.1 is the service shard-0-1.'] : [];
  return [
    `# A beacon and ${shards} ${shards === 1 ? 'shard' : 'shards'}${committees} from one image: \`docker compose up${image === undefined ? ' --build' : ''}\`. Printed by \`shardlab compose\`.`,
    `# JSON-RPC is published on loopback only: the beacon on ${BASE_PORT}, the others on ${BASE_PORT + 1} and up, in the order of this file. Works with Compose 1.29 and v2,`,
    '# hence no top-level `version` or `name`.',
    ...services,
    '#',
    '# Every container derives the same genesis and its own keys from SHARDLAB_SEED, so nothing has to be generated or copied before the first start.',
    "# The keys are as public as the seed: this is a testbed. Change the seed or the accounts only together with `down -v`; a node refuses another",
    "# network's data directory.",
    '',
  ];
}

function anchors({ image }: ComposeOptions, beacon: string): string[] {
  return [
    'x-node: &node',
    `  image: \${SHARDLAB_IMAGE:-${image ?? OWN_IMAGE}}`,
    '  restart: unless-stopped',
    '  stop_grace_period: 20s',
    '  healthcheck:',
    '    test:',
    '      - CMD',
    '      - node',
    '      - -e',
    `      - "fetch('http://127.0.0.1:${RPC_PORT}/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"`,
    '    interval: 3s',
    '    timeout: 3s',
    '    retries: 5',
    '    start_period: 30s',
    '  logging:',
    '    driver: json-file',
    '    options: { max-size: 20m, max-file: "2" }',
    '',
    'x-follower: &follower',
    '  <<: *node',
    '  # Started, not healthy: with the beacon dead the shards go on, so they must not wait for it when the host comes up again.',
    '  depends_on:',
    `    ${beacon}:`,
    '      condition: service_started',
    '',
    'services:',
  ];
}

function command(node: NodeIdentity, options: ComposeOptions, bootstrap: readonly string[]): string[] {
  const { shards, validators, beaconValidators, seed, accounts, fork, workers } = options;
  const service = serviceName(node);
  return [
    'node',
    ...threadFlags(workers),
    'packages/cli/bin/shardlab.js',
    'node',
    `--id=${node.id}`,
    `--shards=${shards}`,
    ...(validators === 1 ? [] : [`--validators=${validators}`]),
    ...(beaconValidators === validators ? [] : [`--beacon-validators=${beaconValidators}`]),
    `--seed=\${SHARDLAB_SEED:-${seed}}`,
    `--accounts=\${SHARDLAB_ACCOUNTS:-${accounts}}`,
    ...(fork === FORK_DEFAULT ? [] : [`--fork=${fork}`]),
    ...(workers === 0 ? [] : [`--workers=${workers}`]),
    '--data-dir=/data',
    `--listen=/ip4/0.0.0.0/tcp/${P2P_PORT}`,
    `--announce=/dns4/${service}/tcp/${P2P_PORT}`,
    ...bootstrap.filter((other) => other !== service).map((other) => `--bootstrap=/dns4/${other}/tcp/${P2P_PORT}`),
    '--rpc-host=0.0.0.0',
    `--rpc-port=${RPC_PORT}`,
  ];
}

function build({ context }: ComposeOptions): string[] {
  return [
    '    # Only here: the others use the image by its name, and several builds of one tag would race.',
    '    build:',
    `      context: ${context}`,
    '      args:',
    '        BASE_IMAGE: ${SHARDLAB_BASE_IMAGE:-node:24-bookworm-slim}',
  ];
}

/**
 * A docker compose file for a whole network: nothing else is needed but the project's directory, or the image. A function of the options alone. The first
 * service is the beacon's first validator; the beacon's validators are where everybody looks for the others.
 */
export function composeFile(options: ComposeOptions): string {
  const nodes = nodeIdentities(options);
  const beacons = nodes.filter((node) => node.role === 'beacon').map(serviceName);
  const services = nodes.map((node, at) => {
    const service = serviceName(node);
    return [
      `  ${service}:`,
      `    <<: *${at === 0 ? 'node' : 'follower'}`,
      ...(at === 0 && options.image === undefined ? build(options) : []),
      '    command:',
      ...command(node, options, beacons).map((word) => `      - ${word}`),
      `    ports: ["127.0.0.1:\${${portVariable(node)}:-${BASE_PORT + at}}:${RPC_PORT}"]`,
      `    volumes: ["${service}:/data"]`,
      '',
    ];
  });
  const volumes = ['volumes:', ...nodes.map((node) => `  ${serviceName(node)}:`)];
  return `${[...header(options, nodes.length), ...anchors(options, beacons[0]!), ...services.flat(), ...volumes].join('\n')}\n`;
}
