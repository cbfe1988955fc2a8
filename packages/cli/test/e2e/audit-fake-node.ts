/** Serves a {@link FakeChain} over JSON-RPC as nodes do, and lets a test put words into their mouths. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Address, decodeBasicData, encodeHeader, keyBytes, toHex, verifyStateProof, writeCertificate, Writer } from '@shardlab/crosslink';
import { createCrypto, type NodeCrypto } from '@shardlab/node';
import type { FakeChain } from './audit-fake-chain.ts';

/** Where a lying node lies. */
export interface NodeHooks {
  /** What is served instead of a state's flat entries, by `bytesKey` of the flat key. */
  readonly state?: (shard: number, height: number, entries: Map<string, Uint8Array>) => void;
  /** What is answered instead of any result. `shard` is undefined on `/`, `validator` where the network is asked and not one of its validators. */
  readonly answer?: (method: string, shard: number | undefined, params: readonly unknown[], result: unknown, validator?: number) => unknown;
  /** How many validators each committee has, each at a URL of its own. Default: none is named. */
  readonly validators?: number;
}

/** Of one committee, by the URLs. */
const VALIDATORS_MAX = 10;

class Refusal extends Error {
  readonly rpcCode: number;

  constructor(rpcCode: number, message: string) {
    super(message);
    this.rpcCode = rpcCode;
  }
}

/** One node that answers for the network and for every shard but those that are {@link unreachable}. */
export class FakeNode {
  readonly unreachable = new Set<number>();
  url = '';
  /** Sizes of pages: small, so that a test has many, and records are parted. */
  pageEntries = 5;
  pageBlocks = 7;
  /** Pins held now. */
  readonly pins = new Map<string, { readonly shard: number; readonly height: number }>();
  private readonly chain: FakeChain;
  private readonly hooks: NodeHooks;
  private readonly crypto: NodeCrypto;
  private readonly server: Server;
  private pinned = 0;
  /** Heads may be behind the chains, per shard. */
  readonly heads: number[];

  private constructor(chain: FakeChain, hooks: NodeHooks, crypto: NodeCrypto) {
    this.chain = chain;
    this.hooks = hooks;
    this.crypto = crypto;
    this.heads = chain.shards.map((shard) => shard.blocks.length);
    this.server = createServer((request, response) => void this.serve(request, response));
  }

