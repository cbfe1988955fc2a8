import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Address, bytesKey, concatBytes, equalBytes, fromHex, type Hash32, ShardlabError, toHex, ZERO_ADDRESS } from '@shardlab/crosslink';
import { type Authorization, authorizationDigest, recoverAuthority } from '../../../src/execution/evm/authorizations.ts';
import { blobBaseFee, intrinsicGasUnder } from '../../../src/execution/evm/fork-rules.ts';
import { beginBlock, HISTORY_ADDRESS, HISTORY_CODE } from '../../../src/execution/evm/system-calls.ts';
import { addressOfPublicKey } from '../../../src/transaction/decode.ts';
import { noble } from '../transaction-support.ts';
import { keccak } from './map-source.ts';
import { accountWith, addressOf, BLOCK, CHAIN_ID, CONTRACT, FUNDS, Lab, SENDER } from './transaction-lab.ts';

const AUTHORITY = addressOf(0xb0);
/** Stores 1 in slot 0: PUSH1 1 PUSH0 SSTORE. */
const STORES = Uint8Array.of(0x60, 0x01, 0x5f, 0x55);
const ORDER = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n;

function delegationTo(at: Address): Uint8Array {
  return concatBytes(Uint8Array.of(0xef, 0x01, 0x00), at);
}

function authorization(parts: Partial<Authorization> = {}): Authorization {
  return { chainId: CHAIN_ID, address: CONTRACT, nonce: 0n, authority: AUTHORITY, ...parts };
}

/** A lab with a contract to delegate to, and the authority as given. */
function labWith(authority?: Parameters<typeof accountWith>[0]): Lab {
  const contract = [CONTRACT, accountWith({ nonce: 1n, code: STORES })] as const;
  return new Lab('prague', authority === undefined ? [contract] : [contract, [AUTHORITY, accountWith(authority)]]);
}

