import assert from 'node:assert/strict';
import test from 'node:test';
import { bloomMayHold, type EventLog, logsBloom } from '../../src/logs.ts';
import { toHex } from '../../src/primitives.ts';
import { account, filled, HASHER } from '../unit/kit.ts';

const text = (of: string): Uint8Array => new TextEncoder().encode(of);

test('the bloom is Ethereum\'s: go-ethereum, core/types/bloom9_test.go, TestBloomExtensively', () => {
  const bloom = new Uint8Array(256);
  for (let i = 0; i < 100; i++) {
    const log: EventLog = { address: text(`xxxxxxxxxx data ${i} yyyyyyyyyyyyyy`) as never, topics: [], data: new Uint8Array(0) };
    logsBloom(HASHER, [log]).forEach((byte, at) => (bloom[at]! |= byte));
  }
  assert.equal(toHex(HASHER.keccak256(bloom)), '0xc8d3ca65cdb4874300a9e39475508f23ed6da09fdbc487f89a2dcf50b09eb263');
});

test('a bloom holds what was logged, and little else', () => {
  const bloom = logsBloom(HASHER, [{ address: account(1), topics: [filled(2), filled(3)], data: Uint8Array.of(9) }]);
  for (const value of [account(1), filled(2), filled(3)]) assert.equal(bloomMayHold(HASHER, bloom, value), true);
  for (const value of [account(2), filled(1), Uint8Array.of(9)]) assert.equal(bloomMayHold(HASHER, bloom, value), false);
});
