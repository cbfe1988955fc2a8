import { deepEqual, match, ok } from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from './support/violations.ts';

const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8');
const compose = read('docker-compose.yml');
const services = [...compose.slice(compose.indexOf('\nservices:'), compose.indexOf('\nvolumes:')).matchAll(/^ {2}([\w-]+):$/gm)].map((found) => found[1]!);

test('compose 1.29 and v2 both take the file: no top-level version or name', () => {
  ok(!/^(?:version|name):/m.test(compose));
  deepEqual(services, ['beacon', 'shard-0', 'shard-1', 'shard-2', 'shard-3']);
});

test('JSON-RPC is published on loopback only, each node on a port of its own', () => {
  const ports = [...compose.matchAll(/ports: \["([^"]+)"\]/g)].map((found) => found[1]!);
  deepEqual(ports.map((port) => /^127\.0\.0\.1:\$\{SHARDLAB_\w+_PORT:-(\d+)\}:8545$/.exec(port)?.[1]), ['8545', '8546', '8547', '8548', '8549']);
});

test('every service has its own id, name and volume', () => {
  for (const service of services) {
    ok(compose.includes(`--id=${service}\n`), service);
    ok(compose.includes(`--announce=/dns4/${service}/tcp/4001\n`), service);
    ok(compose.includes(`volumes: ["${service}:/data"]`), service);
  }
});

test('the image copies the manifest of every package before it installs', () => {
  const dockerfile = read('Dockerfile');
  const before = dockerfile.slice(0, dockerfile.indexOf('RUN npm ci'));
  for (const manifest of globSync('packages/*/package.json', { cwd: ROOT })) match(before, new RegExp(`^COPY ${manifest} `, 'm'));
  match(dockerfile, /^ARG BASE_IMAGE=node:24-bookworm-slim\nFROM \$\{BASE_IMAGE\}$/m);
  match(dockerfile, /^USER node$/m);
});

test('what the containers run exists', () => {
  const programs = new Set([...`${compose}\n${read('Dockerfile')}`.matchAll(/\bpackages\/[\w/.-]+\.(?:ts|js)\b/g)].map((found) => found[0]));
  ok(programs.size > 0);
  for (const program of programs) ok(existsSync(join(ROOT, program)), program);
});