suite('EIP-7702: an account takes the code of another', () => {
  test('an authorization sets the delegation and takes the nonce; the code runs on the account that was called', () => {
    const lab = labWith();
    const result = lab.applied({ type: 4, to: AUTHORITY, authorizations: [authorization()], gasLimit: 200_000n });
    assert.equal(result.status, 1);
    assert.deepEqual(lab.code(AUTHORITY), delegationTo(CONTRACT));
    assert.deepEqual([lab.nonce(AUTHORITY), lab.slot(AUTHORITY, 0), lab.slot(CONTRACT, 0)], [1n, 1n, 0n]);
    // 25,000 for an authority that did not exist; the slot's 22,100 and two pushes; the delegate is warmed for nothing.
    assert.equal(result.gasUsed, 21_000 + 25_000 + 22_100 + 5);
  });

  test('an authority that exists gets 12,500 of its gas back, a fifth of all at most', () => {
    const exists = labWith({ balance: 1n }).applied({ type: 4, to: AUTHORITY, authorizations: [authorization()], gasLimit: 200_000n });
    assert.equal(exists.gasUsed, 21_000 + 25_000 + 22_105 - 12_500);
    const idle = labWith({ balance: 1n }).applied({ type: 4, authorizations: [authorization()] });
    assert.equal(idle.gasUsed, 46_000 - 9_200);
  });

  test('authorizations outlive a transaction that fails', () => {
    const lab = labWith({ code: delegationTo(addressOf(1)), nonce: 3n });
    const reverting = addressOf(0xfd);
    lab.source.accounts.set(bytesKey(reverting), accountWith({ code: Uint8Array.of(0x5f, 0x5f, 0xfd) }));
    const result = lab.applied({ type: 4, to: reverting, authorizations: [authorization({ nonce: 3n })] });
    assert.equal(result.status, 0);
    assert.deepEqual([lab.code(AUTHORITY), lab.nonce(AUTHORITY)], [delegationTo(CONTRACT), 4n]);
    assert.equal(result.gasUsed, 46_004 - Math.floor(46_004 / 5));
  });

  test('the address of zeros takes the delegation away', () => {
    const lab = labWith({ code: delegationTo(CONTRACT), nonce: 1n });
    lab.applied({ type: 4, authorizations: [authorization({ address: ZERO_ADDRESS, nonce: 1n })] });
    assert.deepEqual([lab.code(AUTHORITY).length, lab.nonce(AUTHORITY)], [0, 2n]);
    assert.deepEqual(lab.world.codeHash(lab.world.accountOf(AUTHORITY)), keccak.keccak256(new Uint8Array(0)));
  });

  test('each void authorization is passed over, and the others hold', () => {
    const contract = addressOf(0x77);
    const lab = labWith();
    lab.source.accounts.set(bytesKey(contract), accountWith({ code: STORES, nonce: 1n }));
    lab.source.homes.set(bytesKey(addressOf(0x55)), 3);
    const authorizations = [
      authorization({ chainId: CHAIN_ID + 1n }),
      authorization({ nonce: 1n }),
      authorization({ nonce: 2n ** 64n - 1n }),
      authorization({ authority: undefined }),
      authorization({ authority: contract, nonce: 1n }),
      authorization({ authority: addressOf(0x55) }),
      authorization({ chainId: 0n, authority: addressOf(0x66) }),
    ];
    const result = lab.applied({ type: 4, authorizations, gasLimit: 300_000n });
    assert.equal(result.gasUsed, 21_000 + 7 * 25_000);
    for (const at of [AUTHORITY, addressOf(0x55)]) assert.equal(lab.code(at).length, 0);
    assert.deepEqual(lab.code(contract), STORES);
    assert.deepEqual(lab.code(addressOf(0x66)), delegationTo(CONTRACT));
  });

  test('who sends and authorizes has taken a nonce already; a delegated account may send', () => {
    const lab = labWith();
    lab.applied({ type: 4, authorizations: [authorization({ authority: SENDER, nonce: 0n }), authorization({ authority: SENDER, nonce: 1n })] });
    assert.deepEqual([lab.code(SENDER), lab.nonce(SENDER)], [delegationTo(CONTRACT), 2n]);
    assert.equal(lab.applied({ nonce: 2n }).status, 1);
    assert.deepEqual(new Lab('cancun', [[SENDER, accountWith({ balance: FUNDS, code: delegationTo(CONTRACT) })]]).apply(), { invalid: 'sender-not-eoa' });
  });

  test('a transaction of type 4 has an authorization and makes no contract', () => {
    assert.deepEqual(labWith().apply({ type: 4 }), { invalid: 'authorizations-empty' });
    assert.deepEqual(labWith().apply({ type: 4, to: undefined, authorizations: [authorization()] }), { invalid: 'authorizations-creation' });
    assert.deepEqual(labWith().apply({ type: 4, gasLimit: 45_999n, authorizations: [authorization()] }), { invalid: 'intrinsic-gas' });
  });
});

suite('who signed an authorization', () => {
  const secret = new Uint8Array(32).fill(7);
  const signer = addressOfPublicKey(noble.secpPublicKey(secret), noble);
  const fields = { chainId: 1n, address: CONTRACT, nonce: 300n };
  const { signature, yParity } = noble.secpSign(authorizationDigest(fields, keccak), secret);
  const [r, s] = [BigInt(toHex(signature.subarray(0, 32))), BigInt(toHex(signature.subarray(32)))];

  test('is recovered from the digest of 0x05 and the RLP of its fields', () => {
    // 0xd9: a list of 25 bytes; 0x82012c: the nonce.
    const preimage = concatBytes(fromHex('0x05d90194'), CONTRACT, fromHex('0x82012c'));
    assert.deepEqual(authorizationDigest(fields, keccak), keccak.keccak256(preimage));
    assert.deepEqual(recoverAuthority(fields, { yParity, r, s }, noble), signer);
    const other = recoverAuthority({ ...fields, nonce: 301n }, { yParity, r, s }, noble);
    assert.ok(other === undefined || !equalBytes(other, signer));
  });

  test('is nobody if the signature is out of range', () => {
    const wrong = [
      { yParity: 2, r, s },
      { yParity: 27, r, s },
      { yParity, r: 0n, s },
      { yParity, r: ORDER, s },
      { yParity, r, s: 0n },
      // The same signature's other form: EIP-2.
      { yParity: 1 - yParity, r, s: ORDER - s },
      { yParity, r: 2n ** 256n - 1n, s },
    ];
    for (const each of wrong) assert.equal(recoverAuthority(fields, each, noble), undefined);
  });
});

