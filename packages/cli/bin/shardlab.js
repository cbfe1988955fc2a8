#!/usr/bin/env node
// Plain JavaScript on purpose: an old Node must get one clear line, not a stack about an unknown file extension.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(`shardlab needs Node 24 or newer, this is ${process.version}: run it through npm (npx shardlab, npm run demo)`);
  process.exit(2);
}
await import('../src/main.ts');
