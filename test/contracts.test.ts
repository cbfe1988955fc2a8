import { equal, ok, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type Address, address as brandAddress, Prng, toHex } from '@shardlab/crosslink';
import { type AbiValue, encodeArguments, encodeCall } from '../packages/cli/src/workload/contracts/abi.ts';
import { ARTIFACT_FILE, type ContractName, contractArtifact } from '../packages/cli/src/workload/contracts/artifacts.ts';
import { createEvmCrypto } from '../packages/node/src/crypto/create-evm-crypto.ts';
import { compileContracts } from '../scripts/compile-contracts.ts';
import { BLOCK, ContractHost } from './support/contract-host.ts';

const [DEPLOYER, ALICE, BOB, CAROL] = [0xd0, 0xa1, 0xb0, 0xc0].map((byte) => brandAddress(new Uint8Array(20).fill(byte))) as [Address, Address, Address, Address];
const SUPPLY = 10n ** 24n;
const ONE = 10n ** 18n;
const MAX_UINT = (1n << 256n) - 1n;

/** A contract in place, called by signature. */
class Deployed {
  readonly address: Address;
  private readonly host: ContractHost;
  private readonly name: ContractName;

  constructor(host: ContractHost, name: ContractName, at: Address) {
    this.host = host;
    this.name = name;
    this.address = at;
  }

  /** Throws if the call reverts. */
  send(caller: Address, signature: string, ...values: AbiValue[]): void {
    this.host.call(caller, this.address, encodeCall(contractArtifact(this.name), signature, values));
  }

  /** The first word that the call returns. */
  read(signature: string, ...values: AbiValue[]): bigint {
    const output = this.host.call(DEPLOYER, this.address, encodeCall(contractArtifact(this.name), signature, values));
    return BigInt(toHex(output.subarray(0, 32)));
  }
}

let nonce = 0n;

function deploy(host: ContractHost, name: ContractName, types: readonly string[] = [], values: readonly AbiValue[] = []): Deployed {
  const initcode = Uint8Array.from([...contractArtifact(name).initcode, ...encodeArguments(types, values)]);
  return new Deployed(host, name, host.deploy(DEPLOYER, nonce++, initcode));
}

function deployToken(host: ContractHost, supply = SUPPLY): Deployed {
  return deploy(host, 'Token', ['string', 'string', 'uint256'], ['Token', 'TKN', supply]);
}

