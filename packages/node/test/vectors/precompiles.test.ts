/** Published vectors: the EIPs, RFC 9380 and go-ethereum's core/vm/testdata/precompiles, from where the names come. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fromHex } from '@shardlab/crosslink';

import { answer, blsG1, blsG2, fp, word } from '../unit/precompiles-support.ts';

function check(address: number, input: string, output: string, gas: number): void {
  assert.deepEqual(answer('prague', address, fromHex(`0x${input}`)), { gas, output: output === 'invalid' ? output : `0x${output}` });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

test('ecRecover: ValidKey, CallEcrecoverUnrecoverableKey, InvalidHighV-bits', () => {
  const hash = '18c547e4f7b0f325ad1e56f57e26c745b09a3e503d86e00e5255ff7f715d3d1c';
  const signature = '73b1693892219d736caba55bdb67216e485557ea6b6af75f37096c9aa6a5a75feeb940b1d03b21e36b0e47e79769f095fe2ab855bd91e3a38756b7d75a9c4549';
  const v = hex(word(28n));
  check(1, hash + v + signature, '000000000000000000000000a94f5374fce5edbc8e2a8697c15331677e6ebf0b', 3_000);
  check(1, `${hash}10${v.slice(2)}${signature}`, '', 3_000);
  check(1, `a8b53bdf3306a35a7103ab5504a0c9b492295564b6202b1942a84ef3001072811${'b'.padStart(63, '0')}${signature}`, '', 3_000);
});

test('modexp: EIP-198 and the prices of EIP-2565', () => {
  const lengths = (...values: number[]): string => values.map((value) => hex(word(BigInt(value)))).join('');
  const prime = 'fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f';
  const exponent = 'fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2e';
  check(5, `${lengths(1, 32, 32)}03${exponent}${prime}`, hex(word(1n)), 1_360);
  check(5, `${lengths(0, 32, 32)}${exponent}${prime}`, hex(word(0n)), 1_360);
  check(5, `${lengths(1, 2, 32)}03ffff80${'00'.repeat(31)}07`, '3b01b01ac41f2d6e917c6d6a221ce793802469026d9ab7578fa2e79e4da6aaab', 200);
  // nagydani-1 to 5: squares, cubes and powers of 65,537 under moduli of 64 to 1,024 bytes.
  for (const [bytes, square, power] of [[64, 200, 341], [128, 200, 1_365], [256, 341, 5_461], [512, 1_365, 21_845], [1024, 5_461, 87_381]] as const) {
    const [base, modulus] = ['ab'.repeat(bytes), 'cd'.repeat(bytes)];
    const gas = (exponentHex: string): number =>
      answer('cancun', 5, fromHex(`0x${lengths(bytes, exponentHex.length / 2, bytes)}${base}${exponentHex}${modulus}`)).gas;
    assert.deepEqual([gas('02'), gas('03'), gas('010001')], [square, square, power]);
  }
});

test('bn256Add, bn256ScalarMul: chfast1; bn256Pairing: jeff1, empty_data', () => {
  check(
    6,
    '18b18acfb4c2c30276db5411368e7185b311dd124691610c5d3b74034e093dc9063c909c4720840cb5134cb9f59fa749755796819658d32efc0d288198f3726607c2b7f58a84bd6145f00c9c2bc0bb1a187f20ff2c92963a88019e7c6a014eed06614e20c147e940f2d70da3f74c9a17df361706a4485c742bd6788478fa17d7',
    '2243525c5efd4b9c3d3c45ac0ca3fe4dd85e830a4ce6b65fa1eeaee202839703301d1d33be6da8e509df21cc35964723180eed7532537db9ae5e7d48f195c915',
    150,
  );
  check(
    7,
    '2bd3e6d0f3b142924f5ca7b49ce5b9d54c4703d7ae5648e61d02268b1a0a9fb721611ce0a6af85915e2f1d70300909ce2e49dfad4a4619c8390cae66cefdb20400000000000000000000000000000000000000000000000011138ce750fa15c2',
    '070a8d6a982153cae4be29d434e8faef8a47b274a053f5a4ee2a6c9c13c31e5c031b8ce914eba3a9ffb989f9cdd5b0f01943074bf4f0f315690ec3cec6981afc',
    6_000,
  );
  check(
    8,
    '1c76476f4def4bb94541d57ebba1193381ffa7aa76ada664dd31c16024c43f593034dd2920f673e204fee2811c678745fc819b55d3e9d294e45c9b03a76aef41209dd15ebff5d46c4bd888e51a93cf99a7329636c63514396b4a452003a35bf704bf11ca01483bfa8b34b43561848d28905960114c8ac04049af4b6315a416782bb8324af6cfc93537a2ad1a445cfd0ca2a71acd7ac41fadbf933c2a51be344d120a2a4cf30c1bf9845f20c6fe39e07ea2cce61f0c9bb048165fe5e4de877550111e129f1cf1097710d41c4ac70fcdfa5ba2023c6ff1cbeac322de49d1b6df7c2032c61a830e3c17286de9462bf242fca2883585b93870a73853face6a6bf411198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c21800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa',
    hex(word(1n)),
    113_000,
  );
  check(8, '', hex(word(1n)), 45_000);
});

test('blake2F: vectors 0 to 7 of EIP-152; number 5 is the digest of "abc"', () => {
  const tail =
    '48c9bdf267e6096a3ba7ca8485ae67bb2bf894fe72f36e3cf1361d5f3af54fa5d182e6ad7f520e511f6c3e2b8c68059b6bbd41fbabd9831f79217e1319cde05b' +
    `616263${'00'.repeat(125)}03${'00'.repeat(15)}`;
  check(9, '', 'invalid', 0);
  check(9, `00000c${tail}01`, 'invalid', 0);
  check(9, `000000000c${tail}01`, 'invalid', 0);
  check(9, `0000000c${tail}02`, 'invalid', 12);
  check(9, `00000000${tail}01`, '08c9bcf367e6096a3ba7ca8485ae67bb2bf894fe72f36e3cf1361d5f3af54fa5d282e6ad7f520e511f6c3e2b8c68059b9442be0454267ce079217e1319cde05b', 0);
  check(9, `0000000c${tail}01`, 'ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923', 12);
  check(9, `0000000c${tail}00`, '75ab69d3190a562c51aef8d88f1c2775876944407270c42c9844252c26d2875298743e7f6d5ea2f2d3e8d226039cd31b4e426ac4f2d3d666a610c2116fde4735', 12);
  check(9, `00000001${tail}01`, 'b63a380cb2897d521994a85234ee2c181b5f844d2c624c002677e9703449d2fba551b3a8333bcdf5f2f7e08993d53923de3d64fcc68c034e717b9293fed7a421', 1);
});

test('pointEvaluation: pointEvaluation1, and each field of it spoiled', () => {
  const valid =
    '01e798154708fe7789429634053cbf9f99b619f9f084048927333fce637f549b564c0a11a0f704f4fc3e8acfe0f8245f0ad1347b378fbf96e206da11a5d3630624d25032e67a7e6a4910df5834b8fe70e6bcfeeac0352434196bdf4b2485d5a18f59a8d2a1a625a17f3fea0fe5eb8c896db3764f3185481bc22f91b4aaffcca25f26936857bc3a7c2539ea8ec3a952b7873033e038326e87ed3e1276fd140253fa08e9fc25fb2d9a98527fc22a2c9612fbeafdad446cbc7bcdbdcd780af2c16a';
  check(10, valid, '000000000000000000000000000000000000000000000000000000000000100073eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001', 50_000);
  for (const at of [0, 1, 31, 32, 63, 64, 95, 96, 143, 144, 191]) {
    const spoiled = fromHex(`0x${valid}`);
    spoiled[at]! ^= 1;
    check(10, hex(spoiled), 'invalid', 50_000);
  }
  check(10, valid.slice(2), 'invalid', 50_000);
  check(10, `${valid}00`, 'invalid', 50_000);
});

test('bls12-381: the generator doubled, RFC 9380 J.9.2, and the prices of EIP-2537', () => {
  const point = (x: string, y: string): string => '0'.repeat(32) + x + '0'.repeat(32) + y;
  const generator = hex(blsG1(1n));
  const twice = point(
    '0572cbea904d67468808c8eb50a9450c9721db309128012543902d0ac358a62ae28f75bb8f1c7c42c39a8c5529bf0f4e',
    '166a9d8cabc673a322fda673779d8e3822ba3ecb8670e461f73bb9021d5fd76a4c56d9d4cd16bd1bba86881979749d28',
  );
  check(0x0b, generator + generator, twice, 375);
  check(0x0c, generator + hex(word(2n)), twice, 12_000);
  check(0x0c, (generator + hex(word(1n))).repeat(2), twice, 22_776);
  const second = hex(blsG2(1n));
  check(0x0d, second + second, hex(blsG2(2n)), 600);
  check(0x0e, second + hex(word(2n)), hex(blsG2(2n)), 22_500);
  check(0x0e, (second + hex(word(1n))).repeat(3), hex(blsG2(3n)), 62_302);
  check(0x0f, generator + second, hex(word(0n)), 70_300);
  // The curve of suite BLS12381G1_XMD:SHA-256_SSWU_NU_: u and the point P for an empty message.
  check(
    0x10,
    hex(fp(0x156c8a6a2c184569d69a76be144b5cdc5141d2d2ca4fe341f011e25e3969c55ad9e9b9ce2eb833c81a908e5fa4ac5f03n)),
    point(
      '184bb665c37ff561a89ec2122dd343f20e0f4cbcaec84e3c3052ea81d1834e192c426074b02ed3dca4e7676ce4ce48ba',
      '04407b8d35af4dacc809927071fc0405218f1401a6d15af775810e4e460064bcc9468beeba82fdc751be70476c888bf3',
    ),
    5_500,
  );
});

test('bls12-381: prices of 1 to 200 points fall to the last discount and stay there', () => {
  const gas = (address: number, termBytes: number, terms: number): number => answerGas(address, termBytes * terms);
  assert.equal(gas(0x0c, 160, 128), Math.floor((128 * 12_000 * 519) / 1_000));
  assert.equal(gas(0x0c, 160, 200), Math.floor((200 * 12_000 * 519) / 1_000));
  assert.equal(gas(0x0e, 288, 128), Math.floor((128 * 22_500 * 524) / 1_000));
  assert.equal(gas(0x0e, 288, 200), Math.floor((200 * 22_500 * 524) / 1_000));
  for (let terms = 2; terms <= 200; terms++) {
    assert.ok(gas(0x0c, 160, terms) > gas(0x0c, 160, terms - 1));
    assert.ok(gas(0x0c, 160, terms) / terms <= gas(0x0c, 160, terms - 1) / (terms - 1) + 1);
  }
});

function answerGas(address: number, bytes: number): number {
  return answer('prague', address, new Uint8Array(bytes)).gas;
}