suite('EIP-7623: data has a floor price', () => {
  const data = Uint8Array.from({ length: 1_000 }, (_, at) => at % 2);

  test('21,000 and 10 for a zero byte, 40 for another, under Prague alone', () => {
    const fields = { data, creation: false, addresses: 0, keys: 0, authorizations: 0 };
    assert.deepEqual(intrinsicGasUnder('prague', fields), { gas: 21_000 + 500 * 4 + 500 * 16, floor: 21_000 + 500 * 10 + 500 * 40 });
    assert.deepEqual(intrinsicGasUnder('cancun', fields), { gas: 31_000, floor: 0 });
    const more = { ...fields, creation: true, addresses: 2, keys: 3, authorizations: 4 };
    assert.deepEqual(intrinsicGasUnder('prague', more), { gas: 31_000 + 32_000 + 64 + 4_800 + 5_700 + 100_000, floor: 46_000 });
  });

  test('is what a transaction pays at least, refunds or not', () => {
    assert.equal(new Lab('prague').applied({ data }).gasUsed, 46_000);
    assert.equal(new Lab('cancun').applied({ data }).gasUsed, 31_000);
    const busy = new Lab('prague', [[CONTRACT, accountWith({ code: concatBytes(STORES) })]]).applied({ to: CONTRACT, data });
    assert.equal(busy.gasUsed, 31_000 + 22_105);
    assert.deepEqual(new Lab('prague').apply({ data, gasLimit: 45_999n }), { invalid: 'intrinsic-gas' });
  });
});

suite('EIP-2935: blocks find the hashes of older ones', () => {
  const parentHash = new Uint8Array(32).fill(0x42) as Hash32;
  const contract = [HISTORY_ADDRESS, accountWith({ nonce: 1n, code: HISTORY_CODE })] as const;

  test('the parent of block 5 stands in slot 4, and anybody can ask for it', () => {
    const lab = new Lab('prague', [contract]);
    beginBlock(lab.evm, lab.world, BLOCK, parentHash);
    assert.equal(lab.slot(HISTORY_ADDRESS, 4), BigInt(toHex(parentHash)));
    const data = new Uint8Array(32);
    data[31] = 4;
    assert.deepEqual(lab.applied({ to: HISTORY_ADDRESS, data }).output, Uint8Array.from(parentHash));
  });

  test('nothing happens without the contract, or under Cancun', () => {
    const none = new Lab('prague');
    beginBlock(none.evm, none.world, BLOCK, parentHash);
    const before = new Lab('cancun', [contract]);
    beginBlock(before.evm, before.world, BLOCK, parentHash);
    for (const { world } of [none, before]) assert.deepEqual(world.changes(), { accounts: [], slots: [] });
  });
});

test('EIP-4844: the blob base fee grows by e for each fraction of excess', () => {
  // From the EIP's test of fake_exponential, at the fraction of Cancun.
  for (const [excess, fee] of [[0n, 1n], [2_314_057n, 1n], [2_314_058n, 2n], [10_485_760n, 23n]] as const) {
    assert.equal(blobBaseFee('cancun', excess), fee);
  }
  assert.deepEqual([blobBaseFee('prague', 3_471_086n), blobBaseFee('prague', 3_471_087n)], [1n, 2n]);
  assert.ok(blobBaseFee('cancun', 177n * 3_338_477n) < 2n ** 256n);
  assert.throws(() => blobBaseFee('cancun', 178n * 3_338_477n), (error) => error instanceof ShardlabError && error.code === 'evm/excess-blob-gas');
});
