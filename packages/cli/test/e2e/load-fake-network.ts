import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventsAnswer, fateAnswer, type FakeDecoder, FakeShard, receiptAnswer } from './load-fake-shard.ts';

/** What the fake network says of itself where the load generator asks. */
export interface FakeNetworkOptions {
  readonly shards: number;
  readonly decode: FakeDecoder;
  readonly blockIntervalMs?: number;
  readonly workload?: object;
}

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}

/** Shards behind HTTP in this process, one server each, which can crash and come back on their ports. */
export class FakeNetwork {
  readonly shards: readonly FakeShard[];
  /** Answers with this status instead of taking batches. */
  overload: number | undefined;
  /** Servers that are cut off from the rest: they take what they get and forget it, and hear of no block. */
  readonly cutOff = new Set<number>();
  /** Batches taken, by server and shard: `2>0`. */
  readonly batches = new Map<string, number>();
  /** Looks at a batch's transactions before they are taken. */
  beforeBatch: (raws: readonly Uint8Array[]) => Promise<void> = () => Promise.resolve();
  readonly urls: string[] = [];
  private readonly options: FakeNetworkOptions;
  private readonly servers: (Server | undefined)[] = [];
  private readonly ports: number[] = [];
  private readonly polls = new Set<() => void>();
  private timer: NodeJS.Timeout | undefined;

  constructor(options: FakeNetworkOptions) {
    this.options = options;
    this.shards = Array.from({ length: options.shards }, (_, shard) => new FakeShard(shard, options.decode, (peer) => this.shards[peer]!));
  }

  async start(): Promise<void> {
    for (let shard = 0; shard < this.options.shards; shard++) {
      await this.listen(shard, 0);
      this.urls.push(`http://127.0.0.1:${this.ports[shard]}`);
    }
    this.timer = setInterval(() => this.tick(), this.options.blockIntervalMs ?? 20);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    for (let shard = 0; shard < this.options.shards; shard++) await this.crash(shard);
  }

  /** SIGKILL: connections break, the pool is gone, blocks stay. */
  async crash(shard: number): Promise<void> {
    const server = this.servers[shard];
    this.servers[shard] = undefined;
    this.shards[shard]!.crash();
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** The process is back on its port. */
  restart(shard: number): Promise<void> {
    return this.listen(shard, this.ports[shard]!);
  }

  private async listen(shard: number, port: number): Promise<void> {
    const server = createServer((request, response) => void this.serve(shard, request, response));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
    this.servers[shard] = server;
    this.ports[shard] = (server.address() as AddressInfo).port;
  }

  private tick(): void {
    const now = Date.now();
    this.shards.forEach((shard, at) => this.servers[at] !== undefined && shard.produce(now));
    for (const poll of this.polls) poll();
  }

  private async serve(own: number, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(parts);
    const named = /^\/shard\/(\d+)/.exec(request.url ?? '')?.[1];
    const shard = named === undefined ? own : Number(named);
    const send = (status: number, answer: unknown): void => void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    if (this.servers[shard] === undefined) {
      if (request.url!.endsWith('/submit')) return send(503, { error: { code: 'unavailable', message: 'down' } });
      const { id } = JSON.parse(body.toString()) as Call;
      return send(200, { jsonrpc: '2.0', id, error: { code: -32002, message: 'shard unreachable' } });
    }
    if (request.url!.endsWith('/submit')) {
      this.batches.set(`${own}>${shard}`, (this.batches.get(`${own}>${shard}`) ?? 0) + 1);
      if (this.cutOff.has(own)) return send(200, { accepted: body.readUInt32BE(0), rejected: [] });
      return this.overload === undefined ? send(200, await this.batch(shard, body)) : send(this.overload, {});
    }
    const parsed = JSON.parse(body.toString()) as Call | Call[];
    if (Array.isArray(parsed)) return send(200, parsed.map((call) => ({ jsonrpc: '2.0', id: call.id, result: this.answer(shard, call) })));
    const reply = (result: unknown): void => send(200, { jsonrpc: '2.0', id: parsed.id, result });
    if (parsed.method === 'shard_getBlockEvents') this.poll({ shard, hears: !this.cutOff.has(own) }, parsed.params as [number, number], response, reply);
    else reply(this.answer(shard, parsed));
  }

  private async batch(shard: number, body: Buffer): Promise<unknown> {
    const raws: Uint8Array[] = [];
    let at = 4;
    while (at < body.length) {
      const end = at + 4 + body.readUInt32BE(at);
      raws.push(body.subarray(at + 4, end));
      at = end;
    }
    if (at !== body.length || raws.length !== body.readUInt32BE(0)) throw new Error('not a batch');
    await this.beforeBatch(raws);
    const codes = raws.map((raw) => this.shards[shard]!.submit(raw));
    const rejected = codes.flatMap((code, index) => (code === undefined ? [] : [{ index, code, message: code }]));
    return { accepted: raws.length - rejected.length, rejected };
  }

  private poll({ shard, hears }: { shard: number; hears: boolean }, [fromHeight, waitMs]: [number, number], response: ServerResponse, reply: (result: unknown) => void): void {
    const deadlineMs = Date.now() + waitMs;
    const attempt = (): void => {
      if (response.destroyed) this.polls.delete(attempt);
      else if ((hears && this.shards[shard]!.blocks.length > fromHeight) || Date.now() >= deadlineMs) {
        this.polls.delete(attempt);
        reply(hears ? eventsAnswer(this.shards[shard]!, fromHeight) : { latest: 0, blocks: [] });
      }
    };
    this.polls.add(attempt);
    attempt();
  }

  private answer(shard: number, call: Call): unknown {
    const fake = this.shards[shard]!;
    const [first] = call.params as [string];
    switch (call.method) {
      case 'shard_getCrossShardTransaction':
        return fateAnswer(fake, first);
      case 'eth_getTransactionReceipt':
        return receiptAnswer(fake, first);
      case 'eth_getTransactionCount':
        return `0x${(fake.nonces.get(first) ?? 0).toString(16)}`;
      case 'eth_gasPrice':
        return '0x3b9aca00';
      case 'eth_estimateGas':
        return '0x5208';
      case 'shard_getAssignment':
        return { epoch: 0, overrides: [] };
      case 'shard_status':
        return { ...this.status(), ...this.nodeStatus(shard) };
      default:
        throw new Error(`the fake does not know ${call.method}`);
    }
  }

  private status(): object {
    return {
      genesisHash: `0x${'ab'.repeat(32)}`,
      chainId: 1337,
      shards: this.options.shards,
      validators: 1,
      parameters: { baseFeePerGas: '1000000000' },
      workload: this.options.workload ?? {},
      beacon: { height: 1, epoch: 0 },
      nodes: this.shards.map((_, shard) => this.nodeStatus(shard)),
    };
  }

  private nodeStatus(shard: number): object {
    return { id: `shard-${shard}`, role: 'shard', shard, height: this.shards[shard]!.blocks.length - 1, healthy: true, rpcUrl: this.urls[shard] };
  }
}