  static async start(chain: FakeChain, hooks: NodeHooks = {}): Promise<FakeNode> {
    const node = new FakeNode(chain, hooks, await createCrypto());
    await new Promise<void>((resolve) => node.server.listen(0, '127.0.0.1', resolve));
    node.url = `http://127.0.0.1:${(node.server.address() as AddressInfo).port}`;
    return node;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const [, named, path = ''] = /^(?:\/v(\d+))?(\/.*)$/.exec(request.url ?? '') ?? [];
    if (path === '/healthz') {
      response.end(JSON.stringify(this.health(Number(named))));
      return;
    }
    const { id, method, params } = JSON.parse(Buffer.concat(parts).toString()) as { id: number; method: string; params: unknown[] };
    const shardPath = /^\/shard\/(\d+)$/.exec(path);
    const shard = shardPath === null ? undefined : Number(shardPath[1]);
    const validator = named === undefined ? undefined : Number(named) % VALIDATORS_MAX;
    let answer: object;
    try {
      const honest = shard === undefined ? this.network(method, params) : this.shard(shard, method, params);
      answer = { jsonrpc: '2.0', id, result: this.hooks.answer?.(method, shard, params, honest, validator) ?? honest };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answer = { jsonrpc: '2.0', id, error: { code: error.rpcCode, message: error.message } };
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  }

  /** The beacon's committee and the shards'. Validator V of chain C, the beacon's being the last, is at /v(C x 10 + V). */
  private nodes(): { id: string; shard: number | null; rpcUrl: string; height: number }[] {
    const chains = [...this.chain.shards.keys(), null];
    return chains.flatMap((shard, at) =>
      Array.from({ length: this.hooks.validators ?? 0 }, (_, validator) => ({
        id: `${shard === null ? 'beacon' : `shard-${shard}`}${validator === 0 ? '' : `.${validator}`}`,
        shard,
        rpcUrl: `${this.url}/v${at * VALIDATORS_MAX + validator}`,
        // One is a block behind the others.
        height: (shard === null ? this.chain.beaconBlocks.length : this.heads[shard]!) - (validator === 1 ? 1 : 0),
      })),
    );
  }

  private health(named: number): object {
    const node = this.nodes().find((each) => each.rpcUrl.endsWith(`/v${named}`));
    return { id: node?.id, height: node?.height, genesisHash: toHex(this.chain.genesisHash) };
  }

  private network(method: string, params: readonly unknown[]): unknown {
    const [from, count] = params as [number, number];
    switch (method) {
      case 'shard_status':
        return { genesisHash: toHex(this.chain.genesisHash), chainId: 1337, shards: this.chain.shards.length, nodes: this.nodes() };
      case 'shard_getGenesis': {
        const { allocation, ...rest } = JSON.parse(this.chain.genesisText) as Record<string, unknown>;
        return { ...rest, allocationCount: (allocation as unknown[]).length };
      }
      case 'shard_getAllocation':
        return (JSON.parse(this.chain.genesisText) as { allocation: unknown[] }).allocation.slice(from, from + Math.min(count, 1_000));
      case 'shard_getBeaconBlocks':
        return { latest: this.chain.beaconBlocks.length, blocks: this.chain.beaconBlocks.slice(from - 1, from - 1 + Math.min(count, 10)).map(toHex) };
      default:
        throw new Refusal(-32601, `the method ${method} does not exist`);
    }
  }

  private shard(shard: number, method: string, params: readonly unknown[]): unknown {
    const { blocks } = this.chain.shards[shard]!;
    const head = this.heads[shard]!;
    if (this.unreachable.has(shard)) throw new Refusal(-32002, `shard ${shard} cannot be reached`);
    switch (method) {
      case 'shard_status':
        return { id: `shard-${shard}`, role: 'shard', shard, height: head };
      case 'shard_getBlocks': {
        const [from, count] = params as [number, number];
        return { latest: head, blocks: blocks.slice(from - 1, Math.min(head, from - 1 + Math.min(count, this.pageBlocks))).map(toHex) };
      }
      case 'shard_pinState': {
        const [height] = params as [number];
        if (height > head) throw new Refusal(-32000, `height ${height} is above the head, ${head}`);
        const pin = `pin-${++this.pinned}`;
        this.pins.set(pin, { shard, height });
        return { pin, height, stateRoot: toHex(this.chain.shards[shard]!.sealed[height - 1]!.header.stateRoot), expiresMs: 0 };
      }
      case 'shard_readState':
        return this.readState(params as [string, string | null, number]);
      case 'shard_unpinState':
        return this.pins.delete((params as [string])[0]);
      case 'shard_getProof':
        return this.proof(shard, (params as [string])[0]);
      default:
        throw new Refusal(-32601, `the method ${method} does not exist`);
    }
  }

  private readState([id, cursor]: [string, string | null, number]): unknown {
    const pin = this.pins.get(id);
    if (pin === undefined) throw new Refusal(-32000, `no pin "${id}"`);
    const entries = new Map(this.chain.shards[pin.shard]!.states[pin.height]!);
    this.hooks.state?.(pin.shard, pin.height, entries);
    const keys = [...entries.keys()].sort();
    const after = cursor === null ? '' : Buffer.from(cursor.slice(2), 'hex').toString('latin1');
    const page = keys.filter((key) => key > after).slice(0, this.pageEntries);
    const writer = new Writer();
    for (const key of page) {
      const value = entries.get(key)!;
      writer.u16(key.length).fixed(keyBytes(key), key.length).u16(value.length).fixed(value, value.length);
    }
    const last = page.at(-1);
    return { entries: toHex(writer.finish()), next: last === undefined || last === keys.at(-1) ? null : toHex(keyBytes(last)) };
  }

  private proof(shard: number, account: string): unknown {
    const { state, sealed } = this.chain.shards[shard]!;
    const { header, certificate } = sealed.at(-1)!;
    const { key, proof } = state.proveAccount(Buffer.from(account.slice(2), 'hex') as Uint8Array as Address);
    const result = verifyStateProof(this.crypto, header.stateRoot, key, proof);
    const { balance, nonce } = result.ok && result.value !== undefined ? decodeBasicData(result.value) : { balance: 0n, nonce: 0 };
    const writer = new Writer();
    writeCertificate(writer, certificate);
    return { shard, height: header.height, balance: String(balance), nonce, key: toHex(key), proof: toHex(proof), header: toHex(encodeHeader(header)), certificate: toHex(writer.finish()) };
  }
}