describe('contracts of the workloads', async () => {
  const crypto = await createEvmCrypto();

  test('the committed artifacts are what the compiler makes of the sources', async () => {
    ok((await compileContracts()) === readFileSync(ARTIFACT_FILE, 'utf8'), 'run node scripts/compile-contracts.ts');
  });

  test('a token moves by transfer and by allowance, is issued to many at once, and is never made or lost', () => {
    const token = deployToken(new ContractHost(crypto));
    token.send(DEPLOYER, 'issue(address[],uint256)', [ALICE, BOB, CAROL], 100n);
    token.send(ALICE, 'transfer(address,uint256)', BOB, 30n);
    token.send(BOB, 'approve(address,uint256)', CAROL, 50n);
    token.send(CAROL, 'transferFrom(address,address,uint256)', BOB, CAROL, 50n);
    const balances = [DEPLOYER, ALICE, BOB, CAROL].map((owner) => token.read('balanceOf(address)', owner));
    equal(balances.join(' '), `${SUPPLY - 300n} 70 80 150`);
    equal(token.read('totalSupply()'), SUPPLY);
    throws(() => token.send(ALICE, 'transfer(address,uint256)', BOB, 71n), /revert/);
    throws(() => token.send(CAROL, 'transferFrom(address,address,uint256)', BOB, CAROL, 1n), /revert/);
  });

  test('a collectible has one owner, and as many are counted as were minted', () => {
    const token = deploy(new ContractHost(crypto), 'Collectible', ['string', 'string'], ['Collectible', 'NFT']);
    token.send(ALICE, 'mint(address)', ALICE);
    token.send(BOB, 'mint(address)', BOB);
    token.send(BOB, 'mintChosen(address,uint256)', BOB, 1n << 64n);
    token.send(ALICE, 'transferFrom(address,address,uint256)', ALICE, CAROL, 0n);
    equal(token.read('next()'), 2n);
    equal(token.read('ownerOf(uint256)', 0n), BigInt(toHex(CAROL)));
    equal([ALICE, BOB, CAROL].map((owner) => token.read('balanceOf(address)', owner)).join(' '), '0 2 1');
    throws(() => token.send(CAROL, 'mintChosen(address,uint256)', CAROL, 1n << 64n), /revert/, 'it is minted');
    throws(() => token.send(CAROL, 'mintChosen(address,uint256)', CAROL, 7n), /revert/, 'the id is not one to choose');
  });

  test('Uniswap V2: the router finds the pair that the factory made, and no swap lowers the product of the reserves', () => {
    const host = new ContractHost(crypto);
    const tokens = [deployToken(host), deployToken(host)] as const;
    const factory = deploy(host, 'UniswapV2Factory', ['address'], [DEPLOYER]);
    const router = deploy(host, 'UniswapV2Router02', ['address', 'address'], [factory.address, deploy(host, 'WETH9').address]);
    const path = tokens.map((token) => token.address);
    const deadline = BLOCK.timestamp;
    for (const token of tokens) {
      token.send(DEPLOYER, 'issue(address[],uint256)', [ALICE, BOB], ONE);
      for (const owner of [DEPLOYER, ALICE, BOB]) token.send(owner, 'approve(address,uint256)', router.address, MAX_UINT);
    }
    router.send(DEPLOYER, 'addLiquidity(address,address,uint256,uint256,uint256,uint256,address,uint256)', ...path, 100n * ONE, 200n * ONE, 0n, 0n, DEPLOYER, deadline);
    const pairWord = encodeArguments(['uint256'], [factory.read('getPair(address,address)', ...path)]);
    const pair = new Deployed(host, 'UniswapV2Pair', brandAddress(pairWord.slice(12)));
    const product = (): bigint => tokens.map((token) => token.read('balanceOf(address)', pair.address)).reduce((a, b) => a * b);
    const prng = new Prng(7);
    let before = product();
    equal(before, 20_000n * ONE * ONE);
    for (let i = 0; i < 40; i++) {
      const trader = prng.below(2) === 0 ? ALICE : BOB;
      const route = prng.below(2) === 0 ? path : path.toReversed();
      router.send(trader, 'swapExactTokensForTokens(uint256,uint256,address[],address,uint256)', BigInt(1_000 + prng.below(1_000_000_000)), 0n, route, trader, deadline);
      const after = product();
      ok(after > before, `${before} became ${after}`);
      before = after;
    }
    equal(pair.read('totalSupply()') > 0n, true);
  });

  test('the lending pool stays solvent through any sequence of calls, and refuses what would break it', () => {
    const host = new ContractHost(crypto);
    const [asset, collateral] = [deployToken(host), deployToken(host)];
    const pool = deploy(host, 'LendingPool', ['address', 'address', 'uint256'], [asset.address, collateral.address, 2n * ONE]);
    const people = [ALICE, BOB, CAROL];
    for (const token of [asset, collateral]) {
      token.send(DEPLOYER, 'issue(address[],uint256)', people, 10_000n);
      for (const owner of people) token.send(owner, 'approve(address,uint256)', pool.address, MAX_UINT);
    }
    const prng = new Prng(11);
    const methods = ['supply', 'redeem', 'deposit', 'withdraw', 'borrow', 'repay'].map((name) => `${name}(uint256)`);
    const done = new Map<string, number>();
    let refused = 0;
    const attempt = (name: string, call: () => void): void => {
      try {
        call();
        done.set(name, (done.get(name) ?? 0) + 1);
      } catch (error) {
        ok(/ended with revert/.test((error as Error).message), String(error));
        refused++;
      }
    };
    for (let i = 0; i < 300; i++) {
      const who = people[prng.below(people.length)]!;
      const amount = BigInt(1 + prng.below(3_000));
      const kind = prng.below(10);
      if (kind === 0) attempt('setPrice', () => pool.send(DEPLOYER, 'setPrice(uint256)', BigInt(1 + prng.below(3)) * ONE));
      else if (kind < 3) attempt('liquidate', () => pool.send(who, 'liquidate(address,uint256)', people[prng.below(people.length)]!, amount / 4n + 1n));
      else attempt(methods[kind % methods.length]!, () => pool.send(who, methods[kind % methods.length]!, amount));
      equal(pool.read('solvent()'), 1n, `after step ${i}`);
      const cash = asset.read('balanceOf(address)', pool.address);
      equal(cash + pool.read('totalDebt()'), pool.read('totalSupplied()') + pool.read('fees()'), 'cash and debts are what is owed');
    }
    for (const [total, part] of [['totalDebt()', 'debtOf(address)'], ['totalSupplied()', 'supplied(address)'], ['totalCollateral()', 'collateralOf(address)']] as const) {
      equal(pool.read(total), people.reduce((sum, who) => sum + pool.read(part, who), 0n), total);
    }
    for (const name of [...methods, 'liquidate']) ok((done.get(name) ?? 0) > 0, `${name} never succeeded`);
    ok(refused > 50, `only ${refused} calls were refused`);
    throws(() => pool.send(ALICE, 'setPrice(uint256)', 1n), /revert/, 'not the oracle');
  });
});
